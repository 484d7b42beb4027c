//! What many rules and credentials cost: little more than one. A measurement and no test, since it takes the time;
//! `policy/tests.rs` counts steps.
#![allow(clippy::expect_used, clippy::panic, reason = "a measurement may fail by panicking")]

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

fn main() {
    let start = Instant::now();
    black_box(policy(&configuration(10_000, 10)));
    println!(
        "10,000 rules with 10 credentials each: configured in {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    let one = policy(&configuration(1, 1));
    for (rules, credentials) in [(10_000, 10), (1, 100_000)] {
        let many = policy(&configuration(rules, credentials));
        // Another process may get in the way of a measurement, and not of the shortest of several.
        let ratios = (0..5).map(|_| cost(&many).as_secs_f64() / cost(&one).as_secs_f64());
        let best = ratios.fold(f64::INFINITY, f64::min);
        println!(
            "{rules} rules with {credentials} credentials each: {best:.2} times the cost of one rule with one"
        );
    }
}
