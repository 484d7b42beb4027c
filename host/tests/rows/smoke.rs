//! Whole exchanges.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::Message;

#[test]
fn an_idle_plugin_lets_everything_through() {
    let request = Message::request("POST", "/x").body("ping").trailer("t", "1");
    let answer = Message::response(201).header("X-A", "b").body("pong").trailer("u", "2");
    let seen = guest().serve(request, answer);
    let upstream = seen.upstream.unwrap();
    assert_eq!(
        (upstream.whole_body(), upstream.trailers.first("t")),
        (b"ping".to_vec(), Some(b"1".as_slice()))
    );
    let client = seen.client.unwrap();
    assert_eq!((client.status(), client.whole_body()), (201, b"pong".to_vec()));
    assert_eq!(
        (client.headers.first("x-a"), client.trailers.first("u")),
        (Some(b"b".as_slice()), Some(b"2".as_slice()))
    );
    assert_eq!(seen.details, "via_upstream");
}

#[test]
fn a_denial_never_reaches_the_upstream() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(raw::get(raw::REQUEST, "authorization"));
            raw::say(raw::reply(401, "no entry", "", &[("www-authenticate", "Basic")]));
            Action::Pause
        })
        .get();
    let client = seen.client.unwrap();
    assert_eq!((client.status(), client.headers.first("www-authenticate")), (401, Some(b"Basic".as_slice())));
    assert_eq!((seen.upstream, seen.details.as_str()), (None, "no_entry"));
    assert_eq!(said(&seen.log), ["Err(1)", "Ok(())"]);
}
