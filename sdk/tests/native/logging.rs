//! Lines in the proxy's log.

use crate::{extension, lines, start};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Level, Message, Setup};

/// Text that tells when it is formatted.
struct Expensive;

impl std::fmt::Display for Expensive {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("formatted although the level is off")
    }
}

extension!(Talk {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        log::debug!("{Expensive}");
        log::info!("hello");
        log::error!("help");
        Ok(Flow::Continue)
    }
});

fn talk(log_level: Level) -> proxy_wasm_kit_host::exchange::Exchange {
    let host = start::<Talk>(Setup { name: "talker".into(), log_level, ..Setup::default() });
    host.exchange(Message::request("GET", "/").header("x-request-id", "id-7"), &Message::response(200))
}

#[test]
fn lines_carry_plugin_and_request_id() {
    let seen = talk(Level::Info);
    assert_eq!(lines(&seen), ["[talker id-7] hello", "[talker id-7] help"]);
    assert_eq!(seen.log[1].level, Level::Error);
}

#[test]
fn a_level_that_is_off_costs_nothing() {
    let seen = talk(Level::Error);
    assert_eq!(lines(&seen), ["[talker id-7] help"]);
    // One line: its text, and the request id before it.
    assert_eq!(seen.host_calls.values().sum::<u32>(), 2);
}
