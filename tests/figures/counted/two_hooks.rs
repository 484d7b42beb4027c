//! A filter of request and response headers that tells how often memory was taken until then.

mod allocator;

use proxy_wasm_kit::prelude::*;

struct Filter {
    plugin: Rc<Plugin>,
    /// What lives from one hook to the next.
    has_secret: bool,
}

struct Plugin(String);

proxy_wasm_kit::entry!(Plugin);

impl Extension for Plugin {
    type Config = String;
    type Filter = Filter;

    fn configure(config: String, _root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Filter {
        Filter { plugin: self.clone(), has_secret: false }
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let headers = request.headers().snapshot()?;
        self.has_secret = headers.all("authorization").any(|value| value == self.plugin.0.as_bytes());
        request.headers().set("x-allocations", allocator::count())?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        let headers = response.headers().snapshot()?;
        if self.has_secret && headers.first("x-known").is_none() {
            response.headers().set("x-known", "yes")?;
        }
        Ok(Flow::Continue)
    }
}
