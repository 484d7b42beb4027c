//! The rows of host/tests/rows again, on a module: the same tests, with hooks that a module carries out in the embedded
//! host, so that its exports and imports stand between the row and the engine.
//!
//! What is not here enters no guest (`actions`, `grpc`, `module`), or is about code that is linked in (`native`).

mod back_end;
#[path = "../../host/tests/rows"]
mod rows {
    mod body;
    mod calls;
    mod chain;
    mod end;
    mod expressions;
    mod failure;
    mod foreign;
    pub(crate) mod functions;
    pub(crate) mod guest;
    mod log;
    mod maps;
    mod metrics;
    mod process;
    mod properties;
    mod reply;
    mod rest;
    pub(crate) mod scripted;
    mod shared;
    mod signatures;
    mod start;
    mod tcp;
    mod timers;
}

use rows::{guest, scripted};
