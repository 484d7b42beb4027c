//! What the checks of this folder share: where the workspace is, what cargo knows of it, which files it holds.

pub mod guest_modules;
pub mod hand_written;
pub mod proxy;
pub mod running;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The part of `cargo metadata` that the checks ask about.
#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: Vec<String>,
    pub resolve: Resolve,
    pub target_directory: PathBuf,
}

#[derive(Deserialize)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    /// `None` for a member of the workspace.
    pub source: Option<String>,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// A line of a manifest.
#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` (a normal one), `dev` or `build`.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
pub struct Resolve {
    pub nodes: Vec<Node>,
}

#[derive(Deserialize)]
pub struct Node {
    pub id: String,
    pub deps: Vec<Edge>,
}

#[derive(Deserialize)]
pub struct Edge {
    pub pkg: String,
    pub dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
pub struct EdgeKind {
    pub kind: Option<String>,
}

impl Metadata {
    pub fn read() -> Self {
        let json = cargo(&["metadata", "--format-version=1", "--locked"]);
        serde_json::from_str(&json).expect("cargo metadata is JSON of the known form")
    }

    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.source.is_none())
    }

    pub fn package(&self, id: &str) -> &Package {
        self.packages.iter().find(|package| package.id == id).expect("an id of the resolve has its package")
    }
}

impl Package {
    /// The folder relative to the root of the workspace, such as `extensions/basic-auth`.
    pub fn folder(&self) -> String {
        let folder = self.manifest_path.parent().expect("a manifest lies in a folder");
        relative(folder)
    }

    pub fn is_extension(&self) -> bool {
        self.folder().starts_with("extensions/")
    }
}

/// What cargo prints for these arguments.
pub fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo starts");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "cargo {}: {}", arguments.join(" "), text(&output.stderr));
    text(&output.stdout)
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}

/// Where modules are as they ship: `$PWKIT_DIST`, or what scripts/build made.
pub fn modules() -> PathBuf {
    std::env::var_os("PWKIT_DIST").map_or_else(|| root().join("dist"), PathBuf::from)
}

/// The module of an extension, as it ships. Without one the caller skips, which is said aloud, and is a failure where a
/// real Envoy is required.
pub fn module(name: &str) -> Option<PathBuf> {
    let module = modules().join(format!("{name}.wasm"));
    if module.is_file() {
        return Some(module);
    }
    assert!(std::env::var_os("PWKIT_REQUIRE_ENVOY").is_none(), "there is no {}", module.display());
    // Not by a macro, whose output the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {}; run scripts/build", module.display());
    None
}

/// A path for messages: from the root of the workspace, with `/`.
pub fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// A file of the workspace as text.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file with this extension, as path from the root.
pub fn files(extension: &str) -> Vec<String> {
    let wanted = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    tree_of(root()).into_iter().filter(wanted).map(|path| relative(&path)).collect()
}

/// Every file below a folder, less history and what a build leaves behind.
pub fn tree_of(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, &mut found);
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the workspace can be read") {
        let path = entry.expect("an entry of a folder can be read").path();
        let built = [".git", "target", "dist", "fuzz/artifacts", "fuzz/corpus", "fuzz/target"];
        if built.contains(&relative(&path).as_str()) {
            continue;
        }
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

/// Fails with all complaints at once, one a line.
#[track_caller]
pub fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

/// A real Envoy: `$ENVOY`, or what scripts/envoy fetched before. Without one the caller skips, which is said aloud, and
/// is a failure where `$PWKIT_REQUIRE_ENVOY` is set.
pub fn envoy() -> Option<PathBuf> {
    let chosen = std::env::var_os("ENVOY").map(PathBuf::from);
    let found = chosen.or_else(|| fetched(&root().join("target/envoy")));
    if found.is_none() {
        assert!(
            std::env::var_os("PWKIT_REQUIRE_ENVOY").is_none(),
            "there is no Envoy; scripts/envoy fetches one"
        );
        // Not by a macro, whose output the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no Envoy; scripts/envoy fetches one");
    }
    found
}

fn fetched(store: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(store).ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path()));
    // Of several, the newest: 1.40.0 is after 1.9.0.
    let number = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
    };
    let newest = found.filter(|folder| folder.join("envoy").is_file()).max_by_key(number)?;
    Some(newest.join("envoy"))
}
