//! `pwkit bench`: what requests cost, in figures that are the same in every run, and how they compare with earlier ones.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::subject::Selection;
use proxy_wasm_kit_host::case;
use proxy_wasm_kit_host::exchange::Exchange;
use serde::{Deserialize, Serialize};

/// Prints what each request of a case costs: host calls by name, and guest instructions
///
/// Both figures are the same in every run and on every machine, so they can be
/// compared with those of another day.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Keeps the figures in this file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compares with the figures in this file
    ///
    /// The exit code is 1 if something costs more.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// How much of the baseline a request may cost
    #[arg(long, value_name = "RATIO", default_value_t = 1.05, requires = "baseline")]
    tolerance: f64,
}

/// What one request cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cost {
    instructions: u64,
    host_calls: BTreeMap<String, u32>,
}

/// The requests of each case, by the case's name.
type Figures = BTreeMap<String, Vec<Cost>>;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let baseline = arguments.baseline.as_deref().map(read).transpose()?;
    let mut figures = Figures::new();
    let mut worse = 0;
    for subject in arguments.selection.read()? {
        for named in subject.cases {
            let seen = case::wasm_run(&subject.module, &subject.path, &named.case);
            let seen = seen.map_err(Failure::File)?;
            // What is not as the case says is not worth measuring.
            if let Err(report) = named.case.verdict(case::Host::Wasm, &seen) {
                writeln!(io::stdout().lock(), "{}", report.trim_end())?;
                return Err(Failure::Reported);
            }
            let costs: Vec<Cost> = seen.exchanges.iter().map(Cost::of).collect();
            let before =
                baseline.as_ref().map(|baseline| baseline.get(&named.name).map_or(&[][..], Vec::as_slice));
            worse += print(&named.name, &costs, before, arguments.tolerance)?;
            figures.insert(named.name, costs);
        }
    }
    arguments.save.as_deref().map(|file| save(file, &figures)).transpose()?;
    conclude(worse, arguments)
}

fn conclude(worse: usize, arguments: &Arguments) -> Result<(), Failure> {
    if worse == 0 {
        return Ok(());
    }
    let tolerance = arguments.tolerance;
    writeln!(io::stdout().lock(), "\n{worse} requests cost more than {tolerance} of the baseline")?;
    Err(Failure::Reported)
}

impl Cost {
    fn of(exchange: &Exchange) -> Self {
        let instructions = exchange.guest_instructions.unwrap_or_default();
        Self { instructions, host_calls: exchange.host_calls.clone() }
    }

    fn calls(&self) -> u32 {
        self.host_calls.values().sum()
    }
}

/// Prints the requests of a case. Returns how many of them cost more than before.
fn print(name: &str, costs: &[Cost], before: Option<&[Cost]>, tolerance: f64) -> io::Result<usize> {
    let mut output = io::stdout().lock();
    let mut worse = 0;
    if !costs.is_empty() {
        writeln!(output, "{name}")?;
    }
    for (index, cost) in costs.iter().enumerate() {
        let name = |name: &str| name.strip_prefix("proxy_").unwrap_or(name).to_owned();
        let calls = cost.host_calls.iter().map(|(call, count)| format!("{count} {}", name(call)));
        let calls = calls.collect::<Vec<_>>().join(", ");
        let comparison = match before.map(|before| before.get(index)) {
            None => String::new(),
            Some(None) => "  (new)".into(),
            Some(Some(before)) => {
                let ratios = (
                    ratio(cost.instructions, before.instructions),
                    ratio(cost.calls().into(), before.calls().into()),
                );
                let more = ratios.0 > tolerance || ratios.1 > tolerance;
                worse += usize::from(more);
                format!("  ({:.3} x, calls {:.3} x{})", ratios.0, ratios.1, if more { ", WORSE" } else { "" })
            }
        };
        let calls = if calls.is_empty() { "none".into() } else { calls };
        writeln!(
            output,
            "  {:>2}: {:>9} instructions{comparison}, host calls: {calls}",
            index + 1,
            cost.instructions
        )?;
    }
    Ok(worse)
}

fn ratio(now: u64, before: u64) -> f64 {
    match (now, before) {
        (0, 0) => 1.0,
        (_, 0) => f64::INFINITY,
        (now, before) => now as f64 / before as f64,
    }
}

fn read(file: &Path) -> Result<Figures, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::File(format!("{place}: cannot be read: {error}; make it by --save")))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::File(format!("{place}: is no baseline: {error}; make it by --save")))
}

fn save(file: &Path, figures: &Figures) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(figures).map_err(io::Error::from)? + "\n";
    std::fs::write(file, text).map_err(|error| {
        Failure::File(format!("{}: cannot be written: {error}; name another by --save", file.display()))
    })
}
