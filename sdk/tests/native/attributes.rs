//! Attributes, typed and raw, and filter state.

use crate::{extension, get, start};
use proxy_wasm_kit::attributes::{
    Attribute, Batch, Batched, RequestSnapshot, TrafficDirection, dynamic_metadata, names, node, plugin_name,
    request, source, upstream, xds,
};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Direction, Exchange, Message, Setup};

#[test]
fn request_and_node_attributes_are_typed() {
    extension!(Read {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            assert_eq!(request().url_path()?.unwrap(), "/a");
            assert_eq!(request().query()?.unwrap(), "b=c");
            assert_eq!(request().headers()?.unwrap().first("x-a"), Some(&b"1,2"[..]));
            assert!(source().port()?.unwrap() > 0);
            assert!(request().time()?.unwrap() <= proxy_wasm_kit::now()?);
            assert_eq!(xds().listener_direction()?, Some(TrafficDirection::Inbound));
            assert_eq!(node().metadata("NAMESPACE")?.unwrap(), "shop");
            assert_eq!(node().metadata_in("LABELS", "app")?.unwrap(), "cart");
            assert_eq!(node().metadata("ABSENT")?, None);
            assert_eq!(node().id()?.unwrap(), "test-node");
            assert_eq!(plugin_name()?.unwrap(), "reader");
            assert_eq!(request().duration()?, None);
            Ok(Flow::Continue)
        }
        fn on_log(&mut self, _: &Log<'_>) -> Result<()> {
            assert_eq!(proxy_wasm_kit::attributes::response().code()?, Some(204));
            assert!(request().duration()?.is_some());
            Ok(())
        }
    });
    let setup = Setup {
        name: "reader".into(),
        direction: Direction::Inbound,
        node_metadata: serde_json::json!({"NAMESPACE": "shop", "LABELS": {"app": "cart"}}),
        ..Setup::default()
    };
    let host = start::<Read>(setup);
    let request = Message::request("GET", "/a?b=c").header("x-a", "1").header("x-a", "2");
    let seen = host.exchange(request, &Message::response(204));
    assert_eq!(seen.client.unwrap().status(), 204);
    let next = host.exchange(Message::request("GET", "/a?b=c").header("x-a", "1,2"), &Message::response(204));
    assert_eq!(next.client.unwrap().status(), 204, "no assertion failed in the log phase either");
}

#[test]
fn the_present_name_is_tried_before_the_older_one() {
    extension!(Read {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            node().metadata("ABSENT")?;
            node().id()?;
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Read>().host_calls.get("proxy_get_property"), Some(&3));
}

#[test]
fn filter_state_is_written_and_read_back() {
    extension!(Write {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            proxy_wasm_kit::set_filter_state("user", "ann")?;
            assert_eq!(proxy_wasm_kit::property(&["user"])?.unwrap(), "ann");
            assert_eq!(proxy_wasm_kit::attributes::filter_state("wasm.user")?.unwrap(), "ann");
            Ok(Flow::Continue)
        }
    });
    let seen = get::<Write>();
    assert_eq!(seen.client.unwrap().status(), 200);
    assert_eq!(seen.filter_state.get("wasm.user").map(Vec::as_slice), Some(&b"ann"[..]));
}

/// Reads a batch in every phase.
struct Reader<A: Batched>(Batch<A>);

type Four = (Attribute<Bytes>, Attribute<i64>, Attribute<bool>, Attribute<String>);

const FOUR: Four = (
    names::request::method,
    names::source::port,
    names::connection::mtls,
    Attribute::new("request.headers['x.a']"),
);

/// What the filter saw: when, and what.
fn say(values: &<Four as Batched>::Values) {
    log::info!("{values:?}");
}

struct Together;
struct Singly;

/// How the batch is read.
trait How: 'static {
    fn batch(root: &Root) -> Batch<Four>;
}

impl How for Together {
    fn batch(root: &Root) -> Batch<Four> {
        root.batch(FOUR)
    }
}

impl How for Singly {
    fn batch(root: &Root) -> Batch<Four> {
        root.batch(FOUR).singly()
    }
}

struct Plugin<H>(Reader<Four>, std::marker::PhantomData<H>);
struct Filter<H>(Rc<Plugin<H>>);

impl<H: How> Extension for Plugin<H> {
    type Config = ();
    type Filter = Filter<H>;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(Reader(H::batch(root)), std::marker::PhantomData))
    }

    fn filter(self: &Rc<Self>) -> Filter<H> {
        Filter(self.clone())
    }
}

impl<H: How> HttpFilter for Filter<H> {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        say(&self.0.0.0.read()?);
        Ok(Flow::Continue)
    }

    fn on_log(&mut self, _: &Log<'_>) -> Result<()> {
        say(&self.0.0.0.read()?);
        Ok(())
    }
}

fn batch<H: How>(setup: Setup, header: Option<&str>) -> Vec<Exchange> {
    let host = start::<Plugin<H>>(setup);
    let mut seen = Vec::new();
    for _ in 0..10 {
        let request = Message::request("GET", "/");
        let request = header.iter().fold(request, |request, value| request.header("x.a", *value));
        let exchange = host.exchange(request, &Message::response(204));
        let expected = format!("(Some(b\"GET\"), Some(40000), Some(false), {header:?})");
        let lines = crate::lines(&exchange);
        assert!(lines.iter().all(|line| line.ends_with(&expected)), "{expected} in {lines:?}");
        seen.push(exchange);
    }
    seen
}

fn calls(seen: &[Exchange], name: &str) -> u32 {
    seen.iter().filter_map(|exchange| exchange.host_calls.get(name)).sum()
}

#[test]
fn a_batch_is_one_host_call_and_gives_what_single_reads_give() {
    let together = batch::<Together>(Setup::default(), Some("1"));
    let singly = batch::<Singly>(Setup::default(), Some("1"));
    let foreign = "proxy_call_foreign_function";
    assert_eq!((calls(&together, foreign), calls(&singly, foreign)), (20, 0));
    let property = "proxy_get_property";
    assert_eq!(calls(&singly, property) - calls(&together, property), 20 * 4);
}

#[test]
fn a_batch_with_something_absent_reads_singly_and_tries_again_later() {
    let seen = batch::<Together>(Setup::default(), None);
    assert_eq!(calls(&seen, "proxy_call_foreign_function"), 2, "of 20 reads the first and the seventeenth");
}

#[test]
fn a_batch_without_cel_reads_singly() {
    let allowed = [
        "proxy_on_context_create",
        "proxy_on_configure",
        "proxy_on_request_headers",
        "proxy_get_buffer_bytes",
        "proxy_get_property",
        "proxy_get_log_level",
        "proxy_log",
    ];
    let setup = Setup { allowed_capabilities: Some(allowed.map(String::from).into()), ..Setup::default() };
    let seen = batch::<Together>(setup, Some("1"));
    assert_eq!(calls(&seen, "proxy_call_foreign_function"), 0);
}

#[test]
fn request_attributes_are_kept_for_later_phases() {
    #[derive(Default)]
    struct Keep(Option<RequestSnapshot>);
    impl Extension for Keep {
        type Config = ();
        type Filter = Self;

        fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
            Ok(Self::default())
        }

        fn filter(self: &Rc<Self>) -> Self {
            Self::default()
        }
    }
    impl HttpFilter for Keep {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            self.0 = Some(request().snapshot()?);
            Ok(Flow::Continue)
        }
        fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
            assert_eq!(request().path()?, None, "the proxy does not have it any more");
            let kept = self.0.as_ref().unwrap();
            let parts =
                [kept.method(), kept.host(), kept.url_path(), kept.query(), kept.scheme(), kept.referer()];
            response.headers().set("x-kept", parts.join(&b' '))?;
            assert_eq!(kept.path(), b"/a?b=c?d");
            assert_eq!(kept.headers().all("x-a").count(), 2);
            Ok(Flow::Continue)
        }
    }
    let request = Message::request("GET", "/a?b=c?d").header("x-a", "1").header("x-a", "2");
    let seen = start::<Keep>(Setup::default()).exchange(request, &Message::response(200));
    let client = seen.client.unwrap();
    assert_eq!(client.headers.first("x-kept"), Some(&b"GET example.com /a b=c?d http "[..]));
}

#[test]
fn metadata_is_read_by_kind() {
    extension!(Read {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let values = node().values();
            assert_eq!(values.text("A")?.unwrap(), "x");
            assert_eq!((values.number("N")?, values.flag("B")?), (Some(1.5), Some(true)));
            assert_eq!(values.map("M")?.unwrap().first("k"), Some(&b"v"[..]));
            assert_eq!(values.at("M").text("k")?.unwrap(), "v");
            let list = values.list("L")?.unwrap();
            assert_eq!((list.len(), &list[0]), (2, &Bytes::from(b"one".to_vec())));
            assert!(values.number("A").is_err(), "a text is no number");
            assert_eq!(dynamic_metadata("envoy.filters.http.jwt_authn").at("payload").text("iss")?, None);
            assert_eq!(xds().route_metadata("com.example").number("burst")?, None);
            assert_eq!(upstream().locality()?, None);
            Ok(Flow::Continue)
        }
    });
    let node_metadata = serde_json::json!({"A": "x", "N": 1.5, "B": true, "M": {"k": "v"}, "L": ["one", 2]});
    let setup = Setup { node_metadata, ..Setup::default() };
    let seen = start::<Read>(setup).exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200, "{:?}", seen.log);
}
