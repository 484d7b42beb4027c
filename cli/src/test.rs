//! `pwkit test`: runs case files on a module, in the embedded host and in a real Envoy.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::subject::{Named, Selection, Subject};
use clap::ValueEnum;
use proxy_wasm_kit_host::case::{self, Case, RealEnvoy, Seen};

/// Runs cases of an extension on its module
///
/// A case says how a plugin is configured, what is sent, and what must be seen.
/// What fails is printed with everything that was seen of it. The native back end
/// is not to be had here: `cargo test -p NAME` runs it.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// What runs them
    #[arg(long, value_name = "HOST", default_value = "wasm")]
    host: Choice,
    /// A real Envoy [default: $ENVOY, or what scripts/envoy fetched]
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// The extension linked into a test program: for cargo test
    Native,
    /// The module in the embedded host
    Wasm,
    /// The module in a real Envoy
    Envoy,
    /// Embedded host and real Envoy
    All,
}

/// How many did what they should.
#[derive(Default)]
struct Tally {
    passed: usize,
    failures: Vec<(String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.host == Choice::Native {
        let text =
            "--host native runs what is linked into a test program: use cargo test -p NAME of the extension";
        return Err(Failure::Usage(text.into()));
    }
    // Before anything is compiled: what is missing is known at once.
    let envoy = [Choice::Envoy, Choice::All].contains(&arguments.host);
    let envoy = envoy.then(|| real_envoy(arguments.envoy.as_deref())).transpose()?;
    let subjects = arguments.selection.read()?;
    let mut tally = Tally::default();
    if arguments.host != Choice::Envoy {
        let run = |subject: &Subject, case: &Case| case::wasm_run(&subject.module, &subject.path, case);
        tally.run("wasm", case::Host::Wasm, &subjects, run)?;
    }
    if let Some(envoy) = envoy {
        let run = |subject: &Subject, case: &Case| envoy.run(&subject.path, case);
        tally.run("envoy", case::Host::Envoy, &subjects, run)?;
    }
    tally.conclude()
}

fn real_envoy(named: Option<&Path>) -> Result<RealEnvoy, Failure> {
    let from_environment = || std::env::var_os("ENVOY").map(PathBuf::from);
    let binary = named.map(Path::to_owned).or_else(from_environment).or_else(fetched);
    let usable = binary.filter(|binary| binary.is_file());
    let missing =
        || Failure::Missing("there is no Envoy: fetch one by scripts/envoy, or name one by --envoy".into());
    Ok(RealEnvoy::new(usable.ok_or_else(missing)?))
}

/// What scripts/envoy has put under the nearest folder `target`; of several versions the newest.
fn fetched() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let versions = here.ancestors().find_map(|folder| std::fs::read_dir(folder.join("target/envoy")).ok())?;
    let fetched = versions.filter_map(|entry| Some(entry.ok()?.path()));
    let newest =
        fetched.filter(|version| version.join("envoy").is_file()).max_by_key(|path| numbers(path))?;
    Some(newest.join("envoy"))
}

/// The numbers of a version: 1.40.0 is after 1.9.0.
fn numbers(version: &Path) -> Vec<u32> {
    let name = version.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

impl Tally {
    fn run(
        &mut self,
        title: &str,
        host: case::Host,
        subjects: &[Subject],
        run: impl Fn(&Subject, &Case) -> Result<Seen, String>,
    ) -> io::Result<()> {
        for (subject, named) in
            subjects.iter().flat_map(|subject| subject.cases.iter().map(move |case| (subject, case)))
        {
            let Named { name, case } = named;
            let verdict = run(subject, case).and_then(|seen| {
                case.verdict(host, &seen)?;
                Ok(cost(&seen))
            });
            let mut output = io::stdout().lock();
            match verdict {
                Ok(cost) => {
                    self.passed += 1;
                    writeln!(output, "ok     {title:5} {name}{cost}")?;
                }
                Err(report) => {
                    writeln!(output, "FAILED {title:5} {name}")?;
                    self.failures.push((format!("{title} {name}"), report));
                }
            }
        }
        Ok(())
    }

    fn conclude(self) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        for (name, report) in &self.failures {
            writeln!(output, "\n---- {name} ----\n{}", report.trim_end())?;
        }
        writeln!(output, "\n{} passed, {} failed", self.passed, self.failures.len())?;
        if self.failures.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }
}

/// What the requests of a case cost together, where that was counted.
fn cost(seen: &Seen) -> String {
    let instructions: Option<u64> = seen.exchanges.iter().map(|exchange| exchange.guest_instructions).sum();
    let calls: u32 = seen.exchanges.iter().flat_map(|exchange| exchange.host_calls.values()).sum();
    match instructions {
        Some(instructions) if !seen.exchanges.is_empty() => {
            format!("  ({calls} host calls, {instructions} instructions)")
        }
        _ => String::new(),
    }
}
