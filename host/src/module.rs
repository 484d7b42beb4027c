//! What a compiled module brings and wants, read without running it (row 1).

use std::fmt;
use wasmparser::{ExternalKind, Parser, Payload};

/// The versions of the ABI that Envoy knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbiVersion {
    /// 0.1.0.
    V0_1_0,
    /// 0.2.0.
    V0_2_0,
    /// 0.2.1.
    V0_2_1,
}

impl AbiVersion {
    const ALL: [(Self, &str); 3] = [
        (Self::V0_1_0, "proxy_abi_version_0_1_0"),
        (Self::V0_2_0, "proxy_abi_version_0_2_0"),
        (Self::V0_2_1, "proxy_abi_version_0_2_1"),
    ];
}

/// What can be said of a module that Envoy would load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The ABI it speaks.
    pub abi: AbiVersion,
    /// The export that the proxy allocates the guest's memory with.
    pub allocator: &'static str,
    /// The names of its exported functions, in order.
    pub exports: Vec<String>,
    /// Module and name of its imported functions, in order.
    pub imports: Vec<(String, String)>,
}

/// Why Envoy would not load a module.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModuleError {
    /// It is no WebAssembly module, or a damaged one.
    Malformed(wasmparser::BinaryReaderError),
    /// It exports no known ABI version.
    NoAbiVersion,
    /// It exports more than one ABI version.
    SeveralAbiVersions(Vec<AbiVersion>),
    /// It exports neither `proxy_on_memory_allocate` nor `malloc`.
    NoAllocator,
}

impl fmt::Display for ModuleError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(formatter, "not a WebAssembly module: {error}"),
            Self::NoAbiVersion => formatter.write_str("no export proxy_abi_version_0_1_0, _0_2_0 or _0_2_1"),
            Self::SeveralAbiVersions(versions) => {
                write!(formatter, "{} ABI versions exported, not one", versions.len())
            }
            Self::NoAllocator => formatter.write_str("no export proxy_on_memory_allocate or malloc"),
        }
    }
}

impl std::error::Error for ModuleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            _ => None,
        }
    }
}

impl Module {
    /// Reads a module.
    pub fn read(wasm: &[u8]) -> Result<Self, ModuleError> {
        let (exports, imports) = functions(wasm).map_err(ModuleError::Malformed)?;
        let has = |name: &str| exports.iter().any(|export| export == name);
        let versions: Vec<AbiVersion> =
            AbiVersion::ALL.into_iter().filter(|(_, name)| has(name)).map(|(version, _)| version).collect();
        let abi = match versions.as_slice() {
            [] => return Err(ModuleError::NoAbiVersion),
            [version] => *version,
            _ => return Err(ModuleError::SeveralAbiVersions(versions)),
        };
        // Envoy prefers `malloc` where there are both.
        let allocator = ["malloc", "proxy_on_memory_allocate"].into_iter().find(|name| has(name));
        let allocator = allocator.ok_or(ModuleError::NoAllocator)?;
        Ok(Self { abi, allocator, exports, imports })
    }
}

type Functions = (Vec<String>, Vec<(String, String)>);

fn functions(wasm: &[u8]) -> Result<Functions, wasmparser::BinaryReaderError> {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        exports.push(export.name.to_owned());
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    Ok((exports, imports))
}
