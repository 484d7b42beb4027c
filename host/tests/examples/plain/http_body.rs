//! HTTP body: a response that holds a secret is replaced.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

pub(super) struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        // The body may get another length.
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        if !last {
            return Action::Pause;
        }
        if let Some(body) = self.get_http_response_body(0, size)
            && String::from_utf8_lossy(&body).contains("secret")
        {
            let redacted = format!("Original message body ({size} bytes) redacted.\n");
            self.set_http_response_body(0, size, redacted.as_bytes());
        }
        Action::Continue
    }
}
