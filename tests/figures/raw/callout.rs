//! Asks a server whether a request may pass, and who sends it, by hand.
#![allow(dead_code)] // Each of these filters uses another part of it.

#[path = "abi.rs"]
mod abi;

use abi::{CALL_RESPONSE_BODY, CALL_RESPONSE_HEADERS, PAUSE, Plugins, REQUEST_HEADERS};
use std::cell::RefCell;
use std::collections::HashMap;

/// The largest body that is copied.
const MOST: usize = 1024 * 1024;

struct Policy {
    cluster: String,
}

thread_local! {
    static PLUGINS: Plugins<Policy> = const { Plugins::new() };
    /// The streams that wait, by the token of their call, and the other way round.
    static WAITING: RefCell<(HashMap<u32, u32>, HashMap<u32, u32>)> = RefCell::default();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    PLUGINS.with(|plugins| plugins.created(id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: u32) -> u32 {
    PLUGINS.with(|plugins| {
        plugins.configure(id, |config| Some(Policy { cluster: abi::text(&config, "cluster")? }))
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, _end: u32) -> u32 {
    let Some(plugin) = PLUGINS.with(|plugins| plugins.of(id)) else {
        abi::reply(503, "plugin_not_configured", &[]);
        return PAUSE;
    };
    match ask(&plugin) {
        Some(token) => WAITING.with_borrow_mut(|(streams, tokens)| {
            streams.insert(token, id);
            tokens.insert(id, token);
        }),
        None => abi::reply(503, "callout_failed", &[]),
    }
    PAUSE
}

fn ask(plugin: &Policy) -> Option<u32> {
    let path = abi::value(REQUEST_HEADERS, b":path")?;
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":path", b"/check"),
        (b":authority", plugin.cluster.as_bytes()),
        (b"x-path", &path),
    ];
    abi::call(&plugin.cluster, &headers, b"", 1000)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_id: u32, token: u32, headers: u32, body: u32, _trailers: u32) {
    let waiting = WAITING.with_borrow_mut(|(streams, tokens)| {
        let stream = streams.remove(&token)?;
        tokens.remove(&stream);
        Some(stream)
    });
    let Some(stream) = waiting else { return };
    let decision = if headers == 0 { None } else { decide(body as usize) };
    if !abi::enter(stream) {
        return;
    }
    match decision {
        Some(Decision::Allow(user)) if abi::set(b"x-user", &user) => abi::resume_request(),
        Some(Decision::Allow(_)) => abi::reply(500, "host_error", &[]),
        Some(Decision::Deny) => abi::reply(403, "not_allowed", &[]),
        None => abi::reply(503, "callout_failed", &[]),
    }
}

enum Decision {
    Allow(Vec<u8>),
    Deny,
}

/// `None` when no server has answered.
fn decide(body: usize) -> Option<Decision> {
    let status = abi::value(CALL_RESPONSE_HEADERS, b":status")?;
    // The proxy's own answer when it reached no server lacks a header that it adds to those of servers.
    if matches!(&*status, b"503" | b"504") {
        abi::value(CALL_RESPONSE_HEADERS, b"x-envoy-upstream-service-time")?;
    }
    if status != b"200" || body > MOST || abi::bytes(CALL_RESPONSE_BODY, body)? != b"allow" {
        return Some(Decision::Deny);
    }
    Some(Decision::Allow(abi::value(CALL_RESPONSE_HEADERS, b"x-user").unwrap_or_default()))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    WAITING.with_borrow_mut(|(streams, tokens)| {
        if let Some(token) = tokens.remove(&id) {
            streams.remove(&token);
        }
    });
}
