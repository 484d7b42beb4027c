//! Configuration as the host hands it over.

use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::exchange::{Level, Message, Setup};
use proxy_wasm_kit_host::native::Host;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    answer: String,
    #[serde(default)]
    vm: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VmConfig {
    region: String,
}

struct Answer<const WARN: bool>(String);

struct Filter(Rc<dyn Fn() -> String>);

impl<const WARN: bool> Extension for Answer<WARN> {
    type Config = Config;
    type Filter = Filter;
    const UNKNOWN_KEYS: UnknownKeys = if WARN { UnknownKeys::Warn } else { UnknownKeys::Refuse };

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        if config.answer.is_empty() {
            return Err(ConfigError::at("answer", "expected text, found an empty string"));
        }
        let region = if config.vm { root.vm_configuration::<VmConfig>()?.region } else { String::new() };
        Ok(Self(config.answer + &region))
    }

    fn filter(self: &Rc<Self>) -> Filter {
        let this = self.clone();
        Filter(Rc::new(move || this.0.clone()))
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        Ok(Flow::Reply(Response::new(200).body((self.0)())))
    }
}

fn start<const WARN: bool>(configuration: &str, vm: &str) -> Result<Host, String> {
    let setup = Setup {
        name: "answer".into(),
        configuration: configuration.into(),
        vm_configuration: vm.into(),
        ..Setup::default()
    };
    let started = Host::start(proxy_wasm_kit::door::register::<Answer<WARN>>, setup);
    started.map_err(|rejected| {
        let errors: Vec<_> = rejected.log.iter().map(|line| (line.level, line.message.clone())).collect();
        assert!(matches!(errors.as_slice(), [(Level::Error, _)]), "one line tells why: {errors:?}");
        errors[0].1.clone()
    })
}

fn answer(host: &Host) -> String {
    crate::body(&host.exchange(Message::request("GET", "/"), &Message::response(200)))
}

#[test]
fn a_valid_configuration_reaches_the_filter() {
    assert_eq!(answer(&start::<false>(r#"{"answer": "yes"}"#, "").unwrap()), "yes");
}

#[test]
fn a_refused_configuration_logs_one_line() {
    let refused = |text| start::<false>(text, "").err().unwrap();
    assert_eq!(
        refused("{\n \"answer\": 7}"),
        "[answer] configuration rejected: answer (line 2, column 12): expected a string, found integer"
    );
    assert_eq!(
        refused(r#"{"answer": ""}"#),
        "[answer] configuration rejected: answer (line 1, column 12): expected text, found an empty string"
    );
    assert_eq!(
        refused(r#"{"answer": "a", "anwser": "b"}"#),
        "[answer] configuration rejected: anwser (line 1, column 24): unknown key; did you mean `answer`?"
    );
    assert_eq!(refused(""), "[answer] configuration rejected: missing field `answer`");
}

#[test]
fn an_extension_may_let_unknown_keys_pass_with_a_warning() {
    let host = start::<true>(r#"{"answer": "a", "anwser": "b"}"#, "").unwrap();
    assert_eq!(answer(&host), "a");
    let log = host.log();
    let warnings: Vec<_> = log.iter().filter(|line| line.level == Level::Warn).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.contains("unknown key; did you mean `answer`?"), "{warnings:?}");
}

#[test]
fn the_vm_has_a_configuration_of_its_own() {
    let host = start::<false>(r#"{"answer": "in ", "vm": true}"#, r#"{"region": "eu"}"#).unwrap();
    assert_eq!(answer(&host), "in eu");
    let error = start::<false>(r#"{"answer": "in ", "vm": true}"#, r#"{"region": 3}"#).err().unwrap();
    assert!(error.ends_with("VM configuration: expected a string, found integer"), "{error}");
}
