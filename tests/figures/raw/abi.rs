//! What a guest by hand needs of the ABI, and the little that every one of these filters does with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

unsafe extern "C" {
    fn __wasm_call_ctors();
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
}

pub const CONTINUE: u32 = 0;
pub const PAUSE: u32 = 1;
pub const REQUEST_HEADERS: u32 = 0;
pub const CALL_RESPONSE_HEADERS: u32 = 6;
pub const CALL_RESPONSE_BODY: u32 = 4;

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut memory = std::mem::ManuallyDrop::new(Vec::with_capacity(size));
    memory.as_mut_ptr()
}

/// Owns what the host has put into memory that it took from the function above.
fn owned(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if status != 0 || data.is_null() {
        return None;
    }
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

pub fn pairs(map: u32) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_pairs(map, &mut data, &mut size) };
    owned(status, data, size)
}

pub fn value(map: u32, name: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    let status = unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) };
    owned(status, data, size)
}

/// A whole buffer of so many bytes.
pub fn bytes(buffer: u32, size: usize) -> Option<Vec<u8>> {
    if size == 0 {
        return Some(Vec::new());
    }
    let (mut data, mut length) = (std::ptr::null_mut(), 0);
    let status = unsafe { proxy_get_buffer_bytes(buffer, 0, size, &mut data, &mut length) };
    owned(status, data, length)
}

pub fn set(name: &[u8], value: &[u8]) -> bool {
    let (name, size) = (name.as_ptr(), name.len());
    let status =
        unsafe { proxy_replace_header_map_value(REQUEST_HEADERS, name, size, value.as_ptr(), value.len()) };
    status == 0
}

pub fn remove(name: &[u8]) -> bool {
    let status = unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    status == 0
}

pub fn reply(status: u32, details: &str, headers: &[(&[u8], &[u8])]) {
    let headers = if headers.is_empty() { Vec::new() } else { encode(headers) };
    let none = std::ptr::null();
    let (headers, headers_size) = (headers.as_ptr(), headers.len());
    unsafe {
        proxy_send_local_response(status, details.as_ptr(), details.len(), none, 0, headers, headers_size, -1)
    };
}

/// The token of a call to a cluster.
pub fn call(
    cluster: &str,
    headers: &[(&[u8], &[u8])],
    body: &[u8],
    timeout_milliseconds: u32,
) -> Option<u32> {
    let headers = encode(headers);
    let mut token = 0;
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            std::ptr::null(),
            0,
            timeout_milliseconds,
            &mut token,
        )
    };
    (status == 0).then_some(token)
}

pub fn enter(context: u32) -> bool {
    unsafe { proxy_set_effective_context(context) == 0 }
}

pub fn resume_request() {
    unsafe { proxy_continue_stream(0) };
}

/// Names and values in the format of the ABI.
fn encode(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let size = 4 + pairs.iter().map(|(name, value)| name.len() + value.len() + 10).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&(pairs.len() as u32).to_le_bytes());
    for (name, value) in pairs {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        for text in [name, value] {
            out.extend_from_slice(text);
            out.push(0);
        }
    }
    out
}

/// Calls `each` with every name and value; `None` if the pairs are cut short.
pub fn for_each<'a>(pairs: &'a [u8], mut each: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
    let number = |at: usize| Some(u32::from_le_bytes(pairs.get(at..at + 4)?.try_into().ok()?) as usize);
    if pairs.is_empty() {
        return Some(());
    }
    let count = number(0)?;
    let mut text = count.checked_mul(8)?.checked_add(4)?;
    for index in 0..count {
        let (name, value) = (number(4 + index * 8)?, number(8 + index * 8)?);
        let middle = text.checked_add(name)?;
        let end = middle.checked_add(1)?.checked_add(value)?;
        each(pairs.get(text..middle)?, pairs.get(middle + 1..end)?);
        text = end.checked_add(1)?;
    }
    Some(())
}

/// The plugins of a VM. Several may share it, and one that is updated lives on beside its successor.
pub struct Plugins<T> {
    configured: RefCell<Vec<(u32, Rc<T>)>>,
    /// The stream that was created last, and its plugin: its first callback comes at once.
    last: Cell<(u32, u32)>,
}

impl<T> Plugins<T> {
    pub const fn new() -> Self {
        Self { configured: RefCell::new(Vec::new()), last: Cell::new((0, 0)) }
    }

    pub fn created(&self, id: u32, parent: u32) {
        if parent != 0 {
            self.last.set((id, parent));
        }
    }

    pub fn of(&self, stream: u32) -> Option<Rc<T>> {
        let (last, parent) = self.last.get();
        let configured = self.configured.borrow();
        let plugin = configured.iter().find(|(id, _)| *id == parent && last == stream)?;
        Some(plugin.1.clone())
    }

    pub fn configure(&self, id: u32, read: impl FnOnce(serde_json::Value) -> Option<T>) -> u32 {
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        let status = unsafe { proxy_get_buffer_bytes(7, 0, usize::MAX >> 1, &mut data, &mut size) };
        let text = owned(status, data, size).unwrap_or_default();
        let plugin = serde_json::from_slice(&text).ok().and_then(read);
        let accepted = plugin.is_some();
        self.configured.borrow_mut().extend(plugin.map(|plugin| (id, Rc::new(plugin))));
        accepted.into()
    }
}

/// The text of a key of the configuration.
pub fn text(config: &serde_json::Value, key: &str) -> Option<String> {
    config.get(key)?.as_str().map(str::to_owned)
}
