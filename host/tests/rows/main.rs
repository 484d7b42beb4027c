//! One test per row of the table of host semantics, named after it.

#![expect(dead_code, reason = "the tests of the rows are still being written")]

mod guest;
mod smoke;
