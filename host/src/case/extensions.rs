//! The cases of all extensions, each with the module that it is run on.

use std::path::{Path, PathBuf};

use super::harness::Test;
use super::{Case, load};

/// Set to make a failure of what is skipped.
const REQUIRE: [&str; 2] = ["CI", "PWKIT_REQUIRE_ENVOY"];

/// Where the modules of extensions are: the one of `basic-auth` is `basic_auth.wasm`.
pub(super) struct Modules {
    /// What runs them, for messages.
    pub(super) host: &'static str,
    pub(super) folder: PathBuf,
    /// What is skipped fails.
    pub(super) required: bool,
}

impl Modules {
    pub(super) fn new(host: &'static str, folder: &Path) -> Self {
        let required = REQUIRE.iter().any(|name| std::env::var_os(name).is_some());
        Self { host, folder: folder.into(), required }
    }

    /// A test for each case of each extension in the folder `extensions`; `test` makes it from the test's name, the
    /// module and the case.
    pub(super) fn tests(
        &self,
        extensions: &Path,
        mut test: impl FnMut(String, &Path, Case) -> Test,
    ) -> Vec<Test> {
        match folders(extensions) {
            Ok(folders) => folders.iter().flat_map(|folder| self.of_extension(folder, &mut test)).collect(),
            Err(error) => vec![Test::broken("extensions", error)],
        }
    }

    /// Says aloud that cases do not run.
    pub(super) fn skipped(&self, what: &str, why: &str) -> Vec<Test> {
        eprintln!("SKIPPED {}, {what}: {why}", self.host);
        if self.required {
            vec![Test::broken(what, format!("skipped, but required here: {why}"))]
        } else {
            Vec::new()
        }
    }

    fn of_extension(&self, folder: &Path, test: &mut impl FnMut(String, &Path, Case) -> Test) -> Vec<Test> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plugin = name.replace('-', "_");
        let module = self.folder.join(format!("{plugin}.wasm"));
        let files = match load::files(&folder.join("cases")) {
            Ok(files) => files,
            Err(error) => return vec![Test::broken(name, error)],
        };
        if !module.is_file() {
            return self
                .skipped(&name, &format!("there is no module {}; run scripts/build", module.display()));
        }
        files
            .iter()
            .flat_map(|file| of_file(&name, &plugin, file, |name, case| test(name, &module, case)))
            .collect()
    }
}

fn folders(extensions: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error: std::io::Error| format!("{}: cannot be read: {error}", extensions.display());
    let entries = std::fs::read_dir(extensions).map_err(cannot)?;
    let mut folders: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    if folders.is_empty() {
        Err(format!("{}: holds no extension", extensions.display()))
    } else {
        Ok(folders)
    }
}

fn of_file(
    extension: &str,
    plugin: &str,
    file: &Path,
    mut test: impl FnMut(String, Case) -> Test,
) -> Vec<Test> {
    match load(file, plugin) {
        Ok(cases) => {
            cases.into_iter().map(|case| test(format!("{extension}::{}", case.test_name()), case)).collect()
        }
        Err(error) => {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            vec![Test::broken(format!("{extension}::{file}"), error.to_string())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(required: bool) -> Modules {
        Modules { host: "a host", folder: "nowhere".into(), required }
    }

    fn none(_: String, _: &Path, _: Case) -> Test {
        Test::broken("unexpected", "there is no module to run a case on")
    }

    /// A folder of extensions with one that has the given cases.
    fn extensions(name: &str, cases: Option<&str>) -> PathBuf {
        let root = std::env::temp_dir().join(format!("pwkit-extensions-{}-{name}", std::process::id()));
        let extension = root.join("some-plugin");
        std::fs::create_dir_all(extension.join("cases")).unwrap();
        std::fs::write(extension.join("Cargo.toml"), "").unwrap();
        if let Some(cases) = cases {
            std::fs::write(extension.join("cases/a.yaml"), cases).unwrap();
        }
        root
    }

    fn only(tests: Vec<Test>) -> Result<(), String> {
        let [only] = tests.try_into().ok().unwrap();
        Test::verdict(only)
    }

    #[test]
    fn without_a_module_cases_are_skipped_unless_they_are_required() {
        let cases = "about: x\ncases: [{name: a, expect: {log: [x]}}]\n";
        let extensions = extensions("skipped", Some(cases));
        assert!(modules(false).tests(&extensions, none).is_empty());
        let failure = only(modules(true).tests(&extensions, none)).unwrap_err();
        assert!(failure.contains("required here") && failure.contains("scripts/"), "{failure}");
        std::fs::remove_dir_all(extensions).unwrap();
    }

    #[test]
    fn an_extension_without_cases_fails() {
        let extensions = extensions("none", None);
        assert!(only(modules(false).tests(&extensions, none)).unwrap_err().contains("holds no cases"));
        let empty = extensions.join("some-plugin/cases");
        assert!(only(modules(false).tests(&empty, none)).unwrap_err().contains("holds no extension"));
        std::fs::remove_dir_all(extensions).unwrap();
    }
}
