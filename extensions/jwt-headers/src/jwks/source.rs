//! One server that has keys, and what is known of it.

use super::Counters;
use super::limits::{Limits, Record};
use crate::config::RemoteJwks;
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

/// How long others wait for a worker that has begun to fetch and whose VM fails. One that lives renews it.
const LEASE: Duration = Duration::from_secs(3);

/// Of a server that is down there is a line for the first failure, and at most one in this time, in milliseconds.
const LINES: u64 = 60_000;

/// How many requests of a worker wait for one server at the same time: each holds what its client has sent.
const MOST_WAITING: usize = 1000;

pub(super) struct Source {
    provider: usize,
    about: String,
    call: Call,
    limits: Limits,
    allow_weak: bool,
    counters: Counters,
    policy: Rc<Policy>,
    lease: Lease,
    shared_record: Shared<Record>,
    shared_text: Shared<Bytes>,
    /// What stood in shared data at the last look.
    seen: Cell<Record>,
    /// The same for the keys that this worker has.
    record: Cell<Record>,
    has_keys: Cell<bool>,
    /// Set when a request wants keys.
    wanted: RefCell<Watch<()>>,
    /// Set when an attempt has ended.
    ended: RefCell<Watch<()>>,
    /// A request has waited in vain since then.
    is_doubtful: Cell<bool>,
    /// Each request that waits has a clone.
    waiting: Rc<()>,
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
        // Who fetches the same shares it, unless another version has other rules for what a key is.
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("jwt_headers.jwks.{version} {} {} {allow_weak}", http.cluster, http.uri);
        Some(Self {
            provider,
            about: format!("keys of {}", Uri::shown(&http.uri)),
            call: call.header("accept", "application/json").timeout_ms(limits.timeout),
            limits,
            allow_weak,
            counters,
            policy: policy.clone(),
            lease: Lease::new(&name, LEASE),
            shared_record: Shared::at(format!("{name} record")),
            shared_text: Shared::at(name),
            seen: Cell::default(),
            record: Cell::default(),
            has_keys: Cell::default(),
            wanted: RefCell::default(),
            ended: RefCell::default(),
            is_doubtful: Cell::default(),
            waiting: Rc::default(),
        })
    }

    pub(super) fn provider(&self) -> usize {
        self.provider
    }

    /// For all time: takes what others have fetched, fetches when it is due, forgets what is too old.
    pub(super) async fn keep_fresh(&self) -> Result<()> {
        // Envoy tries each configuration in a VM that it throws away: there no timer runs, and so nothing is fetched.
        sleep(Duration::from_millis(1)).await?;
        let [often, seldom] = LOOKS;
        loop {
            if let Err(error) = self.look().await {
                log::error!("{}: {error}", self.about);
                sleep(seldom).await?;
            }
            let wanted = self.wanted.borrow().clone();
            if wanted.get().is_some() {
                sleep(often).await?;
            } else {
                let due = self.limits.due(self.record.get(), false).saturating_sub(milliseconds()?);
                select(sleep(Duration::from_millis(due).clamp(often, seldom)), wanted.value()).await;
            }
        }
    }

    async fn look(&self) -> Result<()> {
        self.take_shared()?;
        self.mind_the_clock()?;
        self.forget_what_is_old()?;
        if self.is_due()? && self.lease.during(self.fetch_if_due()).await?.transpose()?.is_some() {
            self.take_shared()?;
        }
        Ok(())
    }

    fn is_due(&self) -> Result<bool, HostError> {
        let is_wanted = self.wanted.borrow().get().is_some();
        Ok(self.limits.is_due(self.record.get(), is_wanted, milliseconds()?))
    }

    /// Somebody may have been quicker.
    async fn fetch_if_due(&self) -> Result<()> {
        self.take_shared()?;
        if self.is_due()? { self.fetch().await } else { Ok(()) }
    }

    /// Keys that are dated in the future were fetched before the clock was set back, nobody knows how long: they count as old
    /// from now on, and not as new until their date has come.
    fn mind_the_clock(&self) -> Result<()> {
        let Record { fetched, tried, .. } = self.record.get();
        let now = milliseconds()?;
        if fetched.max(tried) <= now {
            return Ok(());
        }
        log::warn!("{}: the clock was set back; what was fetched before counts as old", self.about);
        self.shared_record.update_if(|record| {
            let record = record?;
            Some(self.limits.redated(record, now)).filter(|redated| *redated != record)
        })?;
        self.take_shared()
    }

    fn forget_what_is_old(&self) -> Result<()> {
        if self.limits.is_too_old(self.record.get(), milliseconds()?) && self.has_keys.replace(false) {
            log::error!(
                "{} are too old: tokens that need them are refused until they are fetched",
                self.about
            );
            self.policy.set_keys(self.provider, None);
        }
        Ok(())
    }

    fn take_shared(&self) -> Result<()> {
        let (new, seen, mine) =
            (self.shared_record.get()?.unwrap_or_default(), self.seen.get(), self.record.get());
        if new == seen {
            return Ok(());
        }
        let is_known = new.fetched == seen.fetched || self.take_text(new)?;
        self.seen.set(new);
        if !is_known {
            // As if the keys that there are had just become old. Who waits for newer ones waits on.
            let fetched = mine.fetched.min(self.limits.old_since(milliseconds()?));
            self.record.set(Record { fetched, tried: fetched, failures: 0 });
            return Ok(());
        }
        let fetched = if new.fetched == seen.fetched { mine.fetched } else { new.fetched };
        self.record.set(Record { fetched, ..new });
        self.is_doubtful.set(false);
        self.wanted.replace(Watch::new());
        self.ended.replace(Watch::new()).set(());
        Ok(())
    }

    /// Whether what was fetched can be used, by those to whom it is not too old.
    fn take_text(&self, record: Record) -> Result<bool> {
        if self.limits.is_too_old(record, milliseconds()?) {
            return Ok(true);
        }
        match self.shared_text.get()?.map(|text| KeySet::read(&text, self.allow_weak)) {
            Some(Ok(keys)) => {
                self.policy.set_keys(self.provider, Some(Rc::new(keys)));
                self.has_keys.set(true);
                return Ok(true);
            }
            Some(Err(problem)) => log::error!("{}: in shared data: {problem}", self.about),
            None => log::error!("{}: in shared data there are none", self.about),
        }
        Ok(false)
    }

    /// Fetches, and puts into shared data what came of it.
    async fn fetch(&self) -> Result<()> {
        let outcome = self.fetch_in_several_attempts().await?;
        let (now, before) = (milliseconds()?, self.seen.get());
        match outcome {
            Ok((text, keys)) => {
                self.tell_what_is_new(before, &text, &keys)?;
                self.shared_text.set(&text)?;
                self.shared_record.set(&Record { fetched: now, tried: now, failures: 0 })?;
                let _ = self.counters.success.add(1);
            }
            Err(problem) => {
                let after = before.failed(now);
                self.tell_failure(before, after, &problem);
                self.shared_record.set(&after)?;
                let _ = self.counters.failed.add(1);
            }
        }
        Ok(())
    }

    fn tell_what_is_new(&self, before: Record, text: &Bytes, keys: &KeySet) -> Result<()> {
        if before.failures > 0 {
            log::info!("{} are fetched again, after {} failures", self.about, before.failures);
        }
        if self.shared_text.get()?.is_some_and(|known| *known == **text) {
            return Ok(());
        }
        let level = if keys.warnings().is_empty() { log::Level::Info } else { log::Level::Warn };
        log::log!(level, "{}: {keys}", self.about);
        Ok(())
    }

    /// Not each time: who keeps the log has only so much room.
    fn tell_failure(&self, before: Record, after: Record, problem: &str) {
        let part = |time: u64| time.checked_div(LINES);
        if before.failures > 0 && part(before.tried) == part(after.tried) {
            return;
        }
        let times = if after.failures > 1 { format!(" ({} times)", after.failures) } else { String::new() };
        let left =
            self.limits.end(self.record.get()).saturating_sub(after.tried).checked_div(1000).unwrap_or(0);
        let now = if self.has_keys.get() {
            format!("those that there are will be used for {left} s more")
        } else {
            "there are none, and tokens that need them are refused".into()
        };
        log::warn!("{} could not be fetched{times}: {problem}; {now}", self.about);
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

    /// Whether a request may wait: a fetch may bring keys soon, because the last one did not fail and nobody has waited in vain
    /// since, and there are not too many that wait.
    pub(super) fn is_hopeful(&self) -> bool {
        self.record.get().failures == 0
            && !self.is_doubtful.get()
            && Rc::strong_count(&self.waiting) <= MOST_WAITING
    }

    /// Whether a fetch would be begun now, or has been asked for.
    pub(super) fn may_refetch(&self, now: u64) -> bool {
        let is_due = self.limits.is_due(self.record.get(), true, now);
        self.is_hopeful() && (is_due || self.wanted.borrow().get().is_some())
    }

    pub(super) async fn wait(&self) -> Result<(), HostError> {
        let _one_more = self.waiting.clone();
        let (wanted, ended) = (self.wanted.borrow().clone(), self.ended.borrow().clone());
        wanted.set(());
        let first = select(ended.value(), sleep(Duration::from_millis(self.limits.timeout))).await;
        if let First::Right(over) = first {
            // Who comes next shall not wait for the same.
            self.is_doubtful.set(true);
            over?;
        }
        Ok(())
    }
}

fn milliseconds() -> Result<u64, HostError> {
    let since = now()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
