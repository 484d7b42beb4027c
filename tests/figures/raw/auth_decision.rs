//! Lets pass who brings one of some tokens, by hand.
#![allow(dead_code)] // Each of these filters uses another part of it.

#[path = "abi.rs"]
mod abi;

use abi::{CONTINUE, PAUSE, Plugins, REQUEST_HEADERS};
use std::collections::HashMap;

struct Tokens {
    users: HashMap<Vec<u8>, String>,
}

thread_local! {
    static PLUGINS: Plugins<Tokens> = const { Plugins::new() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    PLUGINS.with(|plugins| plugins.created(id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: u32) -> u32 {
    PLUGINS.with(|plugins| {
        plugins.configure(id, |config| {
            let users = config.get("tokens")?.as_object()?.iter();
            let users =
                users.map(|(token, user)| Some((token.clone().into_bytes(), user.as_str()?.to_owned())));
            Some(Tokens { users: users.collect::<Option<_>>()? })
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, _end: u32) -> u32 {
    let Some(plugin) = PLUGINS.with(|plugins| plugins.of(id)) else {
        abi::reply(503, "plugin_not_configured", &[]);
        return PAUSE;
    };
    match decide(&plugin) {
        Some(true) => CONTINUE,
        Some(false) => {
            abi::reply(401, "no_token", &[(b"www-authenticate", b"Bearer")]);
            PAUSE
        }
        None => {
            abi::reply(500, "host_error", &[]);
            PAUSE
        }
    }
}

fn decide(plugin: &Tokens) -> Option<bool> {
    let headers = abi::pairs(REQUEST_HEADERS)?;
    let (mut found, mut repeated) = (None, false);
    abi::for_each(&headers, |name, value| {
        if name == b"authorization" {
            repeated |= found.is_some();
            found = Some(value);
        }
    })?;
    let token = found.filter(|_| !repeated).and_then(|value| value.strip_prefix(b"Bearer "));
    let Some(user) = token.and_then(|token| plugin.users.get(token)) else { return Some(false) };
    (abi::remove(b"authorization") && abi::set(b"x-user", user.as_bytes())).then_some(true)
}
