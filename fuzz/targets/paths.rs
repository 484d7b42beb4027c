//! Paths under the rules of jwt_headers and basic_auth: a request that any server, or any two in a row, would take for one of a
//! protected part is never judged open.
//!
//! An input is a path.
#![no_main]

use basic_auth::policy as basic;
use jwt_headers::policy::{self as jwt_policy, Decision, Surroundings, Want};
use libfuzzer_sys::fuzz_target;
use proxy_wasm_kit_fuzz::{jwt, servers};
use serde_json::{Value, json};

/// A policy, and what it protects.
struct Guard {
    name: &'static str,
    is_open: Box<dyn Fn(&[u8]) -> bool>,
    protects: fn(&[u8]) -> bool,
}

thread_local! {
    static GUARDS: Vec<Guard> = guards();
}

fn guards() -> Vec<Guard> {
    let token = json!({"provider_name": "all"});
    let all = |more: Value| {
        let mut config = json!({"providers": {"all": jwt::provider(json!({}))}});
        let (Value::Object(members), Value::Object(more)) = (&mut config, more) else {
            panic!("both are objects")
        };
        members.extend(more);
        config
    };
    let rule = |matching: Value| all(json!({"rules": [{"match": matching, "requires": token}]}));
    let password = |matching: Value| {
        let mut rule = json!({"request_methods": ["*"], "credentials": ["ann:s3cret"]});
        let (Value::Object(members), Value::Object(more)) = (&mut rule, matching) else {
            panic!("both are objects")
        };
        members.extend(more);
        json!({"basic_auth_rules": [rule]})
    };
    vec![
        by_token("jwt_headers, prefix", rule(json!({"prefix": "/admin"})), below),
        by_token(
            "jwt_headers, path_separated_prefix",
            rule(json!({"path_separated_prefix": "/admin"})),
            separated,
        ),
        by_token("jwt_headers, path", rule(json!({"path": "/admin/x"})), exact),
        by_token("jwt_headers, safe_regex", rule(json!({"safe_regex": {"regex": "/admin/.*"}})), inside),
        by_token(
            "jwt_headers, all but /open",
            all(json!({"rules": [{"match": {"prefix": "/open"}}], "requires": token})),
            outside,
        ),
        by_password("basic_auth, prefix", password(json!({"prefix": "/admin"})), below),
        by_password("basic_auth, exact", password(json!({"exact": "/admin/x"})), exact),
        by_password("basic_auth, suffix", password(json!({"suffix": "/x"})), ending),
        by_password("basic_auth, regex", password(json!({"regex": "^/admin/"})), inside),
        by_password(
            "basic_auth, all but /open",
            json!({
                "basic_auth_rules": [{"prefix": "/open", "request_methods": ["*"], "public": true}],
                "default_rule": {"credentials": ["ann:s3cret"]},
            }),
            outside,
        ),
    ]
}

fn below(path: &[u8]) -> bool {
    path.starts_with(b"/admin")
}

fn separated(path: &[u8]) -> bool {
    path == b"/admin" || inside(path)
}

fn inside(path: &[u8]) -> bool {
    path.starts_with(b"/admin/")
}

fn exact(path: &[u8]) -> bool {
    path == b"/admin/x"
}

fn ending(path: &[u8]) -> bool {
    path.ends_with(b"/x")
}

fn outside(path: &[u8]) -> bool {
    !path.starts_with(b"/open")
}

fn by_token(name: &'static str, config: Value, protects: fn(&[u8]) -> bool) -> Guard {
    let policy = jwt::policy(config);
    let is_open = move |path: &[u8]| {
        let sent: [(&[u8], &[u8]); 2] = [(b":method", b"GET"), (b":path", path)];
        matches!(policy.decide(&jwt_policy::Request(&sent), &Nobody), Decision::Pass(_))
    };
    Guard { name, is_open: Box::new(is_open), protects }
}

fn by_password(name: &'static str, config: Value, protects: fn(&[u8]) -> bool) -> Guard {
    let config = serde_json::from_value(config).expect("the configuration has the form");
    let policy =
        basic::compile(config, basic::Key::new([7; 16])).unwrap_or_else(|mistake| panic!("{mistake}"));
    let is_open = move |path: &[u8]| {
        let authorization = basic::Authorization::Missing;
        let request = basic::Request { method: b"GET", authority: b"example.com", path, authorization };
        policy.decide(&request) == basic::Decision::Unprotected
    };
    Guard { name, is_open: Box::new(is_open), protects }
}

struct Nobody;

impl Surroundings for Nobody {
    fn now(&self) -> u64 {
        jwt::NOW
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn verify(&self, _: jwt_policy::Scheme, _: &[u8], _: &[u8], _: &[u8]) -> bool {
        false
    }
}

fuzz_target!(|path: &[u8]| {
    // What the codec of Envoy lets pass.
    if path.len() > 200 || !path.starts_with(b"/") || !path.iter().all(u8::is_ascii_graphic) {
        return;
    }
    let taken = servers::taken_for(path);
    GUARDS.with(|guards| {
        for guard in guards.iter().filter(|guard| taken.iter().any(|(_, path)| (guard.protects)(path))) {
            if (guard.is_open)(path) {
                let (by, other) =
                    taken.iter().find(|(_, path)| (guard.protects)(path)).expect("there is one");
                panic!(
                    "{}: {} is open, and {by} takes it for {}",
                    guard.name,
                    path.escape_ascii(),
                    other.escape_ascii()
                );
            }
        }
    });
});
