//! Names for requests, made of what the proxy knows of them: the door between Envoy and the rules in `policy`.
#![forbid(unsafe_code)]

pub mod config;
mod generators;
pub mod policy;
mod stream;

use config::Phase;
use generators::Generators;
use proxy_wasm_kit::prelude::*;
use stream::Stream;

proxy_wasm_kit::entry!(Generators);

impl Extension for Generators {
    type Config = config::Config;
    type Filter = Stream;
    /// The original ignored them.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;

    fn configure(config: config::Config, root: &Root) -> Result<Self, ConfigError> {
        Self::new(config, root)
    }

    /// As the original: traffic goes on, and nothing is generated.
    fn misconfigured(error: ConfigError, root: &Root) -> Result<Self, ConfigError> {
        Ok(Self::none(error, root)?)
    }

    fn filter(self: &Rc<Self>) -> Stream {
        Stream::new(self.clone())
    }
}

/// None of these fails: what is wrong with an attribute is no matter of the request.
impl HttpFilter for Stream {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        self.generate(Phase::OnRequest);
        self.remember_request();
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, _: &mut ResponseHeaders<'_>) -> Result {
        self.generate(Phase::OnResponse);
        Ok(Flow::Continue)
    }

    fn on_log(&mut self, _: &Log<'_>) -> Result<()> {
        self.generate(Phase::AfterResponse);
        Ok(())
    }
}
