//! One test per row of the table of host semantics, named after it.
//!
//! Two guests stand in for an extension: `guest`, real code on the plain `proxy-wasm` crate in the native back end, and
//! `scripted`, which enters no code at all and returns any action, also those that the crate cannot say. What takes a
//! stream in a state that no single exchange reaches is tested beside the engine (`src/engine/chain/tests.rs`).

mod actions;
mod back_end;
mod body;
mod calls;
mod chain;
mod end;
mod expressions;
mod failure;
mod foreign;
mod functions;
mod grpc;
mod guest;
mod log;
mod maps;
mod metrics;
mod module;
mod native;
mod process;
mod properties;
mod reply;
mod rest;
mod scripted;
mod shared;
mod signatures;
mod start;
mod tcp;
mod timers;
