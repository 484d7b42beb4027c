//! What a host function answers when it does not answer Ok.

/// A status of the ABI other than Ok, kept as the number that crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u32);

impl Status {
    /// The thing asked for does not exist.
    pub const NOT_FOUND: Self = Self(1);
    /// An argument is wrong, or the thing cannot be used now.
    pub const BAD_ARGUMENT: Self = Self(2);
    /// A value has no form the guest could read.
    pub const SERIALIZATION_FAILURE: Self = Self(3);
    /// A message given by the guest could not be parsed.
    pub const PARSE_FAILURE: Self = Self(4);
    /// A pointer or a size reaches beyond the guest's memory, or the guest could not allocate.
    pub const INVALID_MEMORY_ACCESS: Self = Self(6);
    /// A queue holds nothing.
    pub const EMPTY: Self = Self(7);
    /// Somebody else changed the value first.
    pub const CAS_MISMATCH: Self = Self(8);
    /// The host failed.
    pub const INTERNAL_FAILURE: Self = Self(10);
    /// The host has no such feature.
    pub const UNIMPLEMENTED: Self = Self(12);
}
