//! TCP routing, as in `plain/tcp_routing.rs`.

use super::{CONTINUE, IDLE, PAUSE, Program, abi};
use std::cell::RefCell;

pub(super) const PROGRAM: Program = Program {
    configure: |names| NAMES.set(String::from_utf8_lossy(names).into_owned()),
    connection,
    data: |size, last| {
        abi::log(&format!("Down {size} {last}."));
        CONTINUE
    },
    closed: |by| abi::log(&format!("Closed: {}.", ["Unknown", "Local", "Remote"][by as usize % 3])),
    ..IDLE
};

thread_local! {
    static NAMES: RefCell<String> = const { RefCell::new(String::new()) };
}

fn connection() -> u32 {
    let Some(cluster) = route() else {
        let _ = abi::close_downstream();
        return PAUSE;
    };
    let told = abi::foreign("set_envoy_filter_state", &arguments(&cluster));
    abi::log(&format!("To {cluster}: {}.", if told.is_ok() { "done" } else { "refused" }));
    CONTINUE
}

fn route() -> Option<String> {
    let source = String::from_utf8(abi::property(&["source", "address"])?).ok()?;
    let (address, _) = source.rsplit_once(':')?;
    let (_, octet) = address.rsplit_once('.')?;
    abi::log(&format!("The last number of {address} is {octet}."));
    let names = NAMES.with_borrow(Clone::clone);
    let names = if names.is_empty() { "egress-router1 egress-router2" } else { &names };
    names.split(' ').nth(octet.parse::<usize>().ok()? % 2).map(str::to_owned)
}

fn arguments(cluster: &str) -> Vec<u8> {
    let field = |number: u8, text: &str| {
        let size = u8::try_from(text.len()).unwrap_or(0);
        [&[number << 3 | 2, size], text.as_bytes()].concat()
    };
    [field(1, "envoy.tcp_proxy.cluster"), field(2, cluster)].concat()
}
