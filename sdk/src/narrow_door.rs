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
use crate::dispatch::{Action, HttpStream, Plugin, without_plugin};
use crate::extension::{Extension, HttpFilter};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

/// What `pwkit-prune` reads: each callback of the ABI, less its prefix `proxy_`, and when it is needed.
///
/// `hook`: unless the compiled hook is that of [`Untouched`]. `if`: when one of these host functions can be called.
/// `together`: where a message can wait, all callbacks of it are needed or none. `state`: unless streams are *brief*, which
/// is when the one hook that is left is the first of a stream, nobody calls `later`, and dropping the filter does nothing
/// but let go of the plugin.
pub const DOOR: &str = "\
pwkit door 1
on_context_create always
on_configure always
on_request_headers hook
on_request_body hook
on_request_trailers hook
on_response_headers hook
on_response_body hook
on_response_trailers hook
on_log hook
on_done hook
on_delete state
on_tick if proxy_set_tick_period_milliseconds
on_queue_ready if proxy_register_shared_queue
on_http_call_response if proxy_http_call
on_grpc_receive_initial_metadata if proxy_grpc_stream
on_grpc_receive if proxy_grpc_call proxy_grpc_stream
on_grpc_receive_trailing_metadata if proxy_grpc_stream
on_grpc_close if proxy_grpc_call proxy_grpc_stream
together on_request_headers on_request_body on_request_trailers if pwkit_later
together on_response_headers on_response_body on_response_trailers if pwkit_later
brief on_request_headers unless pwkit_later
";

/// The filter that overrides nothing. A hook with the same code as its hook is not needed.
pub struct Untouched;

impl HttpFilter for Untouched {}

/// The contexts of a VM.
pub struct Contexts<E: Extension> {
    plugins: RefCell<Vec<(u32, Plugin<E>)>>,
    streams: RefCell<Streams<E::Filter>>,
    /// Which plugin a brief stream belongs to, for the moment between its creation and its only hook.
    parents: [Cell<(u32, u32)>; PARENTS],
}

const PARENTS: usize = 64;

type Streams<F> = HashMap<u32, Rc<HttpStream<F>>, BuildHasherDefault<IdHasher>>;

impl<E: Extension> Contexts<E> {
    /// None.
    #[expect(clippy::new_without_default, reason = "a static needs a constant function")]
    pub const fn new() -> Self {
        Self {
            plugins: RefCell::new(Vec::new()),
            streams: RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())),
            parents: [const { Cell::new((0, 0)) }; PARENTS],
        }
    }

    /// `proxy_on_context_create`.
    pub fn create(&self, id: u32, parent: u32) {
        if parent == 0 {
            self.plugins.borrow_mut().push((id, Plugin::new(id)));
        } else if let Some(stream) = self.plugin(parent, |plugin| plugin.open(id)) {
            self.streams.borrow_mut().insert(id, stream);
        }
    }

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

    fn plugin<T>(&self, id: u32, callback: impl FnOnce(&Plugin<E>) -> T) -> Option<T> {
        let plugins = self.plugins.borrow();
        plugins.iter().find(|(plugin, _)| *plugin == id).map(|(_, plugin)| callback(plugin))
    }

    fn stream(&self, id: u32, callback: impl FnOnce(&Rc<HttpStream<E::Filter>>) -> Action) -> u32 {
        let stream = self.streams.borrow().get(&id).cloned();
        // Without its plugin a stream fails closed.
        stream.as_ref().map_or_else(without_plugin, callback).into()
    }

    /// `proxy_on_configure`.
    pub fn configure(&self, id: u32, _size: u32) -> u32 {
        let mut plugins = self.plugins.borrow_mut();
        let plugin = plugins.iter_mut().find(|(plugin, _)| *plugin == id);
        plugin.is_some_and(|(_, plugin)| plugin.configure()).into()
    }

    /// `proxy_on_request_headers`.
    pub fn request_headers(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        self.stream(id, |stream| stream.request_headers(end_of_stream != 0))
    }

    /// `proxy_on_request_headers`, where streams are brief: the stream begins and ends here.
    pub fn request_headers_brief(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        let parent = self.place(id).map(Cell::get).filter(|(stream, _)| *stream == id);
        let action = parent.and_then(|(_, parent)| {
            self.plugin(parent, |plugin| plugin.brief_request_headers(id, end_of_stream != 0))
        });
        action.unwrap_or_else(without_plugin).into()
    }

    /// `proxy_on_request_body`.
    pub fn request_body(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.stream(id, |stream| stream.request_body(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_request_trailers`.
    pub fn request_trailers(&self, id: u32, _count: u32) -> u32 {
        self.stream(id, HttpStream::request_trailers)
    }

    /// `proxy_on_response_headers`.
    pub fn response_headers(&self, id: u32, _count: u32, end_of_stream: u32) -> u32 {
        self.stream(id, |stream| stream.response_headers(end_of_stream != 0))
    }

    /// `proxy_on_response_body`.
    pub fn response_body(&self, id: u32, size: u32, end_of_stream: u32) -> u32 {
        self.stream(id, |stream| stream.response_body(bytes(size), end_of_stream != 0))
    }

    /// `proxy_on_response_trailers`.
    pub fn response_trailers(&self, id: u32, _count: u32) -> u32 {
        self.stream(id, HttpStream::response_trailers)
    }

    /// `proxy_on_log`.
    pub fn log(&self, id: u32) {
        let stream = self.streams.borrow().get(&id).cloned();
        if let Some(stream) = stream {
            stream.log();
        }
    }

    /// `proxy_on_done`. The context may be deleted at once.
    pub fn done(&self, id: u32) -> u32 {
        let stream = self.streams.borrow().get(&id).cloned();
        match stream {
            Some(stream) => stream.done(),
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
        let stream = self.streams.borrow_mut().remove(&id);
        if stream.is_none() {
            let mut plugins = self.plugins.borrow_mut();
            let found = plugins.iter().position(|(plugin, _)| *plugin == id);
            let plugin = found.map(|index| plugins.swap_remove(index));
            drop(plugins);
            drop(plugin);
        }
    }
}

fn bytes(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

impl From<Action> for u32 {
    fn from(action: Action) -> Self {
        match action {
            Action::Continue => 0,
            Action::Pause => 1,
        }
    }
}

/// Spreads ids, which the proxy counts up and nobody else chooses.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
