//! The guests of the host's tests that are written in Rust, as modules: on the `proxy-wasm` crate, and on the raw ABI.
//!
//! Their packages are made here, with the versions that the workspace has locked: a member of the workspace that is a
//! module would have to be an extension. One call of cargo builds all of them.

use crate::{cargo, read, root};
use std::path::{Path, PathBuf};

/// A package: its name, and what it is made of.
struct Package {
    name: &'static str,
    /// The folder of the host's tests with its source, and the name of that.
    source: (&'static str, &'static str),
    dependencies: &'static str,
    feature: &'static str,
}

const PACKAGES: [Package; 6] = [
    plain("puppet", ("cases_native", "puppet"), "proxy-wasm = \"0.2\"\nserde_json = \"1\""),
    plain("plain", ("examples", "plain"), "getrandom = \"0.4\"\nlog = \"0.4\"\nproxy-wasm = \"0.2\""),
    raw("raw_v0_1_0", "v0_1_0"),
    raw("raw_v0_2_0", "v0_2_0"),
    raw("raw_v0_2_1", "v0_2_1"),
    Package { name: "remote", source: ("rows/guest", "remote"), dependencies: "", feature: "" },
];

/// The versions of the ABI that the examples exist in without a crate, as names of modules.
pub const RAW: [&str; 3] = ["raw_v0_1_0", "raw_v0_2_0", "raw_v0_2_1"];

const fn plain(
    name: &'static str,
    source: (&'static str, &'static str),
    dependencies: &'static str,
) -> Package {
    Package { name, source, dependencies, feature: "" }
}

const fn raw(name: &'static str, feature: &'static str) -> Package {
    Package { name, source: ("examples", "raw"), dependencies: "", feature }
}

/// Builds all guests, and returns the folder of the modules. `target` is Cargo's folder for what tests make.
pub fn build(target: &str) -> PathBuf {
    let folder = &Path::new(target).join("guests");
    let names = PACKAGES.map(|package| format!("{:?}", package.name)).join(", ");
    write(&folder.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = [{names}]\n"));
    write(&folder.join("Cargo.lock"), &read("Cargo.lock"));
    PACKAGES.iter().for_each(|package| package.write(folder));
    let path = |path: PathBuf| path.to_str().expect("the target folder has a name that is text").to_owned();
    let (manifest, built) = (path(folder.join("Cargo.toml")), path(folder.join("target")));
    // A target folder of its own: the one of the workspace is locked while tests are built.
    let flags = ["--release", "--quiet", "--target=wasm32-wasip1", "--target-dir", &built];
    cargo(&[&["build", "--manifest-path", &manifest], flags.as_slice()].concat());
    PathBuf::from(built).join("wasm32-wasip1/release")
}

impl Package {
    fn write(&self, folder: &Path) {
        let Self { name, source: (place, source), dependencies, feature } = self;
        let features =
            if feature.is_empty() { String::new() } else { format!("default = [\"{feature}\"]\n") };
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\n\
             [features]\n{features}v0_1_0 = []\nv0_2_0 = []\nv0_2_1 = []\n\n[dependencies]\n{dependencies}\n"
        );
        // On the crate, a guest has an entry that the back ends share; the others are modules as they are.
        let entry = if dependencies.contains("proxy-wasm") {
            format!("proxy_wasm::main! {{{{ guest::{source}::initialize(); }}}}")
        } else {
            String::new()
        };
        let place = root().join("host/tests").join(place);
        // Within a module of this path the source finds its own modules.
        let library = format!(
            "#![deny(warnings)]\n#[path = {place:?}]\nmod guest {{ pub(crate) mod {source}; }}\n{entry}\n"
        );
        write(&folder.join(name).join("Cargo.toml"), &manifest);
        write(&folder.join(name).join("lib.rs"), &library);
    }
}

/// Writes a file, unless it is there as it shall be: cargo would build again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).expect("the target folder can be written to");
        std::fs::write(path, text).expect("the target folder can be written to");
    }
}
