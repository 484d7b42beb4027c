//! What a proxy offers to a module, and whether that is what the module imports.

use super::error::Problem;
use super::instance::State;
use super::module::Module;
use super::{compile, shims, wasi};
use crate::engine::Vm;
use crate::exchange::Setup;
use crate::module::AbiVersion;
use wasmtime::{Extern, ExternType, FuncType, Linker, Memory, Ref, Store, Table};

/// Everything that a module of this version can import.
pub(super) fn linker(abi: AbiVersion) -> Linker<State> {
    let mut linker = Linker::new(compile::engine());
    let offered = shims::offer(&mut linker, abi).and_then(|()| wasi::offer(&mut linker));
    offered.expect("no function is offered twice");
    linker
}

/// Compares what a module imports with what it would get.
pub(super) fn check(module: &Module) -> Result<(), Problem> {
    let vm = Vm::shared(Setup::default());
    let mut store = Store::new(compile::engine(), State::new(module, &vm));
    let linker = linker(module.info().abi);
    let mut unknown = Vec::new();
    for import in module.compiled().imports() {
        let name = format!("{}.{}", import.module(), import.name());
        let offered = linker.get(&mut store, import.module(), import.name());
        match (import.ty(), offered) {
            (ExternType::Func(declared), Ok(Extern::Func(offered))) => {
                let (declared, offered) = (describe(&declared), describe(&offered.ty(&store)));
                if declared != offered {
                    return Err(Problem::ImportType { name, declared, offered });
                }
            }
            (ExternType::Memory(memory), _) if !memory.is_shared() => {}
            (ExternType::Table(_), _) => {}
            _ => unknown.push(name),
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(Problem::UnknownImports(unknown)) }
}

/// Makes the memory and the tables that a module imports rather than brings, as the proxy does.
pub(super) fn offer_storage(
    linker: &mut Linker<State>,
    store: &mut Store<State>,
    module: &Module,
) -> wasmtime::Result<()> {
    for import in module.compiled().imports() {
        let made: Extern = match import.ty() {
            ExternType::Memory(ty) => {
                let memory = Memory::new(&mut *store, ty)?;
                store.data_mut().memory = Some(memory);
                memory.into()
            }
            ExternType::Table(ty) => {
                let empty = Ref::null(ty.element().heap_type());
                Table::new(&mut *store, ty, empty)?.into()
            }
            _ => continue,
        };
        linker.define(&mut *store, import.module(), import.name(), made)?;
    }
    Ok(())
}

/// A type as people write it.
pub(super) fn describe(ty: &FuncType) -> String {
    let join = |types: Vec<String>| types.join(", ");
    let (parameters, results) = (ty.params(), ty.results());
    let text =
        |types: &mut dyn Iterator<Item = wasmtime::ValType>| join(types.map(|ty| ty.to_string()).collect());
    format!("({}) -> ({})", text(&mut parameters.into_iter()), text(&mut results.into_iter()))
}
