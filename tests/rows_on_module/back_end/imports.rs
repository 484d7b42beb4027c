//! The host functions as the rows declare them, made by the module: each call is told to it, and its outcome read back.

use super::wire::{Reader, Writer};
use super::{CALL, PANIC, say};
use crate::rows::functions::functions;

/// Each function, and how the module gets its arguments.
macro_rules! imports {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) = $($how:ident($($part:ident),+))*;)*) => {$(
        pub(crate) unsafe fn $name($($argument: $type),*) -> u32 {
            #[allow(unused_mut)]
            let mut call = Call::new(stringify!($name));
            #[allow(unused_unsafe)]
            // SAFETY: that of the caller: pointers lead to as many bytes as it says, or to places.
            unsafe { $(call.$how($($part),+);)* }
            call.make()
        }
    )*};
}

functions!(imports);

imports! {
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) = bytes(cluster, cluster_size) bytes(headers, headers_size) bytes(body, body_size)
        bytes(trailers, trailers_size) word(timeout) word_out(token);
}

/// The module panics instead of returning.
pub(crate) unsafe fn pwkit_guest_panicked(message: *const u8, size: usize) {
    let mut command = Writer::default();
    command.word(PANIC);
    // SAFETY: that of the caller.
    command.text(unsafe { bytes(message, size) });
    say(command);
}

/// A place that a host call writes to.
enum Place {
    Bytes(*mut *mut u8, *mut usize),
    Word(*mut u32),
    Long(*mut u64),
    Size(*mut usize),
}

/// A host call to be made.
struct Call {
    command: Writer,
    places: Vec<Place>,
}

impl Call {
    fn new(name: &str) -> Self {
        let mut command = Writer::default();
        command.word(CALL);
        command.text(name.as_bytes());
        Self { command, places: Vec::new() }
    }

    unsafe fn word(&mut self, word: u32) {
        // SAFETY: nothing is unsafe about a number.
        unsafe { self.long(word.into()) }
    }

    unsafe fn long(&mut self, word: u64) {
        self.command.word(0);
        self.command.word(word);
    }

    unsafe fn signed(&mut self, word: i64) {
        // SAFETY: as above.
        unsafe { self.long(word.cast_unsigned()) }
    }

    unsafe fn status(&mut self, word: i32) {
        // SAFETY: as above.
        unsafe { self.word(word.cast_unsigned()) }
    }

    /// What is too large for the module is the largest that it has.
    unsafe fn size(&mut self, size: usize) {
        // SAFETY: as above.
        unsafe { self.word(u32::try_from(size).unwrap_or(u32::MAX)) }
    }

    unsafe fn bytes(&mut self, data: *const u8, size: usize) {
        self.command.word(1);
        // SAFETY: that of the caller.
        self.command.text(unsafe { bytes(data, size) });
    }

    unsafe fn bytes_out(&mut self, data: *mut *mut u8, size: *mut usize) {
        self.command.word(2);
        self.places.push(Place::Bytes(data, size));
    }

    unsafe fn word_out(&mut self, place: *mut u32) {
        self.command.word(3);
        self.places.push(Place::Word(place));
    }

    unsafe fn long_out(&mut self, place: *mut u64) {
        self.command.word(3);
        self.places.push(Place::Long(place));
    }

    unsafe fn size_out(&mut self, place: *mut usize) {
        self.command.word(3);
        self.places.push(Place::Size(place));
    }

    /// Has the call made, and tells its status. A failed call has written nothing.
    fn make(self) -> u32 {
        let report = say(self.command);
        let mut report = Reader(&report);
        let status = report.word() as u32;
        for place in self.places.into_iter().filter(|_| status == 0) {
            let word = report.word();
            // SAFETY: the places are those of the caller, who waits.
            unsafe {
                match place {
                    Place::Word(place) => *place = word as u32,
                    Place::Long(place) => *place = word,
                    Place::Size(place) => *place = word as u32 as usize,
                    Place::Bytes(data, size) if word as u32 == 0 => {
                        (*data, *size) = (std::ptr::null_mut(), (word >> 32) as usize);
                    }
                    Place::Bytes(data, size) => {
                        let text = report.text().to_vec().into_boxed_slice();
                        *size = text.len();
                        *data = Box::into_raw(text).cast();
                    }
                }
            }
        }
        status
    }
}

/// SAFETY: the caller's pointer leads to as many bytes, unless there are none.
unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    // SAFETY: see above.
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data, size) } }
}
