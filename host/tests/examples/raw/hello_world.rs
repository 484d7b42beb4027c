//! Hello world, as in `plain/hello_world.rs`.

use super::{IDLE, Program, abi};

pub(super) const PROGRAM: Program = Program { start, tick, ..IDLE };

fn start() -> bool {
    abi::log("Hello, World!");
    abi::set_tick_period(50).is_ok()
}

fn tick() {
    let seconds = abi::now().unwrap_or(0) / 1_000_000_000;
    abi::log(&format!("It is {seconds} s past 1970, your lucky number is {}.", abi::random()));
}
