//! The texts of `--help`, and that the page of the documentation says the same.

use crate::program::{Workshop, assert_on_record};
use std::path::Path;

#[test]
fn help_reads_well() {
    let workshop = Workshop::new("help");
    for command in [
        "",
        "attributes",
        "attributes from-openapi",
        "bench",
        "check-config",
        "inspect",
        "prune",
        "run",
        "stats-tags",
        "test",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let end = workshop.run(&arguments);
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{command}");
        let name = if command.is_empty() { "pwkit".to_owned() } else { command.replace(' ', "-") };
        assert_on_record(&format!("help-{name}.txt"), &end.stdout);
    }
}

#[test]
fn exit_codes_are_documented_once_and_the_same() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = std::fs::read_to_string(page).expect("docs/cli.md can be read");
    let help = Workshop::new("codes").run(&["--help"]).stdout;
    let codes: Vec<&str> = help.lines().skip_while(|line| *line != "Exit codes:").skip(1).collect();
    assert!(codes.len() > 5);
    for line in codes {
        let (code, meaning) = line.trim().split_once("  ").expect("code and meaning");
        assert!(page.contains(&format!("| {code} | {meaning} |")), "docs/cli.md lacks {line:?}");
    }
}

#[test]
fn a_command_that_is_none_is_refused() {
    let end = Workshop::new("none").run(&["fly"]);
    assert_eq!((end.code, end.stdout.as_str()), (Some(2), ""));
    assert!(end.stderr.starts_with("error: unrecognized subcommand 'fly'"), "{}", end.stderr);
}
