//! `pwkit` as a person uses it: the real program, its output, its exit code.
//!
//! What it prints is compared with the files of tests/snapshots; `PWKIT_UPDATE=1 cargo test -p proxy-wasm-kit-cli`
//! writes them anew.

mod attributes;
mod cases;
mod check_config;
mod guests;
mod help;
mod http2;
mod inspect;
mod program;
mod proxy;
mod prune;
mod run;
mod run_http2;
mod run_process;
mod run_refused;
mod run_reload;
mod stats_tags;
