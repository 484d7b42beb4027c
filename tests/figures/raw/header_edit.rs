//! Removes internal headers and adds one, by hand.
#![allow(dead_code)] // Each of these filters uses another part of it.

#[path = "abi.rs"]
mod abi;

use abi::{CONTINUE, PAUSE, Plugins, REQUEST_HEADERS};

struct Edit {
    prefix: String,
    name: String,
    value: String,
}

thread_local! {
    static PLUGINS: Plugins<Edit> = const { Plugins::new() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    PLUGINS.with(|plugins| plugins.created(id, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(id: u32, _size: u32) -> u32 {
    PLUGINS.with(|plugins| {
        plugins.configure(id, |config| {
            let text = |key| abi::text(&config, key);
            Some(Edit { prefix: text("prefix")?, name: text("name")?, value: text("value")? })
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: u32, _end: u32) -> u32 {
    let Some(plugin) = PLUGINS.with(|plugins| plugins.of(id)) else {
        abi::reply(503, "plugin_not_configured", &[]);
        return PAUSE;
    };
    if edit(&plugin).is_none() {
        abi::reply(500, "host_error", &[]);
        return PAUSE;
    }
    CONTINUE
}

fn edit(plugin: &Edit) -> Option<()> {
    let headers = abi::pairs(REQUEST_HEADERS)?;
    let mut removed = true;
    abi::for_each(&headers, |name, _| {
        if name.starts_with(plugin.prefix.as_bytes()) {
            removed &= abi::remove(name);
        }
    })?;
    (removed && abi::set(plugin.name.as_bytes(), plugin.value.as_bytes())).then_some(())
}
