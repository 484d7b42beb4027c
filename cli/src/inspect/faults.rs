//! What is wrong with a module, each with what to do about it.

use super::abi;
use super::anatomy::{Anatomy, Export, Import, Known};
use serde::Serialize;
use wasmparser::Validator;

/// One thing that is wrong.
#[derive(Serialize)]
pub(super) struct Fault {
    pub(super) severity: Severity,
    pub(super) text: String,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Envoy does not load the module, or never calls it.
    Error,
    /// It works, and surprises.
    Warning,
}

pub(super) fn find(anatomy: &Anatomy, code: &[u8]) -> Vec<Fault> {
    let invalid = Validator::new().validate_all(code).err();
    let invalid = invalid.map(|error| error_of(format!("is not valid WebAssembly: {error}; build it again")));
    invalid
        .into_iter()
        .chain(version(anatomy))
        .chain(allocator(anatomy))
        .chain(memory(anatomy))
        .chain(anatomy.imports.iter().filter_map(|import| unmet(import, anatomy.speaks_old_abi())))
        .chain(anatomy.exports.iter().filter_map(|export| mistyped(export, anatomy.speaks_old_abi())))
        .chain(surprises(anatomy))
        .collect()
}

fn error_of(text: String) -> Fault {
    Fault { severity: Severity::Error, text }
}

fn warning(text: String) -> Fault {
    Fault { severity: Severity::Warning, text }
}

/// Row 1 of the host: one version, and a place to put values.
fn version(anatomy: &Anatomy) -> Option<Fault> {
    if anatomy.has_one_version {
        return None;
    }
    let found = anatomy.exports.iter().filter(|export| export.name.starts_with("proxy_abi_version_"));
    let names: Vec<&str> = found.map(|export| export.name.as_str()).collect();
    let found = if names.is_empty() { "no ABI version".into() } else { names.join(" and ") };
    Some(error_of(format!(
        "exports {found}; Envoy wants exactly one of proxy_abi_version_0_1_0, _0_2_0 and _0_2_1, which the SDK exports"
    )))
}

fn allocator(anatomy: &Anatomy) -> Option<Fault> {
    let names = ["proxy_on_memory_allocate", "malloc"];
    let exported = anatomy.exports.iter().any(|export| names.contains(&export.name.as_str()));
    (!exported).then(|| {
        error_of("no export proxy_on_memory_allocate or malloc; the proxy has no place for a value".into())
    })
}

fn memory(anatomy: &Anatomy) -> Option<Fault> {
    let exported = anatomy.exports.iter().any(|export| export.kind == "memory" && export.name == "memory");
    (!exported).then(|| error_of("no export memory; the proxy cannot read or write a value".into()))
}

/// An import that no proxy satisfies.
fn unmet(import: &Import, old: bool) -> Option<Fault> {
    let Import { namespace, name, kind, .. } = import;
    if *kind != "function" {
        return Some(error_of(format!(
            "imports the {kind} {namespace}.{name}, and Envoy offers functions only; define it in the module"
        )));
    }
    match import.known {
        Known::Wasi => None,
        Known::Unknown => Some(error_of(format!(
            "imports {namespace}.{name}, which Envoy does not offer; remove what calls it"
        ))),
        Known::Abi => {
            let (wanted, offered) = (import.signature.as_deref()?, abi::host_function(name, old)?);
            (wanted != offered).then(|| {
                let (wanted, offered) = (type_text(wanted), type_text(offered));
                error_of(format!(
                    "imports {name} as {wanted}, and Envoy offers {offered}; correct the declaration"
                ))
            })
        }
    }
}

/// A callback that cannot be called as it is declared.
fn mistyped(export: &Export, old: bool) -> Option<Fault> {
    let (found, wanted) = (export.signature.as_deref()?, abi::callback(&export.name, old)?);
    (found != wanted).then(|| {
        let (found, wanted) = (type_text(found), type_text(wanted));
        error_of(format!("exports {} as {found}, and Envoy calls {wanted}; correct it", export.name))
    })
}

/// A type as people write it.
fn type_text(signature: &str) -> String {
    let name = |letter: char| match letter {
        'i' => "i32",
        'l' => "i64",
        'f' => "f32",
        'd' => "f64",
        'v' => "v128",
        _ => "reference",
    };
    let list = |letters: &str| letters.chars().map(name).collect::<Vec<_>>().join(", ");
    let (parameters, results) = signature.split_once('>').unwrap_or((signature, ""));
    let arrow = if results.is_empty() { String::new() } else { format!(" -> {}", list(results)) };
    format!("({}){arrow}", list(parameters))
}

fn surprises(anatomy: &Anatomy) -> Vec<Fault> {
    let mut found: Vec<Fault> = anatomy.exports.iter().filter_map(|export| misnamed(&export.name)).collect();
    if !anatomy.exports.iter().any(|export| abi::is_of_a_stream(&export.name)) {
        found.push(warning(
            "exports no callback of a request or a connection; traffic passes without being seen".into(),
        ));
    }
    if anatomy.starts {
        found.push(warning(
            "has a start section, which runs before the proxy can answer; export _initialize instead".into(),
        ));
    }
    if anatomy.sections.iter().any(|section| section.custom && section.name == proxy_wasm_kit_prune::SECTION)
    {
        let text =
            "is not pruned: a proxy enters it for each callback, used or not; `pwkit prune` cuts it down";
        found.push(warning(text.into()));
    }
    let debug =
        anatomy.sections.iter().filter(|section| section.custom && section.name.starts_with(".debug"));
    let bytes: usize = debug.map(|section| section.bytes).sum();
    if bytes > 0 {
        let share = bytes * 100 / anatomy.bytes.max(1);
        found.push(warning(format!(
            "{share} % of it is debug information, which every proxy has to fetch; set `strip = true` in the profile"
        )));
    }
    found
}

fn misnamed(name: &str) -> Option<Fault> {
    let unknown = name.starts_with("proxy_on_")
        && name != "proxy_on_memory_allocate"
        && abi::callback(name, false).is_none();
    unknown.then(|| warning(format!("exports {name}, which no proxy calls; compare the name with the ABI's")))
}
