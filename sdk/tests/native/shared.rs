//! Shared data, the cache in it, and queues.

use crate::{extension, get, start};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::{now, sleep};
use proxy_wasm_kit_host::engine::Errand;
use proxy_wasm_kit_host::exchange::{Clock, Message, Setup};
use proxy_wasm_kit_host::native::Host;
use std::time::{Duration, UNIX_EPOCH};

/// What another plugin of the same VM id left at a key, byte for byte.
const RAW: Shared<Bytes> = Shared::new("key").version(9);

#[test]
fn a_value_is_set_read_inserted_and_removed() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let names: Shared<Vec<String>> = Shared::at("names");
            assert_eq!(names.get()?, None);
            assert!(!names.remove()?, "there is nothing to remove");
            assert!(names.insert(&vec!["ann".into()])?);
            assert!(!names.insert(&vec!["bob".into()])?);
            assert_eq!(names.get()?.unwrap(), ["ann"]);
            assert!(names.remove()?);
            assert_eq!(names.get()?, None);
            assert!(!names.remove()?, "it is removed already");
            assert!(names.insert(&Vec::new())?, "what was removed can be inserted again");
            assert_eq!(names.get()?, Some(Vec::new()));
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn updates_count_and_may_decline() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let left: Shared<u64> = Shared::new("left");
            let take = || left.update_if(|left| left?.checked_sub(1));
            assert_eq!(take()?, None, "nothing is there, and nothing was written");
            assert_eq!(left.update(|old| old.unwrap_or(1).saturating_add(1))?, 2);
            assert_eq!((take()?, take()?, take()?), (Some(1), Some(0), None));
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn an_update_that_others_overtake_runs_again_and_not_for_ever() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let count: Shared<u64> = Shared::new("count");
            let mut rounds = 0_u64;
            let written = count.update(|old| {
                rounds += 1;
                if rounds < 3 {
                    count.set(&(rounds * 10)).unwrap();
                }
                old.unwrap_or(0) + 1
            })?;
            assert_eq!((written, rounds), (21, 3));
            let error = count.update(|_| {
                count.set(&0).unwrap();
                1
            });
            assert!(error.unwrap_err().is_contended());
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn another_version_reads_as_absent_and_a_wrong_form_is_an_error() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let number: Shared<u64> = Shared::new("key").version(9);
            let text: Shared<String> = Shared::new("key").version(2);
            number.set(&7)?;
            assert_eq!((number.get()?, text.get()?), (Some(7), None));
            assert_eq!(RAW.get()?.unwrap(), "7");
            assert!(text.insert(&"seven".into())?, "the old version is replaced");
            assert_eq!((number.get()?, text.get()?.as_deref()), (None, Some("seven")));
            RAW.set(&Bytes::from(b"x".to_vec()))?;
            let error = number.get().unwrap_err();
            assert_eq!(error.to_string(), "proxy_get_shared_data: the value does not fit its type");
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

const CACHE: Cache<String> = Cache::new("cache").ttl(Duration::from_secs(10)).largest(16).places(8);

#[test]
fn a_cache_forgets_in_time_and_refuses_what_is_too_large() {
    extension!(Run {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            if request.path()? == "/store" {
                assert!(CACHE.insert("k", &"value".into())?);
                assert!(!CACHE.insert("large", &"x".repeat(16))?);
                assert_eq!(CACHE.get("large")?, None);
            }
            let found = CACHE.get("k")?.unwrap_or_default();
            Ok(Flow::Reply(Response::new(200).body(found)))
        }
    });
    let host = start::<Run>(Setup { clock: Clock::Fixed(1_000_000_000), ..Setup::default() });
    let found = |path| crate::body(&host.exchange(Message::request("GET", path), &Message::response(200)));
    assert_eq!((found("/"), found("/store"), found("/")), (String::new(), "value".into(), "value".into()));
    host.pass(Duration::from_secs(9));
    assert_eq!(found("/"), "value");
    host.pass(Duration::from_secs(1));
    assert_eq!(found("/"), "");
}

#[test]
fn keys_that_share_a_place_do_not_see_each_other() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let cache: Cache<u32> = Cache::new("one").places(1);
            cache.insert("a", &1)?;
            assert_eq!((cache.get("a")?, cache.get("b")?), (Some(1), None));
            assert!(!cache.remove("b")?);
            cache.insert("b", &2)?;
            assert_eq!((cache.get("a")?, cache.get("b")?), (None, Some(2)));
            assert_eq!(Cache::<u32>::new("one").places(1).version(2).get("b")?, None);
            assert!(cache.remove("b")?);
            assert_eq!((cache.get("b")?, cache.remove("b")?), (None, false));
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn a_queue_keeps_its_order_and_is_found_by_name() {
    struct Plugin(Queue);
    impl Extension for Plugin {
        type Config = ();
        type Filter = Filter;

        fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
            Ok(Self(root.queue("events")?))
        }

        fn filter(self: &Rc<Self>) -> Filter {
            Filter(self.0)
        }
    }

    struct Filter(Queue);
    impl HttpFilter for Filter {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let found = Queue::resolve("", "events")?.unwrap();
            assert_eq!(found, self.0);
            assert_eq!(Queue::resolve("", "other")?, None);
            assert_eq!(Queue::resolve("elsewhere", "events")?, None);
            assert_eq!(found.dequeue()?, None);
            found.enqueue("one")?;
            found.enqueue(b"\xff")?;
            assert_eq!(self.0.dequeue()?.unwrap(), "one");
            assert_eq!(self.0.dequeue()?.unwrap(), b"\xff"[..]);
            assert_eq!(self.0.dequeue()?, None);
            Ok(Flow::Continue)
        }
    }
    let seen =
        start::<Plugin>(Setup::default()).exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200);
}

#[test]
fn a_lease_from_before_the_clock_was_set_back_is_not_held() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            Shared::<(u64, u64)>::at("pwkit.lease.jobs").set(&(u64::MAX, 77))?;
            let lease = Lease::new("jobs", Duration::from_secs(1));
            assert!(lease.acquire()?);
            let (end, _) = Shared::<(u64, u64)>::at("pwkit.lease.jobs").get()?.unwrap();
            assert!(end < u64::MAX);
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

/// Between the look at the clock and the look at the lease another worker may run.
#[test]
fn a_lease_that_was_taken_a_moment_later_is_held() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let later = now()? + Duration::from_secs(101);
            let end = u64::try_from(later.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
            Shared::<(u64, u64)>::at("pwkit.lease.jobs").set(&(end, 77))?;
            assert!(!Lease::new("jobs", Duration::from_secs(100)).acquire()?);
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

/// Waits, and works under a lease of 3 seconds: `/WAIT/WORK` in seconds.
fn start_work() -> Host {
    extension!(Run {
        fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
            let path = request.path()?;
            let [wait, work] = [1, 3].map(|at| Duration::from_secs(u64::from(path[at] - b'0')));
            let flow = request.later(async move |_| {
                sleep(wait).await?;
                let done = Lease::new("work", Duration::from_secs(3)).during(sleep(work)).await?;
                Ok(Flow::Reply(Response::new(if done.is_some() { 200 } else { 409 })))
            });
            Ok(flow.within(Duration::from_secs(60)))
        }
    });
    start::<Run>(Setup { clock: Clock::Fixed(1_000_000_000), ..Setup::default() })
}

fn errand(path: &str, patience: u64) -> Errand {
    let upstream = Message::response(200).into();
    Errand { request: Message::request("GET", path), upstream, patience: Some(Duration::from_secs(patience)) }
}

fn statuses(host: &Host, errands: Vec<Errand>) -> Vec<u16> {
    let seen = host.run_all(errands);
    seen.into_iter().map(|one| one.client.map_or(0, |answer| answer.status())).collect()
}

#[test]
fn a_lease_is_held_as_long_as_the_work_takes_and_no_longer() {
    let all = ["/0/8", "/7/1", "/9/1"].map(|path| errand(path, 60));
    assert_eq!(statuses(&start_work(), all.into()), [200, 409, 200]);
}

#[test]
fn a_lease_is_given_back_when_the_work_is_dropped() {
    let host = start_work();
    assert_eq!(statuses(&host, vec![errand("/0/8", 1)]), [0]);
    assert_eq!(statuses(&host, vec![errand("/0/1", 60)]), [200]);
}
