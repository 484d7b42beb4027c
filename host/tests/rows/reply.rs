//! Local replies: rows 32 and 33.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Headers, Message};

fn text(headers: &Headers) -> String {
    let pair = |(name, value): &(Vec<u8>, Vec<u8>)| {
        format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    headers.0.iter().map(pair).filter(|pair| !pair.starts_with("date=")).collect::<Vec<_>>().join(" ")
}

#[test]
fn row_32_without_a_stream_a_reply_is_ok_and_nothing() {
    let host = guest()
        .on_configure(|_| {
            raw::say(raw::reply(403, "", "", &[]));
            Action::Continue
        })
        .start();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!((said(&host.log()), seen.client.unwrap().status()), (vec!["Ok(())"], 200));
}

#[test]
fn row_32_details_have_no_spaces_and_headers_are_added() {
    let seen = guest()
        .on_request_headers(|_| {
            let headers = [("X-First", "1"), ("Content-Length", "99"), ("x-first", "2")];
            raw::reply_grpc(401, "my details\there", "body", &headers, 7).unwrap();
            Action::Pause
        })
        .get();
    let client = seen.client.unwrap();
    assert_eq!((seen.details.as_str(), client.whole_body()), ("my_details_here", b"body".to_vec()));
    let headers = ":status=401 x-first=1 content-length=4 x-first=2 content-type=text/plain server=envoy";
    assert_eq!(text(&client.headers), headers);
}

#[test]
fn row_32_a_reply_without_a_body_has_no_type() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(403, "", "", &[("content-type", "a/b"), ("content-length", "5")]).unwrap();
            Action::Pause
        })
        .get();
    assert_eq!(text(&seen.client.unwrap().headers), ":status=403 server=envoy content-length=0");
}

#[test]
fn row_32_a_reply_to_head_tells_the_length_of_what_it_keeps_back() {
    let reply = |body: &'static str| {
        let deny = move |_| {
            raw::reply(401, "no", body, &[]).unwrap();
            Action::Pause
        };
        let seen =
            guest().on_request_headers(deny).serve(Message::request("HEAD", "/"), Message::response(200));
        let client = seen.client.unwrap();
        (text(&client.headers), client.whole_body().len())
    };
    let long = ":status=401 content-length=4 content-type=text/plain server=envoy";
    assert_eq!(reply("body"), (long.to_owned(), 0));
    assert_eq!(reply(""), (":status=401 server=envoy".to_owned(), 0));
}

#[test]
fn row_32_grpc_gets_its_outcome_in_headers() {
    let ask = |grpc_status| {
        let seen = guest()
            .on_request_headers(move |_| {
                raw::reply_grpc(403, "no", "50% off\n", &[], grpc_status).unwrap();
                Action::Pause
            })
            .serve(
                Message::request("POST", "/").header("content-type", "application/grpc"),
                Message::response(200),
            );
        text(&seen.client.unwrap().headers)
    };
    let expected = |status| {
        format!(
            ":status=200 content-type=application/grpc grpc-status={status} grpc-message=50%25 off%0A \
             server=envoy content-length=0"
        )
    };
    // A status out of range counts as none, and then the HTTP status decides.
    assert_eq!((ask(16), ask(17), ask(-1)), (expected(16), expected(7), expected(7)));
}

/// Measured.
#[test]
fn row_32_of_two_replies_the_first_is_sent_under_the_details_of_the_last() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(401, "first", "one", &[]).unwrap();
            raw::reply(402, "second", "two", &[]).unwrap();
            Action::Pause
        })
        .get();
    let client = seen.client.unwrap();
    assert_eq!(
        (client.status(), client.whole_body(), seen.details.as_str()),
        (401, b"one".to_vec(), "second")
    );
}

#[test]
fn row_33_a_reply_passes_through_the_plugins_own_response_callbacks() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(401, "no", "body", &[]).unwrap();
            Action::Pause
        })
        .on_response_headers(|told| {
            raw::say((told.size, told.last, raw::property("response.code_details")));
            raw::add(raw::RESPONSE, "x-seen", "1").unwrap();
            Action::Continue
        })
        .on_response_body(|told| {
            raw::say((told.size, told.last));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), [r#"(3, false, Ok("no"))"#, "(4, true)"]);
    assert_eq!(seen.client.unwrap().headers.first("x-seen"), Some(&b"1"[..]));
}

#[test]
fn row_33_a_reply_to_a_response_goes_past_the_plugin() {
    let seen = guest()
        .on_response_headers(|_| {
            raw::reply(405, "in response", "late", &[]).unwrap();
            Action::Pause
        })
        .on_response_body(|_| panic!("not shown"))
        .serve(Message::request("GET", "/"), Message::response(200).body("x"));
    let client = seen.client.unwrap();
    assert_eq!((client.status(), client.whole_body(), seen.vm_failure), (405, b"late".to_vec(), None));
    assert_eq!((seen.details.as_str(), seen.reset), ("in_response", false));
}

/// Measured: this used to hang.
#[test]
fn row_33_a_reply_to_ones_own_reply_is_sent_once() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(401, "one", "body", &[]).unwrap();
            Action::Pause
        })
        .on_response_headers(|_| {
            raw::say("response");
            raw::reply(406, "two", "body2", &[]).unwrap();
            Action::Pause
        })
        .get();
    assert_eq!((said(&seen.log), seen.details.as_str()), (vec!["response"], "two"));
    assert_eq!(seen.client.unwrap().whole_body(), b"body2");
}

#[test]
fn row_33_a_reply_to_a_response_body_resets_the_stream() {
    let seen = guest()
        .on_response_body(|_| {
            raw::reply(405, "in body", "late", &[]).unwrap();
            Action::Pause
        })
        .serve(Message::request("GET", "/"), Message::response(200).body("x"));
    assert_eq!((seen.reset, seen.details.as_str()), (true, "in_body"));
    let client = seen.client.unwrap();
    assert_eq!((client.status(), client.whole_body()), (200, Vec::new()));
}
