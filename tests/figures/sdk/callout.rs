//! Asks a server whether a request may pass, and who sends it, on the SDK.
#![forbid(unsafe_code)]

use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
struct Config {
    cluster: String,
}

struct Policy(Cluster);

struct Filter(Rc<Policy>);

proxy_wasm_kit::entry!(Policy);

impl Extension for Policy {
    type Config = Config;
    type Filter = Filter;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.cluster(&config.cluster)))
    }

    fn filter(self: &Rc<Self>) -> Filter {
        Filter(self.clone())
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let call = self.0.0.get("/check").header("x-path", request.path()?).timeout_ms(1000);
        Ok(request.later(async move |held| {
            let answer = call.send().await?;
            if answer.status() != 200 || *answer.body() != "allow" {
                return Ok(Flow::Reply(Response::new(403).details("not_allowed")));
            }
            held.headers().set("x-user", answer.headers().first("x-user").unwrap_or_default())?;
            Ok(Flow::Continue)
        }))
    }
}
