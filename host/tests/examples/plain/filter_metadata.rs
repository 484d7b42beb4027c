//! Filter metadata: what another filter, or else the route, says in its metadata becomes a header of the response. If
//! neither says anything, it is what the configuration says.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

#[derive(Default)]
pub(super) struct Root {
    default: Vec<u8>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        self.default = self.get_plugin_configuration().unwrap_or_default();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { default: self.default.clone() }))
    }
}

struct Stream {
    default: Vec<u8>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let of_filter = vec!["metadata", "filter_metadata", "envoy.filters.http.lua", "custom"];
        let of_route = vec!["xds", "route_metadata", "filter_metadata", "examples", "custom"];
        let value = self.get_property(of_filter).or_else(|| self.get_property(of_route));
        let value = value.as_ref().unwrap_or(&self.default);
        self.add_http_response_header_bytes("custom-metadata", value);
        Action::Continue
    }
}
