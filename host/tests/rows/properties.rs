//! Attributes and filter state: rows 46 to 48.

use crate::guest::{guest, plain, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Clock, Direction, Message, Setup};

fn setup() -> Setup {
    Setup {
        root_id: "root".into(),
        vm_id: "vm".into(),
        node_id: "node".into(),
        node_metadata: serde_json::json!({ "NAME": "x", "N": 3, "L": ["a", true], "M": { "k": "v" }, "Z": null }),
        direction: Direction::Outbound,
        clock: Clock::Fixed(1_000_000_000),
        ..plain()
    }
}

/// Says the value of each property, with `hook` as the place to ask.
fn values(names: &'static [&'static str]) -> impl Fn(crate::guest::Told) -> Action + Send + Sync + Copy {
    move |_| {
        let value = |name: &&str| match raw::property_bytes(name) {
            Ok(value) => value.escape_ascii().to_string(),
            Err(status) => format!("!{status}"),
        };
        raw::say(names.iter().map(value).collect::<Vec<_>>().join(" ").replace("\\x00", "."));
        Action::Continue
    }
}

#[test]
fn row_46_values_have_their_own_form_each() {
    let host = guest()
        .on_request_headers(values(&[
            "request.method",
            "request.size",
            "connection.id",
            "connection.mtls",
            "request.time",
            "xds.node.metadata.N",
            "xds.node.metadata.L.1",
        ]))
        .start_with(setup())
        .unwrap();
    let seen =
        host.exchange(Message::request("GET", "/").header("content-length", "7"), &Message::response(200));
    let expected = r"GET \\x07....... \\x01....... . .\\xca\\x9a;.... ......\\x08@ \\x01";
    assert_eq!(said(&seen.log), [expected]);
}

#[test]
fn row_46_maps_and_lists_are_pairs_messages_are_protobuf() {
    let host = guest()
        .on_configure(values(&["xds.node.metadata.M", "xds.node.metadata.L", "xds.node.metadata.L.2"]))
        .on_request_headers(values(&["request.headers", "metadata", "metadata.filter_metadata"]))
        .start_with(setup())
        .unwrap();
    let request = Message { headers: Default::default(), ..Message::default() };
    let request = request
        .header("x", "1")
        .header("x", "2")
        .header("x-forwarded-proto", "p")
        .header("x-request-id", "i");
    host.exchange(request, &Message::response(200));
    let configured = r"\\x01...\\x01...\\x01...k.v. \\x02...\\x01.......\\x01.......a..\\x01.. !1";
    let map =
        r"\\x03...\\x01...\\x03...\\x11...\\x01...\\x0c...\\x01...x.1,2.x-forwarded-proto.p.x-request-id.i.";
    assert_eq!(said(&host.log()), [configured, &format!("{map}  ....")]);
}

#[test]
fn row_46_what_has_no_form_fails_to_serialize() {
    let host = guest()
        .on_request_headers(values(&[
            "",
            "xds.node.metadata.Z",
            "xds.node.metadata",
            "request",
            "xds",
            "filter_state",
        ]))
        .on_response_headers(values(&[
            "xds.upstream_host_metadata",
            "nope",
            "request.nope",
            "request.method.x",
        ]))
        .start_with(setup())
        .unwrap();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&seen.log), ["!3 !3 !3 !3 !3 !3", "!3 !1 !1 !1"]);
}

#[test]
fn row_46_the_old_names_are_gone() {
    let names = &["node.id", "listener_direction", "cluster_name", "route_name", "upstream_host_metadata"];
    let host =
        guest().on_configure(values(names)).on_request_headers(values(names)).start_with(setup()).unwrap();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&seen.log), ["!1 !1 !1 !1 !1"]);
}

#[test]
fn row_46_the_root_knows_node_and_plugin_only() {
    let names = &[
        "plugin_name",
        "plugin_root_id",
        "plugin_vm_id",
        "xds.node.id",
        "xds.node.metadata.NAME",
        "xds.listener_direction",
        "xds.cluster_name",
        "request.time",
        "connection.id",
    ];
    let host =
        guest().on_configure(values(names)).on_request_headers(values(names)).start_with(setup()).unwrap();
    host.exchange(Message::request("GET", "/"), &Message::response(200));
    let known = "plugin root vm node x";
    let stream = format!(r"{known} \\x02....... upstream .\\xca\\x9a;.... \\x01.......");
    assert_eq!(said(&host.log()), [&format!("{known} !1 !1 !1 !1"), &stream]);
}

#[test]
fn row_47_request_attributes_go_with_the_headers_and_return_for_the_log() {
    let names = &["request.path", "request.url_path", "request.query", "request.headers.x-a", "request.host"];
    let late = &["request.duration", "response.code_details", "upstream.address"];
    let seen = guest()
        .on_request_headers(values(names))
        .on_request_body(values(names))
        .on_response_headers(values(late))
        .on_log(values(names))
        .on_done(values(late))
        .start_with(setup())
        .unwrap()
        .exchange(
            Message::request("PUT", "/p?q=1").header("x-a", "1").header("x-a", "2").body("x"),
            &Message::response(200),
        );
    let known = "/p?q=1 /p q=1 1,2 example.com";
    let gone = "!1 !1 !1 !1 !1";
    let (before, after) = ("!1 via_upstream 127.0.0.1:8081", "........ via_upstream 127.0.0.1:8081");
    assert_eq!(said(&seen.log), [known, gone, before, known, after]);
}

#[test]
fn row_47_response_attributes_are_known_from_its_headers_on() {
    let names = &["response.code", "response.headers.x-b", "response.size", "response.grpc_status"];
    let seen = guest()
        .on_request_headers(values(names))
        .on_response_headers(values(names))
        .on_response_body(values(names))
        .on_log(values(names))
        .serve(
            Message::request("GET", "/"),
            Message::response(200).header("x-b", "1").header("x-b", "2").body("abc"),
        );
    let code = r"\\xc8.......";
    let expected = [
        "!1 !1 ........ !1".to_owned(),
        format!(r"{code} 1,2 ........ \\x02......."),
        format!(r"{code} !1 ........ \\x02......."),
        format!(r"{code} 1,2 \\x03....... \\x02......."),
    ];
    assert_eq!(said(&seen.log), expected);
}

#[test]
fn row_48_a_set_property_is_filter_state() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say((raw::set_property("foo", "bar"), raw::set_property("a\0b", "c")));
            raw::say((
                raw::property("foo"),
                raw::property_of("filter_state", "wasm.foo"),
                raw::property("a.b"),
            ));
            Action::Continue
        })
        .on_log(|_| {
            raw::say((raw::property("foo"), raw::set_property("late", "1")));
            Action::Continue
        })
        .get();
    let expected = ["(Ok(()), Ok(()))", r#"(Ok("bar"), Ok("bar"), Err(1))"#, r#"(Ok("bar"), Ok(()))"#];
    assert_eq!(said(&seen.log), expected);
    let names: Vec<_> = seen.filter_state.keys().map(String::as_str).collect();
    assert_eq!(names, ["wasm.a\0b", "wasm.foo", "wasm.late"]);
    assert_eq!(seen.filter_state["wasm.foo"], b"bar");
}

#[test]
fn row_48_the_root_has_no_filter_state() {
    let host = guest()
        .on_configure(|_| {
            raw::say(raw::set_property("foo", "bar"));
            Action::Continue
        })
        .start();
    assert_eq!(said(&host.log()), ["Err(1)"]);
}
