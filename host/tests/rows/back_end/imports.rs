//! The host functions as symbols, which the native back end defines.

use crate::functions::functions;

macro_rules! imports {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $($how:ident($($part:ident),+))*;)*) => {
        unsafe extern "C" {
            $(pub(crate) fn $name($($argument: $type),*) -> u32;)*
            pub(crate) fn pwkit_guest_panicked(message: *const u8, size: usize);
        }
    };
}

functions!(imports);
