//! gRPC auth (random): a service is asked that answers with a random status, and an even one lets the request pass.

use std::time::Duration;

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, GrpcStatusCode};

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

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let kind = self.get_http_request_header("content-type").unwrap_or_default();
        if !kind.starts_with("application/grpc") {
            self.send_http_response(
                503,
                vec![("powered-by", "proxy-wasm")],
                Some(b"Only for gRPC clients.\n"),
            );
            return Action::Pause;
        }
        let second = Duration::from_secs(1);
        let call =
            self.dispatch_grpc_call("grpcbin", "grpcbin.GRPCBin", "RandomError", vec![], Some(b""), second);
        if call.is_err() {
            self.send_grpc_response(GrpcStatusCode::Unavailable, Some("Nobody to ask."), vec![]);
        }
        Action::Pause
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("powered-by", Some("proxy-wasm"));
        Action::Continue
    }
}

impl Context for Stream {
    fn on_grpc_call_response(&mut self, _: u32, status: u32, _: usize) {
        info!("The service says {status}.");
        if status.is_multiple_of(2) {
            self.resume_http_request();
        } else {
            self.send_grpc_response(GrpcStatusCode::Aborted, Some("Aborted by Proxy-Wasm!"), vec![]);
        }
    }
}
