//! The standard metrics of Istio for HTTP, gRPC and TCP: the door between Envoy and what is reported, in `policy`.
#![forbid(unsafe_code)]

mod budget;
pub mod config;
mod expressions;
mod hosts;
mod observe;
mod open;
mod peers;
mod plugin;
pub mod policy;
mod report;
mod request;
mod together;

use open::Connection;
use plugin::Plugin;
use proxy_wasm_kit::prelude::*;

/// The plugin: one configuration on one worker. Empty when that cannot be read: then nothing is reported, and no traffic
/// is held up.
struct Stats(Option<Rc<Plugin>>);

/// A TCP connection, from its beginning to its end.
struct Bytestream(Option<(Rc<Plugin>, Rc<Connection>)>);

proxy_wasm_kit::custom_section!("pwkit.labels", include_str!("labels.txt"));
proxy_wasm_kit::entry!(http, tcp: Stats);

impl Extension for Stats {
    type Config = config::Config;
    type Filter = request::Request;
    /// The original ignored them.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;
    /// The original went on with what it could read.
    const WRONG_VALUES: WrongValues = WrongValues::LeaveOut;

    fn configure(config: config::Config, root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(Some(Plugin::new(&config, root)?)))
    }

    /// The original went on without any metrics when it could read nothing.
    fn misconfigured(error: ConfigError, root: &Root) -> Result<Self, ConfigError> {
        root.complain(error);
        Ok(Self(None))
    }

    fn filter(self: &Rc<Self>) -> request::Request {
        request::Request::new(self.0.clone())
    }
}

impl AlsoTcp for Stats {
    type Connection = Bytestream;

    fn connection(self: &Rc<Self>) -> Bytestream {
        Bytestream(self.0.clone().map(|plugin| (plugin, Rc::default())))
    }
}
