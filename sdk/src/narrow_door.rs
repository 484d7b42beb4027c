//! The narrow door: entry functions of the SDK's own, each of which a module may have or lack.
//!
//! The `proxy-wasm` crate exports every callback, and the proxy enters the sandbox for each that is exported, used or not.
//! [`entry!`](crate::entry) therefore exports a second set of entry functions beside the crate's, under names that no proxy
//! calls, and the custom section `pwkit.door`, which says when each is needed. `pwkit-prune` (crate `prune/`) gives those
//! that are the names of the ABI, and drops the others together with the crate's dispatcher.
//!
//! Nothing here is for extensions to call.

use crate::abi;
use crate::dispatch::calls::{Event, deliver};
use crate::dispatch::ids::Ids;
use crate::dispatch::kind::{HttpKind, Kind, TcpKind};
use crate::dispatch::{self, Action, HttpStream, Plugin, TcpStream, without_plugin};
use crate::extension::{Extension, HttpFilter};
use crate::tcp::{Closer, TcpFilter};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

pub use crate::dispatch::kind::{Dual, Http, Tcp};

/// The part of a door for callbacks of a plugin, and of every stream.
macro_rules! of_plugins {
    () => {
        "pwkit door 1
on_context_create always
on_configure always
on_delete state
on_tick if proxy_set_tick_period_milliseconds
on_queue_ready if proxy_register_shared_queue
on_http_call_response if proxy_http_call
on_grpc_receive_initial_metadata if proxy_grpc_stream
on_grpc_receive if proxy_grpc_call proxy_grpc_stream
on_grpc_receive_trailing_metadata if proxy_grpc_stream
on_grpc_close if proxy_grpc_call proxy_grpc_stream
"
    };
}

macro_rules! of_http {
    () => {
        "on_request_headers hook
on_request_body hook
on_request_trailers hook
on_response_headers hook
on_response_body hook
on_response_trailers hook
together on_request_headers on_request_body on_request_trailers if pwkit_later
together on_response_headers on_response_body on_response_trailers if pwkit_later
"
    };
}

macro_rules! of_tcp {
    () => {
        "on_new_connection hook
on_downstream_data hook
on_upstream_data hook
on_downstream_connection_close hook
on_upstream_connection_close hook
"
    };
}

/// What `pwkit-prune` reads: each callback of the ABI, less its prefix `proxy_`, and when it is needed.
///
/// `hook`: unless the compiled hook is that of [`Untouched`]; a hook has the name of its callback, or those that follow.
/// `if`: when one of these host functions can be called. `together`: where a message can wait, all callbacks of it are
/// needed or none. `state`: unless streams are *brief*, which is when the one hook that is left is the first of a stream,
/// nobody calls `later`, and dropping the filter does nothing but let go of the plugin.
pub const HTTP: &str = concat!(
    of_plugins!(),
    of_http!(),
    "on_log hook\non_done hook\n",
    "brief on_request_headers unless pwkit_later\n"
);

/// The same, for a plugin of TCP connections.
pub const TCP: &str =
    concat!(of_plugins!(), of_tcp!(), "on_log hook on_connection_log\n", "on_done hook on_connection_done\n");

/// The same, for a plugin of both.
pub const DUAL: &str = concat!(
    of_plugins!(),
    of_http!(),
    of_tcp!(),
    "on_log hook on_log on_connection_log\n",
    "on_done hook on_done on_connection_done\n"
);

/// The filter that overrides nothing. A hook with the same code as its hook is not needed.
pub struct Untouched;

impl HttpFilter for Untouched {}

impl TcpFilter for Untouched {}

/// The contexts of a VM.
pub struct Contexts<K: Kind> {
    plugins: RefCell<Vec<(u32, Plugin<K::Extension>)>>,
    streams: RefCell<Ids<K::Stream>>,
    /// Which plugin a brief stream belongs to, for the moment between its creation and its only hook.
    parents: [Cell<(u32, u32)>; PARENTS],
}

const PARENTS: usize = 64;

impl<K: Kind> Contexts<K> {
    /// None.
    #[expect(clippy::new_without_default, reason = "a static needs a constant function")]
    pub const fn new() -> Self {
        Self {
            plugins: RefCell::new(Vec::new()),
            streams: RefCell::new(Ids::new()),
            parents: [const { Cell::new((0, 0)) }; PARENTS],
        }
    }

    /// `proxy_on_context_create`.
    pub fn create(&self, id: u32, parent: u32) {
        if parent == 0 {
            self.plugins.borrow_mut().push((id, Plugin::new(id)));
        } else if let Some(stream) = self.plugin(parent, |plugin| K::open(plugin, id)) {
            self.streams.borrow_mut().insert(id, stream);
        }
    }

    fn plugin<T>(&self, id: u32, callback: impl FnOnce(&Plugin<K::Extension>) -> T) -> Option<T> {
        let plugins = self.plugins.borrow();
        plugins.iter().find(|(plugin, _)| *plugin == id).map(|(_, plugin)| callback(plugin))
    }

    fn stream(&self, id: u32) -> Option<K::Stream> {
        self.streams.borrow().get(id).cloned()
    }

    /// `proxy_on_configure`.
    pub fn configure(&self, id: u32, _size: u32) -> u32 {
        let mut plugins = self.plugins.borrow_mut();
        let plugin = plugins.iter_mut().find(|(plugin, _)| *plugin == id);
        plugin.is_some_and(|(_, plugin)| K::configure(plugin)).into()
    }

    /// `proxy_on_log`.
    pub fn log(&self, id: u32) {
        if let Some(stream) = self.stream(id) {
            K::log(&stream);
        }
    }

    /// `proxy_on_done`. The context may be deleted at once.
    pub fn done(&self, id: u32) -> u32 {
        match self.stream(id) {
            Some(stream) => K::done(&stream),
            None => self.plugin(id, Plugin::done).unwrap_or_default(),
        }
        1
    }

    /// `proxy_on_tick`.
    pub fn tick(&self, id: u32) {
        self.plugin(id, Plugin::tick);
    }

    /// `proxy_on_queue_ready`.
    pub fn queue_ready(&self, id: u32, queue: u32) {
        self.plugin(id, |plugin| plugin.queue_ready(queue));
    }

    /// `proxy_on_http_call_response`.
    pub fn http_call_response(&self, id: u32, token: u32, headers: u32, body: u32, trailers: u32) {
        let (headers, body, trailers) = (bytes(headers), bytes(body), bytes(trailers));
        self.answer(id, token, Event::Response { headers, body, trailers });
    }

    /// `proxy_on_grpc_receive_initial_metadata`.
    pub fn grpc_initial_metadata(&self, id: u32, token: u32, _count: u32) {
        self.answer(id, token, Event::GrpcInitialMetadata);
    }

    /// `proxy_on_grpc_receive`.
    pub fn grpc_message(&self, id: u32, token: u32, size: u32) {
        self.answer(id, token, Event::GrpcMessage(bytes(size)));
    }

    /// `proxy_on_grpc_receive_trailing_metadata`.
    pub fn grpc_trailing_metadata(&self, id: u32, token: u32, _count: u32) {
        self.answer(id, token, Event::GrpcTrailingMetadata);
    }

    /// `proxy_on_grpc_close`.
    pub fn grpc_close(&self, id: u32, token: u32, status: u32) {
        self.answer(id, token, Event::GrpcClose(status));
    }

    /// Answers come to the plugin, whose stream ever made the call.
    fn answer(&self, id: u32, token: u32, event: Event) {
        self.plugin(id, |plugin| plugin.answer(|| deliver(token, event)));
    }

    /// `proxy_on_delete`.
    pub fn delete(&self, id: u32) {
        // Dropped after the borrow ends: what the extension does in `drop` is its own business.
        let stream = self.streams.borrow_mut().remove(id);
        if stream.is_none() {
            let mut plugins = self.plugins.borrow_mut();
            let found = plugins.iter().position(|(plugin, _)| *plugin == id);
            let plugin = found.map(|index| plugins.swap_remove(index));
            drop(plugins);
            drop(plugin);
        }
    }
}

impl<K: HttpKind> Contexts<K> {
    fn http(&self, id: u32, callback: impl FnOnce(&Rc<HttpStream<K::Filter>>) -> Action) -> u32 {
        let stream = self.stream(id);
        // Without its plugin a stream fails closed.
        stream.as_ref().and_then(K::http).map_or_else(without_plugin, callback).into()
    }

    /// `proxy_on_request_headers`.
    pub fn request_headers(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        self.http(id, |stream| stream.request_headers(end_of_stream != 0))
    }

    /// `proxy_on_request_body`.
    pub fn request_body(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.http(id, |stream| stream.request_body(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_request_trailers`.
    pub fn request_trailers(&self, id: u32, _count: u32) -> u32 {
        self.http(id, HttpStream::request_trailers)
    }

    /// `proxy_on_response_headers`.
    pub fn response_headers(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        self.http(id, |stream| stream.response_headers(end_of_stream != 0))
    }

    /// `proxy_on_response_body`.
    pub fn response_body(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.http(id, |stream| stream.response_body(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_response_trailers`.
    pub fn response_trailers(&self, id: u32, _count: u32) -> u32 {
        self.http(id, HttpStream::response_trailers)
    }
}

impl<K: TcpKind> Contexts<K> {
    fn tcp(&self, id: u32, callback: impl FnOnce(&Rc<TcpStream<K::Filter>>) -> Action) -> u32 {
        let stream = self.stream(id);
        stream.as_ref().and_then(K::tcp).map_or_else(dispatch::close, callback).into()
    }

    fn tell(&self, id: u32, callback: impl FnOnce(&Rc<TcpStream<K::Filter>>)) {
        let stream = self.stream(id);
        stream.as_ref().and_then(K::tcp).map(callback);
    }

    /// `proxy_on_new_connection`.
    pub fn new_connection(&self, id: u32) -> u32 {
        self.tcp(id, |stream| stream.connection())
    }

    /// `proxy_on_downstream_data`.
    pub fn downstream_data(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.tcp(id, |stream| stream.downstream_data(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_upstream_data`.
    pub fn upstream_data(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.tcp(id, |stream| stream.upstream_data(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_downstream_connection_close`.
    pub fn downstream_close(&self, id: u32, by: u32) {
        self.tell(id, |stream| stream.downstream_close(closer(by)));
    }

    /// `proxy_on_upstream_connection_close`.
    pub fn upstream_close(&self, id: u32, by: u32) {
        self.tell(id, |stream| stream.upstream_close(closer(by)));
    }
}

impl<E: Extension> Contexts<Http<E>> {
    /// `proxy_on_context_create`, where streams are brief.
    pub fn create_brief(&self, id: u32, parent: u32) {
        if parent == 0 {
            self.forget_plugins_that_ended(id);
            self.create(id, parent);
        } else if let Some(place) = self.place(id) {
            place.set((id, parent));
        }
    }

    /// Nobody tells a module without `proxy_on_delete` that a plugin ended, so it asks when the next one begins: a
    /// context that is gone cannot be entered.
    fn forget_plugins_that_ended(&self, id: u32) {
        let mut plugins = self.plugins.borrow_mut();
        if !plugins.is_empty() {
            plugins.retain(|(plugin, _)| abi::set_effective_context(*plugin).is_ok());
            let _ = abi::set_effective_context(id);
        }
    }

    fn place(&self, id: u32) -> Option<&Cell<(u32, u32)>> {
        self.parents.get(usize::try_from(id).ok()? % PARENTS)
    }

    /// `proxy_on_request_headers`, where streams are brief: the stream begins and ends here.
    pub fn request_headers_brief(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        let parent = self.place(id).map(Cell::get).filter(|(stream, _)| *stream == id);
        let action = parent.and_then(|(_, parent)| {
            self.plugin(parent, |plugin| plugin.brief_request_headers(id, end_of_stream != 0))
        });
        action.unwrap_or_else(without_plugin).into()
    }
}

fn bytes(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn closer(by: u32) -> Closer {
    match by {
        1 => Closer::Local,
        2 => Closer::Remote,
        _ => Closer::Unknown,
    }
}

impl From<Action> for u32 {
    fn from(action: Action) -> Self {
        match action {
            Action::Continue => 0,
            Action::Pause => 1,
        }
    }
}
