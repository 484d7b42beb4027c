//! The entry macro: what makes a crate a module.

/// Makes the crate a Proxy-Wasm module whose plugins are of the given [`Extension`](crate::Extension).
///
/// `entry!(tcp: Type)` is for a [`TcpExtension`](crate::TcpExtension), `entry!(http, tcp: Type)` for an extension that is
/// [`AlsoTcp`](crate::AlsoTcp).
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
        $crate::entry!(@ $crate::door::register::<$extension>, http: $extension);
    };
    (tcp: $extension:ty) => {
        $crate::entry!(@ $crate::door::register_tcp::<$extension>, tcp: $extension);
    };
    (http, tcp: $extension:ty) => {
        $crate::entry!(@ $crate::door::register_dual::<$extension>, dual: $extension);
    };
    (@ $register:expr, $kind:ident: $extension:ty) => {
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

            #[unsafe(no_mangle)]
            extern "C" fn pwkit_initialize() {
                // SAFETY: as above; pruning leaves one of the two.
                unsafe { __wasm_call_ctors() };
            }

            $crate::narrow_door!($kind: $extension);
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

/// The entry functions of [`narrow_door`](crate::narrow_door), and what tells which of them a module needs.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door {
    (http: $extension:ty) => {
        $crate::narrow_door!(@ $crate::narrow_door::Http<$extension>, $crate::narrow_door::HTTP);
        $crate::narrow_door_of_http!(<$extension as $crate::Extension>::Filter);
        $crate::narrow_door_entries! {
            "pwkit_brief_on_context_create": create_brief(id, parent);
            "pwkit_brief_on_request_headers": request_headers_brief(id, count, end) -> u32;
        }
        $crate::narrow_door_drops! {
            "pwkit_drop_filter": <$extension as $crate::Extension>::Filter;
            "pwkit_drop_plugin": ::std::rc::Rc<$extension>;
            "pwkit_drop_nothing": ();
        }
    };
    (tcp: $extension:ty) => {
        $crate::narrow_door!(@ $crate::narrow_door::Tcp<$extension>, $crate::narrow_door::TCP);
        $crate::narrow_door_of_tcp!(<$extension as $crate::TcpExtension>::Filter);
    };
    (dual: $extension:ty) => {
        $crate::narrow_door!(@ $crate::narrow_door::Dual<$extension>, $crate::narrow_door::DUAL);
        $crate::narrow_door_of_http!(<$extension as $crate::Extension>::Filter);
        $crate::narrow_door_of_tcp!(<$extension as $crate::AlsoTcp>::Connection);
    };
    (@ $kind:ty, $door:expr) => {
        $crate::custom_section!("pwkit.door", $door);

        ::std::thread_local! {
            static CONTEXTS: $crate::narrow_door::Contexts<$kind> =
                const { $crate::narrow_door::Contexts::new() };
        }

        $crate::narrow_door_entries! {
            "pwkit_on_context_create": create(id, parent);
            "pwkit_on_configure": configure(id, size) -> u32;
            "pwkit_on_log": log(id);
            "pwkit_on_done": done(id) -> u32;
            "pwkit_on_delete": delete(id);
            "pwkit_on_tick": tick(id);
            "pwkit_on_queue_ready": queue_ready(id, queue);
            "pwkit_on_http_call_response": http_call_response(id, token, headers, body, trailers);
            "pwkit_on_grpc_receive_initial_metadata": grpc_initial_metadata(id, token, count);
            "pwkit_on_grpc_receive": grpc_message(id, token, size);
            "pwkit_on_grpc_receive_trailing_metadata": grpc_trailing_metadata(id, token, count);
            "pwkit_on_grpc_close": grpc_close(id, token, status);
        }
    };
}

/// What the narrow door has for HTTP streams.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door_of_http {
    ($filter:ty) => {
        $crate::narrow_door_entries! {
            "pwkit_on_request_headers": request_headers(id, count, end) -> u32;
            "pwkit_on_request_body": request_body(id, size, end) -> u32;
            "pwkit_on_request_trailers": request_trailers(id, count) -> u32;
            "pwkit_on_response_headers": response_headers(id, count, end) -> u32;
            "pwkit_on_response_body": response_body(id, size, end) -> u32;
            "pwkit_on_response_trailers": response_trailers(id, count) -> u32;
        }

        $crate::narrow_door_hooks! {
            HttpFilter for $filter =>
            "pwkit_hook_on_request_headers" "pwkit_default_on_request_headers":
                on_request_headers(&mut $crate::RequestHeaders<'_>) -> $crate::Result;
            "pwkit_hook_on_request_body" "pwkit_default_on_request_body":
                on_request_body(&mut $crate::RequestBody<'_>) -> $crate::Result<$crate::BodyFlow>;
            "pwkit_hook_on_request_trailers" "pwkit_default_on_request_trailers":
                on_request_trailers(&mut $crate::RequestTrailers<'_>) -> $crate::Result;
            "pwkit_hook_on_response_headers" "pwkit_default_on_response_headers":
                on_response_headers(&mut $crate::ResponseHeaders<'_>) -> $crate::Result;
            "pwkit_hook_on_response_body" "pwkit_default_on_response_body":
                on_response_body(&mut $crate::ResponseBody<'_>) -> $crate::Result<$crate::BodyFlow>;
            "pwkit_hook_on_response_trailers" "pwkit_default_on_response_trailers":
                on_response_trailers(&mut $crate::ResponseTrailers<'_>) -> $crate::Result;
            "pwkit_hook_on_log" "pwkit_default_on_log": on_log(&$crate::Log<'_>) -> $crate::Result<()>;
            "pwkit_hook_on_done" "pwkit_default_on_done": on_done() -> ();
        }
    };
}

/// What the narrow door has for TCP connections.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door_of_tcp {
    ($filter:ty) => {
        $crate::narrow_door_entries! {
            "pwkit_on_new_connection": new_connection(id) -> u32;
            "pwkit_on_downstream_data": downstream_data(id, size, end) -> u32;
            "pwkit_on_upstream_data": upstream_data(id, size, end) -> u32;
            "pwkit_on_downstream_connection_close": downstream_close(id, by);
            "pwkit_on_upstream_connection_close": upstream_close(id, by);
        }

        $crate::narrow_door_hooks! {
            TcpFilter for $filter =>
            "pwkit_hook_on_new_connection" "pwkit_default_on_new_connection":
                on_connection() -> $crate::Result<$crate::TcpFlow>;
            "pwkit_hook_on_downstream_data" "pwkit_default_on_downstream_data":
                on_downstream_data(&mut $crate::DownstreamData<'_>) -> $crate::Result<$crate::TcpFlow>;
            "pwkit_hook_on_upstream_data" "pwkit_default_on_upstream_data":
                on_upstream_data(&mut $crate::UpstreamData<'_>) -> $crate::Result<$crate::TcpFlow>;
            "pwkit_hook_on_downstream_connection_close" "pwkit_default_on_downstream_connection_close":
                on_downstream_close($crate::Closer) -> ();
            "pwkit_hook_on_upstream_connection_close" "pwkit_default_on_upstream_connection_close":
                on_upstream_close($crate::Closer) -> ();
            "pwkit_hook_on_connection_log" "pwkit_default_on_connection_log": on_log() -> ();
            "pwkit_hook_on_connection_done" "pwkit_default_on_connection_done": on_done() -> ();
        }
    };
}

/// Exports methods of `CONTEXTS`.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door_entries {
    ($($name:literal: $method:ident($($argument:ident),*) $(-> $result:ty)?;)*) => {$(
        const _: () = {
            #[unsafe(export_name = $name)]
            extern "C" fn entry($($argument: u32),*) $(-> $result)? {
                CONTEXTS.with(|contexts| contexts.$method($($argument),*))
            }
        };
    )*};
}

/// Exports each hook of a filter and of the filter that overrides nothing. Never called: their code is compared.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door_hooks {
    ($trait:ident for $filter:ty =>
        $($own:literal $default:literal: $hook:ident($($view:ty)?) -> $decision:ty;)*) => {$(
        const _: () = {
            #[unsafe(export_name = $own)]
            extern "C" fn own(
                filter: &mut $filter,
                $(view: $view,)?
                decision: &mut ::std::mem::MaybeUninit<$decision>,
            ) {
                decision.write($crate::$trait::$hook(filter, $({ let view: $view = view; view })?));
            }

            #[unsafe(export_name = $default)]
            extern "C" fn default(
                filter: &mut $crate::narrow_door::Untouched,
                $(view: $view,)?
                decision: &mut ::std::mem::MaybeUninit<$decision>,
            ) {
                decision.write($crate::$trait::$hook(filter, $({ let view: $view = view; view })?));
            }
        };
    )*};
}

/// Exports what it means to drop something. Never called: the code is compared.
#[doc(hidden)]
#[macro_export]
macro_rules! narrow_door_drops {
    ($($name:literal: $dropped:ty;)*) => {$(
        const _: () = {
            #[unsafe(export_name = $name)]
            extern "C" fn drop(dropped: &mut ::std::mem::MaybeUninit<$dropped>) {
                // SAFETY: nobody calls this function.
                unsafe { dropped.assume_init_drop() };
            }
        };
    )*};
}
