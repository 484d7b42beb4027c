//! The timers of root contexts (row 41).

use super::agenda::Event;
use super::guest::{Call, Guest};
use super::status::Status;
use super::vm::Vm;
use super::worker::Worker;
use std::time::Duration;

impl Vm {
    /// `proxy_set_tick_period_milliseconds`: whoever asks, it is the timer of the root; 0 stops it.
    pub fn set_tick_period(&mut self, milliseconds: u32) -> Result<(), Status> {
        let root = self.plugin().root;
        self.tick_periods.insert(root, Duration::from_millis(milliseconds.into()));
        self.arm_timer(root);
        Ok(())
    }

    /// The timer goes with its root.
    pub(super) fn stop_timer(&mut self, root: u32) {
        self.tick_periods.remove(&root);
        self.arm_timer(root);
    }

    fn arm_timer(&mut self, root: u32) {
        self.agenda.strike(|event| *event == Event::Tick(root));
        let period = self.tick_periods.get(&root).copied().unwrap_or_default();
        if !period.is_zero() {
            self.agenda.enter(period, Event::Tick(root));
        }
    }
}

impl<G: Guest> Worker<G> {
    /// A timer has run out. It is armed again when the plugin is done with it.
    pub(super) fn tick(&mut self, root: u32) {
        self.notify(&Call::Tick { context: root });
        self.vm.borrow_mut().arm_timer(root);
    }
}
