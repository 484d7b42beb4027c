//! What a plugin can do while it is configured.

use crate::abi::{self, Buffer};
use crate::attributes::{Batch, Batched};
use crate::bytes::Bytes;
use crate::callout::Cluster;
use crate::config::{self, ConfigError, Lenience};
use crate::dispatch::RootState;
use crate::error::HostError;
use crate::extension::Result;
use crate::foreign::{CelType, Expression};
use crate::labels::{Family, Labels, Metric};
use crate::metrics::{Counter, Gauge, Histogram};
use crate::queue::Queue;
use crate::wait::sleep;
use crate::watch::Watch;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

/// The plugin's root context, while [`configure`](crate::Extension::configure) runs.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn prepare(root: &Root) -> Result<(Counter, Gauge), ConfigError> {
///     log::info!("configuring {:?}", root.plugin_name()?);
///     Ok((root.counter("requests")?, root.gauge("rules")?))
/// }
/// ```
pub struct Root {
    state: Rc<RootState>,
    /// The plugin's configuration, which errors get their places from.
    text: Bytes,
}

impl Root {
    pub(crate) fn new(state: Rc<RootState>, text: Bytes) -> Self {
        Self { state, text }
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Logs what is wrong in the configuration, with line and column, for an extension that goes on without that part.
    /// `pwkit check-config` refuses a configuration that is complained of.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn conditions(sources: &[String], root: &Root) -> Vec<Expression<bool>> {
    ///     let compile = |(index, source): (usize, &String)| {
    ///         let compiled = root.expression(source).map_err(|error| error.within(&format!("conditions[{index}]")));
    ///         compiled.map_err(|error| root.complain(error)).ok()
    ///     };
    ///     sources.iter().enumerate().filter_map(compile).collect()
    /// }
    /// ```
    pub fn complain(&self, error: ConfigError) {
        log::error!("configuration error: {}", error.located_in(&self.text));
    }

    /// The plugin's name in the proxy's configuration; empty when it has none. The attribute `plugin_name`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn label(root: &Root) -> Result<String> {
    ///     Ok(root.plugin_name()?.as_str().unwrap_or("unnamed").to_owned())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed.
    pub fn plugin_name(&self) -> Result<Bytes, HostError> {
        abi::property("plugin_name").map(Option::unwrap_or_default)
    }

    /// The VM's configuration as a typed value; unknown keys are refused when the type says so. Envoy has it next to the
    /// VM's code (`vm_config.configuration`), shared by all plugins of that VM.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// #[derive(serde::Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Vm {
    ///     region: String,
    /// }
    ///
    /// fn region(root: &Root) -> Result<String, ConfigError> {
    ///     Ok(root.vm_configuration::<Vm>()?.region)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The configuration cannot be had, is not JSON, or does not fit `T`.
    pub fn vm_configuration<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let text = abi::buffer(Buffer::VmConfiguration, 0, config::LIMIT)?.unwrap_or_default();
        config::read(&text, Lenience::NONE).map_err(|error| error.in_vm_configuration())
    }

    /// Defines a counter. Envoy prefixes the name with `wasmcustom.`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn denied(root: &Root) -> Result<Counter, HostError> {
    ///     root.counter("basic_auth.denied")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn counter(&self, name: &str) -> Result<Counter, HostError> {
        Counter::define(name)
    }

    /// Defines a gauge.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn rules(root: &Root) -> Result<Gauge, HostError> {
    ///     root.gauge("basic_auth.rules")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn gauge(&self, name: &str) -> Result<Gauge, HostError> {
        Gauge::define(name)
    }

    /// Defines a histogram; its buckets are set in the proxy's bootstrap.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn sizes(root: &Root) -> Result<Histogram, HostError> {
    ///     root.histogram("body_bytes")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn histogram(&self, name: &str) -> Result<Histogram, HostError> {
        Histogram::define(name)
    }

    /// Registers a queue, or takes over the one of that name with all that is in it. From now on this worker's plugin is told
    /// of new entries.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn events(root: &Root) -> Result<Queue, HostError> {
    ///     root.queue("events")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_register_shared_queue` failed.
    pub fn queue(&self, name: &str) -> Result<Queue, HostError> {
        Queue::register(name)
    }

    /// Compiles an expression in CEL, to be evaluated for streams. Give its place in the configuration with
    /// [`ConfigError::within`].
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn condition(when: &str, root: &Root) -> Result<Expression<bool>, ConfigError> {
    ///     root.expression(when).map_err(|error| error.within("when"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The proxy refuses the expression, or evaluates none at all; the error says which.
    pub fn expression<T: CelType>(&self, source: &str) -> Result<Expression<T>, ConfigError> {
        Expression::compile(source)
    }

    /// Prepares attributes that are read together: in one host call from three of them on, where the proxy evaluates CEL, and
    /// singly otherwise.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// use proxy_wasm_kit::attributes::{Batch, Batched, names};
    ///
    /// fn prepare(root: &Root) -> Batch<impl Batched> {
    ///     root.batch((names::request::method, names::response::code, names::xds::route_name))
    /// }
    /// ```
    pub fn batch<A: Batched>(&self, attributes: A) -> Batch<A> {
        Batch::new(attributes)
    }

    /// A family of metrics: one name, and a series for each combination of labels. Nothing is defined before a series is
    /// asked for.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// #[derive(Clone, PartialEq, Eq, Hash, Labels)]
    /// struct ByTenant {
    ///     tenant: String,
    /// }
    ///
    /// fn requests(root: &Root) -> Family<Counter, ByTenant> {
    ///     root.family("tenant_requests")
    /// }
    /// ```
    pub fn family<M: Metric, L: Labels + Clone + Eq + Hash>(
        &self,
        name: impl Into<Cow<'static, str>>,
    ) -> Family<M, L> {
        Family::new(name.into())
    }

    /// A cluster to call, by its name in the proxy's configuration. Whether the proxy knows it shows when it is called: with
    /// most control planes clusters come and go.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn policy(root: &Root) -> Cluster {
    ///     root.cluster("outbound|8181||opa.policy.svc.cluster.local")
    /// }
    /// ```
    pub fn cluster(&self, name: &str) -> Cluster {
        Cluster::new(name)
    }

    /// Begins work that lives as long as the plugin, once the configuration is accepted. Its error is logged.
    ///
    /// Envoy configures a plugin on each worker and twice more, and each does the work.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn announce(root: &Root, registry: Cluster) {
    ///     root.spawn(async move {
    ///         registry.post("/started").send().await?;
    ///         Ok(())
    ///     });
    /// }
    /// ```
    pub fn spawn(&self, work: impl Future<Output = Result<()>> + 'static) {
        self.state.spawn(work);
    }

    /// Does work at once and then again and again, `period` after it was done. An error is logged and ends nothing.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn report(root: &Root, active: Gauge) {
    ///     root.every(Duration::from_secs(60), async move || {
    ///         log::info!("{} requests are active", active.value()?);
    ///         Ok(())
    ///     });
    /// }
    /// ```
    pub fn every(&self, period: Duration, mut work: impl AsyncFnMut() -> Result<()> + 'static) {
        self.spawn(async move {
            loop {
                if let Err(error) = work().await {
                    log::error!("periodic work failed: {error}");
                }
                sleep(period).await?;
            }
        });
    }

    /// A value that `fetch` gives at once and refreshes, `period` after it was given. When it fails the old value stays.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn keys(root: &Root, login: Cluster) -> Watch<Bytes> {
    ///     root.watch(Duration::from_secs(300), async move || {
    ///         let answer = login.get("/jwks").send().await?;
    ///         if answer.status() == 200 { Ok(answer.body().clone()) } else { Err(Error::new("no keys")) }
    ///     })
    /// }
    /// ```
    pub fn watch<T: 'static>(
        &self,
        period: Duration,
        mut fetch: impl AsyncFnMut() -> Result<T> + 'static,
    ) -> Watch<T> {
        let watch = Watch::new();
        let target = watch.clone();
        self.every(period, async move || {
            target.set(fetch().await?);
            Ok(())
        });
        watch
    }
}
