//! A TCP connection: the frame that it begins with goes into filter state, ours goes before the first bytes.
//!
//! Proxy-Wasm lets a filter write only where bytes pass, so our frame waits for the application's first ones.

use crate::MetadataExchange;
use crate::policy::frame::{self, Sender, Start};
use crate::policy::plan::Side;
use crate::stream::{DOWNSTREAM, End, UPSTREAM};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::set_filter_state;
use proxy_wasm_kit_mesh::Malformed;

/// What consumers find as the id of an end that does not exchange metadata.
const UNKNOWN: &str = "envoy.wasm.metadata_exchange.peer_unknown";

/// One connection.
pub(crate) struct Connection {
    plugin: Rc<MetadataExchange>,
    /// What is done on it; known with its first bytes.
    role: Option<Role>,
    heard: Heard,
    /// Whether it is too late to tell, or done.
    told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The client is a proxy that begins; where it is told, it is after that.
    Answer { believes: bool, tells: bool },
    /// The server is a proxy that is told first.
    Ask { believes: bool },
    /// The server is outside of the mesh, or not to be told.
    Nothing,
}

/// What the other end began with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    NotYet,
    Frame,
    Other,
}

impl Connection {
    pub(crate) fn new(plugin: Rc<MetadataExchange>) -> Self {
        Self { plugin, role: None, heard: Heard::NotYet, told: false }
    }

    fn role(&mut self) -> Result<Role, HostError> {
        if let Some(role) = self.role {
            return Ok(role);
        }
        let role = self.plugin.role();
        self.role = Some(role);
        if role == Role::Nothing {
            // Nobody is listened to, so this is final: consumers need not wait for a peer.
            set_filter_state(UPSTREAM.id, UNKNOWN)?;
        }
        Ok(role)
    }

    /// Looks at what the other end begins with. The number is that of the bytes to take away; without one, more are needed.
    fn hear(&mut self, bytes: &[u8], last: bool, end: End, believes: bool) -> Option<usize> {
        let plugin = &*self.plugin;
        let (sender, length) = match frame::read(bytes) {
            Start::Part if !last => return None,
            Start::Part | Start::Other => {
                // A count that is lost must not cost a connection, here and below.
                let _ = plugin.tcp.initial_header_not_found.add(1);
                (None, 0)
            }
            Start::Broken(why) => (plugin.refuse_frame(why), 0),
            Start::Frame { length, sender: Err(why) } => (plugin.refuse_frame(why), length),
            Start::Frame { length, sender: Ok(sender) } => (believes.then_some(sender), length),
        };
        self.heard = if sender.is_some() { Heard::Frame } else { Heard::Other };
        // What cannot be noted is nobody; the frame has to be taken away all the same.
        if let Err(error) = plugin.note(sender, end) {
            log::warn!("{}: {error}", end.peer);
        }
        Some(length)
    }
}

impl MetadataExchange {
    fn role(&self) -> Role {
        let around = self.around.of_connection();
        let plan = self.plans.of(around.side);
        match around.side {
            Side::Inbound | Side::Unspecified => Role::Answer {
                believes: !plan.ask_downstream.is_empty(),
                tells: !plan.tell_downstream.is_empty() && plan.answers(around.cluster),
            },
            Side::Outbound if plan.knows_server(around.cluster) && !plan.tell_upstream.is_empty() => {
                Role::Ask { believes: !plan.ask_upstream.is_empty() }
            }
            Side::Outbound => Role::Nothing,
        }
    }

    fn refuse_frame(&self, why: Malformed) -> Option<Sender> {
        self.refuse(format_args!("the frame of a connection: {why}"));
        let _ = self.tcp.header_not_found.add(1);
        None
    }

    /// Who does not say who it is, is nobody: consumers need not wait for more.
    fn note(&self, sender: Option<Sender>, end: End) -> Result<(), HostError> {
        let Some(Sender { peer, id }) = sender else { return set_filter_state(end.id, UNKNOWN) };
        let id = id.as_deref().or(if peer.is_none() { Some(UNKNOWN) } else { None });
        peer.map(|peer| set_filter_state(end.peer, peer.to_flat())).transpose()?;
        id.map(|id| set_filter_state(end.id, id)).transpose()?;
        Ok(())
    }
}

impl TcpFilter for Connection {
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        match self.role()? {
            Role::Answer { believes, .. } if self.heard == Heard::NotYet => {
                let bytes = data.range(0, frame::REACH)?;
                match self.hear(&bytes, data.end_of_stream(), DOWNSTREAM, believes) {
                    None => return Ok(TcpFlow::Buffer),
                    Some(length) => data.cut(length)?,
                }
            }
            Role::Ask { .. } if !self.told && !data.is_empty() => {
                self.told = true;
                data.prepend(self.plugin.tcp.begin())?;
            }
            Role::Answer { .. } | Role::Ask { .. } | Role::Nothing => {}
        }
        Ok(TcpFlow::Continue)
    }

    fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
        match self.role()? {
            Role::Ask { believes } if self.heard == Heard::NotYet => {
                let bytes = data.range(0, frame::REACH)?;
                match self.hear(&bytes, data.end_of_stream(), UPSTREAM, believes) {
                    None => return Ok(TcpFlow::Buffer),
                    Some(length) => data.cut(length)?,
                }
            }
            Role::Answer { tells, .. } if !self.told && !data.is_empty() => {
                self.told = true;
                // Who has not begun with a frame may not know what one is.
                if tells && self.heard == Heard::Frame {
                    data.prepend(self.plugin.tcp.begin())?;
                }
            }
            Role::Answer { .. } | Role::Ask { .. } | Role::Nothing => {}
        }
        Ok(TcpFlow::Continue)
    }

    /// Whoever watches must not stand in the way.
    fn on_error(&mut self, _error: &Error) -> TcpFlow {
        TcpFlow::Continue
    }
}
