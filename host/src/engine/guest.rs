//! The guest as the engine sees it: callbacks to enter, and a trap when one of them dies.

use std::fmt;

/// A loaded module or natively linked extension.
pub trait Guest {
    /// Whether the guest has this callback. One that is missing counts as Continue (or true).
    fn has(&self, call: &Call) -> bool;

    /// Enters a callback and returns what it returned; callbacks without a result return 0.
    fn call(&mut self, call: &Call) -> Result<u32, Trap>;

    /// Instructions executed so far, where they are counted.
    fn instructions(&self) -> Option<u64> {
        None
    }

    /// Bytes of its linear memory, where it has one. They never become fewer.
    fn memory(&self) -> Option<u64> {
        None
    }
}

/// The guest died; its VM is failed from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap(pub String);

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One entry into the guest, with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `proxy_on_context_create`: `parent` is 0 for a root context.
    ContextCreate {
        /// The new context.
        context: u32,
        /// The root context it belongs to.
        parent: u32,
    },
    /// `proxy_on_vm_start`.
    VmStart {
        /// The root context.
        context: u32,
        /// Bytes of VM configuration.
        size: u32,
    },
    /// `proxy_on_configure`.
    Configure {
        /// The root context.
        context: u32,
        /// Bytes of plugin configuration.
        size: u32,
    },
    /// `proxy_on_request_headers` or `proxy_on_response_headers`.
    Headers {
        /// The stream context.
        context: u32,
        /// Which of the two.
        side: Side,
        /// Number of fields.
        count: u32,
        /// Whether no body and no trailers follow.
        end_of_stream: bool,
    },
    /// `proxy_on_request_body` or `proxy_on_response_body`.
    Body {
        /// The stream context.
        context: u32,
        /// Which of the two.
        side: Side,
        /// Bytes that can be read.
        size: u32,
        /// Whether this is the last piece and no trailers follow.
        end_of_stream: bool,
    },
    /// `proxy_on_request_trailers` or `proxy_on_response_trailers`.
    Trailers {
        /// The stream context.
        context: u32,
        /// Which of the two.
        side: Side,
        /// Number of fields.
        count: u32,
    },
    /// `proxy_on_new_connection`.
    NewConnection {
        /// The stream context.
        context: u32,
    },
    /// `proxy_on_downstream_data` or `proxy_on_upstream_data`.
    Data {
        /// The stream context.
        context: u32,
        /// Which of the two: the client's data, or the upstream's.
        side: Side,
        /// Bytes that can be read.
        size: u32,
        /// Whether no more will come.
        end_of_stream: bool,
    },
    /// `proxy_on_downstream_connection_close` or `proxy_on_upstream_connection_close`.
    ConnectionClose {
        /// The stream context.
        context: u32,
        /// Which of the two.
        side: Side,
        /// 0 unknown, 1 the proxy, 2 the peer.
        closed_by: u32,
    },
    /// `proxy_on_tick`.
    Tick {
        /// The root context.
        context: u32,
    },
    /// `proxy_on_http_call_response`.
    HttpCallResponse {
        /// The root context.
        context: u32,
        /// What the call was given.
        id: u32,
        /// Number of header fields; 0 when there is no response.
        headers: u32,
        /// Bytes of the body.
        body_size: u32,
        /// Number of trailer fields.
        trailers: u32,
    },
    /// `proxy_on_grpc_receive_initial_metadata`.
    GrpcInitialMetadata {
        /// The root context.
        context: u32,
        /// What the stream was given.
        id: u32,
        /// Number of fields.
        count: u32,
    },
    /// `proxy_on_grpc_receive`.
    GrpcReceive {
        /// The root context.
        context: u32,
        /// What the call or stream was given.
        id: u32,
        /// Bytes of the message.
        size: u32,
    },
    /// `proxy_on_grpc_receive_trailing_metadata`.
    GrpcTrailingMetadata {
        /// The root context.
        context: u32,
        /// What the stream was given.
        id: u32,
        /// Number of fields.
        count: u32,
    },
    /// `proxy_on_grpc_close`.
    GrpcClose {
        /// The root context.
        context: u32,
        /// What the call or stream was given.
        id: u32,
        /// The gRPC status.
        status: u32,
    },
    /// `proxy_on_queue_ready`.
    QueueReady {
        /// The root context.
        context: u32,
        /// The queue that has a new entry.
        queue: u32,
    },
    /// `proxy_on_log`.
    Log {
        /// The stream context.
        context: u32,
    },
    /// `proxy_on_done`.
    Done {
        /// The context.
        context: u32,
    },
    /// `proxy_on_delete`.
    Delete {
        /// The context.
        context: u32,
    },
}

/// The two directions of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client.
    Response,
}

impl Call {
    /// The name of the export.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ContextCreate { .. } => "proxy_on_context_create",
            Self::VmStart { .. } => "proxy_on_vm_start",
            Self::Configure { .. } => "proxy_on_configure",
            Self::Headers { side: Side::Request, .. } => "proxy_on_request_headers",
            Self::Headers { side: Side::Response, .. } => "proxy_on_response_headers",
            Self::Body { side: Side::Request, .. } => "proxy_on_request_body",
            Self::Body { side: Side::Response, .. } => "proxy_on_response_body",
            Self::Trailers { side: Side::Request, .. } => "proxy_on_request_trailers",
            Self::Trailers { side: Side::Response, .. } => "proxy_on_response_trailers",
            Self::NewConnection { .. } => "proxy_on_new_connection",
            Self::Data { side: Side::Request, .. } => "proxy_on_downstream_data",
            Self::Data { side: Side::Response, .. } => "proxy_on_upstream_data",
            Self::ConnectionClose { side: Side::Request, .. } => "proxy_on_downstream_connection_close",
            Self::ConnectionClose { side: Side::Response, .. } => "proxy_on_upstream_connection_close",
            Self::Tick { .. } => "proxy_on_tick",
            Self::HttpCallResponse { .. } => "proxy_on_http_call_response",
            Self::GrpcInitialMetadata { .. } => "proxy_on_grpc_receive_initial_metadata",
            Self::GrpcReceive { .. } => "proxy_on_grpc_receive",
            Self::GrpcTrailingMetadata { .. } => "proxy_on_grpc_receive_trailing_metadata",
            Self::GrpcClose { .. } => "proxy_on_grpc_close",
            Self::QueueReady { .. } => "proxy_on_queue_ready",
            Self::Log { .. } => "proxy_on_log",
            Self::Done { .. } => "proxy_on_done",
            Self::Delete { .. } => "proxy_on_delete",
        }
    }

    /// The context that the callback is entered for.
    pub fn context(mut self) -> u32 {
        *self.context_mut()
    }

    /// The same callback with its contexts called by other numbers.
    pub(super) fn with_contexts(mut self, renamed: impl Fn(u32) -> u32) -> Self {
        let context = self.context_mut();
        *context = renamed(*context);
        if let Self::ContextCreate { parent, .. } = &mut self {
            *parent = renamed(*parent);
        }
        self
    }

    fn context_mut(&mut self) -> &mut u32 {
        match self {
            Self::ContextCreate { context, .. }
            | Self::VmStart { context, .. }
            | Self::Configure { context, .. }
            | Self::Headers { context, .. }
            | Self::Body { context, .. }
            | Self::Trailers { context, .. }
            | Self::NewConnection { context }
            | Self::Data { context, .. }
            | Self::ConnectionClose { context, .. }
            | Self::Tick { context }
            | Self::HttpCallResponse { context, .. }
            | Self::GrpcInitialMetadata { context, .. }
            | Self::GrpcReceive { context, .. }
            | Self::GrpcTrailingMetadata { context, .. }
            | Self::GrpcClose { context, .. }
            | Self::QueueReady { context, .. }
            | Self::Log { context }
            | Self::Done { context }
            | Self::Delete { context } => context,
        }
    }
}
