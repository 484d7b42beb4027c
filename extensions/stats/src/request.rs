//! A request, and a connection: what the proxy's callbacks come to. Neither is ever held up.

use crate::Bytestream;
use crate::open::Call;
use crate::plugin::Plugin;
use crate::policy::{Fact, Protocol, Value};
use proxy_wasm_kit::prelude::*;

/// A request, from its headers to its end.
pub(crate) struct Request {
    plugin: Option<Rc<Plugin>>,
    /// What is reported of it while it is open.
    call: Option<Rc<Call>>,
}

impl Request {
    pub(crate) fn new(plugin: Option<Rc<Plugin>>) -> Self {
        Self { plugin, call: None }
    }

    /// A call of gRPC may be open for long. No other request costs a host call here, and a `GET` not even a question.
    fn begin(&mut self, request: &mut RequestHeaders<'_>) -> Result<(), HostError> {
        let Some(plugin) = self.plugin.as_deref().filter(|plugin| plugin.ticks) else { return Ok(()) };
        if request.end_of_stream() {
            return Ok(());
        }
        let content_type = request.headers().first("content-type")?.unwrap_or_default();
        if plugin.protocol(&content_type) == Protocol::Grpc {
            let host = request.headers().first(":authority")?.unwrap_or_default();
            let call = Rc::new(Call::new(&host));
            plugin.open.call(&call);
            self.call = Some(call);
        }
        Ok(())
    }

    fn report(&self, plugin: &Plugin) {
        let (side, answers, results) = plugin.see(Protocol::Http);
        let mut facts = answers.facts(side);
        // A route may have rewritten the host since.
        if let Some(host) = self.call.as_ref().and_then(|call| call.reported_host()) {
            facts.set(Fact::Host, host);
        }
        let (protocol, ends) = (plugin.protocol(facts.text(Fact::ContentType)), plugin.ends(side, &facts));
        let messages = facts.messages();
        let (requests, responses) = self.call.as_ref().map_or(messages, |call| call.unreported(messages));
        let number = |fact| facts.number(fact).and_then(|number| u64::try_from(number).ok());
        plugin.report((side, protocol), &facts, &ends, &results, |value| match value {
            Value::Requests => Some(1),
            Value::Duration => number(Fact::Duration).map(milliseconds),
            Value::RequestBytes => number(Fact::RequestSize),
            Value::ResponseBytes => number(Fact::ResponseSize),
            Value::RequestMessages => Some(requests),
            Value::ResponseMessages => Some(responses),
            _ => None,
        });
    }
}

fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds.checked_div(1_000_000).unwrap_or_default()
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        self.begin(request)?;
        Ok(Flow::Continue)
    }

    fn on_log(&mut self, _log: &Log<'_>) -> Result<()> {
        if let Some(plugin) = &self.plugin {
            self.report(plugin);
            if self.call.is_some() {
                plugin.open.close();
            }
        }
        Ok(())
    }

    /// What cannot be counted passes all the same.
    fn on_error(&mut self, _error: &Error) -> Flow {
        Flow::Continue
    }
}

impl TcpFilter for Bytestream {
    fn on_connection(&mut self) -> Result<TcpFlow> {
        if let Some((plugin, connection)) = &self.0 {
            plugin.open.connection(connection);
        }
        Ok(TcpFlow::Continue)
    }

    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        if let Some((_, connection)) = &self.0 {
            connection.received.add(data.len());
        }
        Ok(TcpFlow::Continue)
    }

    fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
        if let Some((plugin, connection)) = &self.0 {
            connection.sent.add(data.len());
            connection.evaluate(plugin);
        }
        Ok(TcpFlow::Continue)
    }

    fn on_log(&mut self) {
        if let Some((plugin, connection)) = &self.0 {
            plugin.open.close();
            connection.finish(plugin);
        }
    }

    fn on_error(&mut self, _error: &Error) -> TcpFlow {
        TcpFlow::Continue
    }
}
