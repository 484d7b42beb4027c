//! Fetches that a case cannot make: cut off by a push of configuration or by the end of a VM, and what shared data hold then.
#![allow(clippy::expect_used, clippy::arithmetic_side_effects, reason = "it is no guest")]

use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::engine::Errand;
use proxy_wasm_kit_host::exchange::{Clock, Level, Message, Setup};
use proxy_wasm_kit_host::native::{self, Host};
use proxy_wasm_kit_host::outside::{Answer, Cluster, Fault};
use std::time::Duration;

/// The first of January 2026, in milliseconds since 1970.
const START: u64 = 1_767_225_600_000;

const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "WtYAqdVwrf6rZE9ovYjnYtZBqRdno5FgckpvH4-Gl08", "y": "uOlOFxVVj1FbJPvJM3jgCMEOxN4_siTqq8VUtKcO-Eg"}, {"kty": "RSA", "use": "enc"}]}"#;
const TOKEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJhbm4ifQ.vfoVy0v6A3Z1nSLtERfuJnZnMvU12_82AHGlOyEIZXSNOaxvSieLY6Jdt25DtzvbOV0UZtZE5JLhp9nHEGadBw";

/// Where the fetched text lies.
const NAME: &str = concat!(
    "jwt_headers.jwks.",
    env!("CARGO_PKG_VERSION"),
    " issuer https://issuer.example/keys?a=s3cret false"
);

fn setup(answers: &[Answer], more: &str) -> Setup {
    let configuration = format!(
        r#"{{"providers": {{"a": {{"remote_jwks": {{
            "http_uri": {{"uri": "https://issuer.example/keys?a=s3cret", "cluster": "issuer"}} {more} }} }} }},
            "requires": {{"provider_name": "a"}}}}"#
    );
    Setup {
        configuration: configuration.into_bytes(),
        clock: Clock::Fixed(START * 1_000_000),
        clusters: [("issuer".to_owned(), Cluster { answers: answers.to_vec() })].into(),
        ..Setup::default()
    }
}

fn start(answers: &[Answer], more: &str) -> Host {
    Host::start(jwt_headers::initialize, setup(answers, more)).expect("the configuration is accepted")
}

fn keys(delay: u64) -> Answer {
    Answer {
        message: Message::response(200).body(KEYS),
        delay: Duration::from_millis(delay),
        ..Answer::default()
    }
}

fn fault(fault: Fault) -> Answer {
    Answer { fault: Some(fault), ..Answer::default() }
}

/// What a client gets that waits so long; 0 for nothing.
fn status_within(host: &Host, patience: Duration) -> u16 {
    let request = Message::request("GET", "/").header("authorization", format!("Bearer {TOKEN}"));
    let seen =
        host.run(Errand { request, upstream: Message::response(200).into(), patience: Some(patience) });
    seen.client.map_or(0, |answer| answer.status())
}

fn status(host: &Host) -> u16 {
    status_within(host, Duration::from_secs(60))
}

fn lines(host: &Host, level: Level) -> Vec<String> {
    let log = host.log();
    log.iter().filter(|line| line.level == level).map(|line| line.message.to_string()).collect()
}

#[test]
fn a_push_of_configuration_during_a_fetch_costs_nobody_the_keys() {
    let host = start(&[keys(3500)], "");
    host.pass(Duration::from_millis(300));
    let again = native::Extension::new(jwt_headers::initialize);
    host.reconfigure([(again, setup(&[keys(3500)], ""))]).expect("the configuration is accepted");
    host.pass(Duration::from_millis(10));
    assert_eq!(host.take_reached().len(), 2);
    assert_eq!(status_within(&host, Duration::from_millis(3600)), 200);
}

/// Puts something into shared data before the plugin is configured.
macro_rules! before {
    ($name:ident, $key:expr, $kind:ty, $value:expr) => {
        struct $name;

        impl Extension for $name {
            type Config = ();
            type Filter = Self;

            fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
                Shared::<$kind>::at($key).set(&$value)?;
                Ok(Self)
            }

            fn filter(self: &Rc<Self>) -> Self {
                Self
            }
        }

        impl HttpFilter for $name {}
    };
}

fn start_after<E: Extension>(answers: &[Answer]) -> Host {
    let before = native::Extension::new(proxy_wasm_kit::door::register::<E>);
    let own = native::Extension::new(jwt_headers::initialize);
    let setup = setup(answers, "");
    Host::start_chain([(before, Setup { configuration: Vec::new(), ..setup.clone() }), (own, setup)])
        .expect("the configuration is accepted")
}

#[test]
fn a_worker_whose_vm_failed_while_it_fetched_is_not_waited_for_in_vain() {
    before!(Dead, format!("pwkit.lease.{NAME}"), (u64, u64), ((START + 3000) * 1_000_000, 77));
    let host = start_after::<Dead>(&[keys(0)]);
    host.pass(Duration::from_millis(2900));
    assert_eq!(host.take_reached().len(), 0);
    assert_eq!(status_within(&host, Duration::from_millis(500)), 200);
}

#[test]
fn keys_in_shared_data_that_cannot_be_read_are_fetched() {
    before!(Other, format!("{NAME} record"), serde_json::Value, {
        Shared::<Bytes>::at(NAME).set(&Bytes::from(b"{}".to_vec()))?;
        serde_json::json!({"fetched": START, "tried": START, "failures": 0})
    });
    let host = start_after::<Other>(&[keys(0)]);
    assert_eq!(status_within(&host, Duration::from_millis(500)), 200);
    assert!(lines(&host, Level::Error)[0].contains("in shared data: expected a JWKS"));
}

#[test]
fn keys_in_shared_data_that_are_missing_are_fetched_in_measure() {
    before!(Other, format!("{NAME} record"), serde_json::Value, {
        serde_json::json!({"fetched": START, "tried": START, "failures": 0})
    });
    let down = Answer { message: Message::response(500), ..Answer::default() };
    let host = start_after::<Other>(&[down.clone(), down, keys(0)]);
    host.pass(Duration::from_millis(900));
    assert_eq!((host.take_reached().len(), status(&host)), (1, 401));
    host.pass(Duration::from_millis(1900));
    assert_eq!((host.take_reached().len(), status(&host)), (1, 401));
    host.pass(Duration::from_secs(2));
    assert_eq!((host.take_reached().len(), status(&host)), (1, 200));
}

#[test]
fn one_after_the_other_does_not_wait_for_the_same_fetch() {
    let host = start(&[fault(Fault::Timeout)], r#", "retry_policy": {"num_retries": 10}"#);
    assert_eq!(status_within(&host, Duration::from_secs(4)), 0);
    assert_eq!(status(&host), 401);
    assert_eq!(status_within(&host, Duration::from_millis(10)), 401);
    assert!(lines(&host, Level::Warn).is_empty(), "it goes on");
}

#[test]
fn a_server_that_is_down_is_asked_and_told_of_in_measure() {
    let host = start(&[fault(Fault::Refuse)], "");
    host.pass(Duration::from_secs(600));
    let (attempts, told) = (host.take_reached().len(), lines(&host, Level::Warn));
    assert!((10..=11).contains(&told.len()), "{told:#?}");
    assert!(attempts <= 64, "{attempts}");
    assert!(told[0].contains("there are none, and tokens that need them are refused"), "{told:#?}");
    assert!(!host.log().iter().any(|line| line.message.contains("s3cret")));
}

#[test]
fn what_is_left_out_of_keys_is_told_when_they_change() {
    let down = Answer { message: Message::response(500), ..Answer::default() };
    let host = start(&[keys(0), keys(0), down, keys(0)], "");
    host.pass(Duration::from_secs(3600));
    let told = |part: &str| lines(&host, Level::Info).iter().filter(|line| line.contains(part)).count();
    assert_eq!(
        told("keys of https://issuer.example/keys: found 1 that can be used, 1 for other purposes"),
        1
    );
    assert_eq!(told("are fetched again, after 1 failures"), 1);
    let warned = lines(&host, Level::Warn);
    assert!(warned.len() == 1 && warned[0].contains("those that there are will be used for"), "{warned:#?}");
}
