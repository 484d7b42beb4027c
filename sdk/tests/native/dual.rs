//! One plugin for HTTP and TCP: both kinds of stream, one after the other, share what it holds.

use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::connection::{Act, Connection};
use proxy_wasm_kit_host::exchange::{Message, Setup};
use proxy_wasm_kit_host::native::Host;
use std::cell::Cell;

/// Counts streams of both kinds.
struct Count(Cell<u32>);
struct Tell(Rc<Count>, &'static str);

impl Extension for Count {
    type Config = ();
    type Filter = Tell;

    fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
        Ok(Self(Cell::new(0)))
    }

    fn filter(self: &Rc<Self>) -> Tell {
        Tell(self.clone(), "request")
    }
}

impl AlsoTcp for Count {
    type Connection = Tell;

    fn connection(self: &Rc<Self>) -> Tell {
        Tell(self.clone(), "connection")
    }
}

impl Tell {
    fn count(&self) {
        let count = self.0.0.get() + 1;
        self.0.0.set(count);
        log::info!("{count}: {}", self.1);
    }
}

impl HttpFilter for Tell {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        self.count();
        Ok(Flow::Continue)
    }
}

impl TcpFilter for Tell {
    fn on_connection(&mut self) -> Result<TcpFlow> {
        self.count();
        Ok(TcpFlow::Continue)
    }

    fn on_done(&mut self) {
        log::info!("done: {}", self.1);
    }
}

#[test]
fn requests_and_connections_share_a_plugin() {
    let host = Host::start(proxy_wasm_kit::door::register_dual::<Count>, Setup::default())
        .expect("the configuration is accepted");
    let request = || host.exchange(Message::request("GET", "/"), &Message::response(200));
    let connect = || {
        host.connect(Connection { acts: vec![Act::ClientSends(b"hello".to_vec())], ..Connection::default() })
    };
    assert_eq!(request().client.map(|response| response.status()), Some(200));
    assert_eq!(connect().upstream.as_deref(), Some(&b"hello"[..]));
    assert_eq!(request().client.map(|response| response.status()), Some(200));
    let log = host.log();
    let seen: Vec<&str> = log.iter().filter_map(|line| line.message.rsplit("] ").next()).collect();
    assert_eq!(seen, ["1: request", "2: connection", "done: connection", "3: request"]);
}
