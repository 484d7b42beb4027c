//! Rules against facts that are made up.

use super::paths::Template;
use super::*;
use crate::config::{self, Match};
use proptest::prelude::*;
use regex_lite::Regex;

/// Answers by the text of the expression; the path beside `request` is what a pattern sees.
struct Fake<'a> {
    plan: &'a Plan,
    request: Option<(Vec<u8>, Vec<u8>)>,
    path: String,
    asked: Vec<String>,
}

impl Facts for Fake<'_> {
    type Failure = String;

    fn holds(&mut self, ConditionNumber(number): ConditionNumber) -> Result<bool, String> {
        let text = &self.plan.conditions[number].text;
        self.asked.push(text.clone());
        text.parse().map_err(|_| format!("{text} is no bool"))
    }

    fn text(&mut self, InputNumber(number): InputNumber) -> Result<Vec<u8>, String> {
        let text = &self.plan.inputs[number].text;
        self.asked.push(text.clone());
        match text.as_str() {
            "request.url_path" => Ok(self.path.as_bytes().to_vec()),
            "name" => Ok(b"Ann".to_vec()),
            _ => Err(format!("{text} is absent")),
        }
    }

    fn request(&mut self) -> Option<(&[u8], &[u8])> {
        self.request.as_ref().map(|(method, path)| (method.as_slice(), path.as_slice()))
    }
}

fn fact(why: &str) -> Failure<String> {
    Failure::Fact(why.into())
}

fn generator(matches: Vec<Match>) -> config::Generator {
    config::Generator { output_attribute: "x".into(), matches, ..config::Generator::default() }
}

fn plan(matches: Vec<Match>) -> Plan {
    compile(generator(matches), share(1)).unwrap()
}

fn value_for(plan: &Plan, request: &str) -> Result<Option<String>, Failure<String>> {
    let (method, path) = request.split_once(' ').unwrap();
    let mut fake = Fake {
        plan,
        request: Some((method.into(), path.into())),
        path: "/users/7/posts".into(),
        asked: Vec::new(),
    };
    plan.generator.value(&mut fake).map(|value| value.map(Cow::into_owned))
}

fn condition(condition: &str, value: &str) -> Match {
    Match { condition: condition.into(), value: value.into(), ..Match::default() }
}

fn path(path: &str, value: &str) -> Match {
    Match { path: Some(path.into()), value: value.into(), ..Match::default() }
}

fn method(method: &str, rule: Match) -> Match {
    Match { method: Some(method.into()), ..rule }
}

fn pattern(pattern: &str, input: Option<&str>, value: &str) -> Match {
    Match {
        pattern: Some(pattern.into()),
        input: input.map(Into::into),
        value: value.into(),
        ..Match::default()
    }
}

#[test]
fn the_first_rule_that_matches_says_the_value() {
    let plan = plan(vec![condition("false", "a"), condition("true", "b"), condition("true", "c")]);
    assert_eq!(value_for(&plan, "GET /"), Ok(Some("b".into())));
}

#[test]
fn a_rule_without_a_condition_always_matches() {
    assert_eq!(value_for(&plan(vec![condition("", "$${a}")]), "GET /"), Ok(Some("$${a}".into())));
    assert_eq!(value_for(&plan(vec![]), "GET /"), Ok(None));
}

#[test]
fn a_condition_that_fails_ends_the_generator() {
    let plan = plan(vec![condition("oops", "a"), condition("true", "b")]);
    assert_eq!(value_for(&plan, "GET /"), Err(fact("oops is no bool")));
}

#[test]
fn groups_of_a_pattern_are_filled_in() {
    let by_name = pattern("^/users/(?<id>[0-9]+)/(?P<what>[a-z]+)$", None, "${what} of ${id}${0}");
    assert_eq!(value_for(&plan(vec![by_name]), "GET /"), Ok(Some("posts of 7/users/7/posts".into())));
    let by_number = pattern("(N)?(A)", Some("name"), "<${1}${2}>");
    assert_eq!(value_for(&plan(vec![by_number]), "GET /"), Ok(Some("<A>".into())));
    let absent = plan(vec![pattern("x", Some("nobody"), "a"), condition("", "b")]);
    assert_eq!(value_for(&absent, "GET /"), Err(fact("nobody is absent")));
    let none = plan(vec![pattern("nope", None, "a"), condition("", "b")]);
    assert_eq!(value_for(&none, "GET /"), Ok(Some("b".into())));
}

#[test]
fn what_a_pattern_cannot_look_at_as_a_whole_no_rule_decides() {
    let rules = || vec![pattern("x$", None, "a"), condition("", "b")];
    let value = |share, path: String| {
        let plan = compile(generator(rules()), share).unwrap();
        let mut fake = Fake { plan: &plan, request: None, path, asked: Vec::new() };
        plan.generator.value(&mut fake).map(|value| value.map(Cow::into_owned))
    };
    let too_long = |found, longest| Err(Failure::TooLong { at: "match[0]".into(), found, longest });
    for (patterns, longest) in [(0, 8192), (1, 8192), (2, 4096), (4, 2048), (5, 2048), (1000, 2048)] {
        assert_eq!(share(patterns), longest);
        assert_eq!(value(longest, format!("{:x>longest$}", "")), Ok(Some("a".into())));
        assert_eq!(value(longest, format!("{:y>longest$}", "")), Ok(Some("b".into())));
        let longer = longest + 1;
        assert_eq!(value(longest, format!("{:x>longer$}", "")), too_long(longer, longest));
    }
    let told = too_long(9, 8).unwrap_err().to_string();
    assert_eq!(told, "the input of match[0] has 9 bytes, and its pattern looks at 8 at most");
}

#[test]
fn a_large_pattern_looks_at_less() {
    let longest = |text: &str| Pattern::new(text, 2048, InputNumber(0), "").map(|pattern| pattern.longest);
    for (text, expected) in [
        ("^/(v[0-9]+)/", 2048),
        ("[a-z]{1,12}", 1024),
        ("[a-z]{1,63}", 256),
        (&"()".repeat(16), 512),
        ("[a-z]{1,1000}", 16),
    ] {
        assert_eq!(longest(text), Ok(expected), "{text}");
    }
    assert!(longest("[a-z]{1,2000}").unwrap_err().contains("size limit"));
}

#[test]
fn paths_are_compared_by_segment() {
    let plan = plan(vec![
        path("/users", "list"),
        path("/users/me", "me"),
        path("/users/{id}", "user ${id}"),
        path("/users/{user}/posts/{post}.json", "${post} by ${user}"),
        path("/v1:check", "check"),
        path("/caf%C3%A9", "coffee"),
        path("/", "root"),
    ]);
    for (request, value) in [
        ("GET /users", "list"),
        ("GET /users/me", "me"),
        ("GET /users/you", "user you"),
        ("GET /users/a%2Fb", "user a/b"),
        ("GET /users/%zz", "user %zz"),
        ("GET /%75sers", "list"),
        ("GET /users/1/posts/2.json", "2 by 1"),
        ("GET /users/1/posts/a.json.json", "a.json by 1"),
        ("GET /v1:check", "check"),
        ("GET /caf\u{e9}", "coffee"),
        ("GET /caf%c3%a9", "coffee"),
        ("GET /", "root"),
    ] {
        assert_eq!(value_for(&plan, request), Ok(Some(value.into())), "{request}");
    }
    for request in [
        "GET ",
        "GET users",
        "GET /users/",
        "GET /users/1/posts/.json",
        "GET //users",
        "GET /users/1/2",
        "GET *",
    ] {
        assert_eq!(value_for(&plan, request), Ok(None), "{request}");
    }
}

#[test]
fn rules_with_a_path_keep_their_order() {
    let plan = plan(vec![
        method("POST", path("/a/{x}", "post")),
        Match { condition: "false".into(), ..path("/a/b", "never") },
        path("/a/{y}", "any ${y}"),
        path("/a/b", "too late"),
        condition("true", "rest"),
        path("/c", "behind"),
    ]);
    assert_eq!(value_for(&plan, "POST /a/b"), Ok(Some("post".into())));
    assert_eq!(value_for(&plan, "GET /a/b"), Ok(Some("any b".into())));
    assert_eq!(value_for(&plan, "GET /c"), Ok(Some("rest".into())));
}

#[test]
fn no_condition_is_asked_that_the_path_rules_out() {
    let plan = plan(vec![Match { condition: "oops".into(), ..path("/a", "a") }]);
    assert_eq!(value_for(&plan, "GET /b"), Ok(None));
    assert_eq!(value_for(&plan, "GET /a"), Err(fact("oops is no bool")));
}

#[test]
fn without_a_request_no_path_matches() {
    let plan = plan(vec![path("/{x}", "a"), condition("", "b")]);
    let mut fake = Fake { plan: &plan, request: None, path: String::new(), asked: Vec::new() };
    assert_eq!(plan.generator.value(&mut fake), Ok(Some("b".into())));
    assert!(plan.generator.needs_request() && fake.asked.is_empty());
}

#[track_caller]
fn refused(rule: Match, at: &str, message: &str) {
    let mistake = compile(generator(vec![condition("", ""), rule]), share(1)).unwrap_err();
    assert_eq!(mistake.path, at);
    assert!(mistake.message.contains(message), "{}", mistake.message);
}

#[test]
fn mistakes_are_told_with_their_place() {
    refused(path("users", "a"), "match[1].path", "begins with /");
    refused(path("/a?b", "a"), "match[1].path", "holds `?`");
    refused(path("/{a", "a"), "match[1].path", "expected a } in `{a`");
    refused(path("/a}", "a"), "match[1].path", "expected a { before");
    refused(path("/{}", "a"), "match[1].path", "expected a name between");
    refused(path("/{a}{b}", "a"), "match[1].path", "expected a text before `{b}`");
    refused(path("/{a}/{a}", "a"), "match[1].path", "the parameter `a` twice");
    refused(path("/{a}", "${b}"), "match[1].value", "no group or parameter `b`");
    refused(pattern("(", None, "a"), "match[1].pattern", "");
    refused(pattern("(a)", None, "${2}"), "match[1].value", "no group or parameter `2`");
    refused(method("GET", condition("", "a")), "match[1]", "`method` without a `path`");
    refused(
        Match { input: Some("x".into()), ..condition("", "a") },
        "match[1]",
        "`input` without the `pattern`",
    );
    refused(
        Match { pattern: Some("x".into()), ..path("/", "a") },
        "match[1]",
        "both a `path` and a `pattern`",
    );
    for name in ["", "a\0b"] {
        let unnamed = config::Generator { output_attribute: name.into(), ..generator(vec![]) };
        assert_eq!(compile(unnamed, share(1)).unwrap_err().path, "output_attribute");
    }
}

/// The template as a regular expression.
fn as_regex(template: &str) -> Regex {
    let braces = Regex::new(r"\\\{[a-z]+\\\}").unwrap();
    let escaped = regex_lite::escape(template);
    Regex::new(&format!("(?s)^{}$", braces.replace_all(&escaped, "[^/]+"))).unwrap()
}

fn templates() -> impl Strategy<Value = String> {
    let segment = prop_oneof!["[ab.]{0,2}", Just("{p}".to_owned()), "[ab]?\\{p\\}[.a]{1,2}(\\{q\\})?"];
    prop::collection::vec(segment, 1..4).prop_map(|segments| {
        // Each parameter has a name of its own.
        let names = (b'c'..).map(|letter| format!("{{{}}}", char::from(letter)));
        let text = segments.iter().map(|segment| format!("/{segment}")).collect::<String>();
        let text = text.replace("{q}", "{p}");
        text.split("{p}")
            .zip(std::iter::once(String::new()).chain(names))
            .map(|(text, name)| name + text)
            .collect()
    })
}

proptest! {
    #[test]
    fn many_templates_match_as_each_alone(
        templates in prop::collection::vec(templates(), 1..8),
        request in "(/[ab.]{0,4}){1,3}",
    ) {
        let rules = templates.iter().enumerate().map(|(number, text)| path(text, &number.to_string())).collect();
        let expected = templates.iter().position(|text| as_regex(text).is_match(&request));
        let found = value_for(&plan(rules), &format!("GET {request}")).unwrap();
        prop_assert_eq!(found, expected.map(|number| number.to_string()), "{:?}", templates);
    }

    #[test]
    fn what_parameters_take_makes_up_the_path(template in templates(), request in "(/[ab.]{0,4}){1,3}") {
        let parsed = Template::read(&template).unwrap();
        let names: Vec<_> = parsed.names().map(|name| format!("${{{name}}}")).collect();
        let plan = plan(vec![path(&template, &names.join("|"))]);
        if let Some(values) = value_for(&plan, &format!("GET {request}")).unwrap() {
            let filled = names.iter().zip(values.split('|')).fold(template.clone(), |text, (name, value)| {
                text.replace(name.trim_start_matches('$'), value)
            });
            prop_assert_eq!(filled, request);
        }
    }

    #[test]
    fn nothing_that_is_written_breaks_the_compiler(
        template in "[/a{}%?]{0,12}", value in "[a${}]{0,8}", request in ".{0,20}", regex in "[a(){}|?<>*]{0,8}",
    ) {
        for rule in [path(&template, &value), pattern(&regex, None, &value)] {
            if let Ok(plan) = compile(generator(vec![rule]), share(1)) {
                let _ = value_for(&plan, &format!("GET {request}"));
            }
        }
    }
}
