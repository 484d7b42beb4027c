//! deny.toml without cargo-deny, whose installation takes minutes: licences, duplicate versions, bans, sources.
//! Advisories need the network, and `cargo deny check advisories`.

use std::collections::{BTreeMap, BTreeSet};

use proxy_wasm_kit_tests::{Metadata, Package, assert_none, cargo, read, relative, root, tree_of};
use serde::Deserialize;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Entry>,
    deny: Vec<Entry>,
}

/// A crate, as `name` or `name@version`, and why it is named.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

fn deny() -> Deny {
    toml::from_str(&read("deny.toml")).expect("deny.toml has the form that is checked here")
}

fn foreign(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.packages.iter().filter(|package| package.source.is_some())
}

#[test]
fn licences_are_allowed() {
    let allowed = deny().licenses.allow;
    let metadata = Metadata::read();
    let refused = metadata.packages.iter().filter(|package| !is_licensed(package, &allowed));
    let complaints: Vec<String> = refused
        .map(|package| format!("{}: {:?} is not allowed by deny.toml", package.name, package.license))
        .collect();
    assert_none(&complaints);
}

fn is_licensed(package: &Package, allowed: &[String]) -> bool {
    let expression = package.license.as_deref().unwrap_or_default();
    spdx::Expression::parse_mode(expression, spdx::ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(|one| allowed.contains(&one.to_string())))
}

#[test]
fn every_allowed_licence_is_needed() {
    let metadata = Metadata::read();
    let all = deny().licenses.allow;
    let idle = all.iter().filter(|licence| {
        let others: Vec<String> = all.iter().filter(|other| other != licence).cloned().collect();
        metadata.packages.iter().all(|package| is_licensed(package, &others))
    });
    assert_none(
        &idle.map(|licence| format!("deny.toml allows {licence}, and nothing needs it")).collect::<Vec<_>>(),
    );
}

#[test]
fn no_crate_comes_in_two_versions() {
    let skipped: BTreeSet<String> = deny().bans.skip.into_iter().map(|entry| entry.name).collect();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in duplicates() {
        if !skipped.contains(&name) && !skipped.contains(&format!("{name}@{version}")) {
            versions.entry(name).or_default().insert(version);
        }
    }
    let twice = versions.iter().filter(|(_, versions)| versions.len() > 1);
    let complaints = twice.map(|(name, versions)| {
        format!("{name} comes in versions {versions:?}: align them, or skip one in deny.toml")
    });
    assert_none(&complaints.collect::<Vec<_>>());
}

/// Name and version of what is built in more than one version. `cargo tree` tells it and not `cargo metadata`, which
/// also lists what is locked for a feature that nobody switches on.
fn duplicates() -> Vec<(String, String)> {
    let arguments = "tree --workspace --all-features --locked --duplicates --target=all --edges=normal,build,dev --depth=0 --prefix=none";
    let tree = cargo(&arguments.split(' ').collect::<Vec<_>>());
    let pairs = tree.lines().filter_map(|line| line.split_once(" v"));
    pairs
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned()))
        .collect()
}

#[test]
fn exceptions_have_a_reason_and_are_needed() {
    let Bans { skip, deny } = deny().bans;
    let metadata = Metadata::read();
    let known = |entry: &Entry| {
        let (name, version) = entry.name.split_once('@').unwrap_or((&entry.name, ""));
        foreign(&metadata).any(|package| package.name == name && package.version.starts_with(version))
    };
    let idle =
        skip.iter().filter(|entry| !known(entry)).map(|entry| format!("skip of {}: not in use", entry.name));
    let mute = skip.iter().chain(&deny).filter(|entry| entry.reason.trim().is_empty());
    let banned =
        deny.iter().filter(|entry| known(entry)).map(|entry| format!("{}: {}", entry.name, entry.reason));
    let complaints = idle.chain(mute.map(|entry| format!("{}: no reason given", entry.name))).chain(banned);
    assert_none(&complaints.collect::<Vec<_>>());
}

#[test]
fn everything_comes_from_one_registry() {
    let metadata = Metadata::read();
    let sources: BTreeSet<&str> =
        foreign(&metadata).filter_map(|package| package.source.as_deref()).collect();
    assert!(sources.len() == 1 && sources.iter().all(|one| one.starts_with("registry+")), "{sources:?}");
}

#[test]
fn every_dependency_is_used() {
    let metadata = Metadata::read();
    let mut idle = Vec::new();
    for member in metadata.members() {
        let sources: String = tree_of(&root().join(member.folder()))
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|path| read(&relative(path)))
            .collect();
        let unnamed =
            member.dependencies.iter().filter(|edge| !sources.contains(&edge.name.replace('-', "_")));
        idle.extend(unnamed.map(|edge| format!("{}: no source names {}", member.name, edge.name)));
    }
    assert_none(&idle);
}

#[test]
fn every_shared_version_is_used() {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        dependencies: BTreeMap<String, toml::Value>,
    }
    let manifest: Manifest = toml::from_str(&read("Cargo.toml")).expect("the root's manifest is TOML");
    let metadata = Metadata::read();
    let used: BTreeSet<&str> =
        metadata.members().flat_map(|member| &member.dependencies).map(|edge| edge.name.as_str()).collect();
    let idle = manifest.workspace.dependencies.keys().filter(|name| !used.contains(name.as_str()));
    assert_none(&idle.map(|name| format!("Cargo.toml: no member depends on {name}")).collect::<Vec<_>>());
}

/// Features are united over what is built at once. Where a member alone had others than the workspace, `cargo test -p` of
/// it would compile wasmtime again, for minutes, after `cargo test --workspace` has.
#[test]
fn a_member_alone_has_the_features_of_the_workspace() {
    let metadata = Metadata::read();
    let whole = features(&metadata, &["--workspace"]);
    let mut differing = Vec::new();
    for member in metadata.members() {
        let alone = features(&metadata, &["--package", &member.name]);
        if alone.iter().any(|one| one.starts_with("wasmtime v")) {
            differing.extend(alone.difference(&whole).map(|one| {
                format!(
                    "{} alone builds {one}: ask for the features of the workspace in host/Cargo.toml",
                    member.name
                )
            }));
        }
    }
    assert_none(&differing);
}

/// The foreign crates with their features, as cargo builds them for these members and their tests.
fn features(metadata: &Metadata, of: &[&str]) -> BTreeSet<String> {
    let arguments = ["tree", "--locked", "--prefix=none", "--edges=normal,dev", "--format={p} {f}"];
    let tree = cargo(&[&arguments, of].concat());
    let is_member =
        |line: &str| metadata.members().any(|member| line.starts_with(&format!("{} v", member.name)));
    let foreign = tree.lines().filter(|line| !is_member(line));
    foreign.map(|line| line.trim_end_matches(" (*)").trim_end().to_owned()).collect()
}
