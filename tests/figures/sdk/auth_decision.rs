//! Lets pass who brings one of some tokens, on the SDK.
#![forbid(unsafe_code)]

use proxy_wasm_kit::prelude::*;
use std::collections::HashMap;

#[derive(serde::Deserialize)]
struct Config {
    tokens: HashMap<String, String>,
}

struct Tokens(HashMap<Vec<u8>, String>);

struct Filter(Rc<Tokens>);

proxy_wasm_kit::entry!(Tokens);

impl Extension for Tokens {
    type Config = Config;
    type Filter = Filter;

    fn configure(config: Config, _root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config.tokens.into_iter().map(|(token, user)| (token.into_bytes(), user)).collect()))
    }

    fn filter(self: &Rc<Self>) -> Filter {
        Filter(self.clone())
    }
}

impl HttpFilter for Filter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let headers = request.headers().snapshot()?;
        let token =
            headers.only("authorization").ok().flatten().and_then(|value| value.strip_prefix(b"Bearer "));
        let Some(user) = token.and_then(|token| self.0.0.get(token)) else {
            let reply = Response::new(401).details("no_token").header("www-authenticate", "Bearer");
            return Ok(Flow::Reply(reply));
        };
        request.headers().remove("authorization")?;
        request.headers().set("x-user", user)?;
        Ok(Flow::Continue)
    }
}
