//! Every expectation can fail, every slip in a file is named with its place and a remedy.

use std::path::Path;

use super::load::parse;
use super::{Case, Host, Measured, Seen};
use crate::exchange::{Direction, Exchange, Level, LogLine, Message};

/// The only case of a file that holds `text` after the name of the case.
fn case(text: &str) -> Case {
    let mut cases = try_case(text).unwrap();
    assert_eq!(cases.len(), 1);
    cases.remove(0)
}

fn try_case(text: &str) -> Result<Vec<Case>, String> {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    file(&format!("about: a test\ncases:\n  - name: it\n{indented}"))
}

fn file(yaml: &str) -> Result<Vec<Case>, String> {
    parse(Path::new("x.yaml"), yaml, "plugin").map_err(|error| error.to_string())
}

fn expecting(expect: &str) -> Case {
    case(&format!("clusters: {{policy: [], logs: []}}\nrequests: [{{send: {{}}, expect: {expect}}}]"))
}

fn reached() -> (String, Message) {
    let request = Message::request("POST", "/check").header("x-b", "b").body(b"\0\0\0\0\x02hi".as_slice());
    ("policy".into(), request)
}

/// A request that got through, with something in every place that can be checked.
fn seen() -> Seen {
    let log = vec![LogLine { level: Level::Warn, message: "denied: no user".into() }];
    let response =
        Message::response(200).header("x-a", "1").header("x-a", "2").body("hello").trailer("x-t", "t");
    let request =
        Message::request("POST", "/path").header("x-b", b"\xff".as_slice()).body("hi").trailer("x-u", "u");
    let exchange = Exchange {
        client: Some(response),
        upstream: Some(request),
        details: "via_upstream".into(),
        callouts: vec![reached()],
        filter_state: [("wasm.a".to_owned(), b"state".to_vec())].into(),
        expressions: [("a.b".to_owned(), "shown".to_owned())].into(),
        log: log.clone(),
        host_calls: [("proxy_log".to_owned(), 2), ("proxy_get_property".to_owned(), 1)].into(),
        ..Exchange::default()
    };
    let metrics = [("c", Measured::Number(3)), ("h", Measured::Samples(2))];
    Seen {
        rejected: false,
        exchanges: vec![exchange],
        reached: vec![reached()],
        log,
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        ..Seen::default()
    }
}

/// Each `expect` of a request, once as it holds and once as it must fail, with what the report then has to say.
#[test]
fn each_expectation_on_a_request_can_fail() {
    let rows = [
        ("{status: 200}", "{status: 401}", "status\n    expected 401\n    seen     200"),
        ("{details: via_upstream}", "{details: x}", "expected \"x\"\n    seen     \"via_upstream\""),
        (
            "{headers: [[X-A, '1'], [x-a, '2']]}",
            "{headers: [[x-a, '2'], [x-a, '1']]}",
            "expected \"2\" then \"1\"\n    seen     \"1\" then \"2\"",
        ),
        ("{headers: [[x-a, '1'], [x-a, '2']]}", "{headers: [[x-a, '1']]}", "response header x-a"),
        ("{absent: [x-z]}", "{headers: [[x-z, '']]}", "seen     absent"),
        ("{absent: [x-z]}", "{absent: [X-A]}", "expected absent"),
        ("{absent: [x-u]}", "{absent: [X-T]}", "response trailer X-T\n    expected absent"),
        ("{body: hello}", "{body: ''}", "expected \"\"\n    seen     \"hello\""),
        ("{trailers: [[x-t, t]]}", "{trailers: [[x-t, u]]}", "response trailer x-t"),
        ("{upstream: any}", "{upstream: none}", "expected nothing\n    seen     \"POST\" \"/path\""),
        ("{upstream: {method: POST}}", "{upstream: {method: GET}}", "upstream method"),
        ("{upstream: {path: /path}}", "{upstream: {path: /}}", "upstream path"),
        ("{upstream: {authority: example.com}}", "{upstream: {authority: a}}", "upstream authority"),
        (
            "{upstream: {headers: [[x-b, {hex: ff}]]}}",
            "{upstream: {headers: [[x-b, a]]}}",
            "seen     \"\\xff\"",
        ),
        ("{upstream: {absent: [x-z]}}", "{upstream: {absent: [x-b]}}", "upstream header x-b"),
        ("{upstream: {absent: [x-t]}}", "{upstream: {absent: [x-u]}}", "upstream trailer x-u"),
        ("{upstream: {body: hi}}", "{upstream: {body: ho}}", "upstream body"),
        ("{upstream: {trailers: [[x-u, u]]}}", "{upstream: {trailers: [[x-u, v]]}}", "upstream trailer x-u"),
        ("{clusters: {policy: any}}", "{clusters: {policy: none}}", "cluster policy\n    expected nothing"),
        ("{clusters: {logs: none}}", "{clusters: {logs: any}}", "cluster logs\n    expected a request"),
        (
            "{clusters: {policy: {path: /check}}}",
            "{clusters: {policy: {path: /}}}",
            "cluster policy request 1 path",
        ),
        (
            "{clusters: {policy: [{method: POST}]}}",
            "{clusters: {policy: [{path: /check}, {path: /}]}}",
            "requests: 2",
        ),
        (
            "{clusters: {policy: {messages: [hi]}}}",
            "{clusters: {policy: {messages: [ho]}}}",
            "request 1 messages",
        ),
        ("{filter_state: {wasm.a: state}}", "{filter_state: {wasm.a: b}}", "filter state wasm.a"),
        ("{filter_state: {wasm.z: ~}}", "{filter_state: {wasm.a: ~}}", "seen     \"state\""),
        ("{expressions: {a.b: shown}}", "{expressions: {a.b: x}}", "expression a.b\n    expected \"x\""),
        ("{expressions: {a.c: ~}}", "{expressions: {a.c: x}}", "seen     nothing"),
        ("{log: [no user]}", "{log: [no group]}", "expected \"no group\"\n    seen     no such line"),
        ("{log: [warn: no user]}", "{log: [error: no user]}", "at level Error"),
        ("{no_log: [secret]}", "{no_log: [denied]}", "seen     \"denied: no user\""),
        ("{host_calls: 3}", "{host_calls: 2}", "seen     3 {\"proxy_get_property\": 1, \"proxy_log\": 2}"),
        ("{host_calls: {proxy_log: 2}}", "{host_calls: {proxy_log: 1}}", "host calls of proxy_log"),
    ];
    for (holds, fails, report) in rows {
        expecting(holds).verdict(Host::Native, &seen()).unwrap();
        let failure = expecting(fails).verdict(Host::Native, &seen()).unwrap_err();
        assert!(failure.contains(report), "{fails}:\n{failure}");
    }
}

#[test]
fn each_expectation_on_the_whole_case_can_fail() {
    let rows = [
        ("{metrics: {c: 3}}", "{metrics: {c: 2}}", "metric c\n    expected 2\n    seen     3"),
        ("{metrics: {absent: 0}}", "{metrics: {c: 0}}", "metric c"),
        ("{metrics: {c: 3}}", "{metrics: {absent: 1}}", "seen     no such metric"),
        ("{metrics: {h: {samples: 2}}}", "{metrics: {h: {samples: 1}}}", "a histogram with 1 samples"),
        ("{metrics: {h: {samples: 2}}}", "{metrics: {h: 2}}", "metric h"),
        ("{clusters: {policy: any}}", "{clusters: {policy: none}}", "cluster policy"),
        ("{log: [denied]}", "{log: [granted]}", "no such line"),
        ("{no_log: [granted]}", "{no_log: [warn: denied]}", "no_log"),
        (
            "{log: [denied]}",
            "{rejected: denied}",
            "configuration\n    expected rejected\n    seen     accepted",
        ),
    ];
    for (holds, fails, report) in rows {
        case(&format!("clusters: {{policy: []}}\nexpect: {holds}")).verdict(Host::Envoy, &seen()).unwrap();
        let failure = case(&format!("clusters: {{policy: []}}\nexpect: {fails}"))
            .verdict(Host::Envoy, &seen())
            .unwrap_err();
        assert!(failure.contains(report), "{fails}:\n{failure}");
    }
}

#[test]
fn a_rejection_is_told_from_its_reason() {
    let rejected = Seen { rejected: true, exchanges: Vec::new(), ..seen() };
    case("expect: {rejected: no user}").verdict(Host::Native, &rejected).unwrap();
    let other = case("expect: {rejected: bad realm}").verdict(Host::Native, &rejected).unwrap_err();
    assert!(other.contains("expected a log line with \"bad realm\"\n    seen     no such line"), "{other}");
    let unexpected = expecting("{status: 200}").verdict(Host::Native, &rejected).unwrap_err();
    assert!(unexpected.contains("expected accepted\n    seen     rejected"), "{unexpected}");
    assert!(unexpected.contains("[Warn] denied: no user"), "{unexpected}");
}

#[test]
fn a_reset_stream_has_status_0() {
    let reset = Seen { exchanges: vec![Exchange::default()], ..seen() };
    expecting("{status: 0}").verdict(Host::Native, &reset).unwrap();
    let failure = expecting("{status: 200}").verdict(Host::Native, &reset).unwrap_err();
    assert!(failure.contains("seen     no response: the stream was reset"), "{failure}");
}

#[test]
fn a_request_that_was_not_sent_is_no_success() {
    let none = Seen { exchanges: Vec::new(), ..seen() };
    let failure = expecting("{absent: [x]}").verdict(Host::Native, &none).unwrap_err();
    assert!(failure.contains("it was not sent"), "{failure}");
}

#[test]
fn a_difference_replaces_the_expectation_on_its_host() {
    let case = case(
        "requests:\n  - send: {}\n    expect: {status: 200}\n    \
         differs: {envoy: {reason: it does, expect: {status: 400}}}",
    );
    case.verdict(Host::Native, &seen()).unwrap();
    let failure = case.verdict(Host::Envoy, &seen()).unwrap_err();
    assert!(failure.contains("expected 400"), "{failure}");
}

#[test]
fn host_calls_are_checked_on_our_hosts_only() {
    expecting("{host_calls: 0}").verdict(Host::Envoy, &seen()).unwrap();
}

#[test]
fn a_report_names_file_line_request_and_all_that_was_seen() {
    let failure = expecting("{status: 401}").verdict(Host::Envoy, &seen()).unwrap_err();
    let expected = r#"x.yaml:3: it [Envoy]

request 1 of 1 (line 5): GET /; expectation in line 5:
  status
    expected 401
    seen     200
  all that was seen of it:
    client   :status: "200", x-a: "1", x-a: "2"
      body     "hello"
      trailers x-t: "t"
    upstream :authority: "example.com", :path: "/path", :method: "POST", :scheme: "http", x-b: "\xff"
      body     "hi"
      trailers x-u: "u"
    policy   :authority: "example.com", :path: "/check", :method: "POST", :scheme: "http", x-b: "b"
      body     "\x00\x00\x00\x00\x02hi"
    details  "via_upstream"
    state    wasm.a = "state"
    shown    a.b = "shown"
    calls    {"proxy_get_property": 1, "proxy_log": 2}

all of the plugin's log:
  [Warn] denied: no user
"#;
    assert_eq!(failure, expected);
}

#[test]
fn long_values_are_cut_in_reports() {
    let seen = Seen {
        exchanges: vec![Exchange {
            client: Some(Message::response(200).body(vec![b'a'; 65536])),
            ..Exchange::default()
        }],
        ..seen()
    };
    let failure = expecting("{body: ''}").verdict(Host::Native, &seen).unwrap_err();
    assert!(failure.contains("... (65536 bytes)") && failure.len() < 2000, "{failure}");
}

#[test]
fn what_cannot_fail_is_refused() {
    let request = |expect: &str| format!("requests: [{{send: {{}}, expect: {expect}}}]");
    let rows = [
        ("requests: [{send: {}}]".into(), "expects nothing, so it cannot fail"),
        ("config: {}".into(), "expects nothing, so it cannot fail"),
        (request("{}"), "requests[0]: expect: is empty, so it cannot fail"),
        (request("{headers: []}"), "headers: is empty"),
        (request("{absent: []}"), "absent: is empty"),
        (request("{trailers: []}"), "trailers: is empty"),
        (request("{upstream: {}}"), "upstream: asks for nothing; write `any`"),
        (request("{upstream: {headers: []}}"), "upstream: headers: is empty"),
        (request("{filter_state: {}}"), "filter_state: is empty"),
        (request("{expressions: {}}"), "expressions: is empty"),
        (request("{log: []}"), "log: is empty"),
        (request("{log: ['']}"), "log: an empty text is part of every line"),
        (request("{no_log: []}"), "no_log: is empty"),
        (request("{no_log: [debug: x]}"), "is not logged, so it cannot fail; set `log_level`"),
        (request("{host_calls: {}}"), "host_calls: is empty"),
        (request("{headers: [{name: a, value: b, times: 0}]}"), "write the name under `absent`"),
        (request("{headers: [[a, b]], absent: [A]}"), "A is also asked for"),
        ("expect: {}".into(), "expect: is empty, so it cannot fail"),
        ("expect: {metrics: {}}".into(), "metrics: is empty"),
        ("expect: {rejected: ''}".into(), "rejected: is empty"),
        (
            "expect: {rejected: x}\ndiffers: {envoy: {reason: r, expect: {log: []}}}".into(),
            "differs.envoy.expect: log: is empty",
        ),
    ];
    for (text, part) in rows {
        let error = try_case(&text).unwrap_err();
        assert!(error.starts_with("x.yaml:") && error.contains("case \"it\": "), "{text}: {error}");
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_slip_is_named_with_line_path_and_remedy() {
    let rows = [
        ("confg: {}", "x.yaml:4: cases[0].confg: unknown field `confg`, expected one of"),
        ("requests:\n  - send: {paht: /}", "x.yaml:5: cases[0].requests[0].send.paht: unknown field `paht`"),
        (
            "requests:\n  - send: {}\n    expect: {body: 12}",
            "x.yaml:6: cases[0].requests[0].expect.body: invalid type: integer `12`, expected text (write a number",
        ),
        (
            "requests:\n  - send: {headers: [[a]]}",
            "send.headers[0]: invalid length 1, expected [name, value]",
        ),
        ("requests:\n  - send: {headers: [{name: a}]}", "missing field `value`"),
        ("requests: {send: {}}", "cases[0].requests: expected sequence start; write a list"),
        ("config:", "cases[0].config: nothing stands here; write '' for an empty configuration"),
        ("expect: {metrics: {a: -1}}", "a whole number from 0"),
        ("expect: {log: [wrn: x]}", "unknown variant `wrn`"),
        (
            "requests: [{send: {}, expect: {upstream: nope}}]",
            "unknown variant `nope`, expected one of none, any",
        ),
        (
            "requests: [{send: {body: a, chunks: [b]}, expect: {status: 200}}]",
            "send: has both `body` and `chunks`",
        ),
        (
            "upstream: {status: 100}\nrequests: [{send: {}, expect: {status: 200}}]",
            "expected 200 to 599, found 100",
        ),
        (
            "expect: {rejected: x}\nrequests: [{send: {}}]",
            "a configuration that is rejected serves no requests",
        ),
        ("expect: {log: [x]}\ndiffers: {}", "differs: names no host"),
        (
            "expect: {log: [x]}\ndiffers: {envoy: {reason: ' ', expect: {log: [y]}}}",
            "say why this host is right",
        ),
        ("node: {metadata: 5}\nexpect: {log: [x]}", "cases[0].node.metadata"),
        (
            "requests: [{meanwhile: true, send: {}, expect: {status: 200}}]",
            "meanwhile: there is no request before it",
        ),
        (
            "requests:\n  - {send: {}, expect: {status: 200}}\n  - {meanwhile: true, wait: 5ms, send: {}}",
            "x.yaml:6: case \"it\": wait: the first of the requests that are under way together",
        ),
        (
            "requests:\n  - {send: {}}\n  - {meanwhile: true, send: {}, upstream: {status: 404}, expect: {status: 404}}",
            "x.yaml:6: case \"it\": upstream: the first of",
        ),
        (
            "requests:\n  - {send: {}, expect: {details: x}}\n  - {meanwhile: true, send: {}}",
            "x.yaml:5: case \"it\": details: of requests that are under way together",
        ),
    ];
    for (text, part) in rows {
        let error = try_case(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_slip_in_the_file_around_the_cases_is_named_too() {
    let rows = [
        ("about: x\ncases: []\n", "x.yaml:1: cases: there is none"),
        ("about: ''\ncases: []\n", "about: say in one line"),
        ("cases: []\n", "missing field `about`"),
        ("about: x\nabout: y\ncases: []\n", "x.yaml:2: duplicate mapping key: about; remove one"),
        ("about: x\ncases: []\n---\nabout: y\n", "put all cases in one `cases:` list"),
        (
            "about: x\ncases:\n  - {name: a, expect: {log: [x]}}\n  - {name: a, expect: {log: [x]}}\n",
            "x.yaml:4: name: another case of this file has the same",
        ),
        ("about: x\ncases: [{name: '', expect: {log: [x]}}]\n", "name: say in words"),
    ];
    for (yaml, part) in rows {
        let error = file(yaml).unwrap_err();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

#[test]
fn a_case_takes_from_the_file_what_it_does_not_say_itself() {
    let cases = file(
        "about: x\nconfig: {a: 1}\nroot_id: r\ndirection: inbound\nnode: {id: n, metadata: {NAME: pod}}\n\
         upstream: {status: 204}\ncases:\n\
         \x20 - {name: a, requests: [{send: {}, expect: {status: 204}}]}\n\
         \x20 - {name: b, config: '{ \"b\" : 2 }', direction: outbound, log_level: debug, fail_open: true, \
         upstream: {body: hi}, requests: [{send: {}, expect: {status: 200}}]}\n",
    )
    .unwrap();
    let [first, second] = cases.as_slice() else { panic!("two cases") };
    assert_eq!(first.setup.configuration, br#"{"a":1}"#);
    assert_eq!((first.setup.name.as_str(), first.setup.root_id.as_str()), ("plugin", "r"));
    assert_eq!((first.setup.node_id.as_str(), first.setup.node_cluster.as_str()), ("n", "test-cluster"));
    assert_eq!(first.setup.node_metadata, serde_json::json!({"NAME": "pod"}));
    assert_eq!((first.setup.direction, first.setup.log_level), (Direction::Inbound, Level::Info));
    assert_eq!(first.steps[0].errand.upstream.message, Message::response(204));
    assert_eq!(second.setup.configuration, br#"{ "b" : 2 }"#);
    assert_eq!((second.setup.direction, second.setup.log_level), (Direction::Outbound, Level::Debug));
    assert!(second.setup.fail_open && !first.setup.fail_open);
    assert_eq!(
        second.steps[0].errand.upstream.message,
        Message::response(200).header("content-length", "2").body("hi")
    );
}

#[test]
fn a_body_is_framed_as_http_1_frames_it() {
    let send = |send: &str| {
        case(&format!("requests: [{{send: {send}, expect: {{status: 200}}}}]")).steps.remove(0).errand.request
    };
    let framing = |message: &Message| {
        let header =
            |name| message.headers.first(name).map(|value| String::from_utf8_lossy(value).into_owned());
        (header("content-length"), header("transfer-encoding"))
    };
    let rows = [
        ("{}", (None, None)),
        ("{body: ''}", (Some("0".into()), None)),
        ("{body: abc}", (Some("3".into()), None)),
        ("{body: abc, headers: [[content-length, '7']]}", (Some("7".into()), None)),
        ("{body: abc, trailers: [[a, b]]}", (None, Some("chunked".into()))),
        ("{chunks: [a, b]}", (None, Some("chunked".into()))),
    ];
    for (text, expected) in rows {
        assert_eq!(framing(&send(text)), expected, "{text}");
    }
    assert_eq!(send("{chunks: [a, b]}").body, [b"a", b"b"]);
    assert_eq!(send("{headers: [{name: A, value: b, times: 3}]}").headers.all("a").count(), 3);
}
