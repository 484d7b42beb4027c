//! Work that a message waits for, where the examples do not show it.

use crate::{body, extension, get, lines, send, start};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::sleep;
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};
use proxy_wasm_kit_host::outside::{self, Answer};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(10);

#[test]
fn what_is_ready_at_once_makes_no_host_call() {
    extension!(Ready {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            Ok(request.later(async |_| Ok(Flow::Continue)))
        }
    });
    let seen = get::<Ready>();
    assert_eq!(seen.client.unwrap().status(), 200);
    assert_eq!(seen.host_calls.values().sum::<u32>(), 0, "{:?}", seen.host_calls);
}

#[test]
fn a_body_that_comes_while_the_headers_wait_has_its_hook_afterwards() {
    extension!(Wait {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            Ok(request.later(async |held| {
                sleep(SOON).await?;
                held.headers().set("x-waited", "yes")?;
                Ok(Flow::Continue)
            }))
        }
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            let upper = body.bytes()?.to_ascii_uppercase();
            body.replace(upper)?;
            Ok(BodyFlow::Continue)
        }
        fn on_request_trailers(&mut self, request: &mut RequestTrailers<'_>) -> Result {
            request.trailers().set("x-end", "seen")?;
            Ok(Flow::Continue)
        }
    });
    for allow_on_headers_stop_iteration in [false, true] {
        let host = start::<Wait>(Setup { allow_on_headers_stop_iteration, ..Setup::default() });
        let mut request = Message::request("POST", "/").trailer("x-end", "1");
        request.body = [&b"one "[..], b"two"].map(<[u8]>::to_vec).to_vec();
        let upstream = host.exchange(request, &Message::response(200)).upstream.unwrap();
        assert_eq!(upstream.whole_body(), b"ONE TWO");
        assert_eq!(upstream.headers.first("x-waited"), Some(&b"yes"[..]));
        assert_eq!(upstream.trailers.first("x-end"), Some(&b"seen"[..]));
    }
}

#[test]
fn a_chunk_that_the_work_has_not_seen_has_its_hook() {
    extension!(Scan {
        fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
            Ok(body.later(async |body| {
                log::info!("{:?}", body.bytes()?);
                sleep(SOON).await?;
                Ok(Flow::Continue)
            }))
        }
    });
    let mut request = Message::request("POST", "/");
    request.body = [&b"one "[..], b"two"].map(<[u8]>::to_vec).to_vec();
    let seen = send::<Scan>(request, &Message::response(200));
    assert!(lines(&seen).iter().any(|line| line.contains("two")), "{:?}", seen.log);
    assert_eq!(seen.upstream.unwrap().whole_body(), b"one two");
}

#[test]
fn each_part_of_a_response_can_wait() {
    extension!(Slow {
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            Ok(response.later(async |_| sleep(SOON).await.map(|()| Flow::Continue).map_err(Error::from)))
        }
        fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
            Ok(body.later(async |body| {
                let upper = body.collect(100).await?.to_ascii_uppercase();
                sleep(SOON).await?;
                body.replace(upper)?;
                Ok(Flow::Continue)
            }))
        }
        fn on_response_trailers(&mut self, response: &mut ResponseTrailers<'_>) -> Result {
            Ok(response.later(async |held| {
                sleep(SOON).await?;
                held.trailers().set("x-t", "later")?;
                Ok(Flow::Continue)
            }))
        }
    });
    let upstream = Message::response(200).body("slow").trailer("x-t", "t");
    let seen = send::<Slow>(Message::request("GET", "/"), &upstream);
    assert_eq!(body(&seen), "SLOW");
    assert_eq!(seen.client.unwrap().trailers.first("x-t"), Some(&b"later"[..]));
}

thread_local! {
    static SHARED: Watch<String> = Watch::new();
}

#[test]
fn the_deadline_ends_what_nobody_wakes() {
    extension!(Meet {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            let shared = SHARED.with(Watch::clone);
            Ok(request.later(async move |held| {
                held.headers().set("x-met", shared.value().await.as_bytes())?;
                Ok(Flow::Continue)
            }))
        }
        fn on_response_headers(&mut self, _: &mut ResponseHeaders<'_>) -> Result {
            SHARED.with(|shared| shared.set("somebody".to_owned()));
            Ok(Flow::Continue)
        }
    });
    // Nobody comes: the deadline ends the first, and its reply passes the hook that sets the value for the second.
    let host = start::<Meet>(Setup::default());
    let statuses = ["/", "/"].map(|path| {
        host.exchange(Message::request("GET", path), &Message::response(200)).client.unwrap().status()
    });
    assert_eq!(statuses, [504, 200]);
}

/// A plugin that asks a server about each request.
struct Ask(Cluster);
struct AskOnce(Cluster);

impl Extension for Ask {
    type Config = ();
    type Filter = AskOnce;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.cluster("slow")))
    }

    fn filter(self: &Rc<Self>) -> AskOnce {
        AskOnce(self.0.clone())
    }
}

impl HttpFilter for AskOnce {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let (again, cluster) = (request.path()? != "/", self.0.clone());
        let exact = request.path()? == "/exact";
        let call = move || cluster.get("/").timeout_ms(10_000).send();
        let flow = request.later(async move |_| {
            while call().await.is_err() || again {}
            Ok(Flow::Continue)
        });
        Ok(if exact { flow.within(Duration::from_secs(12)) } else { flow })
    }
}

/// A server that answers after so long.
fn ask(path: &str, delay: Duration) -> Exchange {
    let answers = vec![Answer { message: Message::response(200), delay, ..Answer::default() }];
    let clusters = [("slow".to_owned(), outside::Cluster { answers })].into();
    let host = start::<Ask>(Setup { clusters, ..Setup::default() });
    host.exchange(Message::request("GET", path), &Message::response(200))
}

#[test]
fn a_callout_alone_needs_no_clock() {
    let seen = ask("/", SOON);
    assert_eq!(seen.client.unwrap().status(), 200);
    assert!(!seen.host_calls.contains_key("proxy_get_current_time_nanoseconds"), "{:?}", seen.host_calls);
}

#[test]
fn who_asks_again_and_again_is_ended_by_the_deadline() {
    for (path, delay) in
        [("/again", SOON), ("/again", Duration::from_secs(60)), ("/exact", Duration::from_secs(60))]
    {
        let seen = ask(path, delay);
        assert_eq!(seen.client.unwrap().status(), 504, "{path}");
        assert_eq!(seen.details, "deadline", "{path}");
    }
}
