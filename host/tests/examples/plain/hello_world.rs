//! Hello world: a timer of the root context greets, with the time and a random number.

use std::time::{Duration, UNIX_EPOCH};

use log::info;
use proxy_wasm::traits::{Context, RootContext};

pub(super) struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        info!("Hello, World!");
        self.set_tick_period(Duration::from_millis(50));
        true
    }

    fn on_tick(&mut self) {
        let now = self.get_current_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut lucky = [0];
        match getrandom::fill(&mut lucky) {
            Ok(()) => info!("It is {} s past 1970, your lucky number is {}.", now.as_secs(), lucky[0]),
            Err(error) => info!("It is {} s past 1970, there is no luck: {error}", now.as_secs()),
        }
    }
}
