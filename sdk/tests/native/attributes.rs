//! Attributes, typed and raw, and filter state.

use crate::{extension, get, start};
use proxy_wasm_kit::attributes::{TrafficDirection, node, plugin_name, request, source, xds};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Direction, Message, Setup};

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
