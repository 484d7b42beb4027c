//! Lets pass what an expression of the operator allows, and labels it by two others.

use proxy_wasm_kit::prelude::*;

/// A condition, and what to say about requests that fulfil it.
#[derive(serde::Deserialize, Config)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// CEL: whether a request may pass.
    allow: String,
    /// CEL: the header `x-size`.
    size: String,
    /// CEL: a list of texts for the header `x-labels`.
    labels: String,
}

struct Gate {
    allow: Expression<bool>,
    size: Expression<i64>,
    labels: Expression<Vec<Bytes>>,
}

struct Check(Rc<Gate>);

proxy_wasm_kit::entry!(Gate);

impl Extension for Gate {
    type Config = Settings;
    type Filter = Check;

    fn configure(config: Settings, root: &Root) -> Result<Self, ConfigError> {
        Ok(Self {
            allow: root.expression(&config.allow).map_err(|error| error.within("allow"))?,
            size: root.expression(&config.size).map_err(|error| error.within("size"))?,
            labels: root.expression(&config.labels).map_err(|error| error.within("labels"))?,
        })
    }

    fn filter(self: &Rc<Self>) -> Check {
        Check(self.clone())
    }
}

impl HttpFilter for Check {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let gate = &*self.0;
        if !gate.allow.evaluate()? {
            return Ok(Flow::Reply(Response::new(403).details("expression")));
        }
        request.headers().set("x-labels", gate.labels.evaluate()?.join(&b','))?;
        request.headers().set("x-size", gate.size.evaluate()?.to_string())?;
        Ok(Flow::Continue)
    }
}
