//! Host calls that fail, panics, and other contexts.

use crate::{extension, get, lines, start};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Message, Setup};
use std::cell::Cell;

#[test]
fn a_failed_hook_fails_closed() {
    extension!(Fail {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            request.headers().set("x-a", "\n")?;
            Ok(Flow::Continue)
        }
    });
    let seen = get::<Fail>();
    assert_eq!(seen.details, "host_error");
    assert!(
        lines(&seen)[0].contains("a hook failed: proxy_replace_header_map_value: refused"),
        "{:?}",
        seen.log
    );
    assert_eq!((seen.client.unwrap().status(), seen.upstream), (500, None));
}

#[test]
fn a_filter_may_choose_to_fail_open() {
    extension!(Fail {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            request.headers().set("x-a", "\n")?;
            Ok(Flow::Continue)
        }
        fn on_error(&mut self, _: &Error) -> Flow {
            Flow::Continue
        }
    });
    assert_eq!(get::<Fail>().client.unwrap().status(), 200);
}

#[test]
fn an_error_in_the_response_phase_of_a_local_reply_lets_the_reply_out() {
    extension!(Fail {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            Ok(Flow::Reply(Response::new(403)))
        }
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            response.headers().set("x-a", "\n")?;
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Fail>().client.unwrap().status(), 403);
}

#[test]
fn a_panic_fails_the_vm_and_not_the_test() {
    extension!(Panic {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            assert!(request.path()? != "/panic", "this one panics");
            Ok(Flow::Continue)
        }
    });
    let host = start::<Panic>(Setup::default());
    let statuses = ["/", "/panic", "/"].map(|path| {
        let seen = host.exchange(Message::request("GET", path), &Message::response(200));
        seen.client.unwrap().status()
    });
    assert_eq!(statuses, [200, 503, 503]);
}

thread_local! {
    static ROOT: Cell<Option<ContextId>> = const { Cell::new(None) };
}

#[test]
fn another_context_can_be_entered_and_left() {
    struct Enter;

    impl Extension for Enter {
        type Config = ();
        type Filter = EnterFilter;

        fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
            ROOT.set(ContextId::current());
            Ok(Self)
        }

        fn filter(self: &Rc<Self>) -> EnterFilter {
            EnterFilter(ContextId::current())
        }
    }

    struct EnterFilter(Option<ContextId>);

    impl HttpFilter for EnterFilter {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            assert_eq!(ContextId::current(), self.0);
            let root = ROOT.get().unwrap();
            assert_ne!(Some(root), self.0);
            assert!(root.enter(|| request.headers().first(":path"))?.is_err(), "the root has no request");
            assert_eq!(request.path()?, "/", "the stream is the effective context again");
            Ok(Flow::Continue)
        }
    }

    let seen =
        start::<Enter>(Setup::default()).exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200);
}
