//! Lets a connection through only when the client begins with the password, which the server never sees. Hides digits of
//! what the server sends, and closes when that says goodbye.

use proxy_wasm_kit::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    password: String,
}

struct Handshake(Config);
struct Connection {
    plugin: Rc<Handshake>,
    is_known: bool,
}

proxy_wasm_kit::entry!(tcp: Handshake);

impl TcpExtension for Handshake {
    type Config = Config;
    type Filter = Connection;

    fn configure(config: Config, _root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }

    fn filter(self: &Rc<Self>) -> Connection {
        Connection { plugin: self.clone(), is_known: false }
    }
}

impl TcpFilter for Connection {
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        let password = self.plugin.0.password.as_bytes();
        if self.is_known {
            return Ok(TcpFlow::Continue);
        }
        if data.len() < password.len() {
            return Ok(if data.end_of_stream() { TcpFlow::Close } else { TcpFlow::Buffer });
        }
        let bytes = data.bytes()?;
        let Some(rest) = bytes.strip_prefix(password) else { return Ok(TcpFlow::Close) };
        self.is_known = true;
        data.replace(rest)?;
        Ok(TcpFlow::Continue)
    }

    fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
        let bytes = data.bytes()?;
        let hide = |byte: &u8| if byte.is_ascii_digit() { b'*' } else { *byte };
        data.replace(bytes.iter().map(hide).collect::<Vec<u8>>())?;
        Ok(if bytes.ends_with(b"bye") { TcpFlow::Close } else { TcpFlow::Continue })
    }

    fn on_downstream_close(&mut self, by: Closer) {
        log::info!("closed by {by:?}, known: {}", self.is_known);
    }
}
