//! Hand-written modules of the host's tests (`host/tests/hostile`, `host/tests/abi`), from their text.
//!
//! So that they can be read, `(str "text")` stands for address and size of the text, and a file without `(module` is put
//! into `host/tests/prelude.wat`.

use crate::read;
use regex_lite::{Captures, Regex};

/// The module in a file.
pub fn module(path: &str) -> Vec<u8> {
    let text = whole(path);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
}

/// The module's text, with the prelude and with its texts put into memory.
fn whole(path: &str) -> String {
    let body = read(path);
    let text = if body.contains("(module") {
        body
    } else {
        read("host/tests/prelude.wat").replace(";; The module itself stands here.", &body)
    };
    let literal = Regex::new(r#"\(str "([^"]*)"\)"#).expect("the pattern is right");
    let (mut data, mut next) = (String::new(), 4096);
    let text = literal.replace_all(&text, |found: &Captures<'_>| {
        let (content, at) = (&found[1], next);
        let size = content.len() - 2 * content.matches('\\').count();
        next += size;
        data += &format!("(data (i32.const {at}) \"{content}\")\n");
        format!("(i32.const {at}) (i32.const {size})")
    });
    let end = text.rfind(')').expect("a module ends with a parenthesis");
    format!("{}{data}{}", &text[..end], &text[end..])
}
