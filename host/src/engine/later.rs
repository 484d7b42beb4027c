//! Host functions that answer, but are not modelled yet: shared data, queues, foreign functions.

use super::status::Status;
use super::vm::Vm;

impl Vm {
    /// `proxy_get_shared_data`: value and version.
    pub fn get_shared_data(&mut self, _key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        Err(Status::NOT_FOUND)
    }

    /// `proxy_set_shared_data`.
    pub fn set_shared_data(&mut self, _key: &[u8], _value: &[u8], _cas: u32) -> Result<(), Status> {
        Err(Status::UNIMPLEMENTED)
    }

    /// `proxy_register_shared_queue`.
    pub fn register_shared_queue(&mut self, _name: &[u8]) -> Result<u32, Status> {
        Err(Status::UNIMPLEMENTED)
    }

    /// `proxy_resolve_shared_queue`.
    pub fn resolve_shared_queue(&mut self, _vm_id: &[u8], _name: &[u8]) -> Result<u32, Status> {
        Err(Status::NOT_FOUND)
    }

    /// `proxy_dequeue_shared_queue`.
    pub fn dequeue_shared_queue(&mut self, _queue: u32) -> Result<Vec<u8>, Status> {
        Err(Status::NOT_FOUND)
    }

    /// `proxy_enqueue_shared_queue`.
    pub fn enqueue_shared_queue(&mut self, _queue: u32, _value: &[u8]) -> Result<(), Status> {
        Err(Status::NOT_FOUND)
    }

    /// `proxy_call_foreign_function`.
    pub fn call_foreign_function(&mut self, name: &[u8], _arguments: &[u8]) -> Result<Vec<u8>, Status> {
        if name == b"clear_route_cache" {
            // It looks at the current context, not at the effective one (row 9).
            let current = self.current.unwrap_or(0);
            if let Some(stream) = self.stream_of(current) {
                stream.clear_route();
            }
            return Ok(Vec::new());
        }
        Err(Status::NOT_FOUND)
    }

    /// `proxy_done`: only a root context that waits for it can be done.
    pub fn done(&mut self) -> Result<(), Status> {
        Err(Status::NOT_FOUND)
    }
}
