//! Local replies from every phase.

use crate::{body, extension, get, lines, send};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::Message;

#[test]
fn a_reply_carries_everything_it_was_given() {
    extension!(Refuse {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let reply = Response::new(429).details("over the limit").header("retry-after", "30");
            Ok(Flow::Reply(reply.header("x-a", "1").header("x-a", "2").body("slow down\n").grpc_status(8)))
        }
    });
    let seen = get::<Refuse>();
    assert_eq!((seen.details.as_str(), body(&seen).as_str()), ("over_the_limit", "slow down\n"));
    let client = seen.client.unwrap();
    assert_eq!((client.status(), seen.upstream), (429, None));
    assert_eq!(client.headers.first("retry-after"), Some(&b"30"[..]));
    assert_eq!(client.headers.all("x-a").count(), 2);
    assert_eq!(seen.host_calls.values().sum::<u32>(), 1);
}

#[test]
fn a_reply_from_the_body_phase_stops_the_request() {
    extension!(Refuse {
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            Ok(if body.len() > 3 { BodyFlow::Reply(Response::new(413)) } else { BodyFlow::Continue })
        }
    });
    let seen = send::<Refuse>(Message::request("POST", "/").body("four"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 413);
}

#[test]
fn a_reply_from_the_response_phase_takes_the_place_of_the_response() {
    extension!(Hide {
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            let broken = response.status()? == 500;
            Ok(if broken { Flow::Reply(Response::new(503).body("later")) } else { Flow::Continue })
        }
    });
    let seen = send::<Hide>(Message::request("GET", "/"), &Message::response(500).body("stack trace"));
    assert_eq!(body(&seen), "later");
    assert_eq!(seen.client.unwrap().status(), 503);
}

#[test]
fn a_second_reply_cannot_hang_the_first() {
    extension!(Twice {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            Ok(Flow::Reply(Response::new(401)))
        }
        fn on_response_headers(&mut self, _: &mut ResponseHeaders<'_>) -> Result {
            Ok(Flow::Reply(Response::new(500)))
        }
    });
    assert_eq!(get::<Twice>().client.unwrap().status(), 401);
}

#[test]
fn a_header_that_would_split_the_response_is_left_out() {
    extension!(Split {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let reply = Response::new(302).header("location", "/\r\nset-cookie: a=b");
            Ok(Flow::Reply(reply.header("x-kept", "1")))
        }
    });
    let seen = get::<Split>();
    assert!(lines(&seen)[0].contains("CR, LF or NUL"), "{:?}", seen.log);
    let client = seen.client.unwrap();
    assert_eq!((client.headers.first("location"), client.headers.first("x-kept")), (None, Some(&b"1"[..])));
}

#[test]
fn a_grpc_status_beyond_the_standard_is_not_sent() {
    assert_eq!(format!("{:?}", Response::new(200).grpc_status(17)), format!("{:?}", Response::new(200)));
}
