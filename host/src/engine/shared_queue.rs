//! Queues between VMs (row 44).

use super::agenda::Event;
use super::guest::{Call, Guest};
use super::status::Status;
use super::vm::Vm;
use super::worker::Worker;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The queues of a process.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// By VM id and name.
    ids: BTreeMap<(String, Vec<u8>), u32>,
    queues: BTreeMap<u32, Queue>,
}

#[derive(Debug)]
struct Queue {
    /// The root context that is told of new entries: that of the last registration.
    receiver: u32,
    entries: VecDeque<Vec<u8>>,
}

impl Vm {
    /// `proxy_register_shared_queue`. Who registers a name again takes the queue over, with all that is in it.
    pub fn register_shared_queue(&mut self, name: &[u8]) -> Result<u32, Status> {
        let plugin = self.plugin();
        let (key, receiver) = ((plugin.setup.vm_id.clone(), name.to_vec()), plugin.root);
        let next = self.queues.ids.len() as u32 + 1;
        let id = *self.queues.ids.entry(key).or_insert(next);
        let queue = self.queues.queues.entry(id);
        queue.or_insert_with(|| Queue { receiver, entries: VecDeque::new() }).receiver = receiver;
        Ok(id)
    }

    /// `proxy_resolve_shared_queue`; an empty VM id is that of the VM itself.
    pub fn resolve_shared_queue(&mut self, vm_id: &[u8], name: &[u8]) -> Result<u32, Status> {
        let vm_id = match vm_id {
            b"" => self.plugin().setup.vm_id.clone(),
            other => String::from_utf8_lossy(other).into_owned(),
        };
        self.queues.ids.get(&(vm_id, name.to_vec())).copied().ok_or(Status::NOT_FOUND)
    }

    /// `proxy_dequeue_shared_queue`.
    pub fn dequeue_shared_queue(&mut self, queue: u32) -> Result<Vec<u8>, Status> {
        let queue = self.queues.queues.get_mut(&queue).ok_or(Status::NOT_FOUND)?;
        queue.entries.pop_front().ok_or(Status::EMPTY)
    }

    /// `proxy_enqueue_shared_queue`: whoever receives the queue is told of it soon.
    pub fn enqueue_shared_queue(&mut self, queue: u32, value: &[u8]) -> Result<(), Status> {
        let found = self.queues.queues.get_mut(&queue).ok_or(Status::NOT_FOUND)?;
        found.entries.push_back(value.to_vec());
        self.agenda.enter(Duration::ZERO, Event::QueueReady(found.receiver, queue));
        Ok(())
    }
}

impl<G: Guest> Worker<G> {
    /// A root context is told of a new entry, if it still lives.
    pub(super) fn queue_ready(&mut self, root: u32, queue: u32) {
        self.notify(&Call::QueueReady { context: root, queue });
    }
}
