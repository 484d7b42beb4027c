//! `pwkit test` and `pwkit bench`: cases on a module, their verdicts and their costs.

use crate::program::{Workshop, assert_on_record};
use crate::proxy::{ANSWERING, CONFIGURED};
use std::io::Write;

const CASES: &str = r#"about: what the plugin does
cases:
  - name: it adds its configuration
    config: "one"
    requests:
      - send: { path: /a }
        expect: { status: 200, upstream: { headers: [[x-config, one]] }, host_calls: { proxy_add_header_map_value: 1 } }
      - send: { path: /b }
        expect: { status: 200 }
  - name: it refuses a configuration
    config: "bad"
    expect: { rejected: "begins with b" }
"#;

/// An extension as the repository has them, with its module under dist/.
fn workshop(name: &str) -> Workshop {
    let workshop = Workshop::new(name);
    workshop.module("dist/my_filter.wasm", CONFIGURED);
    workshop.file("extensions/my-filter/cases/first.yaml", CASES);
    workshop
}

#[test]
fn cases_pass_wherever_they_are_named() {
    let workshop = workshop("cases");
    let end = workshop.run(&["test", "extensions/my-filter"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{}", end.stdout);
    assert_on_record("test-passed.txt", &end.stdout);
    for path in ["extensions/my-filter/cases", "extensions/my-filter/cases/first.yaml"] {
        assert_eq!(workshop.run(&["test", path]).stdout, end.stdout, "{path}");
    }
    let end = workshop.run(&["test", "extensions/my-filter", "--only", "refuses"]);
    assert!(end.stdout.ends_with("\n1 passed, 0 failed\n"), "{}", end.stdout);
}

#[test]
fn a_case_that_fails_is_reported_with_what_was_seen() {
    let workshop = workshop("failed");
    workshop.module("other.wasm", ANSWERING);
    let end = workshop.run(&["test", "extensions/my-filter", "--module", "other.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(1), ""));
    assert!(end.stdout.ends_with("\n0 passed, 2 failed\n"), "{}", end.stdout);
    assert!(
        end.stdout.contains("---- wasm my_filter::first::it adds its configuration ----\n"),
        "{}",
        end.stdout
    );
}

#[test]
fn costs_are_printed_saved_and_compared() {
    let workshop = workshop("bench");
    let end = workshop.run(&["bench", "extensions/my-filter", "--save", "base.json"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{}", end.stdout);
    assert_on_record("bench.txt", &end.stdout);
    let compare = ["bench", "extensions/my-filter", "--baseline", "base.json"];
    let end = workshop.run(&compare);
    assert_eq!(end.code, Some(0), "{}", end.stdout);
    assert!(end.stdout.contains("(1.000 x, calls 1.000 x)"), "{}", end.stdout);
    let twice = "(call $add (i32.const 0) (i32.const 16) (i32.const 8) (i32.load (i32.const 0)) (i32.load (i32.const 4)))";
    let slower = CONFIGURED.replace(&format!("(drop {twice})"), &format!("(drop {twice}) (drop {twice})"));
    assert_ne!(slower, CONFIGURED);
    workshop.module("dist/my_filter.wasm", &slower);
    workshop.file(
        "extensions/my-filter/cases/first.yaml",
        CASES
            .replace("headers: [[x-config, one]]", "path: /a")
            .replace(", host_calls: { proxy_add_header_map_value: 1 }", ""),
    );
    let end = workshop.run(&compare);
    assert_eq!((end.code, end.stderr.as_str()), (Some(1), ""));
    assert!(end.stdout.contains("calls 2.000 x, WORSE"), "{}", end.stdout);
    assert!(end.stdout.ends_with("2 requests cost more than 1.05 of the baseline\n"), "{}", end.stdout);
    assert_eq!(workshop.run(&[&compare[..], &["--tolerance", "3"]].concat()).code, Some(0));
}

#[test]
fn what_cannot_be_run_is_refused_in_one_line() {
    let workshop = workshop("refusals");
    workshop.file("extensions/other/cases/a.yaml", CASES);
    workshop.file("base.json", "[");
    workshop.file("bad.yaml", "about: x\ncases: 1\n");
    let refusals: [(&[&str], i32, &str); 8] = [
        (&["nowhere"], 3, "nowhere: there is no such file or folder; name cases of an extension"),
        (
            &["extensions/other"],
            3,
            "extensions/other: there is no dist/other.wasm above it; make it by scripts/build, or name one by --module",
        ),
        (&["dist"], 3, "dist: holds no cases; add a file NAME.yaml (docs/cases.md)"),
        (&["extensions/my-filter", "--only", "none"], 2, "no case has a name with \"none\"; correct --only"),
        (
            &["extensions/my-filter", "--host", "native"],
            2,
            "--host native runs what is linked into a test program: use cargo test -p NAME of the extension",
        ),
        (
            &["extensions/my-filter", "--host", "all", "--envoy", "nowhere"],
            6,
            "there is no Envoy: fetch one by scripts/envoy, or name one by --envoy",
        ),
        (
            &["extensions/my-filter", "--module", "gone.wasm"],
            3,
            "gone.wasm: there is no such file; scripts/build puts modules under dist/",
        ),
        (
            &["extensions/my-filter", "--module", "base.json"],
            3,
            "base.json: is no WebAssembly; build it with --target wasm32-wasip1",
        ),
    ];
    for (arguments, code, line) in refusals {
        workshop.run(&[&["test"], arguments].concat()).assert_refused(code, line);
    }
    let end = workshop.run(&["bench", "extensions/my-filter", "--baseline", "base.json"]);
    assert_eq!((end.code, end.stderr.lines().count()), (Some(3), 1), "{}", end.stderr);
    let end = workshop.run(&["test", "bad.yaml"]);
    assert!(end.code == Some(3) && end.stderr.starts_with("pwkit: bad.yaml:2: "), "{}", end.stderr);
}

#[test]
fn a_real_envoy_gives_the_same_verdicts() {
    let Some(envoy) = std::env::var_os("ENVOY") else {
        assert!(std::env::var_os("PWKIT_REQUIRE_ENVOY").is_none(), "there is no Envoy; set ENVOY to one");
        // Not by a macro, whose output the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no Envoy; set ENVOY to one");
        return;
    };
    let workshop = workshop("envoy");
    let envoy = envoy.to_string_lossy();
    let end = workshop.run(&["test", "extensions/my-filter", "--host", "all", "--envoy", &envoy]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{}", end.stdout);
    assert!(end.stdout.ends_with("\n4 passed, 0 failed\n"), "{}", end.stdout);
}
