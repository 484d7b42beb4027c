//! The policy as a whole: against the original, against an attacker, and in its cost.

use super::*;
use crate::config::Config;
use proptest::prelude::*;
use serde_json::{Value, json};

fn compiled(config: Value) -> Policy {
    let config: Config = serde_json::from_value(config).unwrap();
    compile(config, Key::new([42; 16])).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn mistake(config: Value) -> String {
    let config: Config = serde_json::from_value(config).unwrap();
    compile(config, Key::new([42; 16])).err().map(|mistake| mistake.to_string()).unwrap_or_default()
}

fn get(path: &[u8]) -> Request<'_> {
    Request { method: b"GET", authority: b"example.com", path, authorization: Authorization::Missing }
}

/// A rule on which the two modes agree for simple requests.
#[derive(Clone, Debug)]
struct SimpleRule {
    kind: &'static str,
    pattern: String,
    hosts: Vec<String>,
    methods: Vec<&'static str>,
    password: u8,
}

impl SimpleRule {
    fn json(&self) -> Value {
        json!({
            self.kind: self.pattern,
            "hosts": self.hosts,
            "request_methods": self.methods,
            "credentials": [format!("u:{}", self.password)],
        })
    }

    /// The original's matching, rule by rule.
    fn matches(&self, method: &str, authority: &str, path: &str) -> bool {
        let host = match authority.rfind(':') {
            Some(colon) if !authority.split_at(colon).1.contains(']') => authority.split_at(colon).0,
            _ => authority,
        };
        let host_matches = |pattern: &String| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(rest), _) => host.ends_with(rest),
            (None, Some(rest)) => host.starts_with(rest),
            (None, None) => host == pattern,
        };
        let path_matches = match self.kind {
            "prefix" => path.starts_with(&self.pattern),
            "exact" => path == self.pattern,
            _ => path.ends_with(&self.pattern),
        };
        self.methods.contains(&method)
            && path_matches
            && (self.hosts.is_empty() || self.hosts.iter().any(host_matches))
    }
}

fn simple_rule() -> impl Strategy<Value = SimpleRule> {
    let hosts = prop::collection::vec("[*]?[ab]{0,2}[.][ab]|[ab][.][*]|[*]", 0..3);
    let methods = prop::sample::subsequence(vec!["GET", "POST", "HEAD", "X"], 1..4);
    (prop::sample::select(vec!["prefix", "exact", "suffix"]), "/[ab/.]{0,4}", hosts, methods, 0_u8..3)
        .prop_map(|(kind, pattern, hosts, methods, password)| SimpleRule {
            kind,
            pattern,
            hosts,
            methods,
            password,
        })
}

fn configuration(rules: &[SimpleRule], mode: &str) -> Value {
    let rules: Vec<Value> = rules.iter().map(SimpleRule::json).collect();
    json!({"basic_auth_rules": rules, "path_matching": mode, "head_as_get": mode == "normalized"})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn with_the_switches_the_decisions_are_the_originals(
        rules in prop::collection::vec(simple_rule(), 0..12),
        method in "GET|POST|HEAD|X|PUT",
        authority in "[ab]{0,2}[.][ab](:80)?",
        path in "/[ab/.]{0,5}([?][ab/]{0,3})?",
        password in 0_u8..3,
    ) {
        let policy = compiled(configuration(&rules, "original"));
        let token = base64::Engine::encode(&credentials::BASE64, format!("u:{password}"));
        let value = format!("Basic {token}");
        let request = Request {
            method: method.as_bytes(), authority: authority.as_bytes(), path: path.as_bytes(),
            authorization: Authorization::Single(value.as_bytes()),
        };
        let matching: Vec<&SimpleRule> = rules.iter().filter(|rule| rule.matches(&method, &authority, &path)).collect();
        let denied = matching.iter().any(|rule| rule.password != password);
        match policy.decide(&request) {
            Decision::Unprotected => prop_assert!(matching.is_empty()),
            Decision::Allowed { rules: found, .. } => prop_assert!(!denied && found.len() == matching.len()),
            Decision::Denied { reason, .. } => prop_assert!(denied && reason == Reason::Invalid),
        }
    }

    #[test]
    fn what_the_original_denies_is_denied(
        rules in prop::collection::vec(simple_rule(), 0..12),
        method in "GET|POST|HEAD|X|PUT",
        authority in "[ab]{0,2}[.][ab](:80)?",
        path in "/[ab/.;%\\\\25f]{0,12}",
    ) {
        let policy = compiled(configuration(&rules, "normalized"));
        let request = Request {
            method: method.as_bytes(), authority: authority.as_bytes(), path: path.as_bytes(),
            authorization: Authorization::Missing,
        };
        if rules.iter().any(|rule| rule.matches(&method, &authority, &path)) {
            let denied = matches!(policy.decide(&request), Decision::Denied { .. });
            prop_assert!(denied);
        }
    }

    #[test]
    fn arbitrary_bytes_are_decided_on(
        method in prop::collection::vec(any::<u8>(), 0..8),
        authority in prop::collection::vec(any::<u8>(), 0..24),
        path in prop::collection::vec(any::<u8>(), 0..64),
        authorization in prop::collection::vec(any::<u8>(), 0..64),
        scheme in any::<bool>(),
    ) {
        let policy = compiled(everything());
        let value = if scheme { [b"Basic ", authorization.as_slice()].concat() } else { authorization };
        let request = Request {
            method: &method, authority: &authority, path: &path, authorization: Authorization::Single(&value),
        };
        let allowed = matches!(policy.decide(&request), Decision::Allowed { .. });
        prop_assert!(!allowed);
    }

    #[test]
    fn arbitrary_text_is_a_pattern_or_a_mistake(text in ".{0,24}", kind in "prefix|exact|suffix|regex", host in ".{0,12}") {
        let config = json!({"basic_auth_rules": [{
            kind: text, "hosts": [host], "request_methods": ["*"], "credentials": [text.clone(), format!("u:{text}")],
            "htpasswd": text.clone(),
        }]});
        let config: Config = serde_json::from_value(config).unwrap();
        if let Ok(policy) = compile(config, Key::new([0; 16])) {
            policy.decide(&get(text.as_bytes()));
        }
    }

    #[test]
    fn no_spelling_of_a_protected_path_is_let_through(spelling in spelling_of("/secret/data"), kind in "prefix|exact|suffix|regex|default") {
        let policy = compiled(protecting(&kind));
        let wrong = Authorization::Single(b"Basic YTpi");
        for authorization in [Authorization::Missing, wrong, Authorization::Repeated] {
            let decision = policy.decide(&Request { authorization, ..get(spelling.as_bytes()) });
            let denied = matches!(decision, Decision::Denied { .. });
            prop_assert!(denied, "{spelling} as {kind}: {decision:?}");
        }
    }
}

/// Rules of every kind.
fn everything() -> Value {
    json!({
        "basic_auth_rules": [
            {"prefix": "/", "request_methods": ["*"], "credentials": ["some:body"], "public": false},
            {"suffix": ".x", "hosts": ["*.a", "b.*", "c"], "request_methods": ["GET"], "htpasswd": "u:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="},
            {"regex": "^/[a-z]+$", "request_methods": ["GET"], "credentials": ["some:one"]},
        ],
        "default_rule": {"credentials": ["else:where"]},
    })
}

fn protecting(kind: &str) -> Value {
    let pattern = match kind {
        "prefix" => "/secret/",
        "suffix" => "/data",
        "regex" => "^/secret/data$",
        "exact" => "/secret/data",
        _ => {
            let public = json!({"prefix": "/public", "public": true, "request_methods": ["*"]});
            return json!({"basic_auth_rules": [public], "default_rule": {"credentials": ["some:body"]}});
        }
    };
    json!({"basic_auth_rules": [{kind: pattern, "request_methods": ["GET"], "credentials": ["some:body"]}]})
}

/// The path, with disguises between and within its segments that one server or another takes off.
fn spelling_of(path: &'static str) -> impl Strategy<Value = String> {
    let separator = prop::sample::select(vec![
        "/",
        "//",
        "/./",
        "/x/../",
        "%2f",
        "%2F",
        "/%2e/",
        "\\",
        "%5c",
        "/%2e%2e/../x/%2e%2E/",
        ";p=1/",
        ";/",
        "/;q/",
        "/public/../",
        "%252f",
    ]);
    let letters = prop::collection::vec(0_u8..8, path.len());
    let separators = prop::collection::vec(separator, path.len());
    let tail =
        prop::sample::select(vec!["", "?", "?a=/../..", ";x", "#", "%3f", "%23x", "%20", "\u{a0}", "/."]);
    (letters, separators, tail).prop_map(move |(letters, separators, tail)| {
        let mut spelling = String::new();
        for ((byte, letter), separator) in path.bytes().zip(letters).zip(separators) {
            match (byte, letter) {
                (b'/', _) if spelling.is_empty() => spelling.push('/'),
                (b'/', _) => spelling.push_str(separator),
                (_, 0) => spelling.push_str(&format!("%{byte:02x}")),
                (_, 1) => spelling.push_str(&format!("%25{byte:02X}")),
                _ => spelling.push(char::from(byte)),
            }
        }
        spelling + tail
    })
}

fn decide(policy: &Policy, path: &str, credential: Option<&str>) -> Decision {
    let value =
        credential.map(|text| format!("Basic {}", base64::Engine::encode(&credentials::BASE64, text)));
    let authorization =
        value.as_ref().map_or(Authorization::Missing, |value| Authorization::Single(value.as_bytes()));
    policy.decide(&Request { authorization, ..get(path.as_bytes()) })
}

fn denied(rule: u32, reason: Reason) -> Decision {
    Decision::Denied { rule: Some(rule), reason }
}

fn allowed(rules: &[u32], user: &str) -> Decision {
    Decision::Allowed { rules: rules.into(), user: user.into() }
}

#[test]
fn every_rule_that_matches_has_to_accept() {
    let rule = |prefix: &str, credentials: &[&str]| json!({"prefix": prefix, "request_methods": ["GET"], "credentials": credentials});
    let policy = compiled(json!({"basic_auth_rules": [
        rule("/", &["ann:1", "bob:2"]),
        rule("/admin", &["ann:1", "eve:3"]),
    ]}));
    assert_eq!(decide(&policy, "/", Some("bob:2")), allowed(&[0], "bob"));
    assert_eq!(decide(&policy, "/admin", Some("ann:1")), allowed(&[0, 1], "ann"));
    assert_eq!(decide(&policy, "/admin", Some("bob:2")), denied(1, Reason::Invalid));
    assert_eq!(decide(&policy, "/admin", Some("eve:3")), denied(0, Reason::Invalid));
    assert_eq!(decide(&policy, "/admin", None), denied(0, Reason::Missing));
}

#[test]
fn the_default_rule_guards_what_no_rule_matches_under_any_reading() {
    let policy = compiled(json!({
        "basic_auth_rules": [
            {"prefix": "/team", "request_methods": ["GET"], "credentials": ["ann:1"]},
            {"prefix": "/public", "request_methods": ["GET"], "public": true},
        ],
        "default_rule": {"credentials": ["root:0"]},
    }));
    assert_eq!(decide(&policy, "/public", None), Decision::Unprotected);
    assert_eq!(decide(&policy, "/public/a%20b", None), Decision::Unprotected);
    assert_eq!(decide(&policy, "/other", None), denied(2, Reason::Missing));
    assert_eq!(decide(&policy, "/team", Some("ann:1")), allowed(&[0], "ann"));
    assert_eq!(decide(&policy, "/public/../other", None), denied(2, Reason::Missing));
    assert_eq!(decide(&policy, "/team/../other", Some("ann:1")), denied(2, Reason::Invalid));
    assert_eq!(decide(&policy, "/team%2f..%2fother", Some("ann:1")), denied(2, Reason::Invalid));
}

#[test]
fn a_path_that_cannot_be_read_is_refused_only_where_a_rule_could_apply() {
    let policy = compiled(json!({"basic_auth_rules": [
        {"prefix": "/a", "hosts": ["example.com"], "request_methods": ["GET"], "credentials": ["a:b"]},
    ]}));
    let unreadable = Decision::Denied { rule: None, reason: Reason::Unreadable };
    assert_eq!(decide(&policy, "/%", Some("a:b")), unreadable);
    assert_eq!(policy.decide(&Request { method: b"PUT", ..get(b"/%") }), Decision::Unprotected);
    assert_eq!(policy.decide(&Request { authority: b"other", ..get(b"/%") }), Decision::Unprotected);
    assert_eq!(policy.decide(&Request { method: b"", ..get(b"/b") }), unreadable);
}

#[test]
fn regular_expressions_see_a_bounded_text() {
    let policy = compiled(json!({"basic_auth_rules": [
        {"regex": "^/(a|a)*$", "request_methods": ["GET"], "credentials": ["a:b"]},
    ]}));
    let at = |length: usize| policy.decide(&get(format!("/{}", "a".repeat(length)).as_bytes()));
    assert_eq!(at(16_000), denied(0, Reason::Missing));
    assert_eq!(at(17_000), Decision::Denied { rule: None, reason: Reason::Unreadable });
    assert_eq!(policy.decide(&get(b"/\xff")), Decision::Unprotected);
}

#[test]
fn how_a_credential_may_be_sent() {
    let policy = compiled(json!({"basic_auth_rules": [
        {"prefix": "/", "request_methods": ["GET"], "credentials": ["ann:s3cret", "bm9jb2xvbg"]},
    ]}));
    let send =
        |value: &[u8]| policy.decide(&Request { authorization: Authorization::Single(value), ..get(b"/") });
    for value in [
        "Basic YW5uOnMzY3JldA==",
        "basic YW5uOnMzY3JldA",
        "BASIC    YW5uOnMzY3JldA==  ",
        " Basic YW5uOnMzY3JldA=",
    ] {
        assert_eq!(send(value.as_bytes()), allowed(&[0], "ann"), "{value}");
    }
    assert_eq!(send(b"Basic bm9jb2xvbg=="), allowed(&[0], ""));
    for value in
        ["", "Basic", "Basic ", "Bearer YW5uOnMzY3JldA==", "Basic\tYW5uOnMzY3JldA==", "BasicYW5uOnMzY3JldA=="]
    {
        assert_eq!(send(value.as_bytes()), denied(0, Reason::Missing), "{value}");
    }
    for value in [&b"Basic ="[..], b"Basic \xff", b"Basic YW5u OnMzY3JldA=="] {
        assert_eq!(send(value), denied(0, Reason::Invalid), "{}", value.escape_ascii());
    }
    assert_eq!(send(b"Basic YW5uOnMzY3JldA==, Basic YQ=="), denied(0, Reason::Repeated));
}

#[test]
fn mistakes_name_their_place_and_no_secret() {
    let rule = |change: Value| {
        let mut rule = json!({"prefix": "/", "request_methods": ["GET"], "credentials": ["a:b"]});
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(rule.as_object_mut().unwrap().remove(key)),
                value => rule[key] = value.clone(),
            }
        }
        json!({"basic_auth_rules": [rule]})
    };
    let at = |change: Value| mistake(rule(change)).strip_prefix("basic_auth_rules[0]").unwrap().to_owned();
    for (change, expected) in [
        (json!({"prefix": null}), ": expected exactly one of prefix, exact, suffix, regex; found none"),
        (json!({"exact": ""}), ": expected exactly one of prefix, exact, suffix, regex; found prefix, exact"),
        (json!({"prefix": ""}), ".prefix: expected a pattern, found an empty one"),
        (json!({"prefix": "/a?b"}), ".prefix: a query or fragment is not part"),
        (json!({"prefix": "/%g1"}), ".prefix: `%` has to be followed by two hexadecimal digits"),
        (json!({"prefix": null, "regex": "("}), ".regex: "),
        (json!({"prefix": null, "regex": "a{1000}{1000}"}), ".regex: "),
        (json!({"request_methods": null}), ": `request_methods`: expected at least one method"),
        (json!({"request_methods": ["GET", ""]}), ".request_methods[1]: expected a method"),
        (json!({"hosts": [""]}), ".hosts[0]: expected a host"),
        (json!({"credentials": null}), ": expected at least one credential"),
        (json!({"credentials": null, "htpasswd": "# nobody\n\n"}), ": expected at least one credential"),
        (
            json!({"credentials": ["a:b", "s3cret!"]}),
            ".credentials[1]: expected \"user:password\" or base64, found \"***\" (7",
        ),
        (
            json!({"credentials": [""]}),
            ".credentials[0]: expected \"user:password\" or base64, found an empty text",
        ),
        (
            json!({"credentials": ["ann:{SHA}s3cret"]}),
            ".credentials[0]: user ann: {SHA} has to be followed by base64",
        ),
        (
            json!({"credentials": ["ann:$apr1$s3cret"]}),
            ".credentials[0]: user ann: $apr1$ hashes are not supported",
        ),
        (json!({"htpasswd": "ann:s3cret"}), ".htpasswd: line 1: user ann: expected {SHA}"),
        (json!({"htpasswd": "\n# x\ns3cret"}), ".htpasswd: line 3: expected \"user:hash\", found \"***\""),
        (
            json!({"htpasswd": "a:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\na:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="}),
            ".htpasswd: line 2: user a occurs twice",
        ),
        (
            json!({"htpasswd": "a:$2b$11$aaaaaaaaaaaaaaaaaaaaaOAItJAM/9WVyQMbNth.87mKWdDHxRPhO"}),
            ".htpasswd: line 1: the bcrypt cost 11 is above",
        ),
        (json!({"name": "a b"}), ".name: expected at most 100"),
        (json!({"realm": "a\nb"}), ".realm: a realm cannot hold control characters"),
        (json!({"public": true}), ": a `public` rule has no credentials"),
    ] {
        let found = at(change.clone());
        assert!(found.starts_with(expected), "{change}: {found}");
        assert!(!found.contains("s3cret"), "{found}");
    }
}

#[test]
fn mistakes_outside_of_rules() {
    assert!(mistake(json!({"realm": "\u{0}"})).starts_with("realm: "));
    assert!(mistake(json!({"max_bcrypt_cost": 15})).starts_with("max_bcrypt_cost: expected at most 14"));
    assert!(mistake(json!({"forward_username_header": "x y"})).starts_with("forward_username_header: "));
    assert!(mistake(json!({"forward_username_header": "Host"})).starts_with("forward_username_header: "));
    assert!(
        mistake(json!({"default_rule": {}})).starts_with("default_rule: expected at least one credential")
    );
    for credential in ["bm9jb2xvbg==", "YQBiOmM=", ":password"] {
        let rules = json!([{"prefix": "/", "request_methods": ["GET"], "credentials": [credential]}]);
        let found = mistake(json!({"forward_username_header": "x-user", "basic_auth_rules": rules}));
        assert!(
            found.starts_with("basic_auth_rules[0].credentials[0]: has no user name"),
            "{credential}: {found}"
        );
    }
    let methods: Vec<String> = (0..64).map(|number| format!("M{number}")).collect();
    let rules = json!([{"prefix": "/", "request_methods": methods, "credentials": ["a:b"]}]);
    assert!(mistake(json!({"basic_auth_rules": rules})).contains("more than 63"));
}

#[test]
fn doubtful_configurations_are_accepted_with_a_warning() {
    let policy = compiled(json!({"basic_auth_rules": [{
        "prefix": "secret", "hosts": ["a:80", "a*b"], "request_methods": ["get"], "credentials": ["a:b"],
    }]}));
    let places: Vec<&str> =
        policy.warnings().iter().filter_map(|warning| warning.split(": ").next()).collect();
    let rule = "basic_auth_rules[0]";
    assert_eq!(
        places,
        [".prefix", ".request_methods[0]", ".hosts[0]", ".hosts[1]"].map(|at| format!("{rule}{at}"))
    );
}

#[test]
fn realms_are_quoted() {
    let policy = compiled(json!({
        "realm": "a \"b\" \\c",
        "basic_auth_rules": [
            {"prefix": "/", "request_methods": ["GET"], "credentials": ["a:b"]},
            {"prefix": "/x", "request_methods": ["GET"], "credentials": ["a:b"], "realm": "own é", "name": "x"},
        ],
    }));
    assert_eq!(policy.challenge(0), Some(r#"Basic realm="a \"b\" \\c", charset="UTF-8""#));
    assert_eq!(policy.challenge(1), Some(r#"Basic realm="own é", charset="UTF-8""#));
    assert_eq!(policy.names().collect::<Vec<_>>(), ["0", "x"]);
}

#[test]
fn methods() {
    let policy = |head_as_get: bool| {
        let rule = |path: &str, method: &str| json!({"exact": path, "request_methods": [method], "credentials": ["a:b"]});
        compiled(
            json!({"head_as_get": head_as_get, "basic_auth_rules": [rule("/get", "GET"), rule("/any", "*"), rule("/low", "low")]}),
        )
    };
    let is_protected = |policy: &Policy, method: &str, path: &str| {
        policy.decide(&Request { method: method.as_bytes(), ..get(path.as_bytes()) }) != Decision::Unprotected
    };
    let (new, old) = (policy(true), policy(false));
    for (method, path, expected) in [
        ("GET", "/get", true),
        ("get", "/get", true),
        ("HEAD", "/get", true),
        ("POST", "/get", false),
        ("ANY", "/any", true),
        ("HEAD", "/any", true),
        ("low", "/low", true),
        ("LOW", "/low", false),
    ] {
        assert_eq!(is_protected(&new, method, path), expected, "{method} {path}");
    }
    assert!(!is_protected(&old, "HEAD", "/get") && is_protected(&old, "HEAD", "/any"));
}

/// 10,000 rules and 100,000 credentials, spread over hosts, prefixes, exact paths and suffixes.
fn large(rules: usize) -> Value {
    let rule = |index: usize| {
        let (kind, pattern) = match index % 3 {
            0 => ("prefix", format!("/team/{index}/")),
            1 => ("exact", format!("/page/{index}")),
            _ => ("suffix", format!("/{index}.bin")),
        };
        let hosts = match index % 4 {
            0 => json!([]),
            1 => json!([format!("h{index}.example.com")]),
            2 => json!([format!("*.h{index}.example.com"), format!("h{index}.*")]),
            _ => json!(["*.example.com", "example.com"]),
        };
        let credentials: Vec<String> = (0..10).map(|number| format!("u{number}:{index}")).collect();
        json!({kind: pattern, "hosts": hosts, "request_methods": ["GET", "POST"], "credentials": credentials})
    };
    json!({"basic_auth_rules": (0..rules).map(rule).collect::<Vec<_>>()})
}

#[test]
fn lookups_take_logarithmically_many_steps() {
    let cost = |rules: usize| {
        let policy = compiled(large(rules));
        table::steps::take();
        for (authority, path) in [
            ("example.com", "/team/9/x/y/z"),
            ("a.h2.example.com", "/page/4000"),
            ("h5.example.com", "/a/b/11.bin"),
            ("elsewhere.org", "/"),
        ] {
            policy.decide(&Request { authority: authority.as_bytes(), ..get(path.as_bytes()) });
        }
        table::steps::take()
    };
    let (few, many) = (cost(12), cost(10_000));
    // A thousand times as many rules: ten more steps in each binary search. A request makes three for the host, and three for
    // each of at most three host patterns that match.
    assert!(many < few + 4 * (3 + 9) * 10, "{few} steps for 12 rules, {many} for 10,000");
}

#[test]
fn many_hosts_with_the_same_path_are_not_scanned() {
    let rule = |index: usize| json!({"prefix": "/", "hosts": [format!("h{index}")], "request_methods": ["GET"], "credentials": ["a:b"]});
    let policy = compiled(json!({"basic_auth_rules": (0..10_000).map(rule).collect::<Vec<_>>()}));
    table::steps::take();
    assert_eq!(policy.decide(&Request { authority: b"h7000", ..get(b"/x") }), denied(7000, Reason::Missing));
    assert!(table::steps::take() < 100);
}
