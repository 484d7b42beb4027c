//! The part of WASI that a proxy offers: time, randomness, environment, and lines for the log (row 54).
//!
//! There are no files, no arguments, no sockets. A function that asks for one is there, so that a module which never
//! calls it loads; it answers with an error number.

use super::instance::State;
use super::memory::HostCall;
use crate::engine::Status;
use wasmtime::{Caller, Linker, Result as Traps};

/// What WASI answers instead of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Errno(u32);

impl Errno {
    const BADF: Self = Self(8);
    /// What Envoy answers where it means that there is no directory.
    const EXIST: Self = Self(20);
    const FAULT: Self = Self(21);
    const INVAL: Self = Self(28);
    const IO: Self = Self(29);
    const NOENT: Self = Self(44);
    const NOSYS: Self = Self(52);
    const NOTSUP: Self = Self(58);
    const NOTCAPABLE: Self = Self(76);
}

/// A pointer that leaves the memory.
impl From<Status> for Errno {
    fn from(_: Status) -> Self {
        Self::FAULT
    }
}

/// `random_get` gives no more at once.
const MOST_RANDOM: u32 = 64 * 1024;

/// The names under which the same functions are known.
const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Everything of WASI that a proxy offers.
pub(super) fn offer(linker: &mut Linker<State>) -> Traps<()> {
    for module in MODULES {
        offered(linker, module)?;
        unsupported(linker, module)?;
        linker.func_wrap(module, "sched_yield", |caller: Caller<'_, State>| {
            HostCall::begin(caller, "sched_yield").map(|_| ALWAYS)
        })?;
        // It returns, and what compilers put behind it is a trap.
        linker.func_wrap(module, "proc_exit", |caller: Caller<'_, State>, _code: u32| {
            HostCall::begin(caller, "proc_exit").map(drop)
        })?;
    }
    Ok(())
}

macro_rules! wasi_functions {
    ($(#[$doc:meta])* group $group:ident {
        $(fn $name:ident($guest:ident $(, $argument:ident: $type:ty)* $(,)?) $body:block)*
    }) => {
        $(#[$doc])*
        fn $group(linker: &mut Linker<State>, module: &str) -> Traps<()> {
            $(
                linker.func_wrap(module, stringify!($name), |caller: Caller<'_, State> $(, $argument: $type)*| {
                    let mut $guest = HostCall::begin(caller, stringify!($name))?;
                    let counted = $guest.count().map_err(|_| Errno::NOTCAPABLE);
                    let result: Result<(), Errno> = counted.and_then(|()| $body);
                    $guest.end(result.map_err(|errno| Status(errno.0)))
                })?;
            )*
            Ok(())
        }
    };
}

wasi_functions! {
    /// What does something.
    group offered {
        fn args_get(guest, _arguments: u32, _buffer: u32) {
            let _ = &mut guest;
            Ok(())
        }

        fn args_sizes_get(guest, count: u32, size: u32) {
            guest.write_word(count, 0)?;
            Ok(guest.write_word(size, 0)?)
        }

        fn environ_sizes_get(guest, count: u32, size: u32) {
            let entries = environment(&mut guest)?;
            guest.write_size(count, entries.len())?;
            Ok(guest.write_size(size, entries.iter().map(Vec::len).sum())?)
        }

        fn environ_get(guest, pointers: u32, buffer: u32) {
            let (mut pointer, mut place) = (pointers, buffer);
            for entry in environment(&mut guest)? {
                guest.write_word(pointer, place)?;
                guest.write(place, &entry)?;
                pointer = pointer.wrapping_add(4);
                place = place.wrapping_add(u32::try_from(entry.len()).map_err(|_| Errno::FAULT)?);
            }
            Ok(())
        }

        fn clock_time_get(guest, clock: u32, _precision: u64, time: u32) {
            // The wall clock and the monotonic one; a guest cannot tell them apart.
            if clock > 1 {
                return Err(Errno::NOTSUP);
            }
            let now = guest.ask(|vm, _| Ok(vm.now()))?;
            Ok(guest.write(time, &now.to_le_bytes())?)
        }

        fn random_get(guest, buffer: u32, size: u32) {
            if size > MOST_RANDOM {
                return Err(Errno::INVAL);
            }
            if size == 0 {
                return Ok(());
            }
            let mut bytes = vec![0; size as usize];
            if !guest.state().random.fill(&mut bytes) {
                return Err(Errno::IO);
            }
            Ok(guest.write(buffer, &bytes)?)
        }

        fn clock_res_get(guest, clock: u32, resolution: u32) {
            if clock > 1 {
                return Err(Errno::NOTSUP);
            }
            Ok(guest.write(resolution, &1_u64.to_le_bytes())?)
        }

        fn fd_write(guest, descriptor: u32, pieces: u32, count: u32, written: u32) {
            log(&mut guest, descriptor, pieces, count, written)
        }

        fn fd_pwrite(guest, descriptor: u32, pieces: u32, count: u32, _offset: u64, written: u32) {
            log(&mut guest, descriptor, pieces, count, written)
        }

        fn fd_tell(guest, descriptor: u32, offset: u32) {
            if !is_stdio(descriptor) {
                return Err(Errno::BADF);
            }
            Ok(guest.write(offset, &0_u64.to_le_bytes())?)
        }

        fn fd_readdir(guest, _descriptor: u32, _buffer: u32, _size: u32, _cookie: u64, used: u32) {
            guest.write_word(used, 0)?;
            Err(Errno::EXIST)
        }

        fn poll_oneoff(guest, _subscriptions: u32, _events: u32, _count: u32, happened: u32) {
            Ok(guest.write_word(happened, 0)?)
        }

        fn fd_fdstat_get(guest, descriptor: u32, place: u32) {
            if !is_stdio(descriptor) {
                return Err(Errno::BADF);
            }
            // Only the right to write. That nothing could be written there is not told.
            let mut stat = [0; 24];
            stat[8] = 64;
            let _ = guest.write(place, &stat);
            Ok(())
        }
    }
}

/// The environment as `environ_get` gives it: `NAME=value`, and a NUL.
fn environment(guest: &mut HostCall<'_>) -> Result<Vec<Vec<u8>>, Errno> {
    let entries = guest.ask(|vm, _| {
        Ok(vm.environment().iter().map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect())
    })?;
    Ok(entries)
}

/// Writes the pieces of a text as one line.
fn log(
    guest: &mut HostCall<'_>,
    descriptor: u32,
    pieces: u32,
    count: u32,
    written: u32,
) -> Result<(), Errno> {
    if !is_stdio(descriptor) {
        return Err(Errno::BADF);
    }
    let size = guest.ask(|vm, bytes| {
        let mut text = Vec::new();
        for index in 0..count {
            let piece = bytes.get(pieces.wrapping_add(index.wrapping_mul(8)), 8)?;
            let (address, size) = piece.split_at(4);
            // An empty piece may point anywhere.
            if word(size) > 0 {
                text.extend(bytes.get(word(address), word(size))?);
            }
        }
        vm.write_stdio(descriptor, &text)?;
        Ok(text.len())
    })?;
    Ok(guest.write_size(written, size)?)
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// What answers without a word, on anything.
const ALWAYS: u32 = 0;

/// Declares functions by their parameters. All answer one number, some another one for standard output and error.
macro_rules! unsupported {
    ($($name:ident($first:ty $(, $type:ty)*) = $errno:expr;)*) => {
        /// What only answers.
        fn unsupported(linker: &mut Linker<State>, module: &str) -> Traps<()> {
            $(
                linker.func_wrap(
                    module,
                    stringify!($name),
                    |caller: Caller<'_, State>, first: $first $(, _: $type)*| {
                        HostCall::begin(caller, stringify!($name))?;
                        Traps::Ok(Answer::from($errno).to(first))
                    },
                )?;
            )*
            Ok(())
        }
    };
}

/// What a function answers, if it depends on nothing but the file descriptor.
#[derive(Clone, Copy)]
enum Answer {
    Always(u32),
    /// Success for standard output and error, else that there is no such file.
    Stdio,
}

impl From<Errno> for Answer {
    fn from(errno: Errno) -> Self {
        Self::Always(errno.0)
    }
}

impl Answer {
    fn to(self, descriptor: u32) -> u32 {
        match self {
            Self::Always(number) => number,
            Self::Stdio if is_stdio(descriptor) => 0,
            Self::Stdio => Errno::BADF.0,
        }
    }
}

fn is_stdio(descriptor: u32) -> bool {
    matches!(descriptor, 1 | 2)
}

// Measured in Envoy 1.40, function by function.
unsupported! {
    fd_advise(u32, u64, u64, u32) = Answer::Always(ALWAYS);
    fd_allocate(u32, u64, u64) = Answer::Stdio;
    fd_close(u32) = Answer::Always(ALWAYS);
    fd_datasync(u32) = Answer::Stdio;
    fd_fdstat_set_flags(u32, u32) = Errno::NOSYS;
    fd_fdstat_set_rights(u32, u64, u64) = Answer::Stdio;
    fd_filestat_get(u32, u32) = Errno::BADF;
    fd_filestat_set_size(u32, u64) = Answer::Stdio;
    fd_filestat_set_times(u32, u64, u64, u32) = Answer::Stdio;
    fd_pread(u32, u32, u32, u64, u32) = Errno::NOSYS;
    fd_prestat_dir_name(u32, u32, u32) = Errno::NOSYS;
    fd_prestat_get(u32, u32) = Errno::BADF;
    fd_read(u32, u32, u32, u32) = Errno::NOSYS;
    fd_renumber(u32, u32) = Errno::BADF;
    fd_seek(u32, u64, u32, u32) = Answer::Always(ALWAYS);
    fd_sync(u32) = Answer::Stdio;
    path_create_directory(u32, u32, u32) = Errno::NOTSUP;
    path_filestat_get(u32, u32, u32, u32, u32) = Errno::NOTSUP;
    path_filestat_set_times(u32, u32, u32, u32, u64, u64, u32) = Errno::NOTSUP;
    // One argument less than WASI says, as Envoy has it; the same goes for `path_symlink`.
    path_link(u32, u32, u32, u32, u32, u32) = Errno::NOTSUP;
    path_open(u32, u32, u32, u32, u32, u64, u64, u32, u32) = Errno::NOENT;
    path_readlink(u32, u32, u32, u32, u32, u32) = Errno::NOTSUP;
    path_remove_directory(u32, u32, u32) = Errno::NOTSUP;
    path_rename(u32, u32, u32, u32, u32, u32) = Errno::NOTSUP;
    path_symlink(u32, u32, u32, u32) = Errno::NOTSUP;
    path_unlink_file(u32, u32, u32) = Errno::NOTSUP;
    sock_accept(u32, u32, u32) = Errno::NOTSUP;
    sock_recv(u32, u32, u32, u32, u32, u32) = Errno::NOTSUP;
    sock_send(u32, u32, u32, u32, u32) = Errno::NOTSUP;
    sock_shutdown(u32, u32) = Errno::NOTSUP;
}
