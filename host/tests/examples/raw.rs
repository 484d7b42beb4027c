//! The example programs on the raw ABI: no crate but the standard library. The plugin's root id says which one it is.
//!
//! A feature says which version of the ABI the module speaks; all that differs between them stands in `abi` and `exports`.

mod abi;
mod exports;
mod filter_metadata;
mod grpc_auth_random;
mod hello_world;
mod http_auth_random;
mod http_body;
mod http_config;
mod http_headers;
mod shared_state;
mod tcp_routing;

/// What a callback returns where the stream may go on.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

/// The callbacks of a program. Each is told its context first.
#[derive(Clone, Copy)]
struct Program {
    start: fn() -> bool,
    configure: fn(&[u8]),
    tick: fn(),
    queue_ready: fn(queue: u32),
    request_headers: fn(context: u32) -> u32,
    response_headers: fn(context: u32) -> u32,
    response_body: fn(size: usize, last: bool) -> u32,
    http_answer: fn(token: u32, size: usize),
    grpc_answer: fn(token: u32, status: u32),
    connection: fn() -> u32,
    data: fn(size: usize, last: bool) -> u32,
    closed: fn(by: u32),
    log: fn(context: u32),
}

/// Does nothing, wherever it is called.
const IDLE: Program = Program {
    start: || true,
    configure: |_| {},
    tick: || {},
    queue_ready: |_| {},
    request_headers: |_| CONTINUE,
    response_headers: |_| CONTINUE,
    response_body: |_, _| CONTINUE,
    http_answer: |_, _| {},
    grpc_answer: |_, _| {},
    connection: || CONTINUE,
    data: |_, _| CONTINUE,
    closed: |_| {},
    log: |_| {},
};

fn program(root_id: &[u8]) -> Program {
    match root_id {
        b"filter_metadata" => filter_metadata::PROGRAM,
        b"grpc_auth_random" => grpc_auth_random::PROGRAM,
        b"hello_world" => hello_world::PROGRAM,
        b"http_auth_random" => http_auth_random::PROGRAM,
        b"http_body" => http_body::PROGRAM,
        b"http_config" => http_config::PROGRAM,
        b"http_headers" => http_headers::PROGRAM,
        b"shared_state" => shared_state::PROGRAM,
        b"tcp_routing" => tcp_routing::PROGRAM,
        _ => Program { start: || false, ..IDLE },
    }
}
