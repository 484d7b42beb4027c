//! The SDK on the native back end: each test is a small extension, a request, and what was seen of it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail by panicking"
)]

mod attributes;
mod bodies;
mod configuration;
mod dual;
mod expressions;
mod failures;
mod foreign;
mod headers;
mod later;
mod logging;
mod metrics;
mod replies;
mod schema;
mod shared;
mod turns;

use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};
use proxy_wasm_kit_host::native::Host;

/// Makes an extension of hooks alone: without configuration, one unit struct for plugin and filter.
macro_rules! extension {
    ($name:ident { $($hooks:tt)* }) => {
        struct $name;

        impl proxy_wasm_kit::Extension for $name {
            type Config = ();
            type Filter = Self;

            fn configure(_: (), _: &proxy_wasm_kit::Root) -> Result<Self, proxy_wasm_kit::ConfigError> {
                Ok(Self)
            }

            fn filter(self: &std::rc::Rc<Self>) -> Self {
                Self
            }
        }

        impl proxy_wasm_kit::HttpFilter for $name {
            $($hooks)*
        }
    };
}
use extension;

fn start<E: proxy_wasm_kit::Extension>(setup: Setup) -> Host {
    Host::start(proxy_wasm_kit::door::register::<E>, setup).expect("the configuration is accepted")
}

/// Sends a GET through the extension; the upstream answers 200.
fn get<E: proxy_wasm_kit::Extension>() -> Exchange {
    send::<E>(Message::request("GET", "/"), &Message::response(200))
}

fn send<E: proxy_wasm_kit::Extension>(request: Message, upstream: &Message) -> Exchange {
    start::<E>(Setup::default()).exchange(request, upstream)
}

/// The response's body as text.
fn body(seen: &Exchange) -> String {
    String::from_utf8(seen.client.as_ref().expect("there is a response").whole_body())
        .expect("the body is text")
}

/// The messages logged during the request.
fn lines(seen: &Exchange) -> Vec<&str> {
    seen.log.iter().map(|line| line.message.as_str()).collect()
}
