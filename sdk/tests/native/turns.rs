//! Many tasks that go on at the same time: so many in one callback, the others by the next ticks, first come, first served.

use crate::start;
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::sleep;
use proxy_wasm_kit_host::engine::Errand;
use proxy_wasm_kit_host::exchange::{Clock, Exchange, Message, Setup};
use proxy_wasm_kit_host::native::Host;
use std::time::Duration;

/// As much as all that is about as many.
const MANY: usize = 100;

const SHORT: Duration = Duration::from_millis(1);

/// What requests wait for, and how long at the most.
struct Gate(Watch<()>);
struct Visitor(Rc<Gate>);

impl Extension for Gate {
    type Config = ();
    type Filter = Visitor;

    fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
        Ok(Self(Watch::new()))
    }

    fn filter(self: &Rc<Self>) -> Visitor {
        Visitor(self.clone())
    }
}

impl HttpFilter for Visitor {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let (gate, path) = (self.0.0.clone(), request.path()?.as_str().unwrap_or_default().to_owned());
        let limit = Duration::from_millis(if path.starts_with("/hurry") { 2 } else { 1000 });
        let flow = request.later(async move |_| {
            match &*path {
                "/open" => gate.set(()),
                "/open-soon" => {
                    sleep(SHORT).await?;
                    gate.set(());
                }
                path if path.starts_with("/sleep") => sleep(SHORT).await?,
                _ => drop(gate.value().await),
            }
            log::info!("{path} {:?}", proxy_wasm_kit::now()?);
            Ok(Flow::Reply(Response::new(401)))
        });
        Ok(flow.within(limit))
    }
}

fn host() -> Host {
    start::<Gate>(Setup { clock: Clock::Fixed(1_000_000_000), ..Setup::default() })
}

/// As many requests for the path with a number, and another one.
fn together(path: &str, last: Option<&str>) -> Vec<Exchange> {
    let paths = (0..MANY).map(|number| format!("{path}{number}")).chain(last.map(str::to_owned));
    let seen = host().run_all(paths.map(|path| errand(&path, None)).collect());
    assert!(seen.iter().all(|one| one.client.as_ref().is_some_and(|answer| answer.status() == 401)));
    seen
}

fn errand(path: &str, patience: Option<Duration>) -> Errand {
    Errand { request: Message::request("GET", path), upstream: Message::response(200).into(), patience }
}

/// How many had their turn at each time that there was one. Each came after those that had come before it.
fn turns(path: &str, seen: &[Exchange]) -> Vec<usize> {
    let lines = seen[0].log.iter().filter_map(|line| line.message.split_once(path)?.1.split_once(' '));
    let lines: Vec<(usize, &str)> =
        lines.map(|(number, time)| (number.parse().expect("a number"), time)).collect();
    assert!(lines.is_sorted_by_key(|(number, _)| *number), "{lines:?}");
    lines.chunk_by(|(_, one), (_, next)| one == next).map(<[_]>::len).collect()
}

#[test]
fn who_waits_for_a_value_has_a_turn_in_the_order_of_coming() {
    let seen = together("/wait", Some("/open"));
    assert_eq!(turns("/wait", &seen), [32, 32, 32, 4]);
    // For the deadlines, for the first tick that is wanted at once, and off: not for each that is put off.
    assert_eq!(seen[0].host_calls["proxy_set_tick_period_milliseconds"], 3);
}

#[test]
fn who_sleeps_has_a_turn_in_the_order_of_coming() {
    assert_eq!(turns("/sleep", &together("/sleep", None)), [32, 32, 32, 4]);
}

#[test]
fn a_deadline_that_passes_before_the_turn_takes_nothing_away() {
    let seen = together("/hurry", Some("/open-soon"));
    assert_eq!(turns("/hurry", &seen), [31, 32, 32, 5], "the first was that of who opened");
}

#[test]
fn who_leaves_before_the_turn_takes_it_from_nobody() {
    let path = |number| format!("/wait{number}");
    let mut errands: Vec<_> = (0..MANY).map(|number| errand(&path(number), None)).collect();
    for (number, leaving) in errands.iter_mut().enumerate() {
        leaving.patience = (number % 3 == 2).then_some(Duration::from_micros(500));
    }
    errands.push(errand("/open", None));
    let host = host();
    let seen = host.run_all(errands);
    let answered = seen.iter().filter(|one| one.client.is_some()).count();
    // A third is gone, and so is what they would have had a turn for.
    assert_eq!((turns("/wait", &seen), answered, host.failure()), (vec![32, 32, 3], 68, None));
}
