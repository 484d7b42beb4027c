//! A filter of request headers alone that tells how often memory was taken until then.

mod allocator;

use proxy_wasm_kit::prelude::*;

struct Plugin(String);

struct Filter(Rc<Plugin>);

proxy_wasm_kit::entry!(Plugin);

impl Extension for Plugin {
    type Config = String;
    type Filter = Filter;

    fn configure(config: String, _root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Filter {
        Filter(self.clone())
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let headers = request.headers().snapshot()?;
        if headers
            .only("authorization")
            .is_ok_and(|value| value.is_some_and(|value| value == self.0.0.as_bytes()))
        {
            request.headers().remove("authorization")?;
        }
        request.headers().set("x-allocations", allocator::count())?;
        Ok(Flow::Continue)
    }
}
