//! The entry macro: what makes a crate a module.

/// Makes the crate a Proxy-Wasm module whose plugins are of the given [`Extension`](crate::Extension).
///
/// `entry!(tcp: Type)` is for a [`TcpExtension`](crate::TcpExtension).
///
/// Use it once, in the root of a crate with `crate-type = ["cdylib", "rlib"]`. It defines `initialize`, which a native test
/// hands to the host, and on wasm the export `_initialize`, which calls it.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// struct PassThrough;
///
/// impl HttpFilter for PassThrough {}
///
/// impl Extension for PassThrough {
///     type Config = ();
///     type Filter = Self;
///
///     fn configure(_config: (), _root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///
///     fn filter(self: &Rc<Self>) -> Self {
///         Self
///     }
/// }
///
/// proxy_wasm_kit::entry!(PassThrough);
/// # use proxy_wasm_kit_host as _;
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! entry {
    ($extension:ty) => {
        $crate::entry!(@ $crate::door::register::<$extension>);
    };
    (tcp: $extension:ty) => {
        $crate::entry!(@ $crate::door::register_tcp::<$extension>);
    };
    (@ $register:expr) => {
        /// Registers this extension in the VM; on native, in the current thread.
        pub fn initialize() {
            $register();
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            unsafe extern "C" {
                fn __wasm_call_ctors();
            }

            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                // SAFETY: the linker makes this function, and the proxy calls `_initialize` once, before all else.
                unsafe { __wasm_call_ctors() };
                initialize();
            }
        };
    };
}

/// Puts a constant text into a custom section of the module; the linker joins those of one name. No code is made of it, and
/// natively nothing at all.
#[doc(hidden)]
#[macro_export]
macro_rules! custom_section {
    ($name:literal, $text:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            const TEXT: &str = $text;

            #[used]
            #[unsafe(link_section = $name)]
            static SECTION: [u8; TEXT.len()] = match TEXT.as_bytes().first_chunk() {
                Some(bytes) => *bytes,
                None => [0; TEXT.len()],
            };
        };
    };
}
