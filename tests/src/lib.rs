//! Holds the cross-crate checks under `tests/tests`; there is no library here.
