//! Compiling modules, each once as long as anybody holds it.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use wasmtime::{Config, Engine, Module};

/// How deep a guest may call itself: about as much as V8 gives it. The thread of a VM has more (`vm_thread`).
const STACK: usize = 1024 * 1024;

type Compiled = BTreeMap<[u8; 32], Weak<Module>>;

/// By content. Machine code does not change, so hosts may share it.
static COMPILED: Mutex<Compiled> = Mutex::new(Compiled::new());

/// The compiler and its settings, the same for every module of the process.
pub(super) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        // Counts instructions, and ends what never would. One memory of 32 bits is all that the ABI can point into.
        config.consume_fuel(true).max_wasm_stack(STACK).wasm_memory64(false).wasm_multi_memory(false);
        Engine::new(&config).expect("the settings fit each other and this machine")
    })
}

/// The module's machine code. The error says what is invalid.
pub(super) fn compile(wasm: &[u8]) -> Result<Arc<Module>, String> {
    let key = Sha256::digest(wasm).into();
    // One at a time: the compiler uses all cores, and who asks for the same module waits for it.
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = compiled.get(&key).and_then(Weak::upgrade) {
        return Ok(module);
    }
    let module = Module::from_binary(engine(), wasm).map_err(|error| one_line(&error))?;
    let module = Arc::new(module);
    compiled.retain(|_, module| module.strong_count() > 0);
    compiled.insert(key, Arc::downgrade(&module));
    Ok(module)
}

/// An error of wasmtime with its causes.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
    causes.join(": ")
}
