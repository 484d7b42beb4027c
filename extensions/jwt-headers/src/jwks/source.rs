//! One server that has keys, and what is known of it.

use super::Counters;
use crate::config::{RemoteJwks, Span};
use crate::policy::{KeySet, Policy, Uri};
use proxy_wasm_kit::{
    Bytes, Call, CallError, CallResponse, First, HostError, Lease, Result, Root, Shared, Watch, now, select,
    sleep,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// How often shared data are looked at while something is going to change, and else at the least.
const LOOKS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// Milliseconds since 1970 of the last fetch that was good, and the last that was tried; 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    fetched: u64,
    tried: u64,
}

impl Times {
    /// Whether the last attempt was none that succeeded.
    fn failed(self) -> bool {
        self.tried > self.fetched
    }
}

/// All times in milliseconds.
#[derive(Clone, Copy)]
struct Limits {
    timeout: u64,
    fresh: u64,
    stale: u64,
    refetch: u64,
    after_failure: u64,
    retries: u32,
    pauses: [u64; 2],
}

pub(super) struct Source {
    provider: usize,
    about: String,
    call: Call,
    limits: Limits,
    allow_weak: bool,
    counters: Counters,
    policy: Rc<Policy>,
    lease: Lease,
    shared_times: Shared<(u64, u64)>,
    shared_text: Shared<Bytes>,
    times: Cell<Times>,
    /// Set when a request wants keys.
    wanted: RefCell<Watch<()>>,
    /// Set when an attempt has ended.
    ended: RefCell<Watch<()>>,
}

impl Source {
    /// None if the URL is not one, which the policy has checked.
    pub(super) fn new(
        provider: usize,
        from: &RemoteJwks,
        allow_weak: bool,
        counters: Counters,
        policy: &Rc<Policy>,
        root: &Root,
    ) -> Option<Self> {
        let (http, limits) = (&from.http_uri, Limits::of(from));
        let uri = Uri::read(&http.uri).ok()?;
        let call = root.cluster(&http.cluster).get(&uri.path).authority(&uri.authority);
        // Who fetches the same, with the same measure, shares it.
        let name = format!("jwt_headers.jwks.{} {} {allow_weak}", http.cluster, http.uri);
        Some(Self {
            provider,
            about: format!("keys of {}", http.uri),
            call: call.header("accept", "application/json").timeout_ms(limits.timeout),
            limits,
            allow_weak,
            counters,
            policy: policy.clone(),
            lease: Lease::new(&name, Duration::from_millis(limits.longest_fetch())),
            shared_times: Shared::at(format!("{name} times")),
            shared_text: Shared::at(name),
            times: Cell::default(),
            wanted: RefCell::default(),
            ended: RefCell::default(),
        })
    }

    pub(super) fn provider(&self) -> usize {
        self.provider
    }

    /// For all time: takes what others have fetched, fetches when it is due, forgets what is too old.
    pub(super) async fn keep_fresh(&self) -> Result<()> {
        // Envoy tries each configuration in a VM that it throws away: there no timer runs, and so nothing is fetched.
        sleep(Duration::from_millis(1)).await?;
        loop {
            if let Err(error) = self.look().await {
                log::error!("{}: {error}", self.about);
            }
            let wanted = self.wanted.borrow().clone();
            let [often, seldom] = LOOKS;
            if wanted.get().is_some() {
                sleep(often).await?;
            } else {
                let due = self.limits.due(self.times.get(), false).saturating_sub(milliseconds()?);
                select(sleep(Duration::from_millis(due).clamp(often, seldom)), wanted.value()).await;
            }
        }
    }

    async fn look(&self) -> Result<()> {
        self.take_shared()?;
        self.mind_the_clock()?;
        self.forget_what_is_old()?;
        let is_wanted = self.wanted.borrow().get().is_some();
        let is_due = || Ok::<_, HostError>(self.limits.is_due(self.times.get(), is_wanted, milliseconds()?));
        if is_due()? && self.lease.acquire()? {
            // Somebody may have been quicker.
            self.take_shared()?;
            let done = if is_due()? { self.fetch().await } else { Ok(()) };
            self.lease.release()?;
            done?;
            self.take_shared()?;
        }
        Ok(())
    }

    /// Keys that are dated in the future were fetched before the clock was set back, nobody knows how long: they count as old
    /// from now on, and not as new until their date has come.
    fn mind_the_clock(&self) -> Result<()> {
        let Times { fetched, tried } = self.times.get();
        let now = milliseconds()?;
        if fetched.max(tried) <= now {
            return Ok(());
        }
        log::warn!("{}: the clock was set back; what was fetched before counts as old", self.about);
        self.shared_times.update_if(|times| {
            let (fetched, tried) = times?;
            let redated = self.limits.redated(Times { fetched, tried }, now);
            Some((redated.fetched, redated.tried)).filter(|new| *new != (fetched, tried))
        })?;
        self.take_shared()
    }

    fn forget_what_is_old(&self) -> Result<()> {
        if self.limits.is_too_old(self.times.get(), milliseconds()?) {
            self.policy.set_keys(self.provider, None);
        }
        Ok(())
    }

    fn take_shared(&self) -> Result<()> {
        let (fetched, tried) = self.shared_times.get()?.unwrap_or_default();
        let (old, new) = (self.times.get(), Times { fetched, tried });
        if old == new {
            return Ok(());
        }
        if new.fetched != old.fetched
            && !self.limits.is_too_old(new, milliseconds()?)
            && let Some(text) = self.shared_text.get()?
        {
            match KeySet::read(&text, self.allow_weak) {
                Ok(keys) => self.policy.set_keys(self.provider, Some(Rc::new(keys))),
                Err(problem) => log::error!("{}: in shared data: {problem}", self.about),
            }
        }
        self.times.set(new);
        self.wanted.replace(Watch::new());
        self.ended.replace(Watch::new()).set(());
        Ok(())
    }

    /// Fetches, and puts into shared data what came of it.
    async fn fetch(&self) -> Result<()> {
        let outcome = self.fetch_in_several_attempts().await?;
        let (at, before) = (milliseconds()?, self.times.get());
        match outcome {
            Ok((text, keys)) => {
                keys.skipped().iter().for_each(|skipped| log::warn!("{}: {skipped}", self.about));
                self.shared_text.set(&text)?;
                self.shared_times.set(&(at, at))?;
                let _ = self.counters.success.add(1);
            }
            Err(problem) => {
                log::warn!("{} could not be fetched: {problem}", self.about);
                self.shared_times.set(&(before.fetched, at))?;
                let _ = self.counters.failed.add(1);
            }
        }
        Ok(())
    }

    async fn fetch_in_several_attempts(&self) -> Result<Result<(Bytes, KeySet), String>> {
        let [mut pause, longest] = self.limits.pauses;
        let mut outcome = self.read(self.call.clone().send().await);
        for _ in 0..self.limits.retries {
            if outcome.is_ok() {
                break;
            }
            sleep(Duration::from_millis(pause)).await?;
            pause = pause.saturating_mul(2).min(longest);
            outcome = self.read(self.call.clone().send().await);
        }
        Ok(outcome)
    }

    /// Keys, or why there are none. The text is not shown: it is whatever a server sent.
    fn read(&self, answer: Result<CallResponse, CallError>) -> Result<(Bytes, KeySet), String> {
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status() {
            200 => {}
            status @ 300..400 => {
                return Err(format!("the answer is {status}, and redirects are not followed"));
            }
            status => return Err(format!("the answer is {status}")),
        }
        let keys = KeySet::read(answer.body(), self.allow_weak)?;
        Ok((answer.body().clone(), keys))
    }

    /// Whether a fetch may bring keys soon: the last one did not fail.
    pub(super) fn is_hopeful(&self) -> bool {
        !self.times.get().failed()
    }

    /// Whether a fetch would be begun now, or has been asked for.
    pub(super) fn may_refetch(&self, now: u64) -> bool {
        let is_due = self.limits.is_due(self.times.get(), true, now);
        self.is_hopeful() && (is_due || self.wanted.borrow().get().is_some())
    }

    pub(super) async fn wait(&self) -> Result<(), HostError> {
        let (wanted, ended) = (self.wanted.borrow().clone(), self.ended.borrow().clone());
        wanted.set(());
        let first = select(ended.value(), sleep(Duration::from_millis(self.limits.timeout))).await;
        if let First::Right(over) = first {
            // Who comes next shall not wait for the same.
            self.wanted.replace(Watch::new());
            over?;
        }
        Ok(())
    }
}

impl Limits {
    fn of(from: &RemoteJwks) -> Self {
        let time = |span: &Option<Span>, usual: u64| {
            span.map_or(usual, |span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX))
        };
        let back_off = &from.retry_policy.retry_back_off;
        let pause = time(&back_off.base_interval, 1000);
        Self {
            timeout: time(&from.http_uri.timeout, 5000),
            fresh: time(&from.cache_duration, 600_000),
            stale: time(&from.max_stale, 3_600_000),
            refetch: time(&from.refetch_interval, 10_000),
            after_failure: time(&from.async_fetch.failed_refetch_duration, 1000),
            retries: from.retry_policy.num_retries.unwrap_or(0).min(10),
            pauses: [pause, time(&back_off.max_interval, pause.saturating_mul(10))],
        }
    }

    /// With all attempts, and a second to spare.
    fn longest_fetch(self) -> u64 {
        let [_, pause] = self.pauses;
        let attempts = u64::from(self.retries).saturating_add(1);
        self.timeout.saturating_add(pause).saturating_mul(attempts).saturating_add(1000)
    }

    fn is_due(self, times: Times, is_wanted: bool, now: u64) -> bool {
        now >= self.due(times, is_wanted)
    }

    /// When it is time to fetch: a fifth before keys are old, some time after a failure, or because of a request.
    fn due(self, times: Times, is_wanted: bool) -> u64 {
        if times.failed() {
            return times.tried.saturating_add(self.after_failure);
        }
        if times.fetched == 0 {
            return 0;
        }
        let ahead = self.fresh.checked_div(5).unwrap_or(0);
        let usual = times.fetched.saturating_add(self.fresh.saturating_sub(ahead));
        if is_wanted { usual.min(times.tried.saturating_add(self.refetch)) } else { usual }
    }

    /// The same without dates in the future: keys were fetched so long ago that they are no longer new.
    fn redated(self, times: Times, now: u64) -> Times {
        let fetched = if times.fetched > now { now.saturating_sub(self.fresh).max(1) } else { times.fetched };
        let tried = if times.failed() { times.tried.min(now) } else { fetched };
        Times { fetched, tried }
    }

    fn is_too_old(self, times: Times, now: u64) -> bool {
        times.fetched > 0 && now > times.fetched.saturating_add(self.fresh).saturating_add(self.stale)
    }
}

fn milliseconds() -> Result<u64, HostError> {
    let since = now()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
