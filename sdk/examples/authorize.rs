//! Asks a policy server about every request, and lets nothing pass that it does not allow.

use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    cluster: String,
    timeout_ms: u64,
}

struct Authorize {
    policy: Cluster,
    timeout_ms: u64,
}

struct Check(Rc<Authorize>);

#[derive(serde::Serialize)]
struct Input {
    path: String,
}

#[derive(serde::Deserialize)]
struct Verdict {
    allow: bool,
}

proxy_wasm_kit::entry!(Authorize);

impl Extension for Authorize {
    type Config = Config;
    type Filter = Check;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        Ok(Self { policy: root.cluster(&config.cluster), timeout_ms: config.timeout_ms })
    }

    fn filter(self: &Rc<Self>) -> Check {
        Check(self.clone())
    }
}

impl HttpFilter for Check {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let path = request.path()?.as_str().unwrap_or_default().to_owned();
        let question = self.0.policy.post("/v1/allow").json(&Input { path }).timeout_ms(self.0.timeout_ms);
        Ok(request.later(async move |held| {
            let answer = question.send().await?;
            if answer.status() != 200 || !answer.json::<Verdict>()?.allow {
                return Ok(Flow::Reply(Response::new(403).details("denied_by_policy")));
            }
            held.headers().set("x-user", answer.headers().first("x-user").unwrap_or_default())?;
            Ok(Flow::Continue)
        }))
    }
}
