//! What hooks of all kinds decide, looked at in its place: an answer is large, and is not moved around.

use crate::response::{BodyFlow, Flow, Later, Response};

/// A decision.
pub(super) enum Verdict<'a> {
    Continue,
    Buffer,
    Reply(&'a Response),
    Later(Later),
}

/// What a hook can return.
pub(super) trait Decision {
    /// Work is taken out, and leaves `Continue`.
    fn verdict(&mut self) -> Verdict<'_>;
}

impl Decision for Flow {
    fn verdict(&mut self) -> Verdict<'_> {
        match self {
            Self::Continue => Verdict::Continue,
            Self::Reply(response) => Verdict::Reply(response),
            Self::Later(later) => Verdict::Later(later.take()),
        }
    }
}

impl Decision for BodyFlow {
    fn verdict(&mut self) -> Verdict<'_> {
        match self {
            Self::Continue => Verdict::Continue,
            Self::Buffer => Verdict::Buffer,
            Self::Reply(response) => Verdict::Reply(response),
            Self::Later(later) => Verdict::Later(later.take()),
        }
    }
}
