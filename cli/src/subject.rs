//! What `pwkit test` and `pwkit bench` work on: cases, and the module that they are about.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use proxy_wasm_kit_host::case::{self, Case};
use proxy_wasm_kit_host::wasm::{Limits, Module};

/// Which cases, and which module.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// A case file, a folder of them, or the folder of an extension
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// The module [default: dist/NAME.wasm beside or above the cases]
    ///
    /// NAME is that of the extension's folder, with _ for -.
    #[arg(long, value_name = "NAME.wasm")]
    module: Option<PathBuf>,
    /// Only cases whose name holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// The cases of one path.
pub(crate) struct Subject {
    pub(crate) cases: Vec<Named>,
    pub(crate) path: PathBuf,
    pub(crate) module: Module,
}

/// A case and what it is called.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) case: Case,
}

impl Selection {
    /// Everything that is asked for, read and compiled. At least one case.
    pub(crate) fn read(&self) -> Result<Vec<Subject>, Failure> {
        let subjects: Vec<Subject> =
            self.paths.iter().map(|path| self.subject(path)).collect::<Result<_, _>>()?;
        if subjects.iter().all(|subject| subject.cases.is_empty()) {
            let text = self.only.as_deref().unwrap_or_default();
            return Err(Failure::Usage(format!("no case has a name with {text:?}; correct --only")));
        }
        Ok(subjects)
    }

    fn subject(&self, path: &Path) -> Result<Subject, Failure> {
        let (extension, files) = files(path)?;
        let mut cases = Vec::new();
        for file in files {
            let read = case::load(&file, &extension).map_err(|error| Failure::File(error.to_string()))?;
            let named = read.into_iter().map(|case| {
                let name = format!("{extension}::{}", case.test_name());
                Named { name, case }
            });
            cases.extend(
                named.filter(|named| self.only.as_ref().is_none_or(|text| named.name.contains(text))),
            );
        }
        let place = self.module.clone().map_or_else(|| find(path, &extension), Ok)?;
        crate::module::read(&place)?;
        let module = Module::load(&place, &Limits::default());
        let module = module.map_err(|error| Failure::File(error.to_string()))?;
        Ok(Subject { cases, path: place, module })
    }
}

/// The plugin's name and the case files of a path.
fn files(path: &Path) -> Result<(String, Vec<PathBuf>), Failure> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.is_file() {
        return Ok((plugin(absolute.parent().unwrap_or(&absolute)), vec![path.to_owned()]));
    }
    if !path.is_dir() {
        let text = format!("{}: there is no such file or folder; name cases of an extension", path.display());
        return Err(Failure::File(text));
    }
    let below = path.join("cases");
    let (folder, whose) =
        if below.is_dir() { (below, absolute.join("cases")) } else { (path.to_owned(), absolute) };
    Ok((plugin(&whose), case::files(&folder).map_err(Failure::File)?))
}

/// The name of the plugin whose cases lie in a folder: the folder's own, or that of the extension whose `cases` it is.
fn plugin(folder: &Path) -> String {
    let is_cases = folder.file_name().is_some_and(|name| name == "cases");
    let named = folder.parent().filter(|_| is_cases).unwrap_or(folder);
    named.file_name().unwrap_or_default().to_string_lossy().replace('-', "_")
}

/// The module of a plugin, in the nearest folder `dist`.
fn find(path: &Path, plugin: &str) -> Result<PathBuf, Failure> {
    let wanted = Path::new("dist").join(format!("{plugin}.wasm"));
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().map(|folder| folder.join(&wanted)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let (path, wanted) = (path.display(), wanted.display());
        Failure::File(format!(
            "{path}: there is no {wanted} above it; make it by scripts/build, or name one by --module"
        ))
    })
}
