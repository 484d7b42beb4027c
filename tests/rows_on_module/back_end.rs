//! The back end of the rows here: the hooks of a guest run in a thread of their own, and a module does what they say.

// As many arguments as the ABI has.
#[allow(clippy::too_many_arguments)]
pub(crate) mod imports;
#[path = "../../host/tests/rows/guest/remote/wire.rs"]
mod wire;

use crate::guest::{GUEST, Guest, Hook, run};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::encode_pairs;
use proxy_wasm_kit_host::exchange::{ForeignFunction, Setup};
use proxy_wasm_kit_host::wasm::{Limits, Module, Rejected};
use proxy_wasm_kit_tests::guest_modules;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;
use wire::{Reader, Writer};

pub(crate) use proxy_wasm_kit_host::wasm::Host;

/// What is said to the module.
const RETURN: u64 = 0;
const CALL: u64 = 1;
const PANIC: u64 = 2;

/// The module is what is counted.
pub(crate) const COUNTS_INSTRUCTIONS: bool = true;

/// Whether a VM has failed by a panic; its message is in the log.
pub(crate) fn failed_by(reason: Option<&str>, _message: &str) -> bool {
    reason.is_some_and(|reason| reason.ends_with("`unreachable` instruction executed"))
}

/// The host calls of the guest, without those of the test.
pub(crate) fn own_calls(calls: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    let own = calls.iter().filter(|(name, _)| *name != CHANNEL);
    own.map(|(name, count)| (name.clone(), *count)).collect()
}

/// How the module asks.
const CHANNEL: &str = "proxy_call_foreign_function";

/// Makes a callout. Its answer is the stream's own, as the `proxy-wasm` crate does it for its users.
pub(crate) fn http_call(cluster: &str, headers: Vec<(&str, &str)>, timeout: Duration) -> Result<u32, u32> {
    let pair = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let headers = encode_pairs(&headers.iter().map(pair).collect::<Vec<_>>());
    let (trailers, mut token) = (encode_pairs(&[]), 0);
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let (c, cs, h, hs) = (cluster.as_ptr(), cluster.len(), headers.as_ptr(), headers.len());
    let (t, ts) = (trailers.as_ptr(), trailers.len());
    // SAFETY: the pointers come from slices, or from the stack.
    let status = unsafe { imports::proxy_http_call(c, cs, h, hs, t, 0, t, ts, timeout, &mut token) };
    if status != 0 {
        return Err(status);
    }
    CALLS.with_borrow_mut(|calls| calls.insert(token, ENTERED.get()));
    Ok(token)
}

/// A guest, ready for several plugins or VMs: the hooks wait for what the module asks.
#[derive(Clone)]
pub(crate) struct Extension {
    module: Module,
    hooks: ForeignFunction,
}

static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let modules = guest_modules::build(env!("CARGO_TARGET_TMPDIR"));
    std::fs::read(modules.join("remote.wasm")).expect("the module has been built")
});

pub(crate) fn extension(guest: Guest) -> Extension {
    let module = module(MADE.replace(MADE.get() + 1));
    let (ask, asked) = channel();
    let (tell, told) = channel();
    std::thread::spawn(move || serve(guest, asked, &tell));
    let line = Mutex::new((ask, told));
    let hooks = ForeignFunction::new(move |question| {
        let line = line.lock().unwrap_or_else(PoisonError::into_inner);
        line.0.send(question.to_vec()).map_err(|_| HUNG_UP)?;
        line.1.recv().map_err(|_| HUNG_UP)
    });
    Extension { module, hooks }
}

thread_local! {
    /// How many guests this test has made.
    static MADE: Cell<u8> = const { Cell::new(0) };
}

/// The module for the guest of this number. Guests of one test are of different code, so that they have a VM each; tests
/// share it, so that it is compiled once.
fn module(number: u8) -> Module {
    static MODULES: Mutex<BTreeMap<u8, Module>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let load = || {
        // A section without meaning, named by a letter.
        let wasm = [WASM.as_slice(), &[0, 2, 1, b'a' + number]].concat();
        Module::load(&wasm, &Limits::default()).expect("the module of the rows is one")
    };
    modules.entry(number).or_insert_with(load).clone()
}

/// A status that nothing else gives.
const HUNG_UP: u32 = 77;

/// Starts plugins, which a request passes in this order.
pub(crate) fn start_chain(plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Result<Host, Rejected> {
    let plugins = prepared(plugins);
    Host::start_chain(plugins.iter().map(|(module, setup)| (module, setup.clone())))
}

/// Puts other plugins in the place of those that there are.
pub(crate) fn reconfigure(
    host: &Host,
    plugins: impl IntoIterator<Item = (Extension, Setup)>,
) -> Result<(), Rejected> {
    let plugins = prepared(plugins);
    host.reconfigure(plugins.iter().map(|(module, setup)| (module, setup.clone())))
}

fn prepared(plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Vec<(Module, Setup)> {
    let prepare = |(Extension { module, hooks }, mut setup): (Extension, Setup)| {
        setup.foreign_functions.insert("test".into(), hooks);
        let allowed = setup.allowed_capabilities.iter_mut().filter(|names| !names.is_empty());
        allowed.for_each(|names| {
            names.insert(CHANNEL.into());
        });
        (module, setup)
    };
    plugins.into_iter().map(prepare).collect()
}

/// The two ends of a guest's thread.
struct Line {
    asked: Receiver<Vec<u8>>,
    tell: Sender<Vec<u8>>,
}

thread_local! {
    static LINE: RefCell<Option<Line>> = const { RefCell::new(None) };
    /// The module has been told to panic, so it is told nothing more.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
    /// Contexts that are no streams.
    static ROOTS: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
    /// The context of the callback.
    static ENTERED: Cell<u32> = const { Cell::new(0) };
    /// Who has made which callout.
    static CALLS: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs hooks until nobody asks any more.
fn serve(guest: Guest, asked: Receiver<Vec<u8>>, tell: &Sender<Vec<u8>>) {
    GUEST.set(guest);
    LINE.set(Some(Line { asked, tell: tell.clone() }));
    while let Some(question) = next() {
        let mut question = Reader(&question);
        let callback = String::from_utf8_lossy(question.text()).into_owned();
        PANICKED.set(false);
        let words = [0; 5].map(|_| question.word() as u32);
        ENTERED.set(words[0]);
        let result = match callback.as_str() {
            "proxy_on_http_call_response" => called_back(&words),
            _ => answer(&callback, &words),
        };
        if !PANICKED.get() {
            let mut command = Writer::default();
            command.word(RETURN);
            command.word(result.into());
            let _ = tell.send(command.0);
        }
    }
}

fn next() -> Option<Vec<u8>> {
    LINE.with_borrow(|line| line.as_ref()?.asked.recv().ok())
}

/// Says something to the module, and waits for what comes of it; nothing comes of a panic.
fn say(command: Writer) -> Vec<u8> {
    let panic = command.0.starts_with(&PANIC.to_le_bytes());
    PANICKED.set(panic);
    LINE.with_borrow(|line| line.as_ref().map(|line| line.tell.send(command.0)));
    if panic { Vec::new() } else { next().unwrap_or_default() }
}

/// The answer to a callout: in the name of the stream that has made it, if that is still there.
fn called_back(&[root, token, _, size, _]: &[u32; 5]) -> u32 {
    let caller = CALLS.with_borrow_mut(|calls| calls.remove(&token)).unwrap_or(root);
    let is_root = ROOTS.with_borrow(|roots| roots.contains(&caller));
    // SAFETY: nothing is unsafe about a number.
    if is_root || unsafe { imports::proxy_set_effective_context(caller) } == 0 {
        run(|guest| &guest.answer, token, size as usize, is_root);
    }
    0
}

/// Runs the hook of a callback. What is returned for a start or an end is whether it went on.
fn answer(callback: &str, &[context, size, last, ..]: &[u32; 5]) -> u32 {
    let stream = !ROOTS.with_borrow(|roots| roots.contains(&context));
    let hook = |pick: fn(&Guest) -> &Option<Hook>| run(pick, context, size as usize, last != 0);
    let trailers = |pick: fn(&Guest) -> &Option<Hook>| run(pick, context, size as usize, true);
    let truth = |action: Action| u32::from(action == Action::Continue);
    let action = match callback {
        "proxy_on_context_create" if size == 0 => {
            ROOTS.with_borrow_mut(|roots| roots.insert(context));
            return 0;
        }
        "proxy_on_context_create" => run(|guest| &guest.create, context, 0, false),
        "proxy_on_vm_start" => return truth(hook(|guest| &guest.start)),
        "proxy_on_configure" => return truth(hook(|guest| &guest.configure)),
        "proxy_on_done" if stream => return truth(hook(|guest| &guest.done)),
        "proxy_on_done" => return truth(trailers(|guest| &guest.root_done)),
        "proxy_on_delete" if !stream => return 0,
        "proxy_on_delete" => hook(|guest| &guest.delete),
        "proxy_on_log" => hook(|guest| &guest.log),
        "proxy_on_tick" => hook(|guest| &guest.tick),
        "proxy_on_queue_ready" => hook(|guest| &guest.queue),
        "proxy_on_new_connection" => hook(|guest| &guest.connection),
        "proxy_on_downstream_data" => hook(|guest| &guest.downstream_data),
        "proxy_on_upstream_data" => hook(|guest| &guest.upstream_data),
        "proxy_on_downstream_connection_close" => trailers(|guest| &guest.downstream_close),
        "proxy_on_upstream_connection_close" => trailers(|guest| &guest.upstream_close),
        "proxy_on_request_headers" => hook(|guest| &guest.request_headers),
        "proxy_on_request_body" => hook(|guest| &guest.request_body),
        "proxy_on_request_trailers" => trailers(|guest| &guest.request_trailers),
        "proxy_on_response_headers" => hook(|guest| &guest.response_headers),
        "proxy_on_response_body" => hook(|guest| &guest.response_body),
        "proxy_on_response_trailers" => trailers(|guest| &guest.response_trailers),
        other => unreachable!("the module exports no {other}"),
    };
    action as u32
}
