//! jwt_headers in a real Envoy of four workers, with a real server of keys that is dead, comes back, is slow, fails, and
//! changes its keys; and what of a token routes and access logs can see. In one of one worker, with as many requests as can wait.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy_wasm_kit_tests::proxy::{Proxy, wait_for};
use proxy_wasm_kit_tests::running::free_port;
use proxy_wasm_kit_tests::{envoy, module, read};
use tokio::runtime::Runtime;

/// What is in the configuration as `refetch_interval`.
const REFETCH: Duration = Duration::from_secs(2);

const FIRST_KEY: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "WtYAqdVwrf6rZE9ovYjnYtZBqRdno5FgckpvH4-Gl08", "y": "uOlOFxVVj1FbJPvJM3jgCMEOxN4_siTqq8VUtKcO-Eg", "kid": "p256"}]}"#;
const SECOND_KEY: &str = r#"{"keys": [{"kty": "EC", "crv": "P-384", "x": "RblLrgDPG-LpWIg3tne_frBX8DTi1qt7YAsjgZwmxwtCR0hUCdPETpEoyRWKUKkH", "y": "8SCYXNFCi7CU4J7CgFUJ3MRfT680WQj6HmxsOixsNrLaqwYo7kjpxnO6y-XZGA7-", "kid": "p384"}]}"#;
const ANN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJhbm4iLCJ0ZW5hbnQiOiJvdGhlciJ9.kp_aLSHEaUHLMehrAGgQfqG-Kw4izHvdrB42efniYDU24ohBUr3DSv9G0b6s5elKkJ4z6oyvcRRxIfQkD_rugQ";
const BLUE: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJib2IiLCJ0ZW5hbnQiOiJibHVlIn0.C3_gwf7vj76JhGw2xlKctuaV-7jujv__N7gz1DeExgE6defx_MP3pyVa7di6RI843JVUVVfXnNSUK-ssmvPq6w";
const RED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJib2IiLCJ0ZW5hbnQiOiJyZWQifQ.Ov7ehlkFQ0buUFeH5XvCJjv4Dq94KtFiwHHZPx_i6Bi5qj67BwcalprTHtye6x7MnqPfEQMVI8BpFnscmuwuKg";
const GREEN: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYifQ.eyJzdWIiOiJib2IiLCJ0ZW5hbnQiOiJncmVlbiJ9.9vMXX__sE7wtxwVYIo3wKv3u2ygAPznVbqbuqRIpDSP_gIORB4K2MWccwdSu2-Q01TtG2QtrIWrjFI16t2uPCw";
/// By the second key.
const CYD: &str = "eyJhbGciOiJFUzM4NCIsImtpZCI6InAzODQifQ.eyJzdWIiOiJjeWQifQ.H91_ksXY8T5hC8WXzVKhQZv1h76NSCEF9WNgWeqV_tWWelc6u_yFyP0cWLnocb3r4-W5zbYx1CGDPIO7zyFr-55v2dC3ITaT39KbY23fG3e8XcqYASTJD5rns1E_90_O";

/// A server of keys: what it answers, and how often it was asked.
#[derive(Clone)]
struct Issuer(Arc<Mutex<State>>);

struct State {
    status: u16,
    keys: &'static str,
    delay: Duration,
    /// Nobody has an answer as long as this lasts.
    is_silent: bool,
    asked: u32,
}

impl Issuer {
    fn new() -> Self {
        let (delay, is_silent) = (Duration::ZERO, false);
        Self(Arc::new(Mutex::new(State { status: 200, keys: FIRST_KEY, delay, is_silent, asked: 0 })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn asked(&self) -> u32 {
        self.with(|state| state.asked)
    }

    /// From now on it is there.
    fn listen(&self, port: u16) {
        let (issuer, listener) =
            (self.clone(), TcpListener::bind(("127.0.0.1", port)).expect("the port is free"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let issuer = issuer.clone();
                std::thread::spawn(move || issuer.answer(stream));
            }
        });
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
        while !seen.ends_with(b"\r\n\r\n") {
            let size = stream.read(&mut chunk)?;
            if size == 0 {
                return Ok(());
            }
            seen.extend_from_slice(&chunk[..size]);
        }
        let (status, keys, delay) = self.with(|state| {
            state.asked += 1;
            (state.status, state.keys, state.delay)
        });
        std::thread::sleep(delay);
        while self.with(|state| state.is_silent) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let length = keys.len();
        write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{keys}")
    }
}

/// Envoy as configured, and what it is asked.
struct Guarded(Proxy);

impl Guarded {
    fn by(&self, token: &str) -> String {
        self.0.get("MAIN", "/x", &format!("authorization: Bearer {token}\r\n"))
    }

    /// Whether many connections, over all workers, are answered so.
    fn all(&self, token: &str, answered: &str) -> bool {
        (0..40).all(|_| self.by(token).starts_with(&format!("HTTP/1.1 {answered}")))
    }

    fn counter(&self, name: &str) -> u32 {
        let page = self.0.get("ADMIN", "/stats?filter=wasmcustom", "");
        let value =
            page.lines().find_map(|line| line.strip_prefix(&format!("wasmcustom.{name}: "))).map(str::trim);
        value.map_or(0, |value| value.parse().expect("a number"))
    }
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

#[test]
fn keys_and_what_tokens_do_in_a_real_envoy() {
    let (Some(binary), Some(module)) = (envoy(), module("jwt_headers")) else { return };
    let configuration = read("tests/jwt_headers/envoy.yaml");
    let proxy = Guarded(Proxy::start(&binary, &configuration, 4, &[], &[("MODULE", &module)]));
    let issuer = Issuer::new();
    a_server_that_is_dead_from_the_start_comes_back(&proxy, &issuer);
    routes_follow_claims(&proxy);
    access_logs_name_the_user(&proxy);
    filter_state_of_envoy_chooses_what_is_required(&proxy);
    a_megabyte_of_token_is_an_ordinary_denial(&proxy);
    unknown_keys_asked_for_by_many_are_fetched_once(&proxy, &issuer);
    a_server_that_fails_leaves_the_keys_in_use(&proxy, &issuer);
    keys_that_change_are_followed(&proxy, &issuer);
}

fn a_server_that_is_dead_from_the_start_comes_back(proxy: &Guarded, issuer: &Issuer) {
    wait_until("a failure is counted", || proxy.counter("jwt_headers_jwks_fetch_failed") > 0);
    let answer = proxy.by(ANN);
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("Jwks remote fetch is failed"), "{answer}");
    issuer.listen(proxy.0.port("ISSUER"));
    wait_until("all workers have keys", || proxy.all(ANN, "200"));
    assert_eq!(issuer.asked(), 1, "one worker fetches for all");
    assert_eq!(proxy.counter("jwt_headers_jwks_fetch_success"), 1);
}

/// The route is chosen anew when claims have changed a request, and what changes nothing leaves it alone.
fn routes_follow_claims(proxy: &Guarded) {
    for (token, route) in [(ANN, "first choice"), (BLUE, "by path"), (RED, "by host"), (GREEN, "by header")] {
        let answer = proxy.by(token);
        assert!(answer.ends_with(route), "{route}: {answer}");
    }
    let pretended = proxy.0.get("MAIN", "/x", &format!("authorization: Bearer {ANN}\r\nx-tenant: green\r\n"));
    assert!(pretended.ends_with("first choice"), "{pretended}");
    let unguarded = proxy.0.get("MAIN", "/off", "");
    assert!(unguarded.ends_with("unguarded"), "a route can do without the plugin: {unguarded}");
}

fn access_logs_name_the_user(proxy: &Guarded) {
    proxy.0.get("MAIN", "/logged", &format!("authorization: Bearer {ANN}\r\n"));
    proxy.0.get("MAIN", "/logged?without", "");
    let lines = ["/logged 200 ann\n", "/logged?without 401 -\n"];
    wait_until("the access log has the lines", || {
        let log = proxy.0.access_log();
        lines.iter().all(|line| log.contains(line))
    });
}

fn filter_state_of_envoy_chooses_what_is_required(proxy: &Guarded) {
    for (tier, status) in [("free", "200"), ("other", "401")] {
        let answer = proxy.0.get("MAIN", "/x", &format!("x-tier: {tier}\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{tier}: {answer}");
    }
}

fn a_megabyte_of_token_is_an_ordinary_denial(proxy: &Guarded) {
    let long = "e30".repeat(350_000);
    for token in [long.clone(), format!("{long}.{long}"), format!("{ANN}{long}"), ".".repeat(1_000_000)] {
        let answer = proxy.by(&token);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("Jwt is not in the form of Header.Payload.Signature"), "{answer}");
    }
    assert!(proxy.all(ANN, "200"));
}

/// A hundred requests at the same time, for a key that nobody has.
fn unknown_keys_asked_for_by_many_are_fetched_once(proxy: &Guarded, issuer: &Issuer) {
    std::thread::sleep(REFETCH);
    let (before, start) = (issuer.asked(), Instant::now());
    issuer.with(|state| state.delay = Duration::from_millis(300));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(|| proxy.by(CYD))).collect();
        for client in clients {
            let answer = client.join().expect("a client has an answer");
            assert!(answer.ends_with(NO_KEY), "{answer}");
        }
    });
    let (asked, intervals) = (issuer.asked() - before, start.elapsed().as_secs() / REFETCH.as_secs());
    assert!((1..=1 + intervals).contains(&u64::from(asked)), "{asked} fetches in {intervals} intervals");
}

fn a_server_that_fails_leaves_the_keys_in_use(proxy: &Guarded, issuer: &Issuer) {
    issuer.with(|state| (state.status, state.delay) = (500, Duration::ZERO));
    let before = proxy.counter("jwt_headers_jwks_fetch_failed");
    wait_until("a failure is counted", || {
        proxy.by(CYD);
        proxy.counter("jwt_headers_jwks_fetch_failed") > before
    });
    assert!(proxy.all(ANN, "200"));
}

fn keys_that_change_are_followed(proxy: &Guarded, issuer: &Issuer) {
    issuer.with(|state| (state.status, state.keys) = (200, SECOND_KEY));
    wait_until("all workers have the new key", || proxy.all(CYD, "200"));
    assert!(proxy.all(ANN, "401"), "the old key is of no use");
}

const NO_KEY: &str = "Jwks doesn't have key to match kid or alg from Jwt";

/// How many requests of a worker may wait for a server of keys, as the README says.
const WAITING: usize = 1000;

/// Answers and requests that go on are put off by Envoy, and come to lie in each other on the stack of the VM: with so many at
/// the same time it would fail, and with it all requests, for good.
#[test]
fn as_many_as_may_wait_are_answered_and_then_the_next() {
    let (Some(binary), Some(module)) = (envoy(), module("jwt_headers")) else { return };
    let (issuer, port) = (Issuer::new(), free_port());
    issuer.listen(port);
    let configuration = read("tests/jwt_headers/envoy.yaml");
    let ports = [("ISSUER", port)];
    let proxy = Guarded(Proxy::start(&binary, &configuration, 1, &ports, &[("MODULE", &module)]));
    wait_until("there are keys", || proxy.all(ANN, "200"));
    wait_together(&proxy, &issuer, NO_KEY);
    assert!(proxy.all(ANN, "200"), "{}", proxy.0.log());
    issuer.with(|state| state.keys = SECOND_KEY);
    wait_together(&proxy, &issuer, "first choice");
    assert!(proxy.all(CYD, "200"), "{}", proxy.0.log());
}

/// Sends one more than may wait, which is answered at once; and then the server of keys answers, and the others are.
fn wait_together(proxy: &Guarded, issuer: &Issuer, then: &str) {
    std::thread::sleep(REFETCH);
    issuer.with(|state| state.is_silent = true);
    let runtime = Runtime::new().expect("there are threads");
    let answers = send_together(&runtime, proxy.0.port("MAIN"), CYD, WAITING + 1);
    assert_eq!(answers.recv().as_deref(), Ok(NO_KEY), "{}", proxy.0.log());
    assert_eq!(answers.try_recv().ok(), None, "the others wait");
    issuer.with(|state| state.is_silent = false);
    let others: Vec<_> = answers.iter().collect();
    let good = others.iter().filter(|answer| *answer == then).count();
    assert_eq!((good, others.len()), (WAITING, WAITING), "{}", proxy.0.log());
}

/// Requests over a few connections; what is answered, in the order in which it comes.
fn send_together(runtime: &Runtime, port: u16, token: &'static str, count: usize) -> Receiver<String> {
    let (sender, answers) = mpsc::channel();
    for connection in 0..8 {
        let sender = sender.clone();
        runtime.spawn(async move {
            let client = connect(port).await;
            for _ in (connection..count).step_by(8) {
                let (client, sender) = (client.clone(), sender.clone());
                tokio::spawn(async move { sender.send(ask(client, token).await) });
            }
        });
    }
    answers
}

async fn connect(port: u16) -> SendRequest<Empty<Bytes>> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("Envoy listens");
    let (client, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("Envoy speaks HTTP/2");
    tokio::spawn(connection);
    client
}

/// The body of the answer, or what stands in its way.
async fn ask(mut client: SendRequest<Empty<Bytes>>, token: &str) -> String {
    let request = Request::get("http://a.example/x").header("authorization", format!("Bearer {token}"));
    match client.send_request(request.body(Empty::new()).expect("a request")).await {
        Ok(answer) => match answer.into_body().collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    }
}
