//! Lets tenants of a list pass. One worker fetches it for all and puts it into shared data, where each worker reads it, again
//! and again. Requests that come too early wait for it.

use proxy_wasm_kit::prelude::*;
use std::time::Duration;

struct Tenants(Watch<Vec<String>>);
struct Gate(Rc<Tenants>);

proxy_wasm_kit::entry!(Tenants);

#[derive(serde::Deserialize)]
struct Config {
    cluster: String,
}

impl Extension for Tenants {
    type Config = Config;
    type Filter = Gate;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        let directory = root.cluster(&config.cluster);
        let lease = Lease::new(&config.cluster, Duration::from_millis(600));
        let shared = Shared::<Vec<String>>::at(config.cluster);
        let fetched = shared.clone();
        root.every(Duration::from_millis(100), async move || {
            if lease.acquire()? {
                fetched.set(&directory.get("/tenants").timeout_ms(500).send().await?.json()?)?;
            }
            Ok(())
        });
        let list = Watch::new();
        let target = list.clone();
        root.every(Duration::from_millis(20), async move || {
            if let Some(tenants) = shared.get()? {
                target.set(tenants);
            }
            Ok(())
        });
        Ok(Self(list))
    }

    fn filter(self: &Rc<Self>) -> Gate {
        Gate(self.clone())
    }
}

impl HttpFilter for Gate {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let tenants = self.0.0.clone();
        let flow = request.later(async move |held| {
            let tenants = tenants.value().await;
            let tenant = held.headers().first("x-tenant")?.unwrap_or_default();
            let known = tenants.iter().any(|known| tenant == known.as_str());
            Ok(if known { Flow::Continue } else { Flow::Reply(Response::new(403)) })
        });
        Ok(flow.within(Duration::from_secs(3)))
    }
}
