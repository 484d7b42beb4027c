//! A module in a VM: instantiated, initialised, and entered as a guest of the engine.

use super::limits::Limits;
use super::module::Module;
use super::phase::Phase;
use super::{callbacks, compile, link, random};
use crate::engine::{Call, Guest, Refusal, Shared, Trap};
use crate::module::AbiVersion;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::{Error, Extern, Func, Memory, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, Val};

/// What host functions find of their VM.
pub(super) struct State {
    pub(super) vm: Shared,
    pub(super) abi: AbiVersion,
    pub(super) limits: Arc<Limits>,
    pub(super) memory: Option<Memory>,
    pub(super) allocator: Option<TypedFunc<u32, u32>>,
    pub(super) phase: Phase,
    /// Bytes that passed between guest and host since the guest was entered.
    pub(super) taken: Cell<usize>,
    pub(super) random: random::Source,
    limiter: StoreLimits,
}

impl State {
    pub(super) fn new(module: &Module, vm: &Shared) -> Self {
        let limits = Arc::new(module.limits().clone());
        let limiter =
            StoreLimitsBuilder::new().memory_size(limits.memory).table_elements(limits.table_elements);
        Self {
            random: random::Source::new(vm.borrow().random()),
            vm: vm.clone(),
            abi: module.info().abi,
            limiter: limiter.instances(1).memories(1).tables(100).build(),
            limits,
            memory: None,
            allocator: None,
            phase: Phase::Initialising,
            taken: Cell::new(0),
        }
    }
}

/// A running module.
pub struct Instance {
    store: Store<State>,
    exports: BTreeMap<String, Export>,
    instructions: u64,
    /// As long as it is held, no other module has its identity.
    _module: Module,
}

/// A function that the proxy may call.
#[derive(Clone, Copy)]
struct Export {
    function: Func,
    returns: bool,
}

impl Instance {
    /// Instantiates and initialises a module. A trap on the way fails the VM.
    pub fn new(module: &Module, vm: &Shared) -> Result<Self, Refusal> {
        let mut store = Store::new(compile::engine(), State::new(module, vm));
        store.limiter(|state| &mut state.limiter);
        let (exports, _module) = (BTreeMap::new(), module.clone());
        let mut instance = Self { store, exports, instructions: 0, _module };
        let outcome = instance.instantiate(module).and_then(|()| instance.initialise());
        match outcome {
            Ok(()) => Ok(instance),
            Err(trap) => {
                vm.borrow_mut().fail(trap.0.clone());
                Err(Refusal::Failed(trap.0))
            }
        }
    }

    fn instantiate(&mut self, module: &Module) -> Result<(), Trap> {
        let failed = |error: Error| Trap(format!("the module does not start: {}", reason(&error)));
        let mut linker = link::linker(module.info().abi);
        link::offer_storage(&mut linker, &mut self.store, module).map_err(failed)?;
        // The start section of a module runs here.
        let instance = self.metered(|store| linker.instantiate(store, module.compiled())).map_err(failed)?;
        let exports: Vec<_> = instance
            .exports(&mut self.store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect();
        for (name, export) in exports {
            match export {
                Extern::Memory(memory) => self.store.data_mut().memory = Some(memory),
                Extern::Func(function) => {
                    if let Some(signature) = callbacks::signature(&name, module.info().abi) {
                        self.exports.insert(name, Export { function, returns: signature.returns() });
                    }
                }
                _ => {}
            }
        }
        let allocator = self.exports.get(module.info().allocator).map(|export| export.function);
        let allocator = allocator.map(|function| function.typed(&self.store)).transpose().map_err(failed)?;
        self.store.data_mut().allocator = allocator;
        Ok(())
    }

    /// Runs what a reactor or a command runs first (row 2).
    fn initialise(&mut self) -> Result<(), Trap> {
        if self.exports.contains_key("_initialize") {
            self.enter("_initialize", &[])?;
            self.enter("main", &[Val::I32(0), Val::I32(0)])?;
        } else {
            self.enter("_start", &[])?;
        }
        self.store.data_mut().phase = Phase::Running;
        Ok(())
    }

    /// Calls an export, if there is such a one.
    fn enter(&mut self, name: &str, arguments: &[Val]) -> Result<u32, Trap> {
        let Some(Export { function, returns }) = self.exports.get(name).copied() else { return Ok(0) };
        let mut results = [Val::I32(0)];
        let results = if returns { &mut results[..] } else { &mut [] };
        self.store.data_mut().taken.set(0);
        let called = self.metered(|store| function.call(store, arguments, results));
        called.map_err(|error| Trap(format!("{name}: {}", reason(&error))))?;
        Ok(results.first().and_then(Val::i32).unwrap_or_default().cast_unsigned())
    }

    /// Runs guest code with the instructions that one callback may execute, and adds up those that it did.
    fn metered<T>(
        &mut self,
        run: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let limit = self.store.data().limits.instructions;
        self.store.set_fuel(limit)?;
        let result = run(&mut self.store);
        self.instructions += limit.saturating_sub(self.store.get_fuel()?);
        result
    }
}

impl Guest for Instance {
    fn has(&self, call: &Call) -> bool {
        self.exports.contains_key(call.name())
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        let arguments = callbacks::arguments(call, self.store.data().abi);
        self.enter(call.name(), &arguments)
    }

    fn instructions(&self) -> Option<u64> {
        Some(self.instructions)
    }

    fn memory(&self) -> Option<u64> {
        let memory = self.store.data().memory?;
        u64::try_from(memory.data_size(&self.store)).ok()
    }
}

/// Why guest code ended, without the path that led there.
pub(super) fn reason(error: &Error) -> String {
    error.root_cause().to_string().replace('\n', " ")
}
