//! TCP connections: rows 29, 31, 49 and 52, with the order of callbacks that a real Envoy 1.40 showed.

use crate::back_end::own_calls;
use crate::guest::{guest, plain, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::connection::{Act, Connected, Connection};
use proxy_wasm_kit_host::engine::{BufferType, Call, Guest, Shared, Side, Trap, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Direction, Setup};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A guest that is a closure over the raw callbacks and the host functions.
struct Scripted<S> {
    vm: Shared,
    script: S,
    told: Rc<RefCell<Vec<String>>>,
}

impl<S: FnMut(&Call, &mut Vm) -> u32> Guest for Scripted<S> {
    fn has(&self, _call: &Call) -> bool {
        true
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        self.told.borrow_mut().extend(name(call));
        Ok((self.script)(call, &mut self.vm.borrow_mut()))
    }
}

/// A callback of a connection, as the tests write it.
fn name(call: &Call) -> Option<String> {
    Some(match *call {
        Call::NewConnection { .. } => "new".into(),
        Call::Data { side: Side::Request, size, end_of_stream, .. } => down(size, end_of_stream),
        Call::Data { size, end_of_stream, .. } => format!("up {size}{}", end(end_of_stream)),
        Call::ConnectionClose { side: Side::Request, closed_by, .. } => format!("down closed {closed_by}"),
        Call::ConnectionClose { closed_by, .. } => format!("up closed {closed_by}"),
        Call::Log { .. } => "log".into(),
        Call::Done { .. } => "done".into(),
        Call::Delete { .. } => "delete".into(),
        _ => return None,
    })
}

fn down(size: u32, end_of_stream: bool) -> String {
    format!("down {size}{}", end(end_of_stream))
}

fn end(end_of_stream: bool) -> &'static str {
    if end_of_stream { " end" } else { "" }
}

/// Runs one connection, and returns what it showed with the callbacks, joined by commas.
fn run(acts: &[Act], script: impl FnMut(&Call, &mut Vm) -> u32 + 'static) -> (Connected, String) {
    run_with(Setup::default(), Connection { acts: acts.to_vec(), ..Connection::default() }, script)
}

fn run_with(
    setup: Setup,
    connection: Connection,
    mut script: impl FnMut(&Call, &mut Vm) -> u32 + 'static,
) -> (Connected, String) {
    let told = Rc::default();
    let vm = Vm::shared(setup);
    let script = move |call: &Call, vm: &mut Vm| match call {
        Call::VmStart { .. } | Call::Configure { .. } => {
            script(call, vm);
            1
        }
        _ => script(call, vm),
    };
    let guest = Scripted { vm: vm.clone(), script, told: Rc::clone(&told) };
    let mut worker = Worker::new(vm, guest);
    worker.start().unwrap();
    let connected = worker.connect(connection);
    (connected, told.take().join(", "))
}

fn client(text: &str) -> Act {
    Act::ClientSends(text.into())
}

fn upstream(text: &str) -> Act {
    Act::UpstreamSends(text.into())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const DATA: BufferType = BufferType::Data(Side::Request);
const UP_DATA: BufferType = BufferType::Data(Side::Response);
const END: &str = "done, log, delete";

#[test]
fn row_29_a_connection_ends_with_done_log_delete() {
    let (seen, told) = run(&[client("hello"), upstream("re:hello"), client("x")], move |_, _| 0);
    let expected = "new, down 5, up 8, down 1, down 0 end, up 0 end, up closed 0, down closed 1";
    assert_eq!(told, format!("{expected}, {END}"));
    assert_eq!((text(&seen.client), text(&seen.upstream.unwrap())), ("re:hello", "hellox"));
    assert_eq!((seen.client_ended, seen.upstream_ended, seen.held_back), (true, true, false));
}

#[test]
fn row_52_who_closed_depends_on_who_ended_last() {
    let told = |acts: &[Act]| run(acts, move |_, _| 0).1;
    let upstream_first = [client("bye"), upstream("last"), Act::UpstreamEnds, client("more")];
    let expected = "new, down 3, up 4, up 0 end, up closed 0, down 4, down 0 end, down closed 2";
    assert_eq!(told(&upstream_first), format!("{expected}, {END}"));
    let expected = format!("new, down 1, up 1, down closed 2, {END}");
    assert_eq!(told(&[client("x"), upstream("y"), Act::ClientResets, upstream("z")]), expected);
    let expected = format!("new, down 1, down closed 1, {END}");
    assert_eq!(told(&[client("x"), Act::UpstreamResets, client("y")]), expected);
}

#[test]
fn row_52_a_refused_upstream_closes_the_connection() {
    let connection = Connection { acts: vec![client("x")], refused: true, ..Connection::default() };
    let (seen, told) = run_with(Setup::default(), connection, move |_, _| 0);
    assert_eq!(told, format!("new, down closed 1, {END}"));
    assert_eq!((seen.upstream, seen.client_ended), (None, true));
}

#[test]
fn row_52_paused_data_is_shown_again_as_a_whole() {
    let mut times = 0;
    let acts = [client("one"), client("two"), client("three"), client("four")];
    let (seen, told) = run(&acts, move |call, _| {
        times += u32::from(matches!(call, Call::Data { .. }));
        // Any action but 0 stops.
        match call {
            Call::Data { .. } if times == 1 => 1,
            Call::Data { .. } if times == 2 => 99,
            _ => 0,
        }
    });
    assert!(told.starts_with("new, down 3, down 6, down 11, down 4, down 0 end"), "{told}");
    assert_eq!(text(&seen.upstream.unwrap()), "onetwothreefour");
}

#[test]
fn row_52_the_upstreams_data_can_be_held_back_too() {
    let mut first = true;
    let acts = [upstream("one"), upstream("two")];
    let (seen, told) = run(&acts, move |call, vm| match call {
        Call::Data { side: Side::Response, .. } => {
            assert_eq!(vm.continue_stream(3).map_err(|status| status.0), Err(12));
            std::mem::replace(&mut first, false).into()
        }
        _ => 0,
    });
    assert!(told.starts_with("new, up 3, up 6, down 0 end"), "{told}");
    assert_eq!(text(&seen.client), "onetwo");
}

#[test]
fn row_52_an_end_that_is_held_back_does_not_reach_the_other_side() {
    let stop = |side: Side| {
        move |call: &Call, _: &mut Vm| u32::from(matches!(call, Call::Data { side: own, .. } if *own == side))
    };
    let (seen, told) = run(&[client("one"), Act::ClientEnds], stop(Side::Request));
    let expected = "new, down 3, down 3 end, up 0 end, up closed 0, down closed 1";
    assert_eq!(told, format!("{expected}, {END}"));
    assert_eq!(seen.upstream.as_deref(), Some(&b""[..]));
    let (seen, told) = run(&[upstream("one"), Act::UpstreamEnds], stop(Side::Response));
    let expected = "new, up 3, up 3 end, up closed 0, down 0 end, down closed 1";
    assert_eq!((told, seen.client), (format!("{expected}, {END}"), Vec::new()));
    let (seen, told) = run(&[upstream("one"), Act::ClientEnds, Act::UpstreamEnds], stop(Side::Response));
    let expected = "new, up 3, down 0 end, up 3 end, up closed 0, down closed 1";
    assert_eq!((told, seen.held_back), (format!("{expected}, {END}"), false));
}

#[test]
fn row_52_nothing_is_read_before_the_connection_may_go_on() {
    let new = |call: &Call| u32::from(matches!(call, Call::NewConnection { .. }));
    let (seen, told) = run(&[client("one")], move |call, _| new(call));
    assert_eq!((told.as_str(), seen.upstream, seen.held_back), ("new", None, true));
    let acts = [client("one"), Act::Wait(Duration::from_millis(20)), client("two")];
    let mut ticks = 0;
    let (seen, told) = run(&acts, move |call, vm| {
        if let Call::Configure { .. } = call {
            vm.set_tick_period(10).unwrap();
        }
        ticks += u32::from(matches!(call, Call::Tick { .. }));
        if ticks == 1 {
            vm.set_effective_context(2).unwrap();
            vm.continue_stream(2).unwrap();
        }
        new(call)
    });
    assert!(told.starts_with("new, down 3, down 3, down 0 end"), "{told}");
    assert_eq!(text(&seen.upstream.unwrap()), "onetwo");
}

#[test]
fn row_31_resumed_data_passes_without_being_shown_again() {
    let acts = [client("one"), Act::Wait(Duration::from_millis(10)), client("two")];
    let mut first = true;
    let (seen, told) = run(&acts, move |call, vm| match call {
        Call::Configure { .. } => vm.set_tick_period(10).map_or(0, |()| 1),
        Call::Tick { .. } => {
            // A root has nothing to resume.
            vm.continue_stream(2).unwrap();
            vm.set_effective_context(2).unwrap();
            vm.continue_stream(2).unwrap();
            0
        }
        Call::Data { side: Side::Request, .. } => std::mem::replace(&mut first, false).into(),
        _ => 0,
    });
    assert!(told.starts_with("new, down 3, down 3, down 0 end"), "{told}");
    assert_eq!(text(&seen.upstream.unwrap()), "onetwo");
}

#[test]
fn row_31_what_belongs_to_http_does_nothing() {
    let (seen, told) = run(&[client("one")], move |call, vm| {
        if let Call::Data { .. } = call {
            let answers = [0, 1, 2, 3, 4].map(|kind| vm.continue_stream(kind).map_err(|status| status.0));
            assert_eq!(answers, [Ok(()), Ok(()), Ok(()), Err(12), Err(2)]);
            let answers = [0, 1, 4].map(|kind| vm.close_stream(kind).map_err(|status| status.0));
            assert_eq!(answers, [Ok(()), Ok(()), Err(2)]);
            assert_eq!(vm.send_local_response(Default::default()), Ok(()));
        }
        0
    });
    assert!(told.starts_with("new, down 3, down 0 end, up 0 end"), "{told}");
    assert_eq!(text(&seen.upstream.unwrap()), "one");
}

#[test]
fn row_31_closing_either_side_closes_the_connection() {
    for (kind, side) in [(2, Side::Request), (3, Side::Request), (2, Side::Response), (3, Side::Response)] {
        let (seen, told) = run(&[client("hello"), upstream("re"), client("x")], move |call, vm| {
            if matches!(call, Call::Data { side: own, .. } if *own == side) {
                vm.close_stream(kind).unwrap();
            }
            0
        });
        let shown = if side == Side::Request { "new, down 5" } else { "new, down 5, up 2" };
        assert_eq!(told, format!("{shown}, down closed 1, {END}"));
        assert_eq!((seen.client, seen.client_ended), (Vec::new(), true));
    }
    let (seen, told) = run(&[client("hello")], move |call, vm| {
        if let Call::NewConnection { .. } = call {
            vm.close_stream(2).unwrap();
        }
        0
    });
    assert_eq!((told, seen.upstream), (format!("new, down closed 1, {END}"), None));
}

#[test]
fn row_19_data_is_edited_in_its_own_callback() {
    let (seen, _) = run(&[client("hello"), upstream("re")], move |call, vm| {
        let mut set = |buffer, start, size, bytes: &[u8]| {
            vm.set_buffer_bytes(buffer, start, size, bytes).map_err(|status| status.0)
        };
        match call {
            Call::Data { side: Side::Request, size: 5, .. } => {
                assert_eq!(set(UP_DATA, 0, 0, b"x"), Err(2));
                assert_eq!(set(DATA, 1, 1, b"x"), Err(2));
                assert_eq!(set(DATA, 0, usize::MAX, b"CHANGED"), Ok(()));
                assert_eq!(vm.get_buffer_bytes(DATA, 0, 100).unwrap(), b"CHANGED");
                assert_eq!(vm.get_buffer_bytes(UP_DATA, 0, 100).unwrap(), b"");
            }
            Call::Data { side: Side::Response, size: 2, .. } => {
                assert_eq!((set(UP_DATA, 0, 0, b"pre-"), set(UP_DATA, 100, 0, b"-post")), (Ok(()), Ok(())));
            }
            Call::NewConnection { .. } | Call::Log { .. } => {
                assert_eq!(vm.get_buffer_bytes(DATA, 0, 100).unwrap(), b"");
                assert_eq!(vm.get_buffer_bytes(BufferType::Body(Side::Request), 0, 100).unwrap(), b"");
            }
            _ => {}
        }
        0
    });
    assert_eq!((text(&seen.client), text(&seen.upstream.unwrap())), ("pre-re-post", "CHANGED"));
}

#[test]
fn row_49_a_failed_plugin_closes_the_connection() {
    let fail = |setup: Setup| {
        let host = guest()
            .on_connection(|_| Action::Continue)
            .on_downstream_data(|_| panic!("asked"))
            .on_downstream_close(|_| Action::Continue)
            .start_with(setup)
            .unwrap();
        let connection = Connection { acts: vec![client("hello")], ..Connection::default() };
        [host.connect(connection.clone()), host.connect(connection)]
    };
    for seen in fail(plain()) {
        assert_eq!((seen.client_ended, seen.upstream.unwrap_or_default()), (true, Vec::new()));
        assert!(!seen.seen.callbacks.contains_key("proxy_on_downstream_connection_close"));
    }
    for seen in fail(Setup { fail_open: true, ..plain() }) {
        assert_eq!(seen.upstream.unwrap(), b"hello");
    }
}

#[test]
fn row_47_a_connection_has_attributes_without_http() {
    let ask = |names: &'static [&'static str]| {
        move |_| {
            let known = |name: &&&str| raw::property_bytes(name).is_ok();
            let known: Vec<_> = names.iter().filter(known).copied().collect();
            raw::say(known.join(" "));
            Action::Continue
        }
    };
    let names: &[&str] = &[
        "source.address",
        "connection.id",
        "request.time",
        "request.size",
        "request.path",
        "request.protocol",
        "request.duration",
        "response.code",
        "upstream.address",
        "upstream.transport_failure_reason",
        "xds.cluster_name",
        "xds.route_name",
        "xds.virtual_host_name",
        "xds.listener_direction",
        "xds.filter_chain_name",
        "xds.cluster_metadata",
        "metadata",
        "plugin_name",
    ];
    let setup = Setup { direction: Direction::Outbound, ..plain() };
    let host = guest().on_connection(ask(names)).on_log(ask(names)).start_with(setup).unwrap();
    let seen = host.connect(Connection::default()).seen;
    let before = "source.address connection.id request.time request.size upstream.transport_failure_reason xds.listener_direction xds.filter_chain_name metadata plugin_name";
    let after = "source.address connection.id request.time request.size upstream.address upstream.transport_failure_reason xds.cluster_name xds.listener_direction xds.filter_chain_name xds.cluster_metadata metadata plugin_name";
    assert_eq!(said(&seen.log), [before, after]);
}

#[test]
fn row_52_the_crate_is_told_all_of_a_connection() {
    let say = |what: &'static str| {
        move |told: crate::guest::Told| {
            raw::say((what, told.size, told.last));
            Action::Continue
        }
    };
    let seen = guest()
        .on_connection(say("new"))
        .on_downstream_data(say("down"))
        .on_upstream_data(say("up"))
        .on_downstream_close(say("down closed"))
        .on_upstream_close(say("up closed"))
        .on_done(say("done"))
        .on_log(say("log"))
        .on_delete(say("delete"))
        .start()
        .connect(Connection { acts: vec![client("hello"), upstream("re")], ..Connection::default() });
    let expected = [
        r#"("new", 0, false)"#,
        r#"("down", 5, false)"#,
        r#"("up", 2, false)"#,
        r#"("down", 0, true)"#,
        r#"("up", 0, true)"#,
        r#"("up closed", 0, true)"#,
        r#"("down closed", 1, true)"#,
        r#"("done", 0, false)"#,
        r#"("log", 0, false)"#,
        r#"("delete", 0, false)"#,
    ];
    assert_eq!(said(&seen.seen.log), expected);
    let calls: BTreeMap<_, _> = [("proxy_log".to_owned(), 10)].into();
    assert_eq!(own_calls(&seen.seen.host_calls), calls);
}
