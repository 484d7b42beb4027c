//! The core: a callback of the proxy becomes a call of a hook, and what the hook decided becomes an action and, if need be,
//! a local reply.
//!
//! It knows nothing of how callbacks come in. A door finds the plugin or stream of an id and calls its method; `door` is
//! the one through the `proxy-wasm` crate's dispatcher, `narrow_door` that of pruned modules.

mod brief;
pub(crate) mod calls;
pub(crate) mod clock;
mod decision;
mod dual;
mod http;
pub(crate) mod ids;
pub(crate) mod kind;
mod plugin;
pub(crate) mod queues;
mod side;
pub(crate) mod tasks;
mod tcp;
pub(crate) mod timers;
pub(crate) mod waiters;

pub(crate) use brief::without_plugin;
pub(crate) use dual::DualStream;
pub(crate) use http::HttpStream;
pub(crate) use plugin::{Plugin, RootState};
pub(crate) use tcp::{TcpStream, close};

/// What the proxy does with a message after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Continue,
    Pause,
}

/// Runs a hook. On wasm a panic aborts the VM; on native it must not cross the ABI, so it is reported to the host there.
fn guard<T>(when_panicked: T, hook: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "wasm32")]
    {
        drop(when_panicked);
        hook()
    }
    #[cfg(not(target_arch = "wasm32"))]
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(hook)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        crate::abi::guest_panicked(text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("panic"));
        when_panicked
    })
}
