//! Expressions in CEL: the foreign functions `expr_create`, `expr_evaluate` and `expr_delete`.
//!
//! `expressions.txt` is what a real Envoy 1.40 answered, expression by expression, to the request that is sent here.

use crate::guest::{Told, guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Direction, Message, Setup};

const MEASURED: &str = include_str!("expressions.txt");

/// Where the crate's CEL is not Envoy's, and what it says there: docs/host-differences.md has the list.
const DIFFERENT: [(&str, &str); 3] = [
    // A message has fields, not keys; here it is both.
    ("xds.node['id']", r#"Ok "nid""#),
    // No message can be made.
    ("google.protobuf.Duration{seconds: 1}", "Err(10)"),
    ("google.protobuf.Struct{}", "Err(10)"),
];

fn setup() -> Setup {
    Setup {
        name: "p0".into(),
        root_id: "rid".into(),
        vm_id: "v0".into(),
        node_id: "nid".into(),
        node_cluster: "ncl".into(),
        node_metadata: serde_json::json!({
            "A": "x", "N": 3, "Z": null, "L": [1, "two"], "M": { "k": "v", "a.b": "q" }, "a-b": "dash"
        }),
        direction: Direction::Outbound,
        ..Setup::default()
    }
}

fn request() -> Message {
    let request = Message::request("GET", "/p?q=1").header("x-a", "1").header("x-a", "2");
    request.header("user-agent", "ua").header("x-bin", &b"a\xffb"[..])
}

/// Creates, evaluates and deletes an expression; the answer as `expressions.txt` writes it.
fn evaluate(expression: &str) -> String {
    let token = match raw::foreign_bytes("expr_create", expression.as_bytes()) {
        Ok(token) => token,
        Err(status) => return format!("create Err({status})"),
    };
    let answer = raw::foreign_bytes("expr_evaluate", &token);
    raw::foreign_bytes("expr_delete", &token).unwrap();
    match answer {
        Ok(bytes) => format!("Ok \"{}\"", bytes.escape_ascii()),
        Err(status) => format!("Err({status})"),
    }
}

/// Says what the expressions of `expressions` evaluate to, one line each.
fn says(expressions: &'static str) -> impl Fn(Told) -> Action + Send + Sync + Copy {
    move |_| {
        let lines = expressions.lines();
        let answers: Vec<_> = lines.map(|line| format!("{line} => {}", evaluate(line))).collect();
        let quoted = answers.join("\n");
        raw::log(2, &quoted).unwrap();
        Action::Continue
    }
}

#[test]
fn row_46_expressions_evaluate_as_in_envoy() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::set_property("foo", "bar").unwrap();
            for line in MEASURED.lines() {
                let (expression, measured) = line.rsplit_once(" => ").unwrap();
                let answer = evaluate(expression);
                let differs = DIFFERENT.iter().find(|(different, _)| *different == expression);
                let expected = differs.map_or(measured, |(_, here)| *here);
                if answer != expected {
                    raw::log(2, &format!("{expression}: {answer}, not {expected}")).unwrap();
                }
            }
            Action::Continue
        })
        .start_with(setup())
        .unwrap()
        .exchange(request(), &Message::response(200));
    assert_eq!(said(&seen.log), [""; 0]);
    assert!(MEASURED.lines().count() > 200);
}

#[test]
fn row_47_expressions_see_what_the_phase_has() {
    let names = "request.path\nrequest.headers\nhas(request.path)\nresponse.code\nstring(response.code)\nresponse.headers['x-b']\nrequest.duration >= duration('0s')\nupstream.port";
    let seen = guest()
        .on_configure(says("1\nrequest.path\nhas(request.path)\nxds.node.id\nxds.listener_direction\nhas(xds.cluster_name)\nxds\nplugin_name"))
        .on_request_headers(says("response.code\nhas(response.code)\nupstream.address"))
        .on_response_headers(says(names))
        .on_log(says("request.path\nresponse.code\nrequest.duration >= duration('0s')"))
        .on_done(says("request.path\nresponse.code"))
        .start_with(setup())
        .unwrap();
    seen.exchange(request(), &Message::response(200).header("x-b", "1"));
    let log = seen.log();
    let lines: Vec<_> = said(&log).into_iter().flat_map(str::lines).collect();
    let expected = [
        r#"1 => Ok "\x01\x00\x00\x00\x00\x00\x00\x00""#,
        "request.path => Err(10)",
        "has(request.path) => Err(10)",
        r#"xds.node.id => Ok "nid""#,
        "xds.listener_direction => Err(10)",
        r#"has(xds.cluster_name) => Ok "\x00""#,
        "xds => Err(3)",
        r#"plugin_name => Ok "p0""#,
        "response.code => Err(10)",
        r#"has(response.code) => Ok "\x00""#,
        "upstream.address => Err(10)",
        "request.path => Err(10)",
        r#"request.headers => Ok "\x00\x00\x00\x00""#,
        r#"has(request.path) => Ok "\x00""#,
        r#"response.code => Ok "\xc8\x00\x00\x00\x00\x00\x00\x00""#,
        r#"string(response.code) => Ok "200""#,
        r#"response.headers['x-b'] => Ok "1""#,
        "request.duration >= duration('0s') => Err(10)",
        r#"upstream.port => Ok "\x91\x1f\x00\x00\x00\x00\x00\x00""#,
        r#"request.path => Ok "/p?q=1""#,
        r#"response.code => Ok "\xc8\x00\x00\x00\x00\x00\x00\x00""#,
        r#"request.duration >= duration('0s') => Ok "\x01""#,
        "request.path => Err(10)",
        r#"response.code => Ok "\xc8\x00\x00\x00\x00\x00\x00\x00""#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn row_9_expressions_look_at_the_entered_context() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::set_effective_context(1).unwrap();
            raw::say((raw::property("request.path"), evaluate("request.path").contains("/p")));
            Action::Continue
        })
        .start_with(setup())
        .unwrap()
        .exchange(request(), &Message::response(200));
    assert_eq!(said(&seen.log), ["(Err(1), true)"]);
}

#[test]
fn row_9_tokens_count_up_and_outlive_their_stream() {
    let host = guest()
        .on_configure(|_| {
            let create = |text: &str| raw::foreign_bytes("expr_create", text.as_bytes());
            raw::say((create("1"), create("1 +"), create("nope()"), create("2")));
            Action::Continue
        })
        .on_request_headers(|_| {
            let evaluate = |token: &[u8]| raw::foreign_bytes("expr_evaluate", token).map(|value| value[0]);
            raw::say((evaluate(&[2, 0, 0, 0]), evaluate(&[1, 0, 0, 0]), evaluate(&[0; 3]), evaluate(&[])));
            let delete = |token: &[u8]| raw::foreign_bytes("expr_delete", token).map(|value| value.len());
            raw::say((delete(&[2, 0, 0, 0]), delete(&[2, 0, 0, 0]), delete(&[2]), evaluate(&[2, 0, 0, 0])));
            Action::Continue
        })
        .start();
    host.exchange(request(), &Message::response(200));
    let expected = [
        "(Ok([0, 0, 0, 0]), Err(2), Err(2), Ok([2, 0, 0, 0]))",
        "(Ok(2), Err(1), Err(2), Err(2))",
        "(Ok(0), Ok(0), Err(2), Err(1))",
    ];
    assert_eq!(said(&host.log()), expected);
}
