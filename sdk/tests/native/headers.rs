//! Reading and editing headers and trailers.

use crate::{extension, get, lines, send};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::Message;

fn upstream_values(seen: &proxy_wasm_kit_host::exchange::Exchange, name: &str) -> Vec<String> {
    let upstream = seen.upstream.as_ref().expect("the request reached the upstream");
    upstream.headers.all(name).map(|value| value.escape_ascii().to_string()).collect()
}

#[test]
fn edits_reach_the_upstream() {
    extension!(Edit {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            let headers = request.headers();
            headers.set("X-Set", b"\xff")?;
            headers.add("x-two", "b")?;
            headers.remove("x-gone")?;
            Ok(Flow::Continue)
        }
    });
    let request = Message::request("GET", "/")
        .header("x-set", "old")
        .header("x-set", "older")
        .header("x-two", "a")
        .header("x-gone", "1")
        .header("x-kept", "");
    let seen = send::<Edit>(request, &Message::response(200));
    let expected: [(&str, &[&str]); 4] =
        [("x-set", &["\\xff"]), ("x-two", &["a", "b"]), ("x-gone", &[]), ("x-kept", &[""])];
    for (name, values) in expected {
        assert_eq!(upstream_values(&seen, name), values, "{name}");
    }
}

#[test]
fn all_headers_can_be_replaced_at_once() {
    extension!(Replace {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            let all = request.headers().snapshot()?;
            let mut kept: Vec<(&[u8], &[u8])> = all.iter().filter(|(name, _)| *name != b"x-gone").collect();
            kept.extend([(&b"X-Many"[..], &b"1"[..]), (b"x-many", b"\xff")]);
            request.headers().replace_all(&kept)?;
            Ok(Flow::Continue)
        }
    });
    let request = Message::request("GET", "/").header("x-gone", "1").header("x-kept", "2");
    let seen = send::<Replace>(request, &Message::response(200));
    assert_eq!(upstream_values(&seen, "x-many"), ["1", "\\xff"]);
    assert_eq!(upstream_values(&seen, "x-kept"), ["2"]);
    assert!(upstream_values(&seen, "x-gone").is_empty());
}

#[test]
fn a_snapshot_is_one_call_and_sees_every_value() {
    extension!(Count {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            let headers = request.headers().snapshot()?;
            let (all, only) = (headers.all("x-a").count(), headers.only("x-a"));
            assert_eq!((all, only, headers.only("x-b")), (3, Err(Repeated), Ok(Some(&b"\xfe"[..]))));
            assert_eq!(headers.first(":path"), Some(&b"/"[..]));
            assert_eq!(headers.len(), headers.iter().count());
            Ok(Flow::Continue)
        }
    });
    let request = Message::request("GET", "/").header("x-a", "1").header("X-A", "").header("x-a", "3");
    let seen = send::<Count>(request.header("x-b", b"\xfe"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200);
    assert_eq!(seen.host_calls.get("proxy_get_header_map_pairs"), Some(&1));
    assert_eq!(seen.host_calls.values().sum::<u32>(), 1);
}

#[test]
fn a_missing_value_and_an_empty_one_differ() {
    extension!(Read {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            assert_eq!(request.headers().first("x-empty")?, Some(Bytes::default()));
            assert_eq!(request.headers().first("x-missing")?, None);
            assert_eq!(request.headers().first("X-FIRST")?.unwrap(), "1");
            Ok(Flow::Continue)
        }
    });
    let request =
        Message::request("GET", "/").header("x-empty", "").header("x-first", "1").header("x-first", "2");
    assert_eq!(send::<Read>(request, &Message::response(200)).client.unwrap().status(), 200);
}

#[test]
fn pseudo_headers_have_getters() {
    extension!(Read {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            assert!(request.end_of_stream());
            let seen = [request.method()?, request.path()?, request.authority()?];
            assert_eq!(seen.each_ref().map(|value| value.as_str().unwrap()), ["PUT", "/a?b", "example.com"]);
            Ok(Flow::Continue)
        }
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            assert_eq!(response.status()?, 418);
            response.headers().set("x-seen", "1")?;
            Ok(Flow::Continue)
        }
    });
    let seen = send::<Read>(Message::request("PUT", "/a?b"), &Message::response(418));
    assert_eq!(seen.client.unwrap().headers.first("x-seen"), Some(&b"1"[..]));
}

#[test]
fn a_value_cannot_become_a_header_of_its_own() {
    extension!(Inject {
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            let headers = response.headers();
            for value in ["a\r\nset-cookie: b", "a\nb", "a\0b"] {
                assert!(headers.set("x-a", value).is_err() && headers.add("x-a", value).is_err());
                assert!(headers.set(value, "x").is_err());
                let error = headers.replace_all(&[(b"x-a", value.as_bytes())]).unwrap_err();
                assert_eq!(error.raw_status(), None);
                assert!(error.to_string().contains("CR, LF or NUL"), "{error}");
            }
            Ok(Flow::Continue)
        }
    });
    let seen = get::<Inject>();
    assert_eq!(seen.client.unwrap().headers.first("x-a"), None);
    assert_eq!(seen.host_calls.values().sum::<u32>(), 0);
}

#[test]
fn trailers_can_be_read_edited_and_added() {
    extension!(Trailers {
        fn on_request_trailers(&mut self, request: &mut RequestTrailers<'_>) -> Result {
            assert_eq!(request.trailers().first("x-sum")?.unwrap(), "1");
            request.trailers().set("x-sum", "2")?;
            Ok(Flow::Continue)
        }
        fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
            if let Some(trailers) = body.new_trailers() {
                trailers.add("x-added", "yes")?;
            }
            Ok(BodyFlow::Continue)
        }
    });
    let request = Message::request("POST", "/").body("x").trailer("x-sum", "1");
    let seen = send::<Trailers>(request, &Message::response(200).body("y"));
    assert_eq!(seen.upstream.unwrap().trailers.first("x-sum"), Some(&b"2"[..]));
    assert_eq!(seen.client.unwrap().trailers.first("x-added"), Some(&b"yes"[..]));
}

#[test]
fn response_trailers_are_seen() {
    extension!(Trailers {
        fn on_response_trailers(&mut self, response: &mut ResponseTrailers<'_>) -> Result {
            let status = response.trailers().first("grpc-status")?.unwrap();
            log::info!("grpc {status:?}");
            Ok(Flow::Continue)
        }
    });
    let upstream = Message::response(200).body("y").trailer("grpc-status", "7");
    let seen = send::<Trailers>(Message::request("GET", "/"), &upstream);
    assert!(lines(&seen)[0].ends_with("grpc b\"7\""), "{:?}", seen.log);
}

#[test]
fn the_log_phase_reads_what_was_sent() {
    extension!(AccessLog {
        fn on_log(&mut self, log: &Log<'_>) -> Result<()> {
            let path = log.request_headers().first(":path")?.unwrap();
            let status = log.response_headers().first(":status")?.unwrap();
            let trailers = log.response_trailers().snapshot()?.len();
            log::info!("{path:?} {status:?} {trailers}");
            Ok(())
        }
        fn on_done(&mut self) {
            log::info!("done");
        }
    });
    let seen = send::<AccessLog>(Message::request("GET", "/a"), &Message::response(204));
    let tails: Vec<_> = lines(&seen).iter().map(|line| line.split_once("] ").unwrap().1).collect();
    assert_eq!(tails, [r#"b"/a" b"204" 0"#, "done"]);
}
