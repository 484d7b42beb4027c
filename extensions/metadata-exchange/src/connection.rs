//! A TCP connection: the frame that it begins with goes into filter state, ours goes before the first bytes.
//!
//! Proxy-Wasm lets a filter write only where bytes pass, so our frame waits for the application's first ones.

use crate::MetadataExchange;
use crate::config::Trust;
use crate::policy::frame::{self, Start};
use crate::policy::plan::Side;
use crate::stream::{DOWNSTREAM, End, UPSTREAM};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::set_filter_state;

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
    /// The client is a proxy that begins, and is answered.
    Answer,
    /// The server is a proxy that is told first.
    Ask,
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
        let around = self.plugin.around.look()?;
        let untold = || around.leaves || self.plugin.plans.of(around.side).tell_upstream.is_empty();
        let role = match around.side {
            Side::Inbound | Side::Unspecified => Role::Answer,
            Side::Outbound if untold() => Role::Nothing,
            Side::Outbound => Role::Ask,
        };
        self.role = Some(role);
        if role == Role::Nothing {
            // Nobody is listened to, so this is final: consumers need not wait for a peer.
            set_filter_state(UPSTREAM.id, UNKNOWN)?;
        }
        Ok(role)
    }

    /// Looks at what the other end begins with. The number is that of the bytes to take away; without one, more are needed.
    fn hear(
        &mut self,
        bytes: &[u8],
        last: bool,
        end: End,
        trusted: bool,
    ) -> Result<Option<usize>, HostError> {
        let plugin = &*self.plugin;
        let (heard, length) = match frame::read(bytes) {
            Start::Part if !last => return Ok(None),
            Start::Part | Start::Other => {
                let _ = plugin.tcp.initial_header_not_found.add(1);
                (Heard::Other, 0)
            }
            Start::Broken(why) => {
                plugin.refuse(why);
                let _ = plugin.tcp.header_not_found.add(1);
                (Heard::Other, 0)
            }
            Start::Frame { length, .. } if !trusted => (Heard::Other, length),
            Start::Frame { peer, id, length } => {
                set_filter_state(end.peer, peer.to_flat())?;
                id.map(|id| set_filter_state(end.id, id)).transpose()?;
                let _ = plugin.tcp.metadata_added.add(1);
                (Heard::Frame, length)
            }
        };
        if heard == Heard::Other {
            set_filter_state(end.id, UNKNOWN)?;
        }
        self.heard = heard;
        Ok(Some(length))
    }
}

impl TcpFilter for Connection {
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        match self.role()? {
            Role::Answer if self.heard == Heard::NotYet => {
                let bytes = data.bytes()?;
                let trusted = self.plugin.trust == Trust::Mesh;
                match self.hear(&bytes, data.end_of_stream(), DOWNSTREAM, trusted)? {
                    None => return Ok(TcpFlow::Buffer),
                    Some(0) => {}
                    Some(length) => data.replace(bytes.get(length..).unwrap_or_default())?,
                }
            }
            Role::Ask if !self.told && !data.is_empty() => {
                self.told = true;
                data.prepend(&self.plugin.tcp.frame)?;
            }
            Role::Answer | Role::Ask | Role::Nothing => {}
        }
        Ok(TcpFlow::Continue)
    }

    fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
        match self.role()? {
            Role::Ask if self.heard == Heard::NotYet => {
                let bytes = data.bytes()?;
                match self.hear(&bytes, data.end_of_stream(), UPSTREAM, true)? {
                    None => return Ok(TcpFlow::Buffer),
                    Some(0) => {}
                    Some(length) => data.replace(bytes.get(length..).unwrap_or_default())?,
                }
            }
            // Who has not begun with a frame may not know what one is.
            Role::Answer if !self.told && !data.is_empty() => {
                self.told = true;
                if self.heard == Heard::Frame {
                    data.prepend(&self.plugin.tcp.frame)?;
                }
            }
            Role::Answer | Role::Ask | Role::Nothing => {}
        }
        Ok(TcpFlow::Continue)
    }

    /// Whoever watches must not stand in the way.
    fn on_error(&mut self, _error: &Error) -> TcpFlow {
        TcpFlow::Continue
    }
}
