//! The configurations of all extensions, as an operator or a control plane writes them: none of them ends a VM, what is refused
//! is refused with a place and a reason, and no line of the log shows a secret.
//!
//! An input is the name of an extension, and on the lines after it a configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_kit_fuzz::host;
use serde_json::Value;

/// The level of lines about what is wrong.
const ERROR: u32 = 4;

/// Keys whose values are secret.
const SECRET: [&str; 4] = ["credentials", "htpasswd", "inline_string", "k"];

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (name, configuration) = input.split_at(end);
    let Some(initialize) = proxy_wasm_kit_fuzz::extension(name) else { return };
    host::answer(b"");
    let is_accepted = host::configure(initialize, configuration);
    let log = host::take_log();
    host::end();
    host::take_log();
    let refusals: Vec<&str> = log
        .iter()
        .filter(|(level, line)| *level == ERROR && line.contains("configuration"))
        .map(|(_, line)| &**line)
        .collect();
    assert!(is_accepted || refusals.len() == 1, "{log:?}");
    for refusal in &refusals {
        assert!(
            refusal.lines().count() == 1 && refusal.len() > "[] configuration rejected: ".len() + 8,
            "{refusal:?}"
        );
    }
    match serde_json::from_slice(configuration) {
        Ok(configuration) => check_secrets(&configuration, &configuration, &log),
        // What is no JSON is told by line and column, unless the first letter tells all. What only a type can tell to be none,
        // such as a number that is too large, may stand where nobody looks.
        Err(_) => {
            let is_placed = |line: &&str| line.contains("(line ") || line.contains("found a list");
            assert!(refusals.iter().all(is_placed) || configuration.trim_ascii().is_empty(), "{log:?}");
        }
    }
});

/// No secret that stands nowhere else is in the log.
fn check_secrets(value: &Value, whole: &Value, log: &[(u32, String)]) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| check_secrets(value, whole, log)),
        Value::Object(members) => {
            for (name, value) in members {
                if SECRET.contains(&&**name) {
                    texts(value).iter().filter(|text| is_odd(text)).for_each(|text| {
                        let is_public = whole.to_string().matches(&***text).count() > 1;
                        let shown = log.iter().find(|(_, line)| line.contains(&***text));
                        assert!(is_public || shown.is_none(), "{text:?} is in {shown:?}");
                    });
                }
                check_secrets(value, whole, log);
            }
        }
        _ => {}
    }
}

fn texts(value: &Value) -> Vec<&String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Long enough that no message holds it by chance.
fn is_odd(text: &str) -> bool {
    text.len() >= 10 && text.bytes().any(|byte| byte.is_ascii_digit())
}
