//! Foreign functions other than expressions: declared properties, filter state, signatures, compression.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::Message;

/// A protobuf message of short fields: texts and small numbers.
fn message(fields: &[(u8, Field)]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (number, field) in fields {
        match field {
            Field::Number(value) => wire.extend([number << 3, *value]),
            Field::Bytes(bytes) => {
                wire.push(number << 3 | 2);
                let size = bytes.len();
                wire.extend([(size & 0x7f) as u8 | 0x80, (size >> 7) as u8]);
                wire.extend(bytes);
            }
        }
    }
    wire
}

enum Field {
    Number(u8),
    Bytes(Vec<u8>),
}

fn text(text: impl AsRef<[u8]>) -> Field {
    Field::Bytes(text.as_ref().to_vec())
}

fn declare(name: &str, read_only: bool, kind: u8) -> Result<Vec<u8>, u32> {
    let fields = [(1, text(name)), (2, Field::Number(read_only.into())), (3, Field::Number(kind))];
    raw::foreign_bytes("declare_property", &message(&fields))
}

fn set_state(name: &str, value: &str, span: u8) -> Result<Vec<u8>, u32> {
    let fields = [(1, text(name)), (2, text(value)), (3, Field::Number(span))];
    raw::foreign_bytes("set_envoy_filter_state", &message(&fields))
}

fn is_true(expression: &str) -> Result<bool, u32> {
    let token = raw::foreign_bytes("expr_create", expression.as_bytes())?;
    raw::foreign_bytes("expr_evaluate", &token).map(|value| value == [1])
}

#[test]
fn row_48_a_property_can_be_declared_once() {
    let host = guest()
        .on_configure(|_| {
            raw::say((declare("once", true, 0), declare("once", false, 1), declare("text", false, 1)));
            let call = |wire: &[u8]| raw::foreign_bytes("declare_property", wire).map(|_| ());
            raw::say((call(b""), call(b"\xff\xff"), call(b"\x0a\x05ab"), call(b"\x0a\x01\xff")));
            Action::Continue
        })
        .on_request_headers(|_| {
            let set = |value| raw::set_property("once", value);
            raw::say((set("1"), set("2"), raw::property("once")));
            let set = |value| raw::set_property("text", value);
            raw::say((set("1"), set("2"), raw::property("text"), is_true("text == '2'")));
            raw::say((raw::set_property("plain", "2"), is_true("plain == '2'"), is_true("plain == b'2'")));
            Action::Continue
        })
        .start();
    for _ in 0..2 {
        let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
        let expected = [
            r#"(Ok(()), Err(2), Ok("1"))"#,
            r#"(Ok(()), Ok(()), Ok("2"), Ok(true))"#,
            "(Ok(()), Ok(false), Ok(true))",
        ];
        assert_eq!(said(&seen.log), expected);
    }
    let expected = ["(Ok([]), Err(2), Ok([]))", "(Ok(()), Err(2), Err(2), Err(2))"];
    assert_eq!(said(&host.log())[..2], expected);
}

#[test]
fn row_48_a_declared_message_is_read_as_its_bytes() {
    let host = guest()
        .on_configure(|_| {
            raw::say([declare("flat", false, 2), declare("proto", false, 3)].map(|answer| answer.is_ok()));
            Action::Continue
        })
        .on_request_headers(|_| {
            raw::say((raw::set_property("flat", "ab"), raw::property("flat"), is_true("flat == b'ab'")));
            raw::say((raw::set_property("proto", "ab"), raw::property("proto"), is_true("proto == b'ab'")));
            Action::Continue
        })
        .start();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&seen.log), [r#"(Ok(()), Ok("ab"), Ok(true))"#; 2]);
    assert_eq!(said(&host.log())[0], "[true, true]");
}

#[test]
fn row_9_a_declaration_made_in_a_stream_is_never_looked_at() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say((declare("x", true, 1), declare("x", true, 1)));
            raw::say((raw::set_property("x", "1"), raw::set_property("x", "2"), raw::property("x")));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["(Ok([]), Err(2))", r#"(Ok(()), Ok(()), Ok("2"))"#]);
}

#[test]
fn row_48_envoy_makes_its_own_objects_of_filter_state() {
    let seen = guest()
        .on_request_headers(|_| {
            let state = |name: &'static str, values: &[&str]| {
                let set: Vec<_> =
                    values.iter().map(|value| set_state(name, value, 0).map_or_else(|e| e, |_| 0)).collect();
                raw::say((name, set, raw::property_of("filter_state", name)));
            };
            state("nope", &["x"]);
            state("wasm.x", &["x"]);
            state("envoy.string", &["", "x"]);
            state("envoy.tcp_proxy.cluster", &["c"]);
            state("envoy.bool", &["x", "1", "FALSE"]);
            state("envoy.tcp_proxy.disable_tunneling", &["x"]);
            state("envoy.ratelimit.hits_addend", &[" 5 ", "-1", "4294967296"]);
            state("envoy.tcp_proxy.per_connection_idle_timeout_ms", &["", "4294967296"]);
            state("envoy.network.ip", &["1.2.3.4:80", "::1"]);
            state("envoy.network.transport_socket.original_dst_address", &["1.2.3.4", "[::1]:80"]);
            state("envoy.network.application_protocols", &["h2,http/1.1"]);
            Action::Continue
        })
        .get();
    let expected = [
        r#"("nope", [1], Err(1))"#,
        r#"("wasm.x", [1], Err(1))"#,
        r#"("envoy.string", [0, 0], Ok("x"))"#,
        r#"("envoy.tcp_proxy.cluster", [0], Ok("c"))"#,
        r#"("envoy.bool", [2, 0, 0], Ok("false"))"#,
        r#"("envoy.tcp_proxy.disable_tunneling", [0], Ok("false"))"#,
        r#"("envoy.ratelimit.hits_addend", [0, 2, 2], Ok("5"))"#,
        r#"("envoy.tcp_proxy.per_connection_idle_timeout_ms", [2, 0], Ok("4294967296"))"#,
        r#"("envoy.network.ip", [2, 0], Ok("[::1]:0"))"#,
        r#"("envoy.network.transport_socket.original_dst_address", [2, 0], Ok("\0\0\0\0"))"#,
        r#"("envoy.network.application_protocols", [0], Err(1))"#,
    ];
    assert_eq!(said(&seen.log), expected);
    assert_eq!(seen.filter_state["envoy.string"], b"x");
}

/// A span that would outlive it in Envoy: 0 a request, 1 the filter chain, 2 the connection.
#[test]
fn row_48_filter_state_ends_with_its_request() {
    let host = guest()
        .on_request_headers(|_| {
            raw::say(raw::property_of("filter_state", "envoy.string"));
            set_state("envoy.string", "kept", 2).unwrap();
            Action::Continue
        })
        .start();
    for _ in 0..2 {
        let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
        assert_eq!(said(&seen.log), ["Err(1)"]);
    }
}

#[test]
fn row_48_another_life_span_leaves_filter_state_alone() {
    let seen = guest()
        .on_request_headers(|_| {
            let set = |value, span| set_state("envoy.string", value, span).map(|_| ());
            raw::say((set("a", 1), set("b", 0), set("c", 2), set("d", 1)));
            raw::say(raw::property_of("filter_state", "envoy.string"));
            let call = |wire: &[u8]| raw::foreign_bytes("set_envoy_filter_state", wire).map(|_| ());
            raw::say((call(b""), call(b"\xff\xff"), call(b"\x0a\x01\xff")));
            Action::Continue
        })
        .get();
    let expected = ["(Ok(()), Ok(()), Ok(()), Ok(()))", r#"Ok("d")"#, "(Err(1), Err(2), Err(2))"];
    assert_eq!(said(&seen.log), expected);
    assert_eq!(seen.misuse.len(), 2);
}

#[test]
fn row_9_filter_state_and_routes_follow_the_effective_context() {
    let seen = guest()
        .on_request_headers(|told| {
            raw::say(raw::foreign_bytes("clear_route_cache", b""));
            raw::set_effective_context(1).unwrap();
            raw::say((set_state("envoy.string", "x", 0), raw::foreign_bytes("clear_route_cache", b"")));
            raw::set_effective_context(told.context).unwrap();
            raw::say(set_state("envoy.string", "x", 0));
            Action::Continue
        })
        .get();
    assert_eq!((said(&seen.log), seen.route_clears), (vec!["Ok([])", "(Err(1), Ok([]))", "Ok([])"], 1));
}

#[test]
fn an_unknown_foreign_function_is_not_found() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say((raw::foreign_bytes("nope", b"x"), raw::foreign_bytes("", b"")));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["(Err(1), Err(1))"]);
}

#[test]
fn compression_is_zlib() {
    let seen = guest()
        .on_request_headers(|_| {
            let compress = |bytes: &[u8]| raw::foreign_bytes("compress", bytes).unwrap();
            let uncompress = |bytes: &[u8]| raw::foreign_bytes("uncompress", bytes).map(|bytes| bytes.len());
            let long = compress(&b"hello".repeat(1000));
            raw::say((long.len() < 100, uncompress(&long), uncompress(&compress(b""))));
            raw::say(uncompress(&[&long[..], b"behind"].concat()));
            let broken = [&long[..long.len() - 1], &long[2..], b"", b"x", b"\x1f\x8b", b"x\x9c"];
            raw::say(broken.map(uncompress));
            // What Envoy made of "hello" five times.
            raw::say(uncompress(b"x\x9c\xcbH\xcd\xc9\xc9\xcf\xc0B\x00\x00\x86\xc4\ne"));
            Action::Continue
        })
        .get();
    let expected =
        ["(true, Ok(5000), Ok(0))", "Ok(5000)", "[Err(3), Err(3), Err(3), Err(3), Err(3), Err(3)]", "Ok(25)"];
    assert_eq!(said(&seen.log), expected);
}
