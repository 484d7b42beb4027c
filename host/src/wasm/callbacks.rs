//! The exports that a proxy calls, and the arguments of each callback.

use crate::engine::Call;
use crate::module::AbiVersion;
use std::fmt;
use wasmtime::{FuncType, Val, ValType};

/// How a proxy calls an export: all words, of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    arguments: usize,
    returns: bool,
}

const fn takes(arguments: usize) -> Signature {
    Signature { arguments, returns: false }
}

const fn returns(arguments: usize) -> Signature {
    Signature { arguments, returns: true }
}

/// Everything a module may export for the proxy to call. Of ABI 0.1.0 differs what [`signature`] says.
const CALLED: [(&str, Signature); 34] = [
    ("_initialize", takes(0)),
    ("_start", takes(0)),
    ("main", returns(2)),
    ("malloc", returns(1)),
    ("proxy_on_configure", returns(2)),
    ("proxy_on_context_create", takes(2)),
    ("proxy_on_delete", takes(1)),
    ("proxy_on_done", returns(1)),
    ("proxy_on_downstream_connection_close", takes(2)),
    ("proxy_on_downstream_data", returns(3)),
    ("proxy_on_foreign_function", takes(3)),
    ("proxy_on_grpc_close", takes(3)),
    ("proxy_on_grpc_receive", takes(3)),
    ("proxy_on_grpc_receive_initial_metadata", takes(3)),
    ("proxy_on_grpc_receive_trailing_metadata", takes(3)),
    ("proxy_on_http_call_response", takes(5)),
    ("proxy_on_log", takes(1)),
    ("proxy_on_memory_allocate", returns(1)),
    ("proxy_on_new_connection", returns(1)),
    ("proxy_on_queue_ready", takes(2)),
    ("proxy_on_request_body", returns(3)),
    ("proxy_on_request_headers", returns(3)),
    ("proxy_on_request_metadata", returns(2)),
    ("proxy_on_request_trailers", returns(2)),
    ("proxy_on_response_body", returns(3)),
    ("proxy_on_response_headers", returns(3)),
    ("proxy_on_response_metadata", returns(2)),
    ("proxy_on_response_trailers", returns(2)),
    ("proxy_on_tick", takes(1)),
    ("proxy_on_upstream_connection_close", takes(2)),
    ("proxy_on_upstream_data", returns(3)),
    ("proxy_on_vm_start", returns(2)),
    ("proxy_validate_configuration", returns(2)),
    // No longer called, but checked.
    ("proxy_on_grpc_create_initial_metadata", takes(3)),
];

/// How the export is called; nothing if it never is.
pub(super) fn signature(name: &str, abi: AbiVersion) -> Option<Signature> {
    let old = abi == AbiVersion::V0_1_0;
    match name {
        "proxy_on_request_headers" | "proxy_on_response_headers" if old => Some(returns(2)),
        "proxy_on_foreign_function" if old => None,
        _ => CALLED.iter().find(|(known, _)| *known == name).map(|(_, signature)| *signature),
    }
}

impl Signature {
    pub(super) fn matches(self, declared: &FuncType) -> bool {
        let word = |ty: ValType| ty.is_i32();
        declared.params().len() == self.arguments
            && declared.results().len() == usize::from(self.returns)
            && declared.params().chain(declared.results()).all(word)
    }

    pub(super) fn returns(self) -> bool {
        self.returns
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments = vec!["i32"; self.arguments].join(", ");
        write!(formatter, "({arguments}) -> ({})", if self.returns { "i32" } else { "" })
    }
}

/// The arguments of a callback, in order.
pub(super) fn arguments(call: &Call, abi: AbiVersion) -> Vec<Val> {
    let words = match *call {
        Call::ContextCreate { context, parent } => vec![context, parent],
        Call::VmStart { context, size } | Call::Configure { context, size } => vec![context, size],
        // The first version of the ABI does not tell whether the headers are all.
        Call::Headers { context, count, .. } if abi == AbiVersion::V0_1_0 => vec![context, count],
        Call::Headers { context, count, end_of_stream, .. } => vec![context, count, end_of_stream.into()],
        Call::Body { context, size, end_of_stream, .. } => vec![context, size, end_of_stream.into()],
        Call::Trailers { context, count, .. } => vec![context, count],
        Call::HttpCallResponse { context, id, headers, body_size, trailers } => {
            vec![context, id, headers, body_size, trailers]
        }
        Call::GrpcInitialMetadata { context, id, count }
        | Call::GrpcTrailingMetadata { context, id, count } => vec![context, id, count],
        Call::GrpcReceive { context, id, size } => vec![context, id, size],
        Call::GrpcClose { context, id, status } => vec![context, id, status],
        Call::Data { context, size, end_of_stream, .. } => vec![context, size, end_of_stream.into()],
        Call::ConnectionClose { context, closed_by, .. } => vec![context, closed_by],
        Call::QueueReady { context, queue } => vec![context, queue],
        Call::NewConnection { context }
        | Call::Tick { context }
        | Call::Log { context }
        | Call::Done { context }
        | Call::Delete { context } => vec![context],
    };
    words.into_iter().map(|word| Val::I32(word.cast_signed())).collect()
}
