//! `pwkit`: the command line of Proxy-Wasm Kit. One file per subcommand; what can go wrong stands in `failure`.

mod attributes;
mod bench;
mod check_config;
mod document;
mod failure;
mod inspect;
mod module;
mod prune;
mod run;
mod stats_tags;
mod subject;
mod test;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use failure::{EXIT_CODES, Failure};

/// Looks at Proxy-Wasm modules, runs them in a local proxy, tests and measures them.
///
/// A module is a WebAssembly file that Envoy and Istio load as an extension. Nothing
/// else has to be installed: pwkit holds a host that behaves like Envoy.
#[derive(Parser)]
#[command(name = "pwkit", version, verbatim_doc_comment, after_help = EXIT_CODES, subcommand_required = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Inspect(inspect::Arguments),
    Test(test::Arguments),
    Bench(bench::Arguments),
    CheckConfig(check_config::Arguments),
    StatsTags(stats_tags::Arguments),
    Attributes(attributes::Arguments),
    Prune(prune::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::CheckConfig(arguments) => check_config::run(&arguments),
        Command::StatsTags(arguments) => stats_tags::run(&arguments),
        Command::Attributes(arguments) => attributes::run(&arguments),
        Command::Prune(arguments) => prune::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads our output has seen enough, as `head` has.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            // A report already stands where it was printed; without a reader of errors nothing is left to be done.
            let _ = failure.message().map(|message| writeln!(io::stderr(), "pwkit: {message}"));
            failure.code()
        }
    }
}
