//! Expressions in CEL, and which context they are evaluated on.

use crate::{lines, start};
use proxy_wasm_kit::foreign::{self, CelType, Property};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};
use proxy_wasm_kit_host::native::Host;
use std::cell::Cell;

/// Answers with the value of the expression that is its configuration.
struct Evaluate<T>(Expression<T>);
struct Answer<T>(Rc<Evaluate<T>>);

#[derive(serde::Deserialize)]
struct Config {
    #[serde(rename = "if")]
    source: String,
}

impl<T: CelType + std::fmt::Debug + 'static> Extension for Evaluate<T> {
    type Config = Config;
    type Filter = Answer<T>;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        root.expression(&config.source).map(Self).map_err(|error| error.within("if"))
    }

    fn filter(self: &Rc<Self>) -> Answer<T> {
        Answer(self.clone())
    }
}

impl<T: CelType + std::fmt::Debug + 'static> HttpFilter for Answer<T> {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        let value = format!("{:?}", self.0.0.evaluate()?);
        Ok(Flow::Reply(Response::new(200).body(value)))
    }
}

fn setup(source: &str) -> Setup {
    let configuration = serde_json::json!({ "if": source }).to_string().into_bytes();
    Setup { configuration, ..Setup::default() }
}

fn answer<T: CelType + std::fmt::Debug + 'static>(source: &str) -> Exchange {
    let request = Message::request("GET", "/a?b=c").header("x-raw", b"\xff");
    start::<Evaluate<T>>(setup(source)).exchange(request, &Message::response(200))
}

#[test]
fn each_type_is_converted_and_read() {
    assert_eq!(crate::body(&answer::<bool>("request.method == 'GET' // a comment")), "true");
    assert_eq!(crate::body(&answer::<String>("request.url_path")), "\"/a\"");
    assert_eq!(crate::body(&answer::<i64>("request.size - 1")), "-1");
    assert_eq!(crate::body(&answer::<u64>("request.size")), "0");
    assert_eq!(crate::body(&answer::<f64>("1.5 * 2.0")), "3.0");
    assert_eq!(crate::body(&answer::<Bytes>("request.headers['x-raw']")), r#"b"\xff""#);
    assert_eq!(crate::body(&answer::<Vec<String>>("[request.method, 'x']")), r#"["GET", "x"]"#);
    assert_eq!(crate::body(&answer::<Vec<Vec<i64>>>("[[1, 2], []]")), "[[1, 2], []]");
}

#[test]
fn a_value_of_another_type_fails_instead_of_being_misread() {
    let seen = answer::<bool>("request.method");
    assert_eq!(seen.client.as_ref().unwrap().status(), 500);
    assert!(lines(&seen)[0].contains("expr_evaluate: InternalFailure (10)"), "{:?}", seen.log);
    assert_eq!(answer::<String>("request.referer").client.unwrap().status(), 500, "it is absent");
    assert_eq!(answer::<Vec<bool>>("['yes']").client.unwrap().status(), 500);
}

#[test]
fn a_mistake_refuses_the_configuration_where_it_stands() {
    for source in ["1 +", "nope(1)", "true) || (false"] {
        let rejected =
            Host::start(proxy_wasm_kit::door::register::<Evaluate<bool>>, setup(source)).err().unwrap();
        let text = &rejected.log[0].message;
        assert!(
            text.contains("if (line 1, column 7): expected an expression in CEL; it has a mistake"),
            "{text}"
        );
    }
}

#[test]
fn without_cel_the_configuration_says_so() {
    let allowed = ["proxy_on_context_create", "proxy_on_configure", "proxy_log", "proxy_get_buffer_bytes"];
    let allowed = allowed.map(String::from);
    let setup = Setup { allowed_capabilities: Some(allowed.into()), ..setup("true") };
    let rejected = Host::start(proxy_wasm_kit::door::register::<Evaluate<bool>>, setup).err().unwrap();
    let text = &rejected.log[0].message;
    assert!(
        text.contains("the plugin may not evaluate expressions; add proxy_call_foreign_function"),
        "{text}"
    );
}

thread_local! {
    static ROOT: Cell<Option<ContextId>> = const { Cell::new(None) };
}

#[test]
fn what_would_act_on_the_wrong_context_is_refused() {
    struct Plugin(Expression<bool>);
    impl Extension for Plugin {
        type Config = ();
        type Filter = Filter;

        fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
            ROOT.set(ContextId::current());
            Property::new("user").read_only().declare(root)?;
            Ok(Self(root.expression("request.method == 'GET'")?))
        }

        fn filter(self: &Rc<Self>) -> Filter {
            Filter(self.clone())
        }
    }

    struct Filter(Rc<Plugin>);
    impl HttpFilter for Filter {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let root = ROOT.get().unwrap();
            let this = ContextId::current().unwrap();
            let evaluate = || self.0.0.evaluate();
            assert_eq!(evaluate(), Ok(true));
            let refused = root.enter(evaluate)?.unwrap_err();
            assert!(refused.is_wrong_context());
            assert_eq!(
                refused.to_string(),
                "expr_evaluate: refused, it acts on the context whose callback runs, not on the one entered"
            );
            root.enter(|| {
                assert_eq!(this.enter(evaluate).unwrap(), Ok(true), "entered again");
                assert!(evaluate().unwrap_err().is_wrong_context(), "and left again");
            })?;
            assert_eq!(evaluate(), Ok(true));
            proxy_wasm_kit::set_filter_state("user", "ann")?;
            assert!(proxy_wasm_kit::set_filter_state("user", "bob").unwrap_err().is_bad_argument());
            foreign::clear_route_cache()?;
            Ok(Flow::Continue)
        }
    }
    let seen =
        start::<Plugin>(Setup::default()).exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200, "{:?}", seen.log);
}
