//! A hostile proxy: whatever it answers, and in whatever order things happen, no extension ends its VM. What the SDK reads out of
//! the bytes of the host is compared with a second reading.
//!
//! The first line of an input names an extension, and says by letters what happens; the others are what the host answers
//! (fuzz/src/host.rs).
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy_wasm_kit_fuzz::{configuration, extension, host};

fuzz_target!(|input: &[u8]| {
    let (first, answers) =
        input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let (name, events) = first.split_at(first.iter().position(|byte| *byte == b' ').unwrap_or(first.len()));
    let Some(initialize) = extension(name) else { return };
    host::answer(answers.get(1..).unwrap_or_default());
    if host::configure(initialize, configuration(name)) {
        run(events, name);
    }
    host::end();
    host::take_log();
});

/// Three dozen events are enough. A space begins another stream, and a `c` makes it a connection.
fn run(events: &[u8], name: &[u8]) {
    let has_connections = !matches!(name, b"attribute-gen" | b"basic-auth" | b"jwt-headers");
    for events in events.get(..36.min(events.len())).unwrap_or_default().split(|byte| *byte == b' ') {
        let stream = host::begin_stream(has_connections && events.starts_with(b"c"));
        for event in events {
            match event {
                b'.' => host::tick(),
                b'!' => host::call_response(),
                letter => stream.happen(*letter),
            }
        }
    }
}
