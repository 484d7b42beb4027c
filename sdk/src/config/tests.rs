//! What an operator reads when a configuration is wrong.

use super::*;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Config {
    name: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Rule {
    prefix: String,
    mode: Option<Mode>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    On,
    Off,
}

const WARN: Lenience = Lenience { unknown_keys: UnknownKeys::Warn, wrong_values: WrongValues::Refuse };

#[track_caller]
fn check(text: &str, expected: &str) {
    let error = read::<Config>(text.as_bytes(), Lenience::NONE).unwrap_err();
    assert_eq!(error.located_in(text.as_bytes()).to_string(), expected);
}

#[test]
fn a_wrong_type_names_path_place_and_expectation() {
    check(
        "{\"name\": \"x\",\n \"rules\": [{\"prefix\": 7}]}",
        "rules[0].prefix (line 2, column 23): expected a string, found integer",
    );
}

#[test]
fn a_missing_key_is_named() {
    check("{}", "(line 1, column 2): missing field `name`");
}

#[test]
fn an_unknown_key_gets_a_suggestion_or_the_list() {
    check(r#"{"nmae": "x"}"#, "nmae (line 1, column 7): unknown key; did you mean `name`?");
    check(r#"{"something": "x"}"#, "something (line 1, column 12): unknown key; known here: name, rules");
}

#[test]
fn values_never_show() {
    for secret in [r#""s3cret""#, r#""a, expected b""#, "1357", "13.57", r#"{"s3cret": 1}"#, r#"["s3cret"]"#]
    {
        let text =
            format!(r#"{{"name": "x", "rules": [{{"prefix": "/", "mode": {secret}}}], "rules2": {secret}}}"#);
        let error = read::<Config>(text.as_bytes(), Lenience::NONE).unwrap_err().to_string();
        assert!(!error.contains("s3cret") && !error.contains("13") && !error.contains("a, "), "{error}");
    }
    check(r#"{"name": ["s3cret"]}"#, "name (line 1, column 9): expected a string, found sequence");
    check(
        r#"{"name": "x", "rules": "s3cret"}"#,
        "rules (line 1, column 31): expected a sequence, found string",
    );
}

#[test]
fn text_after_the_value_and_broken_json_are_refused() {
    check(r#"{"name": "x"} {}"#, "(line 1, column 15): trailing characters");
    check(r#"{"name": "x""#, "(line 1, column 12): EOF while parsing an object");
    check("\u{ff}", "(line 1, column 1): expected value");
}

#[test]
fn no_configuration_means_the_defaults() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Empty {}
    assert_eq!(read::<Empty>(b"", Lenience::NONE), Ok(Empty {}));
    assert_eq!(read::<()>(b" \n", Lenience::NONE), Ok(()));
    let error = read::<Config>(b"", Lenience::NONE).unwrap_err();
    assert_eq!(error.to_string(), "missing field `name`");
}

#[test]
fn unknown_keys_can_be_let_pass_at_any_depth() {
    let text =
        r#"{"nam": 1, "name": "x", "rules": [{"prefix": "/", "oops": {}}, {"prefix": "/a"}], "more": null}"#;
    let config: Config = read(text.as_bytes(), WARN).unwrap();
    assert_eq!(config.rules.len(), 2);
}

#[test]
fn the_same_key_in_many_places_costs_one_round() {
    let rules = vec![r#"{"prefix": "/", "note": 1}"#; 20_000].join(",");
    let config: Config = read(format!(r#"{{"name": "x", "rules": [{rules}]}}"#).as_bytes(), WARN).unwrap();
    assert_eq!(config.rules.len(), 20_000);
}

#[test]
fn unknown_keys_without_end_are_refused() {
    let keys: String = (0..100).map(|number| format!(r#""k{number}": 1, "#)).collect();
    let error = read::<Config>(format!(r#"{{{keys} "name": "x"}}"#).as_bytes(), WARN).unwrap_err();
    assert!(error.to_string().contains("unknown key"), "{error}");
}

#[test]
fn a_list_is_not_taken_for_the_fields_of_a_struct() {
    check(r#"["x", []]"#, "expected an object, found a list");
}

#[test]
fn other_faults_still_refuse_and_are_located_when_unknown_keys_pass() {
    let text = "{\"nam\": 1, \"name\": \"x\",\n\"rules\": [{\"prefix\": 7}]}";
    let error = read::<Config>(text.as_bytes(), WARN).unwrap_err();
    assert_eq!(error.to_string(), "rules[0].prefix (line 2, column 22): expected a string, found integer");
}

#[test]
fn an_error_of_the_extension_is_located_by_its_path() {
    let text = "{\n  \"rules\": [\n    {\"prefix\": \"\"}]}";
    let error = ConfigError::at("rules[0].prefix", "expected a path").located_in(text.as_bytes());
    assert_eq!(error.to_string(), "rules[0].prefix (line 3, column 16): expected a path");
    let error = ConfigError::at("rules[9].prefix", "expected a path").located_in(text.as_bytes());
    assert_eq!(error.to_string(), "rules[9].prefix: expected a path");
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Tolerant {
    #[serde(default)]
    size: u8,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    parts: Vec<Part>,
    #[serde(default)]
    numbers: Vec<u8>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    mode: Option<Mode>,
}

fn tolerant(text: &str) -> Result<Tolerant, String> {
    let lenience = Lenience { unknown_keys: UnknownKeys::Warn, wrong_values: WrongValues::LeaveOut };
    read(text.as_bytes(), lenience).map_err(|error| error.to_string())
}

#[test]
fn what_does_not_fit_is_left_out_and_the_rest_holds() {
    let read = tolerant(
        r#"{"size": 300, "words": ["a", 1, {}, "b"], "labels": {"a.b": 1, "c": "d"}, "colour": 1,
            "parts": [7, {"mode": "on"}, {"mode": "often"}], "numbers": [1, "x", 2]}"#,
    );
    let part = |mode| Part { mode };
    assert_eq!(
        read.unwrap(),
        Tolerant {
            size: 0,
            words: ["a", "", "", "b"].map(str::to_owned).into(),
            labels: [("c".to_owned(), "d".to_owned())].into(),
            parts: vec![part(None), part(Some(Mode::On)), part(None)],
            numbers: vec![1, 2],
        }
    );
    assert_eq!(tolerant(r#"{"parts": [{"mode": []}]}"#).unwrap().parts, [part(None)]);
    assert_eq!(tolerant(r#"{"size": null, "parts": {}, "labels": []}"#), Ok(Tolerant::default()));
}

#[test]
fn what_is_no_configuration_at_all_is_refused_though_values_may_be_wrong() {
    for text in [r#"{"size": }"#, "{", "7", "[]", "null", "\"x\"", "{} {}"] {
        tolerant(text).unwrap_err();
    }
    // Each costs a reading of the whole.
    let many = format!(r#"{{"numbers": [{}]}}"#, vec!["-1"; 40].join(","));
    assert!(tolerant(&many).unwrap_err().contains("numbers[0]"));
}

#[test]
fn an_error_is_one_line_whatever_keys_hold() {
    let error = ConfigError::at("rules[0].a\nb\r\u{85}", "expected\ta name").to_string();
    assert_eq!(error, r"rules[0].a\nb\r\u{85}: expected\ta name");
}
