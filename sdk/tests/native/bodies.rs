//! Body chunks: read, edit, hold back.

use crate::{body, extension, send};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::Message;

#[test]
fn a_chunk_can_be_read_in_part_and_edited() {
    extension!(Edit {
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            response.rewrites_body()?;
            Ok(Flow::Continue)
        }
        fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
            if body.is_empty() {
                return Ok(BodyFlow::Continue);
            }
            assert_eq!(body.bytes()?, "middle");
            assert_eq!(body.range(3, 100)?, "dle");
            assert!(body.range(6, 1)?.is_empty() && body.range(99, 1)?.is_empty());
            body.append(">")?;
            body.prepend("<")?;
            assert_eq!((body.len(), body.bytes()?.as_str()), (8, Some("<middle>")));
            body.append("!")?;
            Ok(BodyFlow::Continue)
        }
    });
    let seen = send::<Edit>(Message::request("GET", "/"), &Message::response(200).body("middle"));
    assert_eq!(body(&seen), "<middle>!");
}

#[test]
fn a_chunk_can_be_replaced_and_grown_again() {
    extension!(Replace {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            request.rewrites_body()?;
            Ok(Flow::Continue)
        }
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            if !body.is_empty() {
                body.replace("new")?;
                body.append("er")?;
                assert_eq!(body.bytes()?, "newer");
            }
            Ok(BodyFlow::Continue)
        }
    });
    let seen = send::<Replace>(Message::request("POST", "/").body("old body"), &Message::response(200));
    assert_eq!(seen.upstream.unwrap().whole_body(), b"newer");
}

#[test]
fn buffering_gathers_the_whole_body() {
    extension!(Upper {
        fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
            if !body.end_of_stream() {
                return Ok(BodyFlow::Buffer);
            }
            let upper = body.bytes()?.to_ascii_uppercase();
            body.replace(upper)?;
            // Nothing is left to wait for, so this must not hang the response.
            Ok(BodyFlow::Buffer)
        }
    });
    let mut upstream = Message::response(200);
    upstream.body = [&b"one "[..], b"two ", b"three"].map(<[u8]>::to_vec).to_vec();
    let seen = send::<Upper>(Message::request("GET", "/"), &upstream);
    assert_eq!(body(&seen), "ONE TWO THREE");
}

#[test]
fn a_body_that_trailers_end_is_released_by_them() {
    extension!(Wait {
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            assert!(!body.end_of_stream());
            Ok(BodyFlow::Buffer)
        }
    });
    let request = Message::request("POST", "/").body("held").trailer("x-end", "1");
    let seen = send::<Wait>(request, &Message::response(200));
    assert_eq!(seen.upstream.unwrap().whole_body(), b"held");
    assert_eq!(seen.client.unwrap().status(), 200);
}

#[test]
fn another_length_has_to_be_announced() {
    extension!(Shorten {
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            if !body.is_empty() {
                assert!(body.append("").is_ok() && body.replace("same").is_ok());
                assert!(body.append("x").is_err() && body.prepend("x").is_err());
                body.replace("no")?;
            }
            Ok(BodyFlow::Continue)
        }
    });
    let seen = send::<Shorten>(Message::request("POST", "/").body("body"), &Message::response(200));
    assert_eq!(seen.client.as_ref().unwrap().status(), 500);
    assert!(crate::lines(&seen)[0].contains("call rewrites_body() in the headers hook"), "{:?}", seen.log);
}
