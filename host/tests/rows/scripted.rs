//! A guest that is a closure over the raw callbacks.

use proxy_wasm_kit_host::engine::{Call, Guest, Trap, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};
use std::cell::RefCell;
use std::rc::Rc;

/// What answers a callback: an action, or 1 for true.
type Script = Box<dyn FnMut(&Call) -> u32>;

struct Scripted {
    script: Script,
    /// Every callback of a stream, as it came.
    calls: Rc<RefCell<Vec<Call>>>,
}

impl Guest for Scripted {
    fn has(&self, _call: &Call) -> bool {
        true
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        if let Call::VmStart { .. } | Call::Configure { .. } = call {
            return Ok(1);
        }
        self.calls.borrow_mut().push(*call);
        Ok((self.script)(call))
    }
}

/// Runs one exchange; returns it with the callbacks that were entered.
pub(crate) fn run(
    setup: Setup,
    request: Message,
    upstream: &Message,
    script: impl FnMut(&Call) -> u32 + 'static,
) -> (Exchange, Vec<Call>) {
    let calls = Rc::default();
    let guest = Scripted { script: Box::new(script), calls: Rc::clone(&calls) };
    let mut worker = Worker::new(Vm::shared(setup), guest);
    worker.start().unwrap();
    calls.borrow_mut().clear();
    let seen = worker.exchange(request, upstream);
    (seen, calls.take())
}

/// A request with two pieces of body and with trailers.
pub(crate) fn long_request() -> Message {
    let mut request = Message::request("POST", "/").trailer("t", "1");
    request.body = vec![b"one ".to_vec(), b"two".to_vec()];
    request
}
