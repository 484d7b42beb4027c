//! Host functions that answer, but are not modelled yet: shared data, queues.

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

    /// `proxy_done`: only a root context that waits for it can be done.
    pub fn done(&mut self) -> Result<(), Status> {
        Err(Status::NOT_FOUND)
    }
}
