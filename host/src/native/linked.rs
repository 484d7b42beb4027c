//! The guest of the native back end: an extension as it is registered in a thread.
//!
//! The first VM of a host lives on the thread of the engine. Every other one has a thread of its own, which waits for
//! callbacks; while it runs one, the engine waits, so that host functions find nobody in their way.

use super::callbacks::enter;
use super::{Extension, INITIALISING, VM};
use crate::engine::{Call, Guest, Refusal, Shared, Trap};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// An extension that is linked into this binary, in a VM.
pub struct Linked(Place);

enum Place {
    /// On the thread of the engine.
    Here,
    /// On a thread of its own.
    There { calls: Option<Sender<Call>>, answers: Receiver<u32>, thread: Option<JoinHandle<()>> },
}

impl Linked {
    /// A new VM: registers the extension in a thread.
    pub(super) fn new(extension: &Extension, vm: &Shared) -> Result<Self, Refusal> {
        if VM.with_borrow(Option::is_none) {
            register(extension, vm);
            return Ok(Self(Place::Here));
        }
        let (calls, received) = channel::<Call>();
        let (tell, answers) = channel();
        let (extension, vm) = (extension.clone(), vm.clone());
        let run = move || {
            register(&extension, &vm);
            let mut heard = tell.send(0).is_ok();
            while let Some(call) = received.recv().ok().filter(|_| heard) {
                // SAFETY: registered above; the engine enters one callback at a time.
                heard = tell.send(unsafe { enter(&call) }).is_ok();
            }
        };
        let thread = thread::spawn(run);
        answers.recv().map_err(|_| Refusal::Failed(DIED.into()))?;
        Ok(Self(Place::There { calls: Some(calls), answers, thread: Some(thread) }))
    }
}

const DIED: &str = "the thread of the VM has panicked; its message stands above";

fn register(extension: &Extension, vm: &Shared) {
    VM.set(Some(vm.clone()));
    let _guard = INITIALISING.lock().unwrap_or_else(PoisonError::into_inner);
    (extension.0)();
}

impl Guest for Linked {
    fn has(&self, _call: &Call) -> bool {
        true
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        match &self.0 {
            // SAFETY: registered by `new`; the engine enters one callback at a time.
            Place::Here => Ok(unsafe { enter(call) }),
            Place::There { calls, answers, .. } => {
                let sent = calls.as_ref().is_some_and(|calls| calls.send(*call).is_ok());
                let answer = sent.then(|| answers.recv().ok()).flatten();
                answer.ok_or_else(|| Trap(DIED.into()))
            }
        }
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        if let Place::There { calls, thread, .. } = &mut self.0 {
            drop(calls.take());
            // What it had to say, it has said.
            let _ = thread.take().map(JoinHandle::join);
        }
    }
}
