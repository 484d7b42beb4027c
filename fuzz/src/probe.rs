//! An extension that asks for all that the SDK can ask for, and checks what it makes of the answers.

use crate::host;
use proxy_wasm_kit::attributes::{self, Attribute, Batch, names};
use proxy_wasm_kit::foreign::{Hash, PublicKey, set_envoy_filter_state, verify_signature};
use proxy_wasm_kit::prelude::*;
use std::time::Duration;

type Names = (Attribute<Bytes>, Attribute<i64>, Attribute<Bytes>);

const CACHE: Cache<String> = Cache::new("cache");
const SHARED: Shared<Vec<u64>> = Shared::new("shared");

struct Probe {
    batch: Batch<Names>,
    list: Option<Expression<Vec<Bytes>>>,
    number: Option<Expression<i64>>,
    queue: Option<Queue>,
    server: Cluster,
}

struct Request(Rc<Probe>);

proxy_wasm_kit::entry!(http, tcp: Probe);

impl Extension for Probe {
    type Config = ();
    type Filter = Request;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self {
            batch: root.batch((names::request::url_path, names::response::code, names::xds::cluster_name)),
            list: root.expression("[1]").ok(),
            number: root.expression("1").ok(),
            queue: root.queue("queue").ok(),
            server: root.cluster("server"),
        })
    }

    fn filter(self: &Rc<Self>) -> Request {
        Request(self.clone())
    }
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let headers = checked_snapshot(|| request.headers().snapshot());
        attributes(&self.0);
        stored(&self.0);
        let first = headers.map(|headers| headers.first("x-wait").is_some());
        if first != Some(true) {
            return Ok(Flow::Continue);
        }
        let call = self.0.server.post("/").body("x").timeout_ms(100);
        Ok(request.later(async move |held| {
            let answer = call.send().await?;
            let _ = (answer.status(), answer.json::<Vec<String>>().is_ok());
            held.headers().set("x-answer", answer.headers().first("x-answer").unwrap_or_default())?;
            Ok(Flow::Continue)
        }))
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        let _ = (response.status().is_ok(), response.headers().first("x").is_ok());
        checked_snapshot(|| response.headers().snapshot());
        response.headers().remove("x")?;
        response.headers().replace_all(&[(b"a", b"1")])?;
        Ok(Flow::Continue)
    }

    fn on_log(&mut self, log: &Log<'_>) -> Result<()> {
        checked_snapshot(|| log.request_headers().snapshot());
        checked_snapshot(|| log.response_headers().snapshot());
        attributes(&self.0);
        Ok(())
    }
}

struct Connection;

impl AlsoTcp for Probe {
    type Connection = Connection;

    fn connection(self: &Rc<Self>) -> Connection {
        Connection
    }
}

impl TcpFilter for Connection {
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        let _ = data.bytes().is_ok();
        Ok(TcpFlow::Continue)
    }
}

/// Takes a snapshot, and compares it with the host's next answer.
fn checked_snapshot(take: impl FnOnce() -> Result<Snapshot, HostError>) -> Option<Snapshot> {
    let answer = host::next_answer();
    let taken = take().ok();
    if let (Some(taken), Some(Ok(wire))) = (&taken, &answer) {
        let pairs = pairs(wire).expect("only what is whole is taken");
        assert!(taken.iter().eq(pairs.iter().copied()) && taken.len() == pairs.len());
    } else if let (None, Some(Ok(wire))) = (&taken, &answer) {
        assert!(pairs(wire).is_none(), "{} is refused", wire.escape_ascii());
    }
    taken
}

/// Pairs as the ABI has them: a count, their sizes, their texts with a NUL behind each. No bytes are no pairs.
fn pairs(wire: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let number = |at: usize| Some(u32::from_le_bytes(*wire.get(at..)?.first_chunk()?) as usize);
    let count = if wire.is_empty() { 0 } else { number(0)? };
    let mut at = 4 + 8 * count;
    let mut text = |size: usize| {
        let text = wire.get(at..at + size)?;
        at += size + 1;
        (at <= wire.len()).then_some(text)
    };
    // Before there is room for any: the count may be of billions.
    wire.get(..8 * count)?;
    (0..count)
        .map(|number_of| Some((text(number(4 + 8 * number_of)?)?, text(number(8 + 8 * number_of)?)?)))
        .collect()
}

/// A number has eight bytes, a flag is 0 or 1, a text is UTF-8.
fn attributes(probe: &Probe) {
    let number = |answer: &[u8]| answer.try_into().ok().map(i64::from_le_bytes);
    checked(|| attributes::request().size(), number);
    checked(
        || attributes::request().duration(),
        |answer| number(answer).map(|nanos| Duration::from_nanos(nanos as u64)),
    );
    checked(
        || attributes::connection().mtls(),
        |answer| match answer {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        },
    );
    let _ = (attributes::request().time().is_ok(), attributes::response().headers().is_ok());
    let _ = (attributes::request().snapshot().is_ok(), attributes::upstream().locality().is_ok());
    let _ = attributes::xds().listener_direction().is_ok();
    let node = attributes::node();
    let _ =
        (node.id().is_ok(), node.metadata("NAME").is_ok(), node.values().at("LABELS").text("app").is_ok());
    let metadata = attributes::dynamic_metadata("n");
    let _ = (
        metadata.map("a").is_ok(),
        metadata.list("b").is_ok(),
        metadata.number("c").is_ok(),
        metadata.flag("d").is_ok(),
    );
    let _ = probe.batch.read().is_ok();
    let _ = probe.list.as_ref().map(|list| list.evaluate().is_ok());
    let _ = probe.number.as_ref().map(|number| number.evaluate().is_ok());
    let _ = verify_signature(Hash::Sha256, PublicKey::Der(b"key"), b"text", b"signature").is_ok();
}

/// Asks for an attribute, and compares it with what the host's next answer stands for.
fn checked<T: PartialEq + std::fmt::Debug>(
    ask: impl FnOnce() -> Result<Option<T>, HostError>,
    read: impl FnOnce(&[u8]) -> Option<T>,
) {
    let answer = host::next_answer();
    let taken = ask();
    if let Some(Ok(bytes)) = answer {
        assert_eq!(taken.ok().flatten(), read(&bytes), "{}", bytes.escape_ascii());
    }
}

fn stored(probe: &Probe) {
    let _ = (CACHE.get("key").is_ok(), CACHE.insert("key", &"value".to_owned()).is_ok());
    let _ = (SHARED.get().is_ok(), SHARED.update(|old| old.unwrap_or_default()).is_ok());
    let _ = probe.queue.as_ref().map(|queue| queue.enqueue("line").is_ok());
    let _ = set_envoy_filter_state("a", "b", proxy_wasm_kit::foreign::LifeSpan::Request).is_ok();
}
