//! Shared data and a queue: each request counts itself in shared data, and its path is told to the root context by a
//! queue.

use log::info;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, Status};

pub(super) struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        self.register_shared_queue("paths");
        true
    }

    fn on_queue_ready(&mut self, queue: u32) {
        while let Ok(Some(path)) = self.dequeue_shared_queue(queue) {
            info!("Somebody wants {}.", String::from_utf8_lossy(&path));
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }
}

struct Stream;

impl Context for Stream {}

impl Stream {
    /// Adds one, unless another worker is faster, and then again.
    fn count(&self) -> u8 {
        loop {
            let (count, version) = self.get_shared_data("count");
            let count = count.and_then(|count| count.first().copied()).unwrap_or(0).wrapping_add(1);
            match self.set_shared_data("count", Some(&[count]), version) {
                Err(Status::CasMismatch) => {}
                _ => return count,
            }
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let path = self.get_http_request_header_bytes(":path").unwrap_or_default();
        match self.resolve_shared_queue("", "paths") {
            Some(queue) if self.enqueue_shared_queue(queue, Some(&path)).is_ok() => {}
            _ => info!("There is no queue."),
        }
        self.set_http_request_header("x-count", Some(&self.count().to_string()));
        Action::Continue
    }
}
