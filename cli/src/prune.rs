//! `pwkit prune`: cuts a module down to what its extension uses.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::module;
use proxy_wasm_kit_prune::{Options, Pruned, prune};

/// Cuts a module down to the callbacks that its extension has a use for
///
/// For modules straight from cargo whose extension is built on the SDK. Which callbacks
/// those are is read from the code: nothing has to be declared.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The module
    #[arg(value_name = "NAME.wasm")]
    file: PathBuf,
    /// Where the pruned module goes; the same file is allowed
    #[arg(long, short, value_name = "OUT.wasm")]
    output: PathBuf,
    /// Drops the names of functions, too, which only backtraces show
    #[arg(long)]
    strip: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Arguments { file, output, strip } = arguments;
    let code = module::read(file)?;
    let pruned = prune(&code, Options { strip: *strip })
        .map_err(|error| Failure::File(format!("{}: {error}", file.display())))?;
    write(output, &pruned.module)?;
    io::stdout().lock().write_all(report(output, code.len(), &pruned).as_bytes())?;
    Ok(())
}

/// Into a file beside it first: who reads the module meanwhile sees the old one or the new one.
fn write(path: &Path, module: &[u8]) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    let written = std::fs::write(&partial, module).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&partial);
        io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()
    })
}

fn report(path: &Path, before: usize, pruned: &Pruned) -> String {
    let mut text = format!("{}: {} bytes, {before} before\n", path.display(), pruned.module.len());
    for name in &pruned.callbacks {
        text.push_str(&format!("  {name}\n"));
    }
    if !pruned.is_linked {
        text.push_str("Built with RUSTFLAGS=-Clink-arg=--emit-relocs it can lose more.\n");
    }
    text
}
