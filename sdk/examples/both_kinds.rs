//! One module for HTTP and TCP: only who knows the word gets through. A request has it in a header, a connection begins with
//! it.

use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    word: String,
}

struct Gate(Config);
struct Guest {
    gate: Rc<Gate>,
    is_known: bool,
}

proxy_wasm_kit::entry!(http, tcp: Gate);

impl Extension for Gate {
    type Config = Config;
    type Filter = Guest;

    fn configure(config: Config, _root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Guest {
        Guest { gate: self.clone(), is_known: false }
    }
}

impl AlsoTcp for Gate {
    type Connection = Guest;

    fn connection(self: &Rc<Self>) -> Guest {
        self.filter()
    }
}

impl HttpFilter for Guest {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        self.is_known = request.headers().first("x-word")?.is_some_and(|word| word == *self.gate.0.word);
        let refusal = Flow::Reply(Response::new(403).details("unknown_word"));
        Ok(if self.is_known { Flow::Continue } else { refusal })
    }

    fn on_log(&mut self, _log: &Log<'_>) -> Result<()> {
        log::info!("a request is over, known: {}", self.is_known);
        Ok(())
    }
}

impl TcpFilter for Guest {
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        self.is_known = self.is_known || data.bytes()?.starts_with(self.gate.0.word.as_bytes());
        Ok(if self.is_known { TcpFlow::Continue } else { TcpFlow::Close })
    }
}
