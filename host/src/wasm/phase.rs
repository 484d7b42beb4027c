//! What a module may call when (row 2). The lists are Envoy's, measured function by function.

/// What a module is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its start section, `_initialize` or `_start`: there is no context yet.
    Initialising,
    /// The host waits for memory, in the middle of a host call.
    Allocating,
    /// A callback.
    Running,
}

/// Of WASI, what a module may not call while it initialises.
const NOT_YET: [&str; 6] = ["fd_close", "fd_read", "fd_seek", "path_open", "proc_exit", "sched_yield"];
/// All that an allocator may call.
const HARMLESS: [&str; 4] = ["clock_time_get", "fd_write", "poll_oneoff", "proxy_log"];

impl Phase {
    /// Whether a function of the host may be called; if not, the call is a trap.
    pub(super) fn allows(self, name: &str) -> bool {
        match self {
            Self::Initialising if name.starts_with("proxy_") => name == "proxy_log",
            Self::Initialising => !NOT_YET.contains(&name),
            Self::Allocating => HARMLESS.contains(&name),
            Self::Running => true,
        }
    }
}
