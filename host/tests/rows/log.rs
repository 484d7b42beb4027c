//! Logs: row 53.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::{Vm, log_prefix};
use proxy_wasm_kit_host::exchange::{Level, Setup};

#[test]
fn row_53_lines_below_the_level_are_dropped() {
    let setup = Setup { log_level: Level::Warn, ..Setup::default() };
    let host = guest()
        .on_configure(|_| {
            for level in 0..6 {
                raw::log(level, &format!("level {level}")).unwrap();
            }
            raw::log(5, &format!("{:?} {:?}", raw::log_level(), raw::log(6, "x"))).unwrap();
            Action::Continue
        })
        .start_with(setup)
        .unwrap();
    let log = host.log();
    assert_eq!(said(&log), ["level 3", "level 4", "level 5", "Ok(3) Err(2)"]);
    let levels: Vec<_> = log.iter().map(|line| line.level).collect();
    assert_eq!(levels, [Level::Warn, Level::Error, Level::Critical, Level::Critical]);
}

#[test]
fn row_53_the_prefix_names_plugin_root_and_vm() {
    let named = Setup { root_id: "root".into(), vm_id: "vm".into(), ..Setup::default() };
    assert_eq!(log_prefix(&named), "wasm log plugin root vm");
    assert_eq!(log_prefix(&Setup::default()), "wasm log plugin");
}

#[test]
fn row_53_standard_output_is_info_standard_error_is_error() {
    let mut vm = Vm::new(Setup::default());
    let results =
        [(1, "out\n"), (2, "a\nb"), (2, ""), (3, "x")].map(|(to, text)| vm.write_stdio(to, text.as_bytes()));
    assert_eq!(results.map(|result| result.is_ok()), [true, true, true, false]);
    let lines: Vec<_> = vm.lines().iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines, [(Level::Info, "out"), (Level::Error, "a\nb")]);
}
