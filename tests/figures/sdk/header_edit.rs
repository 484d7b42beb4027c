//! Removes internal headers and adds one, on the SDK.
#![forbid(unsafe_code)]

use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
struct Edit {
    prefix: String,
    name: String,
    value: String,
}

struct Filter(Rc<Edit>);

proxy_wasm_kit::entry!(Edit);

impl Extension for Edit {
    type Config = Self;
    type Filter = Filter;

    fn configure(config: Self, _root: &Root) -> Result<Self, ConfigError> {
        Ok(config)
    }

    fn filter(self: &Rc<Self>) -> Filter {
        Filter(self.clone())
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let headers = request.headers().snapshot()?;
        for (name, _) in headers.iter().filter(|(name, _)| name.starts_with(self.0.prefix.as_bytes())) {
            request.headers().remove(name)?;
        }
        request.headers().set(&self.0.name, &self.0.value)?;
        Ok(Flow::Continue)
    }
}
