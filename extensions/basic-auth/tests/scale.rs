//! What many rules and credentials cost: little more than one.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may, also outside of its functions")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use basic_auth::config::Config;
use basic_auth::policy::{Authorization, Decision, Key, Policy, Request, compile};

/// A configuration of so many rules, each with a path and a host of its own and so many credentials.
fn configuration(rules: usize, credentials: usize) -> String {
    let mut text = String::from(r#"{"basic_auth_rules": ["#);
    for rule in 0..rules {
        let separator = if rule == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{separator}{{"prefix": "/team/{rule:05}/", "hosts": ["*.h{rule:05}.example.com"], "request_methods": ["GET"], "credentials": ["#
        );
        for user in 0..credentials {
            let separator = if user == 0 { "" } else { "," };
            let _ = write!(text, r#"{separator}"user{user}:password{rule}""#);
        }
        text.push_str("]}");
    }
    text + "]}"
}

fn policy(text: &str) -> Policy {
    let config: Config = serde_json::from_str(text).expect("the configuration is well-formed");
    compile(config, Key::new([1; 16])).unwrap_or_else(|mistake| panic!("{mistake}"))
}

/// The shortest time of many in which one user's request to rule 0 was allowed.
fn cost(policy: &Policy) -> Duration {
    let request = Request {
        method: b"GET",
        authority: b"www.h00000.example.com:8443",
        path: b"/team/00000/some/page.html?with=query",
        authorization: Authorization::Single(b"Basic dXNlcjA6cGFzc3dvcmQw"),
    };
    let round = || {
        let start = Instant::now();
        for _ in 0..100 {
            assert!(matches!(policy.decide(black_box(&request)), Decision::Allowed { .. }));
        }
        start.elapsed()
    };
    (0..100).map(|_| round()).min().unwrap_or_default()
}

#[test]
fn a_request_costs_hardly_more_among_many_rules_and_credentials() {
    let one = policy(&configuration(1, 1));
    for (rules, credentials) in [(10_000, 10), (1, 100_000)] {
        let many = policy(&configuration(rules, credentials));
        // Another process may get in the way of a measurement, and not of the shortest of several.
        let ratios = (0..5).map(|_| cost(&many).as_secs_f64() / cost(&one).as_secs_f64());
        let best = ratios.fold(f64::INFINITY, f64::min);
        println!("{rules} rules with {credentials} credentials each: {best:.2} times one rule with one");
        assert!(
            best <= 1.5,
            "{rules} rules with {credentials} credentials each cost {best:.2} times as much as one"
        );
    }
}

#[test]
fn many_rules_and_credentials_are_configured_in_a_second() {
    let text = configuration(10_000, 10);
    let seconds = || {
        let start = Instant::now();
        black_box(policy(&text));
        start.elapsed().as_secs_f64()
    };
    let best = (0..5).map(|_| seconds()).fold(f64::INFINITY, f64::min);
    println!("10,000 rules with 100,000 credentials: {best:.2} s");
    // Without optimisation it is no measure of what operators wait for.
    let most = if cfg!(debug_assertions) { 10.0 } else { 1.0 };
    assert!(best < most, "{best:.2} s");
}
