//! The parts of a module, read without judging them.

use std::collections::BTreeMap;

use super::abi;
use proxy_wasm_kit_host::module::{AbiVersion, Module, ModuleError};
use serde::Serialize;
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FuncType, Parser, Payload, TypeRef, ValType,
};

/// A module in parts.
#[derive(Default, Serialize)]
pub(super) struct Anatomy {
    pub(super) bytes: usize,
    /// `0.2.1`; none if Envoy would not take the module for its versions or its allocator.
    pub(super) abi: Option<&'static str>,
    pub(super) allocator: Option<&'static str>,
    pub(super) memory: Option<Memory>,
    pub(super) sections: Vec<Section>,
    pub(super) exports: Vec<Export>,
    pub(super) imports: Vec<Import>,
    /// Whether it exports exactly one version that Envoy knows.
    #[serde(skip)]
    pub(super) has_one_version: bool,
    /// Whether code runs while the module is being loaded.
    #[serde(skip)]
    pub(super) starts: bool,
}

/// The memory that the module defines, in pages of 64 KiB.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) initial_pages: u64,
    pub(super) maximum_pages: Option<u64>,
}

/// A part of the file.
#[derive(Serialize)]
pub(super) struct Section {
    pub(super) name: String,
    /// Whether it is a custom section, which no proxy executes.
    pub(super) custom: bool,
    pub(super) bytes: usize,
}

/// Something that the proxy finds in the module.
#[derive(Serialize)]
pub(super) struct Export {
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// Of a function, as in [`abi`].
    #[serde(skip)]
    pub(super) signature: Option<String>,
}

/// Something that the module wants from the proxy.
#[derive(Serialize)]
pub(super) struct Import {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) known: Known,
    #[serde(skip)]
    pub(super) signature: Option<String>,
}

/// Where an import is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Known {
    Abi,
    Wasi,
    Unknown,
}

impl Anatomy {
    pub(super) fn read(code: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut anatomy = Self { bytes: code.len(), ..Self::default() };
        let mut types = Types::default();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(code) {
            let payload = payload?;
            anatomy.measure(&payload);
            match payload {
                Payload::TypeSection(section) => types.define(section)?,
                Payload::FunctionSection(section) => {
                    for index in section {
                        types.functions.push(index?);
                    }
                }
                Payload::ImportSection(section) => anatomy.import(section, &mut types)?,
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory?;
                        anatomy.memory =
                            Some(Memory { initial_pages: memory.initial, maximum_pages: memory.maximum });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        exports.push(export?);
                    }
                }
                Payload::StartSection { .. } => anatomy.starts = true,
                _ => {}
            }
        }
        anatomy.exports = exports.into_iter().map(|export| types.export(&export)).collect();
        anatomy.classify(code);
        Ok(anatomy)
    }

    /// What the host says of it, whose reading is Envoy's.
    fn classify(&mut self, code: &[u8]) {
        match Module::read(code) {
            Ok(module) => {
                self.abi = Some(version(module.abi));
                self.allocator = Some(module.allocator);
                self.has_one_version = true;
            }
            Err(error) => self.has_one_version = matches!(error, ModuleError::NoAllocator),
        }
        let old = self.speaks_old_abi();
        for import in &mut self.imports {
            let of_abi = import.namespace == "env" && abi::host_function(&import.name, old).is_some();
            let of_wasi = abi::is_wasi(&import.namespace, &import.name);
            import.known = match (of_abi, of_wasi) {
                (true, _) => Known::Abi,
                (_, true) => Known::Wasi,
                _ => Known::Unknown,
            };
        }
    }

    pub(super) fn speaks_old_abi(&self) -> bool {
        self.abi == Some(version(AbiVersion::V0_1_0))
    }

    fn measure(&mut self, payload: &Payload<'_>) {
        let custom = match payload {
            Payload::CustomSection(custom) => Some(custom.name().to_owned()),
            _ => None,
        };
        let Some((id, range)) = payload.as_section() else { return };
        let name = custom.clone().unwrap_or_else(|| section_name(id).to_owned());
        let bytes = range.len();
        self.sections.push(Section { name, custom: custom.is_some(), bytes });
    }

    fn import(
        &mut self,
        section: wasmparser::ImportSectionReader<'_>,
        types: &mut Types,
    ) -> Result<(), BinaryReaderError> {
        for import in section.into_imports() {
            let import = import?;
            let (kind, signature) = match import.ty {
                TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                    types.functions.push(index);
                    ("function", types.signatures.get(&index).cloned())
                }
                TypeRef::Memory(_) => ("memory", None),
                TypeRef::Global(_) => ("global", None),
                TypeRef::Table(_) => ("table", None),
                TypeRef::Tag(_) => ("tag", None),
            };
            self.imports.push(Import {
                namespace: import.module.to_owned(),
                name: import.name.to_owned(),
                kind,
                known: Known::Unknown,
                signature,
            });
        }
        Ok(())
    }
}

/// Which function has which type.
#[derive(Default)]
struct Types {
    count: u32,
    signatures: BTreeMap<u32, String>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
}

impl Types {
    fn define(&mut self, section: wasmparser::TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for group in section {
            for defined in group?.into_types() {
                if let CompositeInnerType::Func(function) = &defined.composite_type.inner {
                    self.signatures.insert(self.count, signature(function));
                }
                self.count += 1;
            }
        }
        Ok(())
    }

    fn export(&self, export: &wasmparser::Export<'_>) -> Export {
        let kind = match export.kind {
            ExternalKind::Func | ExternalKind::FuncExact => "function",
            ExternalKind::Memory => "memory",
            ExternalKind::Global => "global",
            ExternalKind::Table => "table",
            ExternalKind::Tag => "tag",
        };
        let function = usize::try_from(export.index).ok().and_then(|index| self.functions.get(index));
        let signature = function.and_then(|index| self.signatures.get(index)).cloned();
        Export { name: export.name.to_owned(), kind, signature: signature.filter(|_| kind == "function") }
    }
}

fn signature(function: &FuncType) -> String {
    let letter = |kind: &ValType| match kind {
        ValType::I32 => 'i',
        ValType::I64 => 'l',
        ValType::F32 => 'f',
        ValType::F64 => 'd',
        ValType::V128 => 'v',
        ValType::Ref(_) => 'r',
    };
    let parameters: String = function.params().iter().map(letter).collect();
    parameters + ">" + &function.results().iter().map(letter).collect::<String>()
}

fn version(abi: AbiVersion) -> &'static str {
    match abi {
        AbiVersion::V0_1_0 => "0.1.0",
        AbiVersion::V0_2_0 => "0.2.0",
        AbiVersion::V0_2_1 => "0.2.1",
    }
}

fn section_name(id: u8) -> &'static str {
    const NAMES: [&str; 14] = [
        "custom",
        "type",
        "import",
        "function",
        "table",
        "memory",
        "global",
        "export",
        "start",
        "element",
        "code",
        "data",
        "data count",
        "tag",
    ];
    NAMES.get(usize::from(id)).copied().unwrap_or("unknown")
}
