//! The guest of the rows as a module. It does what a test says: in each callback it asks, by a foreign function, makes the
//! host calls that it is told to make, with arguments in its own memory, and returns what it is told to return.
//!
//! What is asked and said is a row of words and texts, as in `remote/wire.rs`. The other side is `tests/rows_on_module/` of the
//! workspace.

mod wire;

use std::ptr::null_mut;
use wire::{Reader, Writer};

/// The foreign function that the test offers.
const TEST: &[u8] = b"test";

/// What the test says.
const RETURN: u64 = 0;
const CALL: u64 = 1;
const PANIC: u64 = 2;

macro_rules! imports {
    ($($name:ident($($word:ident: $type:ty),*);)*) => {
        #[link(wasm_import_module = "env")]
        unsafe extern "C" {
            $(fn $name($($word: $type),*) -> u32;)*
        }

        /// A host call by its name.
        fn call(name: &[u8], words: &[u64]) -> u32 {
            let mut words = words.iter().copied();
            $(if name == stringify!($name).as_bytes() {
                $(let $word = words.next().unwrap_or(0) as $type;)*
                // SAFETY: pointers among the words are those of `perform`.
                return unsafe { $name($($word),*) };
            })*
            u32::MAX
        }
    };
}

imports! {
    proxy_log(a: u32, b: u32, c: u32);
    proxy_get_log_level(a: u32);
    proxy_get_current_time_nanoseconds(a: u32);
    proxy_set_effective_context(a: u32);
    proxy_get_header_map_value(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_get_header_map_pairs(a: u32, b: u32, c: u32);
    proxy_get_header_map_size(a: u32, b: u32);
    proxy_set_header_map_pairs(a: u32, b: u32, c: u32);
    proxy_add_header_map_value(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_replace_header_map_value(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_remove_header_map_value(a: u32, b: u32, c: u32);
    proxy_get_buffer_bytes(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_set_buffer_bytes(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_get_property(a: u32, b: u32, c: u32, d: u32);
    proxy_set_property(a: u32, b: u32, c: u32, d: u32);
    proxy_define_metric(a: u32, b: u32, c: u32, d: u32);
    proxy_increment_metric(a: u32, b: i64);
    proxy_record_metric(a: u32, b: u64);
    proxy_get_metric(a: u32, b: u32);
    proxy_continue_stream(a: u32);
    proxy_close_stream(a: u32);
    proxy_send_local_response(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: i32);
    proxy_http_call(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32, i: u32, j: u32);
    proxy_call_foreign_function(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32);
    proxy_done();
    proxy_set_tick_period_milliseconds(a: u32);
    proxy_get_shared_data(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_set_shared_data(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_register_shared_queue(a: u32, b: u32, c: u32);
    proxy_resolve_shared_queue(a: u32, b: u32, c: u32, d: u32, e: u32);
    proxy_dequeue_shared_queue(a: u32, b: u32, c: u32);
    proxy_enqueue_shared_queue(a: u32, b: u32, c: u32);
}

/// Each callback asks the test under its own name.
macro_rules! callbacks {
    ($($name:ident($($word:ident),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($word: u32),*) -> u32 {
            ask(stringify!($name), &[$($word),*])
        }
    )*};
}

/// The same, where nothing is returned.
macro_rules! notices {
    ($($name:ident($($word:ident),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($word: u32),*) {
            ask(stringify!($name), &[$($word),*]);
        }
    )*};
}

callbacks! {
    proxy_on_vm_start(context, size);
    proxy_on_configure(context, size);
    proxy_on_new_connection(context);
    proxy_on_downstream_data(context, size, last);
    proxy_on_upstream_data(context, size, last);
    proxy_on_request_headers(context, count, last);
    proxy_on_request_body(context, size, last);
    proxy_on_request_trailers(context, count);
    proxy_on_response_headers(context, count, last);
    proxy_on_response_body(context, size, last);
    proxy_on_response_trailers(context, count);
    proxy_on_done(context);
}

notices! {
    proxy_on_context_create(context, parent);
    proxy_on_downstream_connection_close(context, by);
    proxy_on_upstream_connection_close(context, by);
    proxy_on_queue_ready(context, queue);
    proxy_on_http_call_response(context, token, headers, size, trailers);
    proxy_on_tick(context);
    proxy_on_log(context);
    proxy_on_delete(context);
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: called once, before anything else.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Vec::with_capacity(size).leak().as_mut_ptr()
}

/// Asks the test what comes of a callback, and does it.
fn ask(callback: &str, arguments: &[u32]) -> u32 {
    let mut question = Writer::default();
    question.text(callback.as_bytes());
    arguments.iter().for_each(|word| question.word((*word).into()));
    loop {
        let said = test(&question.0);
        let mut said = Reader(&said);
        match said.word() {
            RETURN => return said.word() as u32,
            CALL => question = perform(&mut said),
            PANIC => {
                let message = [b"panicked: ".as_slice(), said.text()].concat();
                call(b"proxy_log", &[4, message.as_ptr() as u64, message.len() as u64]);
                core::arch::wasm32::unreachable();
            }
            _ => core::arch::wasm32::unreachable(),
        }
    }
}

fn test(question: &[u8]) -> Vec<u8> {
    let (mut data, mut size) = (null_mut::<u8>(), 0_usize);
    let words = [
        TEST.as_ptr() as u64,
        TEST.len() as u64,
        question.as_ptr() as u64,
        question.len() as u64,
        (&raw mut data) as u64,
        (&raw mut size) as u64,
    ];
    call(b"proxy_call_foreign_function", &words);
    // SAFETY: the host took this memory from `proxy_on_memory_allocate`, which makes vectors of just that size.
    if data.is_null() { Vec::new() } else { unsafe { Vec::from_raw_parts(data, size, size) } }
}

/// Makes a host call, and reports its status and what it has written.
fn perform(said: &mut Reader<'_>) -> Writer {
    let name = said.text();
    let (mut words, mut places, mut outputs) = (Vec::new(), [0_u64; 8], Vec::new());
    let base = places.as_mut_ptr() as u64;
    while !said.0.is_empty() {
        match said.word() {
            // A number.
            0 => words.push(said.word()),
            // Bytes to read.
            1 => {
                let text = said.text();
                words.extend([text.as_ptr() as u64, text.len() as u64]);
            }
            // A place for bytes, or for a number.
            kind => {
                let place = base + 8 * outputs.len() as u64;
                words.push(place);
                words.extend((kind == 2).then_some(place + 4));
                outputs.push(kind);
            }
        }
    }
    let status = call(name, &words);
    let mut report = Writer::default();
    report.word(status.into());
    for (kind, place) in outputs.into_iter().zip(places) {
        report.word(place);
        let (data, size) = (place as u32 as usize as *mut u8, (place >> 32) as usize);
        if kind == 2 && status == 0 && !data.is_null() {
            // SAFETY: as in `test`.
            report.text(&unsafe { Vec::from_raw_parts(data, size, size) });
        }
    }
    report
}
