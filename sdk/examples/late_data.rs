//! After a callout the root's callback runs on behalf of the stream: what then still acts on the stream, and what is refused.

use proxy_wasm_kit::attributes::{Attribute, Batch, names};
use proxy_wasm_kit::foreign::{LifeSpan, clear_route_cache, set_envoy_filter_state};
use proxy_wasm_kit::prelude::*;

type Facts = Batch<(Attribute<Bytes>, Attribute<Bytes>, Attribute<Bytes>)>;

struct Late {
    server: Cluster,
    is_get: Expression<bool>,
    facts: Facts,
}

struct Ask(Rc<Late>);

proxy_wasm_kit::entry!(Late);

impl Extension for Late {
    type Config = ();
    type Filter = Ask;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        let facts = root.batch((names::request::method, names::request::url_path, names::request::host));
        let is_get = root.expression("request.method == 'GET'")?;
        Ok(Self { server: root.cluster("server"), is_get, facts })
    }

    fn filter(self: &Rc<Self>) -> Ask {
        Ask(self.clone())
    }
}

impl HttpFilter for Ask {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let late = self.0.clone();
        let before = late.is_get.evaluate()?;
        Ok(request.later(async move |held| {
            late.server.get("/").send().await?;
            // The proxy would evaluate it for the root.
            let refused = late.is_get.evaluate().is_err_and(|error| error.is_wrong_context());
            // A batch reads singly then.
            let path = late.facts.read()?.1.unwrap_or_default();
            proxy_wasm_kit::set_filter_state("late", &path)?;
            set_envoy_filter_state("envoy.string", "late", LifeSpan::FilterChain)?;
            let object = proxy_wasm_kit::property(&["filter_state", "envoy.string"])?.unwrap_or_default();
            clear_route_cache()?;
            held.headers()
                .set("x-late", format!("{before} {refused} {}", object.as_str().unwrap_or_default()))?;
            Ok(Flow::Continue)
        }))
    }
}
