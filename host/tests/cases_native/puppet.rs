//! A plugin that does what its configuration says: for each hook a list of host calls, whose outcome it logs.
//!
//! A call is a line of words: `get request x-a` logs `get request x-a: value`, or `get request x-a: status 1`. `pause`
//! makes the hook pause, everything else lets it continue. `true` stands for a call that always succeeds.

use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, Status};

unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, size: usize, d: *mut *mut u8, ds: *mut usize)
    -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, ds: usize) -> u32;
    fn proxy_get_header_map_value(map: u32, n: *const u8, ns: usize, v: *mut *mut u8, vs: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_size(map: u32, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, n: *const u8, ns: usize) -> u32;
    fn proxy_get_property(path: *const u8, size: usize, v: *mut *mut u8, vs: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_status(code: *mut u32, message: *mut *mut u8, message_size: *mut usize) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// The calls of each hook.
type Script = BTreeMap<String, Vec<String>>;

/// Registers the plugin; the entry of the extension.
pub(crate) fn initialize() {
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}

#[derive(Default)]
struct Root {
    script: Rc<Script>,
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, trailers: usize) {
        answered(&self.script, headers, size, trailers);
    }

    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        grpc(&self.script, &format!("call {status} {size}"), "grpc_answer");
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, count: u32) {
        grpc(&self.script, &format!("initial {count}"), "grpc_initial");
    }

    fn on_grpc_stream_message(&mut self, _: u32, size: usize) {
        grpc(&self.script, &format!("message {size}"), "grpc_message");
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, count: u32) {
        grpc(&self.script, &format!("trailing {count}"), "grpc_trailing");
    }

    fn on_grpc_stream_close(&mut self, _: u32, status: u32) {
        grpc(&self.script, &format!("close {status}"), "grpc_close");
    }
}

/// The answer to a callout, in whichever context.
fn answered(script: &Script, headers: usize, size: usize, trailers: usize) {
    say(&format!("answer {headers} {size} {trailers}"));
    run(script, "answer");
}

fn grpc(script: &Script, what: &str, hook: &str) {
    say(&format!("grpc {what}"));
    run(script, hook);
}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        let refuse = self.get_vm_configuration().is_some_and(|text| text == b"refuse");
        say(if refuse { "refusing" } else { "starting" });
        !refuse
    }

    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        self.script = Rc::new(serde_json::from_slice(&configuration).unwrap_or_default());
        run(&self.script, "configure") == Action::Continue
    }

    fn on_queue_ready(&mut self, queue: u32) {
        QUEUE.set(queue);
        say("queue");
        run(&self.script, "queue");
    }

    fn on_tick(&mut self) {
        say("tick");
        run(&self.script, "tick");
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        say(&format!("context {context}"));
        Some(Box::new(Stream(Rc::clone(&self.script))))
    }
}

struct Stream(Rc<Script>);

impl Stream {
    fn enter(&self, hook: &str, size: usize, last: bool) -> Action {
        say(&format!("{hook} {size} {last}"));
        run(&self.0, hook)
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        self.enter("done", 0, true) == Action::Continue
    }

    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, trailers: usize) {
        answered(&self.0, headers, size, trailers);
    }

    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        grpc(&self.0, &format!("call {status} {size}"), "grpc_answer");
    }

    fn on_grpc_stream_initial_metadata(&mut self, _: u32, count: u32) {
        grpc(&self.0, &format!("initial {count}"), "grpc_initial");
    }

    fn on_grpc_stream_message(&mut self, _: u32, size: usize) {
        grpc(&self.0, &format!("message {size}"), "grpc_message");
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _: u32, count: u32) {
        grpc(&self.0, &format!("trailing {count}"), "grpc_trailing");
    }

    fn on_grpc_stream_close(&mut self, _: u32, status: u32) {
        grpc(&self.0, &format!("close {status}"), "grpc_close");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        say("delete");
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, last: bool) -> Action {
        self.enter("request_headers", 0, last)
    }

    fn on_http_request_body(&mut self, size: usize, last: bool) -> Action {
        self.enter("request_body", size, last)
    }

    fn on_http_request_trailers(&mut self, size: usize) -> Action {
        self.enter("request_trailers", size, true)
    }

    fn on_http_response_headers(&mut self, _: usize, last: bool) -> Action {
        self.enter("response_headers", 0, last)
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        self.enter("response_body", size, last)
    }

    fn on_http_response_trailers(&mut self, size: usize) -> Action {
        self.enter("response_trailers", size, true)
    }

    fn on_log(&mut self) {
        self.enter("log", 0, true);
    }
}

fn run(script: &Script, hook: &str) -> Action {
    let mut action = Action::Continue;
    for call in script.get(hook).into_iter().flatten() {
        match call.split(' ').collect::<Vec<_>>().as_slice() {
            ["pause"] => action = Action::Pause,
            ["pause-unless-last", bytes] if size() < number(bytes) => action = Action::Pause,
            ["pause-unless-last", _] => {}
            words => match perform(words) {
                Ok(value) => say(&format!("{call}: {value}")),
                Err(status) => say(&format!("{call}: status {status}")),
            },
        }
    }
    action
}

/// The size of the request body as it is now.
fn size() -> usize {
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(0, 0, 1 << 30, data, size) }).unwrap_or_default().len()
}

type Answer = Result<String, u32>;

fn perform(words: &[&str]) -> Answer {
    match words {
        ["get", map, name] => text(|v, vs| unsafe {
            proxy_get_header_map_value(self::map(map), name.as_ptr(), name.len(), v, vs)
        }),
        ["pairs", map] => bytes(|v, vs| unsafe { proxy_get_header_map_pairs(self::map(map), v, vs) })
            .map(|wire| count(&wire)),
        ["size", map] => {
            let mut size = 0;
            done(unsafe { proxy_get_header_map_size(self::map(map), &mut size) })
                .map(|_| if size > 0 { "some" } else { "none" }.to_owned())
        }
        ["add", map, n, v] => done(unsafe {
            proxy_add_header_map_value(self::map(map), n.as_ptr(), n.len(), v.as_ptr(), v.len())
        }),
        ["replace", map, n, v] => done(unsafe {
            proxy_replace_header_map_value(self::map(map), n.as_ptr(), n.len(), v.as_ptr(), v.len())
        }),
        ["remove", map, n] => {
            done(unsafe { proxy_remove_header_map_value(self::map(map), n.as_ptr(), n.len()) })
        }
        ["body", buffer, start, size] => text(|v, vs| unsafe {
            proxy_get_buffer_bytes(self::buffer(buffer), number(start), number(size), v, vs)
        }),
        ["set-body", buffer, start, size, data] => done(unsafe {
            proxy_set_buffer_bytes(
                self::buffer(buffer),
                number(start),
                number(size),
                data.as_ptr(),
                data.len(),
            )
        }),
        ["property", path] => {
            let path = path.replace('.', "\0").replace('~', ".");
            text(|v, vs| unsafe { proxy_get_property(path.as_ptr(), path.len(), v, vs) })
        }
        ["set-property", path, value] => {
            done(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
        }
        other => perform_more(other),
    }
}

fn perform_more(words: &[&str]) -> Answer {
    match words {
        ["define", kind, name] => {
            let mut id = 0;
            let defined =
                done(unsafe { proxy_define_metric(number(kind) as u32, name.as_ptr(), name.len(), &mut id) });
            defined.map(|_| if id > 0 { "an id" } else { "no id" }.to_owned())
        }
        ["increment", kind, name, by] => {
            let id = defined(kind, name)?;
            done(unsafe { proxy_increment_metric(id, by.parse().unwrap_or_default()) })
        }
        ["record", kind, name, value] => {
            let id = defined(kind, name)?;
            done(unsafe { proxy_record_metric(id, number(value) as u64) })
        }
        ["metric", kind, name] => {
            let (id, mut value) = (defined(kind, name)?, 0);
            done(unsafe { proxy_get_metric(id, &mut value) }).map(|_| value.to_string())
        }
        ["resume", stream] => done(unsafe { proxy_continue_stream(number(stream) as u32) }),
        ["panic"] => fail(),
        ["panic-on", name] => match perform(&["get", "request", name]) {
            Ok(_) => fail(),
            Err(_) => Ok("not asked for".into()),
        },
        ["close", stream] => done(unsafe { proxy_close_stream(number(stream) as u32) }),
        ["context", id] => done(unsafe { proxy_set_effective_context(number(id) as u32) }),
        ["reply", code, details, body] => reply(code, details, body, -1),
        ["reply", code, details, body, grpc] => reply(code, details, body, grpc.parse().unwrap_or(-1)),
        other => call_out(other),
    }
}

thread_local! {
    /// The gRPC stream that was opened last.
    static STREAM: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    /// The version of the shared data that was read last.
    static CAS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    /// The queue that was told of last.
    static QUEUE: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Callouts go through the crate, which has to know whom to tell.
fn call_out(words: &[&str]) -> Answer {
    use proxy_wasm::hostcalls;
    let name = |text: &str| text.replace("%0a", "\n").replace("%06", "\x06").replace("%04", "\x04");
    match words {
        ["call", cluster, path, body, timeout] => {
            let headers = vec![(":method", "POST"), (":path", *path), (":authority", "example.org")];
            let body = Some(body.trim_matches('-').as_bytes()).filter(|body| !body.is_empty());
            let timeout = Duration::from_millis(number(timeout) as u64);
            id(hostcalls::dispatch_http_call(cluster, headers, body, vec![("x-end", "1")], timeout))
        }
        ["call-bare", cluster, headers] => {
            let headers = headers.split(',').filter_map(|pair| pair.split_once('=')).collect();
            id(hostcalls::dispatch_http_call(cluster, headers, None, vec![], Duration::ZERO))
        }
        ["status"] => {
            let (mut code, mut text) = (0, (null_mut(), 0));
            done(unsafe { proxy_get_status(&mut code, &mut text.0, &mut text.1) })?;
            // SAFETY: as in `bytes`.
            let text = if text.0.is_null() {
                Vec::new()
            } else {
                unsafe { Vec::from_raw_parts(text.0, text.1, text.1) }
            };
            Ok(format!("{code} {}", String::from_utf8_lossy(&text)))
        }
        ["tick", period] => ok(hostcalls::set_tick_period(Duration::from_millis(number(period) as u64))),
        ["foreign", name] => text(|v, vs| unsafe {
            proxy_call_foreign_function(name.as_ptr(), name.len(), null_mut(), 0, v, vs)
        }),
        ["grpc-call", upstream, message, timeout] => {
            let timeout = Duration::from_millis(number(timeout) as u64);
            let message = Some(message.as_bytes());
            id(hostcalls::dispatch_grpc_call(
                &name(upstream),
                "a.Service",
                "Call",
                vec![("x-m", b"1")],
                message,
                timeout,
            ))
        }
        ["grpc-stream", upstream] => {
            let opened = hostcalls::open_grpc_stream(&name(upstream), "a.Service", "Stream", vec![]);
            STREAM.set(opened.unwrap_or(0));
            id(opened)
        }
        ["grpc-send", message, last] => {
            ok(hostcalls::send_grpc_stream_message(STREAM.get(), Some(message.as_bytes()), *last == "last"))
        }
        ["grpc-close"] => ok(hostcalls::close_grpc_stream(STREAM.get())),
        ["grpc-cancel"] => ok(hostcalls::cancel_grpc_stream(STREAM.get())),
        other => share(other),
    }
}

fn id(result: Result<u32, Status>) -> Answer {
    result.map(|id| id.to_string()).map_err(|status| status as u32)
}

fn ok(result: Result<(), Status>) -> Answer {
    result.map(|()| "ok".to_owned()).map_err(|status| status as u32)
}

/// What a queue or shared data holds.
fn held(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "(none)".into(), |value| value.escape_ascii().to_string())
}

fn share(words: &[&str]) -> Answer {
    use proxy_wasm::hostcalls;
    match words {
        ["shared", key] => {
            let (value, cas) = hostcalls::get_shared_data(key).map_err(|status| status as u32)?;
            CAS.set(cas.unwrap_or(0));
            Ok(held(value))
        }
        ["set-shared", key, value, cas] => {
            let cas = match *cas {
                "right" => Some(CAS.get()),
                "wrong" => Some(CAS.get() + 1000),
                _ => None,
            };
            ok(hostcalls::set_shared_data(key, Some(value.as_bytes()), cas))
        }
        ["register", name] => id(hostcalls::register_shared_queue(name)).map(|_| "an id".into()),
        ["enqueue", vm, name, value] => {
            let queue = hostcalls::resolve_shared_queue(vm.trim_matches('-'), name);
            let queue = queue.map_err(|status| status as u32)?.ok_or(1_u32)?;
            ok(hostcalls::enqueue_shared_queue(queue, Some(value.as_bytes())))
        }
        ["dequeue"] => {
            let value = hostcalls::dequeue_shared_queue(QUEUE.get()).map_err(|status| status as u32)?;
            Ok(held(value))
        }
        other => Ok(format!("{other:?} is no call")),
    }
}

/// Fails the VM: as a module by a panic, natively as the SDK reports one that it has caught.
fn fail() -> Answer {
    #[cfg(target_family = "wasm")]
    panic!("asked for");
    #[cfg(not(target_family = "wasm"))]
    {
        unsafe extern "C" {
            fn pwkit_guest_panicked(message: *const u8, size: usize);
        }
        // SAFETY: the pointer and the size are those of a string.
        unsafe { pwkit_guest_panicked("asked for".as_ptr(), 9) };
        Err(99)
    }
}

fn reply(code: &str, details: &str, body: &str, grpc: i32) -> Answer {
    let (details, body) = (details.replace('+', " "), body.trim_matches('-'));
    // One pair, `x-reply: yes`.
    let pairs = b"\x01\0\0\0\x07\0\0\0\x03\0\0\0x-reply\0yes\0";
    done(unsafe {
        proxy_send_local_response(
            number(code) as u32,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            pairs.as_ptr(),
            pairs.len(),
            grpc,
        )
    })
}

fn defined(kind: &str, name: &str) -> Result<u32, u32> {
    let mut id = 0;
    done(unsafe { proxy_define_metric(number(kind) as u32, name.as_ptr(), name.len(), &mut id) }).map(|_| id)
}

fn map(name: &str) -> u32 {
    let names = [
        "request",
        "request_trailers",
        "response",
        "response_trailers",
        "grpc_initial",
        "grpc_trailing",
        "answer",
        "answer_trailers",
    ];
    names.iter().position(|known| *known == name).unwrap_or(99) as u32
}

fn buffer(name: &str) -> u32 {
    ["request", "response", "", "", "answer", "grpc", "vm", "plugin"]
        .iter()
        .position(|known| *known == name)
        .unwrap_or(1) as u32
}

fn number(digits: &str) -> usize {
    digits.parse().unwrap_or_default()
}

/// How many pairs there are: the first four bytes.
fn count(wire: &[u8]) -> String {
    match wire {
        b"(null)" => "(null)".into(),
        [0, 0, 0, 0, ..] => "no pairs".into(),
        _ => "some pairs".into(),
    }
}

fn done(status: u32) -> Answer {
    if status == 0 { Ok("ok".into()) } else { Err(status) }
}

fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, u32> {
    let (mut data, mut size) = (null_mut(), 0);
    done(call(&mut data, &mut size))?;
    if data.is_null() {
        return Ok(b"(null)".to_vec());
    }
    // SAFETY: the host took this memory from `proxy_on_memory_allocate`, which makes vectors of just that size.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

fn text(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Answer {
    bytes(call).map(|bytes| bytes.escape_ascii().to_string())
}

fn say(message: &str) {
    // SAFETY: the pointer and the size are those of a string.
    unsafe { proxy_log(2, message.as_ptr(), message.len()) };
}
