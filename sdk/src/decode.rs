//! The bytes of attributes and of CEL results as values of Rust.

use crate::abi::pairs::Pairs;
use crate::bytes::Bytes;
use crate::headers::Snapshot;
use crate::time::after_epoch;
use std::time::{Duration, SystemTime};

/// A type that the host's bytes can be read as.
pub trait Decode: Sized {
    /// The value; `None` when the bytes do not have its form.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// As [`decode`](Self::decode), of bytes that may be kept.
    fn take(bytes: Bytes) -> Option<Self> {
        Self::decode(&bytes)
    }
}

impl Decode for Bytes {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec().into())
    }

    fn take(bytes: Bytes) -> Option<Self> {
        Some(bytes)
    }
}

impl Decode for String {
    fn decode(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    fn take(bytes: Bytes) -> Option<Self> {
        Self::from_utf8(bytes.into_vec()).ok()
    }
}

impl Decode for i64 {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Decode for u64 {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Decode for f64 {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Decode for bool {
    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Decode for SystemTime {
    fn decode(bytes: &[u8]) -> Option<Self> {
        u64::decode(bytes).map(after_epoch)
    }
}

impl Decode for Duration {
    fn decode(bytes: &[u8]) -> Option<Self> {
        u64::decode(bytes).map(Self::from_nanos)
    }
}

impl Decode for Snapshot {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Self::take(bytes.to_vec().into())
    }

    fn take(bytes: Bytes) -> Option<Self> {
        Self::new(bytes, "proxy_get_property").ok()
    }
}

/// A list comes as pairs of an item and nothing.
impl<T: Decode> Decode for Vec<T> {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Pairs::new(bytes)?.map(|(item, _)| T::decode(item)).collect()
    }
}
