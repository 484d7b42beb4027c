//! The native runner end to end: cases on a plugin written for them, with the `proxy-wasm` crate alone.

use proxy_wasm::hostcalls::{define_metric, increment_metric, record_metric};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(initialize, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"))
}

fn initialize() {
    proxy_wasm::set_root_context(|_| Box::new(Root { requests: 0, sizes: 0 }));
}

struct Root {
    requests: u32,
    sizes: u32,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        self.requests = define_metric(MetricType::Counter, "requests").unwrap();
        self.sizes = define_metric(MetricType::Histogram, "sizes").unwrap();
        let gauge = define_metric(MetricType::Gauge, "configured").unwrap();
        record_metric(gauge, 7).unwrap();
        log(LogLevel::Warn, &format!("configured with {}", configuration.escape_ascii()));
        configuration != b"bad"
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { requests: self.requests, sizes: self.sizes }))
    }
}

struct Stream {
    requests: u32,
    sizes: u32,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = self.get_http_request_header_bytes(":path").unwrap_or_default();
        increment_metric(self.requests, 1).unwrap();
        record_metric(self.sizes, path.len() as u64).unwrap();
        log(LogLevel::Debug, "at the request");
        self.set_property(vec!["path"], Some(&path));
        self.add_http_request_header("x-seen", "yes");
        if path.starts_with(b"/deny") {
            self.send_http_response(403, vec![("x-why", "asked for")], Some(b"no"));
            return Action::Pause;
        }
        Action::Continue
    }
}

fn log(level: LogLevel, text: &str) {
    proxy_wasm::hostcalls::log(level, text).unwrap();
}
