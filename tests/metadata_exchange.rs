//! metadata_exchange between two sidecars of a real Envoy: who is told what, and what expressions in access logs and RBAC
//! make of it; what a module sees of TLS. And in the embedded host: what requests and many hostile peers cost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::sync::mpsc;

use base64::prelude::{BASE64_STANDARD, Engine};
use proxy_wasm_kit_host::connection::{Act, Connection};
use proxy_wasm_kit_host::exchange::{Direction, Message, Random, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_mesh::message::{Struct, Value};
use proxy_wasm_kit_mesh::{Peer, wire};
use proxy_wasm_kit_tests::proxy::{Proxy, wait_for};
use proxy_wasm_kit_tests::{envoy, module, read, root};

/// The Envoy of tests/metadata_exchange/envoy.yaml, and the server behind it.
struct Sidecars {
    proxy: Proxy,
    server: TcpListener,
}

impl Sidecars {
    fn start(binary: &Path, module: &Path) -> Self {
        let (server, serving) = listen();
        let configuration = read("tests/metadata_exchange/envoy.yaml");
        let proxy = Proxy::start(binary, &configuration, 1, &[("SERVER", serving)], &[("MODULE", module)]);
        Self { proxy, server }
    }

    /// What the access logs tell of the requests with this path, once there are so many lines.
    fn logged(&self, path: &str, lines: usize) -> Vec<String> {
        wait_for(&format!("the access log has {lines} lines about {path}"), || {
            let text = self.proxy.access_log();
            let about = |line: &&str| line.split(' ').nth(1) == Some(path);
            let mut found: Vec<String> = text.lines().filter(about).map(str::to_owned).collect();
            found.sort();
            (found.len() >= lines).then_some(found)
        })
    }
}

/// A server that takes connections, and its port.
fn listen() -> (TcpListener, u16) {
    let server = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = server.local_addr().expect("it has an address").port();
    (server, port)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// The header of a workload with this label.
fn header(app: &str) -> String {
    let labels = [("app".to_owned(), app.to_owned())].into();
    let metadata = BASE64_STANDARD.encode(Peer { labels, ..Peer::default() }.encode());
    format!("x-envoy-peer-metadata: {metadata}\r\n")
}

#[test]
fn access_logs_and_rbac_see_into_peers() {
    let (Some(binary), Some(module)) = (envoy(), module("metadata_exchange")) else { return };
    let sidecars = Sidecars::start(&binary, &module);
    assert_eq!(status(&sidecars.proxy.get("OUTBOUND", "/told", "")), "200");
    assert_eq!(sidecars.logged("/told", 2), ["inbound /told productpage", "outbound /told productpage"]);
    for (header, expected) in
        [(String::new(), "403"), (header("ratings"), "403"), (header("productpage"), "200")]
    {
        assert_eq!(status(&sidecars.proxy.get("INBOUND", "/admin", &header)), expected, "{header}");
    }
    assert_eq!(status(&sidecars.proxy.get("OUTBOUND", "/admin/by-proxy", "")), "200");
}

#[test]
fn requests_on_one_connection_have_peers_of_their_own() {
    let (Some(binary), Some(module)) = (envoy(), module("metadata_exchange")) else { return };
    let sidecars = Sidecars::start(&binary, &module);
    let mut connection = sidecars.proxy.connect("INBOUND").expect("the proxy listens");
    for header in [header("productpage"), header("ratings"), String::new()] {
        let request = format!("GET /one HTTP/1.1\r\nhost: a\r\n{header}\r\n");
        connection.write_all(request.as_bytes()).expect("the proxy reads");
        let mut answer = Vec::new();
        // There is no body.
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).expect("the proxy writes");
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    }
    assert_eq!(
        sidecars.logged("/one", 3),
        ["inbound /one -", "inbound /one productpage", "inbound /one ratings"]
    );
}

#[test]
fn clusters_outside_of_the_mesh_are_told_nothing() {
    let (Some(binary), Some(module)) = (envoy(), module("metadata_exchange")) else { return };
    let sidecars = Sidecars::start(&binary, &module);
    for path in ["/external", "/silent", "/passthrough"] {
        // What an application says of itself does not get out either, and what comes back is not believed.
        let answer = sidecars.proxy.get("OUTBOUND", path, &header("application"));
        assert_eq!(status(&answer), "200");
        assert_eq!(sidecars.logged(path, 2), [format!("inbound {path} -"), format!("outbound {path} -")]);
    }
}

/// A server: whoever asks for /redirect/PATH is sent to /PATH. What has come is told with line ends of Unix.
fn redirecting(server: TcpListener) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in server.incoming() {
            let mut connection = connection.expect("the proxy connects");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if connection.read_exact(&mut byte).is_err() {
                    break;
                }
                request.extend(byte);
            }
            let request = String::from_utf8_lossy(&request).replace("\r\n", "\n");
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let status = match path.strip_prefix("/redirect") {
                Some(path) => format!("302 Found\r\nlocation: http://a{path}"),
                None => "200 OK".to_owned(),
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = connection.write_all(answer.as_bytes());
            if tell.send(request).is_err() {
                return;
            }
        }
    });
    told
}

/// The values of a header in what was sent.
fn values<'a>(sent: &'a str, name: &str) -> Vec<&'a str> {
    let lines = sent.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// Envoy runs the filters again, over the headers that they have left.
#[test]
fn after_an_internal_redirect_clients_are_who_they_were_and_strangers_are_told_nothing() {
    const ID: &str = "x-envoy-peer-metadata-id";
    const METADATA: &str = "x-envoy-peer-metadata";
    let (Some(binary), Some(module)) = (envoy(), module("metadata_exchange")) else { return };
    let (server, serving) = listen();
    let configuration = read("tests/metadata_exchange/redirect.yaml");
    let proxy = Proxy::start(&binary, &configuration, 1, &[("SERVER", serving)], &[("MODULE", &module)]);
    let told = redirecting(server);
    let client = format!("{ID}: a-client\r\n{}", header("front"));
    let of_workload = "baggage: app.name=front,user=7\r\n";
    // The listener, what the client says, whether it is answered, who it is, and whether the mesh is told by headers.
    for (port, said, answered, known, by_headers) in [
        ("GATEWAY", "", false, "- -", true),
        ("GATEWAY", &client, true, "a-client front", true),
        ("INBOUND", "", false, "- -", false),
        ("INBOUND", &client, true, "a-client front", false),
        ("HEADERS", "", false, "- -", true),
        ("BAGGAGE", of_workload, false, "unknown front", false),
    ] {
        for path in ["/mesh", "/external"] {
            let case = format!("{port}{}", said.len());
            let answer = proxy.get(port, &format!("/redirect{path}"), &format!("x-case: {case}\r\n{said}"));
            assert_eq!(status(&answer), "200", "{case} {path}");
            let answers = [ID, METADATA].map(|name| !values(&answer, name).is_empty());
            assert_eq!(answers, [answered; 2], "{case} {path}: {answer}");
            let [first, second] = std::array::from_fn(|_| told.recv().expect("the server is asked twice"));
            for (sent, mesh) in [(&first, true), (&second, path == "/mesh")] {
                let own = [ID, METADATA].map(|name| values(sent, name).len());
                assert_eq!(own, [usize::from(mesh && by_headers); 2], "{case} {path}: {sent}");
                let own = sent.contains("k8s.workload.name=gateway");
                assert_eq!(own, mesh && port == "BAGGAGE", "{case} {path}: {sent}");
                assert!(port != "BAGGAGE" || sent.contains("user=7"), "{case} {path}: {sent}");
            }
            let line = format!("{case} {path} {known}");
            wait_for(&format!("the access log has {line}"), || {
                proxy.access_log().lines().any(|found| found == line).then_some(())
            });
        }
    }
}

#[test]
fn connections_out_of_the_mesh_tell_nothing() {
    let (Some(binary), Some(module)) = (envoy(), module("metadata_exchange")) else { return };
    let sidecars = Sidecars::start(&binary, &module);
    let [told, stranger] = ["TCP", "STRANGER"].map(|port| {
        let mut client = sidecars.proxy.connect(port).expect("the proxy listens");
        client.write_all(b"hello").expect("the proxy reads");
        client.shutdown(Shutdown::Write).expect("the connection is there");
        let (mut server, _) = sidecars.server.accept().expect("the proxy connects");
        let mut received = Vec::new();
        server.read_to_end(&mut received).expect("the proxy writes");
        received
    });
    assert_eq!(told[..4], [0x3d, 0x23, 0x04, 0x67]);
    assert!(told.ends_with(b"hello") && told.len() > 100);
    assert_eq!(stranger, b"hello");
}

/// Where a proxy could tell a module which protocol TLS negotiated: groups as a whole, what is documented of connections,
/// what an attribute or an object of filter state for it is or could be called, and what the configuration says of itself.
const PLACES: [(&str, &[&str]); 6] = [
    (
        "",
        &[
            "connection",
            "upstream",
            "source",
            "destination",
            "request",
            "response",
            "metadata",
            "filter_state",
            "upstream_filter_state",
        ],
    ),
    ("connection", &OF_CONNECTIONS),
    ("upstream", &OF_CONNECTIONS),
    ("filter_state", &OBJECTS),
    ("upstream_filter_state", &OBJECTS),
    (
        "xds",
        &[
            "cluster_name",
            "cluster_metadata",
            "listener_direction",
            "listener_metadata",
            "filter_chain_name",
            "upstream_host_metadata",
            "route_name",
            "route_metadata",
            "virtual_host_name",
        ],
    ),
];

const OF_CONNECTIONS: [&str; 38] = [
    "id",
    "mtls",
    "requested_server_name",
    "tls_version",
    "subject_local_certificate",
    "subject_peer_certificate",
    "dns_san_local_certificate",
    "dns_san_peer_certificate",
    "uri_san_local_certificate",
    "uri_san_peer_certificate",
    "sha256_peer_certificate_digest",
    "peer_certificate",
    "transport_failure_reason",
    "termination_details",
    "address",
    "local_address",
    "port",
    "locality",
    "num_endpoints",
    "request_attempt_count",
    "cx_pool_ready_duration",
    "protocol",
    "alpn",
    "alpn_protocol",
    "alpn_protocols",
    "next_protocol",
    "negotiated_protocol",
    "application_protocol",
    "application_protocols",
    "requested_application_protocols",
    "tls",
    "tls_alpn",
    "ssl",
    "transport_socket",
    "transport_protocol",
    "detected_transport_protocol",
    "ja3_hash",
    "ja4_hash",
];

const OBJECTS: [&str; 8] = [
    "envoy.network.application_protocols",
    "envoy.network.upstream_server_name",
    "envoy.network.upstream_subject_alt_names",
    "envoy.network.ip",
    "envoy.tls.alpn",
    "envoy.filters.listener.tls_inspector",
    "envoy.transport_sockets.tls",
    "envoy.tcp_proxy.cluster",
];

/// A module that logs, of each connection and of all bytes on it, the places that have something to tell, and what.
fn probe() -> Vec<u8> {
    let inner = |group: &str, name: &str| {
        if group.is_empty() { name.to_owned() } else { format!("{group}\\00{name}") }
    };
    let paths = PLACES.iter().flat_map(|(group, names)| names.iter().map(move |name| inner(group, name)));
    let (mut data, mut calls, mut at) = (String::new(), String::new(), 0);
    for path in paths {
        let size = path.len() - 2 * path.matches("\\00").count();
        data += &format!("(data (i32.const {at}) \"{path}\")\n");
        calls += &format!("(call $tell (i32.const {at}) (i32.const {size}))\n");
        at += size;
    }
    // The host writes a value to 64 KiB, and behind 16 KiB where it is and how long.
    let text = format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 64)
            {data}
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_context_create") (param i32 i32))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
            (func $tell (param $path i32) (param $size i32)
                (if (i32.eqz (call $get (local.get $path) (local.get $size) (i32.const 16384) (i32.const 16388)))
                    (then
                        (drop (call $log (i32.const 2) (local.get $path) (local.get $size)))
                        (drop (call $log (i32.const 2) (i32.load (i32.const 16384)) (i32.load (i32.const 16388)))))))
            (func $all {calls})
            (func (export "proxy_on_new_connection") (param i32) (result i32) (call $all) (i32.const 0))
            (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (call $all) (i32.const 0))
            (func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32) (call $all) (i32.const 0)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// A reason why on TCP connections this extension is not the native filter, and fails on the Envoy that makes it better.
#[test]
fn no_attribute_and_no_filter_state_tells_which_protocol_was_negotiated() {
    let Some(binary) = envoy() else { return };
    let (server, serving) = listen();
    let module = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe.wasm");
    std::fs::write(&module, probe()).expect("the target folder can be written to");
    let configuration = read("tests/metadata_exchange/protocol.yaml");
    let paths = [("MODULE", &*module), ("CERTS", &root().join("tests/mesh/certs"))];
    let proxy = Proxy::start(&binary, &configuration, 1, &[("SERVER", serving)], &paths);
    let mut client = proxy.connect("OUTBOUND").expect("the proxy listens");
    client.write_all(b"hello").expect("the proxy reads");
    // Only with the protocol a connection gets here, and the answer back.
    let (mut connection, _) = server.accept().expect("the proxy connects");
    let mut received = [0; 5];
    connection.read_exact(&mut received).expect("the proxy writes");
    connection.write_all(b"world").expect("the proxy reads");
    client.read_exact(&mut received).expect("the proxy writes");
    let told = wait_for("the log tells of the answer", || {
        let told = proxy.log().replace('\0', ".");
        // Of the bytes that come back, the client's side hears last.
        (told.rfind("upstream.tls_version")? < told.rfind("xds.filter_chain_name")?).then_some(told)
    });
    for seen in [
        "connection.requested_server_name",
        "a-server-name",
        "only with the protocol",
        "TLSv1.",
        "upstream.address",
    ] {
        assert!(told.contains(seen), "the probe does not see {seen}:\n{told}");
    }
    assert!(!told.contains("istio-peer-exchange"), "a module can see the protocol:\n{told}");
}

/// The module that ships, in the embedded host.
fn hosted(direction: Direction, configuration: &str) -> Option<Host> {
    let bytes = std::fs::read(module("metadata_exchange")?).expect("the module can be read");
    let module = Module::load(&bytes[..], &Limits::default()).expect("it is a module");
    let configuration = configuration.into();
    let setup = Setup { direction, configuration, random: Random::Seed(1), ..Setup::default() };
    Some(Host::start(&module, setup).expect("it starts"))
}

fn peer(name: &str) -> Vec<u8> {
    Peer { name: Some(name.to_owned()), ..Peer::default() }.encode()
}

/// With the same id, whoever it is.
fn from(metadata: &[u8]) -> Message {
    Message::request("GET", "/")
        .header("x-envoy-peer-metadata-id", "the same")
        .header("x-envoy-peer-metadata", BASE64_STANDARD.encode(metadata))
}

#[test]
fn requests_cost_the_host_calls_that_the_readme_tells() {
    let silent = || Message::request("GET", "/");
    let of_mesh = || from(&peer("a"));
    let answer = Message::response(200)
        .header("x-envoy-peer-metadata-id", "a server")
        .header("x-envoy-peer-metadata", BASE64_STANDARD.encode(peer("b")));
    for (direction, configuration, request, calls) in [
        (Direction::Inbound, "{}", of_mesh(), 8),
        (Direction::Inbound, r#"{"direction": "inbound"}"#, of_mesh(), 7),
        // Three, and two for the headers of the workload, which end here.
        (Direction::Inbound, "{}", silent(), 5),
        (Direction::Outbound, "{}", silent(), 9),
    ] {
        let Some(host) = hosted(direction, configuration) else { return };
        // The first stream finds out what is best asked first; an unseen peer costs no call more.
        for number in 0..3 {
            let seen = host.exchange(request.clone(), &answer).host_calls;
            let more = u32::from(direction == Direction::Outbound && number == 0);
            assert_eq!(seen.values().sum::<u32>(), calls + more, "{direction:?} {configuration}: {seen:?}");
        }
    }
}

#[test]
fn so_many_peers_as_are_configured_are_not_read_again() {
    let (a, b) = (from(&peer("a")), from(&peer("b")));
    for (size, again, after_another) in [("-1", false, false), ("1", true, false), ("\"2\"", true, true)] {
        let configuration = format!(r#"{{"max_peer_cache_size": {size}}}"#);
        let Some(host) = hosted(Direction::Inbound, &configuration) else { return };
        let cost = |request: &Message| {
            let seen = host.exchange(request.clone(), &Message::response(200));
            seen.guest_instructions.expect("they are counted")
        };
        let (unseen, seen, _, later) = (cost(&a), cost(&a), cost(&b), cost(&a));
        assert_eq!(
            (seen * 3 < unseen * 2, later * 3 < unseen * 2),
            (again, after_another),
            "{size}: {unseen}, {seen}, {later}"
        );
    }
}

/// What comes of the same peer many times, each time another.
#[test]
fn hostile_peers_without_end_cost_bounded_memory() {
    let long = |number: usize| format!("{number:016000}");
    let labels = |number: usize| Peer {
        labels: (0..200).map(|label| (format!("{number}-{label}"), "x".repeat(40))).collect(),
        ..Peer::default()
    };
    let baggage =
        |number: usize| Message::request("GET", "/").header("baggage", format!("app.name={number:08000}"));
    let asks_baggage = r#"{"downstream_discovery": [{"baggage": {}}, {"istio_headers": {}}]}"#;
    type Hostile<'a> = &'a dyn Fn(usize) -> Message;
    let kinds: [(&str, &str, bool, Hostile<'_>); 5] = [
        ("as large as metadata may be", "{}", true, &|number| from(&peer(&long(number)))),
        ("many labels", "{}", true, &|number| from(&labels(number).encode())),
        ("in baggage", asks_baggage, true, &baggage),
        ("in both", asks_baggage, true, &|number| {
            if number % 2 == 0 { baggage(number) } else { from(&peer(&long(number))) }
        }),
        ("nothing that is believed", "{}", false, &|number| from(&long(number).into_bytes())),
    ];
    for (what, configuration, believed, hostile) in kinds {
        let Some(host) = hosted(Direction::Inbound, configuration) else { return };
        let mut taken = Vec::new();
        for number in 0..450 {
            let seen = host.exchange(hostile(number), &Message::response(200));
            assert_eq!(seen.filter_state.contains_key("wasm.downstream_peer"), believed, "{what}");
            taken.push(seen.guest_memory.expect("it is counted"));
        }
        assert_eq!(host.failure(), None, "{what}");
        // Between peers that were forgotten some room stays unused. Were none forgotten, this would be 6 MB and more.
        let (middle, end) = (taken[300], taken[449]);
        assert!(end - middle <= 512 << 10, "{what}: it goes on growing: {middle} and {end}");
        assert!(end < 9 << 20, "{what}: {end} bytes");
    }
}

/// What a proxy with this peer beside it begins a connection with.
fn frame_of(peer: &Peer) -> Vec<u8> {
    let content: Struct =
        [("x-envoy-peer-metadata".to_owned(), Value::Struct(peer.to_struct()))].into_iter().collect();
    let mut any = Vec::new();
    wire::put(&mut any, 1, b"type.googleapis.com/google.protobuf.Struct");
    wire::put(&mut any, 2, &content.encode());
    [&0x3d23_0467_u32.to_be_bytes()[..], &(any.len() as u32).to_be_bytes(), &any].concat()
}

#[test]
fn hostile_frames_without_end_cost_bounded_memory() {
    let Some(host) = hosted(Direction::Inbound, "{}") else { return };
    let mut taken = Vec::new();
    for number in 0..300 {
        let frame = frame_of(&Peer { name: Some(format!("{number:016000}")), ..Peer::default() });
        // Every other one breaks off a byte before its end.
        let (sent, whole) = frame.split_at(frame.len() - number % 2);
        let acts = vec![Act::ClientSends(sent.to_vec()), Act::ClientResets];
        let seen = host.connect(Connection { acts, ..Connection::default() }).seen;
        assert_eq!(seen.filter_state.contains_key("wasm.downstream_peer"), whole.is_empty());
        taken.push(seen.guest_memory.expect("it is counted"));
    }
    assert_eq!(host.failure(), None);
    assert_eq!(taken[100], taken[299], "a connection leaves nothing behind");
}

#[test]
fn frames_may_be_cut_anywhere() {
    let (Some(inbound), Some(outbound)) =
        (hosted(Direction::Inbound, "{}"), hosted(Direction::Outbound, "{}"))
    else {
        return;
    };
    // What this module itself begins a connection with, as any proxy does.
    let hello = || vec![Act::ClientSends(b"hello".to_vec())];
    let told = outbound.connect(Connection { acts: hello(), ..Connection::default() }).upstream;
    let frame =
        told.expect("it is connected").strip_suffix(b"hello").expect("the frame comes first").to_vec();
    let whole = [&frame[..], b"hello"].concat();
    for at in 0..=whole.len() {
        let (first, second) = whole.split_at(at);
        let acts = vec![
            Act::ClientSends(first.to_vec()),
            Act::ClientSends(second.to_vec()),
            Act::UpstreamSends(b"world".to_vec()),
        ];
        let seen = inbound.connect(Connection { acts, ..Connection::default() });
        let answer = [&frame[..], b"world"].concat();
        assert_eq!(
            (seen.upstream.as_deref(), seen.client),
            (Some(&b"hello"[..]), answer),
            "inbound, {at} bytes"
        );
        let acts = [Act::UpstreamSends(first.to_vec()), Act::UpstreamSends(second.to_vec())];
        let acts = hello().into_iter().chain(acts).collect();
        let seen = outbound.connect(Connection { acts, ..Connection::default() });
        assert_eq!(
            (seen.upstream, seen.client),
            (Some(whole.clone()), b"hello".to_vec()),
            "outbound, {at} bytes"
        );
        assert!(seen.seen.filter_state.contains_key("wasm.upstream_peer"), "outbound, {at} bytes");
    }
}
