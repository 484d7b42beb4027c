//! A guest that is a closure over the raw callbacks.

use proxy_wasm_kit_host::engine::{Call, Guest, Plan, Shared, Trap, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};
use proxy_wasm_kit_host::outside::{Answer, Cluster, Outside};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

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

/// A worker whose guest calls host functions by itself: `script` gets the VM. What it says is in the log.
pub(crate) fn worker(
    setup: Setup,
    mut script: impl FnMut(&Call, &mut Vm) -> u32 + 'static,
) -> Worker<impl Guest> {
    let vm = Vm::shared(setup);
    let own = vm.clone();
    let script = move |call: &Call| script(call, &mut own.borrow_mut());
    let guest = Scripted { script: Box::new(script), calls: Rc::default() };
    let mut worker = Worker::new(vm, guest);
    worker.start().unwrap();
    worker
}

/// The same within other clusters, and it can be made again: a new VM begins with a copy of `script`.
pub(crate) fn worker_within(
    setup: Setup,
    outside: impl Outside + 'static,
    script: impl FnMut(&Call, &mut Vm) -> u32 + Clone + 'static,
) -> Worker<impl Guest> {
    let vm = Vm::within(setup.clone(), Box::new(outside)).into_shared();
    let make = move |vm: &Shared| {
        let (vm, mut script) = (vm.clone(), script.clone());
        let script = Box::new(move |call: &Call| script(call, &mut vm.borrow_mut()));
        Ok(Scripted { script, calls: Rc::default() })
    };
    let mut worker = Worker::of(vm, vec![Plan { code: Arc::new(make), identity: 0, setup }]);
    worker.start().unwrap();
    worker
}

/// A plain test with clusters around it.
pub(crate) fn around(clusters: &[(&str, Vec<Answer>)]) -> Setup {
    let cluster =
        |(name, answers): &(&str, Vec<Answer>)| ((*name).to_owned(), Cluster { answers: answers.clone() });
    Setup { clusters: clusters.iter().map(cluster).collect(), ..crate::guest::plain() }
}

/// Says something in the log of a VM.
macro_rules! say {
    ($vm:expr, $text:expr $(,)?) => {{
        let text = format!("{:?}", $text).replace("\\\"", "\"");
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text);
        $vm.log(2, text.as_bytes()).unwrap();
    }};
}
pub(crate) use say;

/// A request with two pieces of body and with trailers.
pub(crate) fn long_request() -> Message {
    let mut request = Message::request("POST", "/").trailer("t", "1");
    request.body = vec![b"one ".to_vec(), b"two".to_vec()];
    request
}
