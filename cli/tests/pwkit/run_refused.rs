//! `pwkit run` with what it cannot serve with: one line each, and the documented exit code.

use crate::program::Workshop;
use crate::proxy::CONFIGURED;
use std::net::TcpListener;

fn workshop(name: &str) -> Workshop {
    let workshop = Workshop::new(name);
    workshop.module("plugin.wasm", CONFIGURED);
    workshop
}

#[track_caller]
fn assert_refused(workshop: &Workshop, arguments: &[&str], code: i32, line: &str) {
    let fixed = ["run", "--listen", "127.0.0.1:0", "--workers", "1"];
    let arguments: Vec<&str> = fixed.iter().chain(arguments).copied().collect();
    workshop.run(&arguments).assert_refused(code, line);
}

#[test]
fn files() {
    let workshop = workshop("files");
    workshop.file("text.wasm", "hello");
    workshop.file("component.wasm", b"\0asm\x0d\0\x01\0");
    workshop.file("cut.wasm", b"\0asm\x01\0\0\0\x01\x7f");
    workshop.module("none.wasm", "(module)");
    workshop.module("wants.wasm", &CONFIGURED.replace("proxy_log", "proxy_fly"));
    workshop.module("bare.wasm", &CONFIGURED.replace("proxy_on_memory_allocate", "allocate"));
    workshop.module("old.wasm", &CONFIGURED.replace("version_0_2_1", "version_9_9_9"));
    workshop.file("bad.yaml", "a: [1, 2\n");
    let refusals = [
        ("missing.wasm", "missing.wasm: there is no such file; scripts/build puts modules under dist/"),
        ("text.wasm", "text.wasm: is no WebAssembly; build it with --target wasm32-wasip1"),
        (
            "component.wasm",
            "component.wasm: is a component, and proxies load core modules; build it with --target wasm32-wasip1, not \
             wasip2",
        ),
        (
            "cut.wasm",
            "cut.wasm: not a WebAssembly module: unexpected end-of-file (at offset 0xa); build it again",
        ),
        (
            "none.wasm",
            "none.wasm: no export proxy_abi_version_0_1_0, _0_2_0 or _0_2_1; build it as a cdylib with a Proxy-Wasm SDK",
        ),
        (
            "old.wasm",
            "old.wasm: no export proxy_abi_version_0_1_0, _0_2_0 or _0_2_1; build it as a cdylib with a Proxy-Wasm SDK",
        ),
        (
            "bare.wasm",
            "bare.wasm: no export proxy_on_memory_allocate or malloc; build it as a cdylib with a Proxy-Wasm SDK",
        ),
        (
            "wants.wasm",
            "wants.wasm: imports what no proxy has: env.proxy_fly; build it for wasm32-wasip1, and without what a proxy \
             cannot offer",
        ),
        ("plugin.wasm:no.json", "no.json: there is no such file; name the plugin's configuration"),
    ];
    for (plugin, line) in refusals {
        assert_refused(&workshop, &["--plugin", plugin], 3, line);
    }
    let end = workshop.run(&["run", "--listen", "127.0.0.1:0", "--plugin", "plugin.wasm:bad.yaml"]);
    assert_eq!((end.code, end.stderr.lines().count()), (Some(3), 1), "{}", end.stderr);
    assert!(end.stderr.starts_with("pwkit: bad.yaml: is no YAML: "), "{}", end.stderr);
}

#[test]
fn a_configuration_that_the_plugin_refuses() {
    let workshop = workshop("configuration");
    workshop.file("bad.json", "bad");
    let line = "plugin.wasm does not start with bad.json: the plugin refused its configuration: I take no configuration \
                that begins with b; correct the configuration";
    assert_refused(&workshop, &["--plugin", "plugin.wasm:bad.json"], 4, line);
}

#[test]
fn an_address_that_is_taken() {
    let workshop = workshop("address");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let line = |option: &str| {
        format!(
            "{address} cannot be listened on: Address already in use (os error 98); choose another by {option}"
        )
    };
    let plugin = ["--plugin", "plugin.wasm"];
    let run = |option: &str| workshop.run(&["run", plugin[0], plugin[1], option, &address]);
    run("--listen").assert_refused(5, &line("--listen"));
    let admin = [plugin[0], plugin[1], "--admin", &address];
    assert_refused(&workshop, &admin, 5, &line("--admin"));
    drop(listener);
}

#[test]
fn arguments_that_make_no_sense() {
    let workshop = workshop("arguments");
    let wrong = [
        ("--upstream", "https://a", "https is not spoken to upstreams; use http://, or h2c:// for HTTP/2"),
        ("--upstream", "nowhere", "is no URL; write echo, http://HOST:PORT, or h2c://HOST:PORT for HTTP/2"),
        ("--cluster", "auth", "has no =; write NAME=URL"),
        ("--plugin", "a.wasm:", "names no configuration behind the colon"),
    ];
    for (option, value, text) in wrong {
        let end = workshop.run(&["run", "--plugin", "plugin.wasm", option, value]);
        assert_eq!(end.code, Some(2), "{}", end.stderr);
        let first = end.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: invalid value") && first.ends_with(text), "{first}");
    }
}
