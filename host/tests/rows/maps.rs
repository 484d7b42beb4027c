//! Header and trailer maps: rows 21 to 27.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::Message;

/// All six ways to a map.
fn six_ways(map: u32) -> String {
    let reads = (raw::get(map, "x"), raw::map_size(map), raw::pairs_wire(map));
    let writes = (raw::add(map, "x", "1"), raw::replace(map, "x", "1"), raw::remove(map, "x"));
    format!("{reads:?} {writes:?} {:?}", raw::set_pairs(map, &[]))
}

#[test]
fn row_21_after_its_phase_a_map_is_out_of_reach() {
    let gone = "(Err(2), Err(2), Ok(None)) (Err(2), Err(2), Err(2)) Err(2)";
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(six_ways(raw::RESPONSE));
            Action::Continue
        })
        .on_request_body(|_| {
            raw::say(six_ways(raw::REQUEST));
            Action::Continue
        })
        .on_response_headers(|_| {
            raw::say(six_ways(raw::REQUEST));
            Action::Continue
        })
        .serve(Message::request("PUT", "/").body("x"), Message::response(200));
    assert_eq!(said(&seen.log), [gone, gone, gone]);
}

#[test]
fn row_21_a_map_stays_while_its_stream_is_stopped() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(403, "no", "", &[]).unwrap();
            Action::Pause
        })
        .on_response_headers(|_| {
            raw::say((raw::get(raw::REQUEST, ":path"), raw::get(raw::RESPONSE, ":status")));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), [r#"(Ok("/"), Ok("403"))"#]);
}

#[test]
fn row_22_resuming_takes_the_request_away() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say((
                raw::get(raw::REQUEST, ":path"),
                raw::continue_stream(0),
                raw::get(raw::REQUEST, ":path"),
            ));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), [r#"(Ok("/"), Ok(()), Err(2))"#]);
    assert_eq!(seen.misuse, ["Request resumed while it was not paused"]);
}

#[test]
fn row_23_a_lookup_gives_the_first_value() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say((raw::get(raw::REQUEST, "X-A"), raw::get(raw::REQUEST, "nope")));
            raw::say((
                raw::get_bytes(raw::REQUEST, "x-empty"),
                raw::pairs(raw::REQUEST).unwrap()[4..7].join(" "),
            ));
            Action::Continue
        })
        .serve(
            Message::request("GET", "/").header("X-A", "1").header("x-a", "2").header("x-empty", ""),
            Message::response(200),
        );
    assert_eq!(said(&seen.log), [r#"(Ok("1"), Err(1))"#, r#"(Ok(None), "x-a=1 x-a=2 x-empty=")"#]);
}

/// Measured: names that Envoy knows hold one value. Two `authorization` fields are one with a comma in it.
#[test]
fn row_23_known_names_arrive_joined() {
    let seen = guest()
        .on_request_headers(|_| {
            let get = |name| raw::get(raw::REQUEST, name).unwrap();
            raw::say((get("authorization"), get("cookie"), get("host")));
            Action::Continue
        })
        .serve(
            Message::request("GET", "/")
                .header("Authorization", "a")
                .header("authorization", "b")
                .header("cookie", "c=1")
                .header("cookie", "d=2"),
            Message::response(200),
        );
    assert_eq!(said(&seen.log), [r#"("a,b", "c=1", "example.com")"#]);
}

#[test]
fn row_24_replace_removes_all_and_adds_one() {
    let seen = guest()
        .on_request_headers(|_| {
            let pairs = [(":path", "/new"), ("X-A", "1"), ("x-a", "2"), ("x-b", "3")];
            raw::set_pairs(raw::REQUEST, &pairs).unwrap();
            raw::say(raw::pairs(raw::REQUEST).unwrap().join(" "));
            raw::replace(raw::REQUEST, "X-a", "9").unwrap();
            raw::say(raw::pairs(raw::REQUEST).unwrap().join(" "));
            raw::add(raw::REQUEST, ":path", "/more").unwrap();
            raw::add(raw::REQUEST, ":method", "GET").unwrap();
            raw::remove(raw::REQUEST, "x-a").unwrap();
            raw::say(raw::pairs(raw::REQUEST).unwrap().join(" "));
            Action::Continue
        })
        .get();
    let expected =
        [":path=/new x-a=1 x-a=2 x-b=3", ":path=/new x-b=3 x-a=9", ":path=/new,/more :method=GET x-b=3"];
    assert_eq!(said(&seen.log), expected);
}

#[test]
fn row_25_pairs_are_counted_sized_and_closed_by_nul() {
    let seen = guest()
        .on_response_headers(|_| {
            raw::set_pairs(raw::RESPONSE, &[("a", "bc"), ("d", "")]).unwrap();
            raw::say(raw::pairs_wire(raw::RESPONSE).unwrap().unwrap().escape_ascii().to_string());
            raw::set_pairs(raw::RESPONSE, &[]).unwrap();
            raw::say(raw::pairs_wire(raw::RESPONSE));
            Action::Continue
        })
        .get();
    let wire = r"\\x02\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00a\\x00bc\\x00d\\x00\\x00";
    assert_eq!(said(&seen.log), [wire, "Ok(None)"]);
}

#[test]
fn row_25_malformed_pairs_are_empty() {
    let many: Vec<_> = (0..1025).map(|_| ("a", "b")).collect();
    let large = "x".repeat(1024 * 1024);
    let seen = guest()
        .on_response_headers(move |_| {
            let count = |write: raw::Answer| {
                write.unwrap();
                let pairs = raw::pairs(raw::RESPONSE).unwrap().len();
                raw::set_pairs(raw::RESPONSE, &[("a", "b")]).unwrap();
                pairs
            };
            let wire = |wire| count(raw::set_pairs_wire(raw::RESPONSE, wire));
            raw::say((wire(b""), wire(b"\x01\0\0\0"), wire(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0bc")));
            raw::say((count(raw::set_pairs(2, &many)), count(raw::set_pairs(2, &many[1..]))));
            raw::say(count(raw::set_pairs(2, &[("a", &large)])));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["(0, 0, 0)", "(0, 1024)", "0"]);
}

#[test]
fn row_26_every_edit_of_request_headers_clears_the_route() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::add(raw::REQUEST, "a", "1").unwrap();
            raw::replace(raw::REQUEST, "a", "1").unwrap();
            raw::remove(raw::REQUEST, "not there").unwrap();
            raw::set_pairs(raw::REQUEST, &[]).unwrap();
            raw::foreign("clear_route_cache").unwrap();
            Action::Continue
        })
        .on_response_headers(|_| {
            raw::add(raw::RESPONSE, "a", "1").unwrap();
            Action::Continue
        })
        .get();
    assert_eq!(seen.route_clears, 5);
}

#[test]
fn row_27_trailers_can_be_made_with_the_last_piece_of_body() {
    let seen = guest()
        .on_request_body(|_| {
            raw::say((raw::get(raw::REQUEST_TRAILERS, "t"), raw::map_size(raw::REQUEST_TRAILERS)));
            raw::say((raw::add(raw::REQUEST_TRAILERS, "t", "12"), raw::map_size(raw::REQUEST_TRAILERS)));
            Action::Continue
        })
        .on_request_trailers(|_| panic!("trailers of one's own are not shown"))
        .on_response_body(|told| {
            raw::say((told.last, raw::add(raw::RESPONSE_TRAILERS, "u", "3")));
            Action::Continue
        })
        .serve(
            Message { body: vec!["a".into(), "b".into()], ..Message::request("PUT", "/") },
            Message { body: vec!["c".into(), "d".into()], ..Message::response(200) },
        );
    let early = ["(Err(2), Err(2))", "(Err(2), Err(2))"];
    // Asking for the size is what makes them.
    let made = ["(Err(2), Ok(0))", "(Ok(()), Ok(3))"];
    let response = ["(false, Err(2))", "(true, Ok(()))"];
    assert_eq!(said(&seen.log), [early, made, response].concat());
    assert_eq!(seen.upstream.unwrap().trailers.first("t"), Some(&b"12"[..]));
    assert_eq!(seen.client.unwrap().trailers.first("u"), Some(&b"3"[..]));
}
