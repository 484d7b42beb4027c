//! Keys that were fetched, under a wall clock that is set: no case can say so, since a real Envoy has the machine's.
#![allow(clippy::expect_used, clippy::arithmetic_side_effects, reason = "it is no guest")]

use proxy_wasm_kit_host::exchange::{Clock, LogLine, Message, Setup};
use proxy_wasm_kit_host::native::Host;
use proxy_wasm_kit_host::outside::{Answer, Cluster};
use std::time::Duration;

/// The first of January 2026, in nanoseconds since 1970.
const START: u64 = 1_767_225_600_000_000_000;
const DAY: u64 = 86_400_000_000_000;

const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "WtYAqdVwrf6rZE9ovYjnYtZBqRdno5FgckpvH4-Gl08", "y": "uOlOFxVVj1FbJPvJM3jgCMEOxN4_siTqq8VUtKcO-Eg"}]}"#;
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJhbm4ifQ.vfoVy0v6A3Z1nSLtERfuJnZnMvU12_82AHGlOyEIZXSNOaxvSieLY6Jdt25DtzvbOV0UZtZE5JLhp9nHEGadBw";

/// A plugin whose server of keys answers with them as often as this, and then is down.
fn start(good: usize) -> Host {
    let provider = r#"{"remote_jwks": {"http_uri": {"uri": "https://issuer.example/keys", "cluster": "issuer"},
        "cache_duration": "600s", "max_stale": "3600s", "async_fetch": {"failed_refetch_duration": "60s"}}}"#;
    let configuration =
        format!(r#"{{"providers": {{"a": {provider}}}, "requires": {{"provider_name": "a"}}}}"#);
    let keys = Answer { message: Message::response(200).body(KEYS), ..Answer::default() };
    let down = Answer { message: Message::response(500), ..Answer::default() };
    let answers = std::iter::repeat_n(keys, good).chain([down]).collect();
    let setup = Setup {
        configuration: configuration.into_bytes(),
        clock: Clock::Fixed(START),
        clusters: [("issuer".to_owned(), Cluster { answers })].into(),
        ..Setup::default()
    };
    Host::start(jwt_headers::initialize, setup).expect("the configuration is accepted")
}

fn status(host: &Host) -> u16 {
    let request = Message::request("GET", "/").header("authorization", format!("Bearer {TOKEN}"));
    host.exchange(request, &Message::response(200)).client.map_or(0, |answer| answer.status())
}

fn pass(host: &Host, minutes: u64) {
    host.pass(Duration::from_secs(minutes * 60));
}

#[test]
fn keys_without_a_server_are_used_for_max_stale() {
    let host = start(1);
    assert_eq!(status(&host), 200);
    pass(&host, 69);
    assert_eq!(status(&host), 200);
    pass(&host, 2);
    assert_eq!(status(&host), 401);
}

#[test]
fn a_clock_that_is_set_back_makes_keys_last_no_longer_than_max_stale() {
    let host = start(1);
    assert_eq!(status(&host), 200);
    host.set_clock(START - 365 * DAY);
    pass(&host, 59);
    assert_eq!(status(&host), 200);
    pass(&host, 2);
    assert_eq!(status(&host), 401);
}

#[test]
fn a_clock_that_is_set_back_again_and_again_stops_no_fetch() {
    let host = start(3);
    assert_eq!(status(&host), 200);
    host.take_reached();
    for days in 1..3 {
        host.set_clock(START - days * DAY);
        host.pass(Duration::from_secs(3));
        assert_eq!(host.take_reached().len(), 1, "{days}");
        assert_eq!(status(&host), 200);
    }
    let said = |line: &&LogLine| line.message.contains("the clock was set back");
    assert_eq!(host.log().iter().filter(said).count(), 2);
}

#[test]
fn a_clock_that_is_set_back_during_a_failure_does_not_stop_the_next_attempt() {
    let host = start(0);
    assert_eq!(status(&host), 401);
    host.set_clock(START - DAY);
    host.take_reached();
    pass(&host, 2);
    assert!(!host.take_reached().is_empty());
}

#[test]
fn a_clock_that_is_set_forth_ends_the_time_of_keys() {
    let host = start(1);
    assert_eq!(status(&host), 200);
    host.set_clock(START + DAY);
    host.pass(Duration::from_secs(2));
    assert_eq!(status(&host), 401);
}
