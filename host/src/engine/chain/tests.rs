//! Rows that need a stream in a state which no whole exchange reaches yet: nothing resumes it from outside.

use crate::engine::{Call, Guest, MapType, Side, Status, Trap, Vm, Worker};
use crate::exchange::{Message, Setup};
use std::cell::RefCell;
use std::rc::Rc;

/// Stops all on headers, continues on everything else, and remembers what it was told.
struct Stopper(Rc<RefCell<Vec<Call>>>);

impl Guest for Stopper {
    fn has(&self, _call: &Call) -> bool {
        true
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        self.0.borrow_mut().push(*call);
        Ok(matches!(call, Call::Headers { .. } | Call::VmStart { .. } | Call::Configure { .. }).into())
    }
}

fn stopper() -> (Worker<Stopper>, Rc<RefCell<Vec<Call>>>) {
    let calls = Rc::default();
    let mut worker = Worker::new(Vm::shared(Setup::default()), Stopper(Rc::clone(&calls)));
    worker.start().expect("it starts");
    calls.borrow_mut().clear();
    (worker, calls)
}

#[test]
fn row_16_after_stopping_all_the_stream_goes_on_at_the_plugin() {
    let (mut worker, calls) = stopper();
    let id = worker.open();
    let mut request = Message::request("POST", "/").trailer("t", "1");
    request.body = vec!["one ".into(), "two".into()];
    worker.send(id, Side::Request, request);
    assert_eq!(worker.with(id, |stream| stream.upstream.is_some()), Some(false));
    worker.resume(id, 0, Side::Request);
    let upstream = worker.with(id, |stream| stream.upstream.clone()).flatten().expect("it went on");
    assert_eq!((upstream.whole_body(), upstream.trailers.first("t")), (b"one two".to_vec(), Some(&b"1"[..])));
    let body = Call::Body { context: id, side: Side::Request, size: 7, end_of_stream: false };
    let trailers = Call::Trailers { context: id, side: Side::Request, count: 1 };
    assert_eq!(calls.borrow()[2..], [body, trailers]);
}

#[test]
fn row_7_a_request_that_never_reached_the_plugin_is_created_for_the_log() {
    let (mut worker, calls) = stopper();
    let id = worker.open();
    worker.close(id);
    let names: Vec<_> = calls.borrow().iter().map(Call::name).collect();
    assert_eq!(names, ["proxy_on_context_create", "proxy_on_log", "proxy_on_done", "proxy_on_delete"]);
}

#[test]
fn row_8_a_vanished_effective_context_falls_back_to_the_current_one() {
    let (mut worker, _) = stopper();
    let (first, second) = (worker.open(), worker.open());
    worker.send(first, Side::Request, Message::request("GET", "/first"));
    let mut vm = worker.vm().borrow_mut();
    vm.enter(&Call::Log { context: first });
    vm.set_effective_context(second).expect("it lives");
    let path = |vm: &mut Vm| vm.get_header_map_value(MapType::Headers(Side::Request), b":path");
    assert_eq!(path(&mut vm), Err(Status::BAD_ARGUMENT));
    vm.forget_context(second);
    assert_eq!(path(&mut vm), Ok(b"/first".to_vec()));
}
