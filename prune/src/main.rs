//! `pwkit-prune`: the program that scripts/build calls for each module.

use std::ffi::OsString;
use std::process::ExitCode;

use proxy_wasm_kit_prune::{Options, prune};

const USAGE: &str = "\
Cuts a module built on proxy-wasm-kit down to the callbacks that it has a use for

Usage: pwkit-prune [--strip] IN.wasm OUT.wasm

The exit code is 0, 1 if the module cannot be pruned, 2 if the command line cannot be understood.
";

fn main() -> ExitCode {
    let mut options = Options::default();
    let mut paths = Vec::new();
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--help" | "-h") => {
                print!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            Some("--strip") => options.strip = true,
            _ => paths.push(argument),
        }
    }
    let [from, to] = paths.as_slice() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(from, to, options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pwkit-prune: {message}");
            ExitCode::from(1)
        }
    }
}

fn run(from: &OsString, to: &OsString, options: Options) -> Result<(), String> {
    let (source, target) = (from.display(), to.display());
    let wasm = std::fs::read(from).map_err(|error| format!("{source}: cannot be read: {error}"))?;
    let pruned = prune(&wasm, options).map_err(|error| format!("{source}: {error}"))?;
    std::fs::write(to, pruned.module).map_err(|error| format!("{target}: cannot be written: {error}"))
}
