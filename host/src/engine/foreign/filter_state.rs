//! `set_envoy_filter_state`: objects that Envoy itself reads, by the names it knows.

use super::properties::life_span;
use crate::engine::protobuf::Message;
use crate::engine::status::Status;
use crate::engine::vm::Vm;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// How a filter state object shows to expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) enum Form {
    #[default]
    Bytes,
    Text,
    /// A FlatBuffer of this schema.
    FlatBuffer(Arc<[u8]>),
    /// A message of a declared schema, which is not known here.
    Message,
    /// An object with fields of its own, of which none is known here.
    Fields,
    /// An object without any form.
    Hidden,
}

/// What is known of a filter state object beside its value.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Held {
    pub(super) read_only: bool,
    pub(in crate::engine) form: Form,
    pub(super) span: u64,
}

impl Vm {
    /// The objects that Envoy 1.40 can make of bytes, with what it accepts for each (measured).
    pub(super) fn set_envoy_filter_state(&mut self, arguments: &[u8]) -> Result<(), Status> {
        let message = Message::parse(arguments).ok_or(Status::BAD_ARGUMENT)?;
        let (Some(name), Some(value)) = (message.text(1), message.text(2)) else {
            return Err(Status::BAD_ARGUMENT);
        };
        let (value, form) = object(name, value)?;
        let span = life_span(message.number(3));
        let stream = self.stream().ok_or(Status::NOT_FOUND)?;
        let held = stream.held.entry(name.to_owned()).or_insert(Held { read_only: false, form, span });
        if held.span == span {
            stream.filter_state.insert(name.to_owned(), value.into_bytes());
        } else {
            // Envoy reports a bug of its own, answers Ok, and keeps what was there.
            stream.misuse.push(format!("filter state {name} set again with another life span"));
        }
        Ok(())
    }
}

/// The value as it reads back.
fn object(name: &str, value: &str) -> Result<(String, Form), Status> {
    let bad = Status::BAD_ARGUMENT;
    let number = value.trim();
    Ok(match name {
        "envoy.hashable_string"
        | "envoy.network.network_namespace"
        | "envoy.network.upstream_server_name"
        | "envoy.network.upstream_subject_alt_names"
        | "envoy.string"
        | "envoy.tcp_proxy.cluster"
        | "envoy.upstream.dynamic_host" => (value.into(), Form::Bytes),
        "envoy.ai.model.request" if !value.is_empty() => (value.into(), Form::Bytes),
        "envoy.ratelimit.hits_addend" | "envoy.upstream.dynamic_port" => {
            (number.parse::<u32>().map_err(|_| bad)?.to_string(), Form::Bytes)
        }
        "envoy.tcp_proxy.per_connection_idle_timeout_ms" => {
            (number.parse::<u64>().map_err(|_| bad)?.to_string(), Form::Bytes)
        }
        "envoy.tcp_proxy.disable_tunneling" => ((value == "true").to_string(), Form::Bytes),
        "envoy.bool" => (truth(value).ok_or(bad)?.to_string(), Form::Bytes),
        "envoy.network.ip" => {
            let address: IpAddr = value.parse().map_err(|_| bad)?;
            (SocketAddr::new(address, 0).to_string(), Form::Bytes)
        }
        "envoy.filters.listener.original_dst.local_ip"
        | "envoy.filters.listener.original_dst.remote_ip"
        | "envoy.network.transport_socket.original_dst_address" => {
            (value.parse::<SocketAddr>().map_err(|_| bad)?.to_string(), Form::Fields)
        }
        "envoy.network.application_protocols" | "envoy.router.debug_config" => (value.into(), Form::Hidden),
        "envoy.ai.llm_protocol.request"
        | "envoy.ai.model.request"
        | "envoy.network.transport_socket.http_11_proxy.info" => return Err(bad),
        _ => return Err(Status::NOT_FOUND),
    })
}

/// What Abseil reads as a bool.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}
