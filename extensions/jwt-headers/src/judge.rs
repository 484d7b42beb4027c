//! A request before the policy: what the policy has to know of the moment, and what its decision means for the proxy.

use crate::counters::Outcome;
use crate::jwks::Jwks;
use crate::policy::{Algorithm, Change, Decision, Failure, Passage, Request, Scheme, Surroundings, Want};
use crate::signatures::Signatures;
use crate::{JwtHeaders, forward, reply, trusted};
use proxy_wasm_kit::foreign::clear_route_cache;
use proxy_wasm_kit::{Flow, HeadersMut, HostError, RequestHeaders, Result, now, property, set_filter_state};
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// For how many servers of keys a request waits, 30 seconds each at most: so each wait ends by itself before the last of these.
const MOST_WAITS: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// How much may be tried for one request, each signature with each key: that blocks the worker. A signature that the proxy
/// verifies is one, one that only the sandbox can verify takes longer by far.
const MOST_WORK: u32 = 32;
const IN_SANDBOX: u32 = 4;

/// Lets a request decide at once if it can, and else when the keys are there.
pub(crate) fn begin(plugin: &Rc<JwtHeaders>, request: &mut RequestHeaders<'_>) -> Result {
    match judge(plugin, &request.headers(), &[])? {
        Verdict::Flow(flow) => Ok(flow),
        Verdict::Waits(provider) => {
            let plugin = plugin.clone();
            let work = async move |held: &mut RequestHeaders<'_>| {
                judge_later(&plugin, &held.headers(), provider).await
            };
            Ok(request.later(work).within(LONGEST_WAIT))
        }
    }
}

/// What becomes of a request now.
enum Verdict {
    /// This.
    Flow(Flow),
    /// It waits for keys of this provider.
    Waits(usize),
}

/// This moment.
struct Present<'p> {
    milliseconds: OnceCell<Result<u64, HostError>>,
    signatures: Signatures,
    jwks: &'p Jwks,
    /// Providers whose keys were already waited for.
    waited: &'p [usize],
    work: Cell<u32>,
}

impl<'p> Present<'p> {
    fn of(plugin: &'p JwtHeaders, waited: &'p [usize]) -> Self {
        let (signatures, jwks) = (plugin.signatures, &plugin.jwks);
        Self { milliseconds: OnceCell::new(), signatures, jwks, waited, work: Cell::new(0) }
    }

    /// The proxy is asked once, and only if there is something to check. Without its clock everything has expired, and the
    /// request fails.
    fn milliseconds(&self) -> u64 {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ask = || Ok(u64::try_from(since(now()?).as_millis()).unwrap_or(u64::MAX));
        self.milliseconds.get_or_init(ask).as_ref().map_or(u64::MAX, |time| *time)
    }
}

impl Surroundings for Present<'_> {
    fn now(&self) -> u64 {
        self.milliseconds().checked_div(1000).unwrap_or(0)
    }

    fn filter_state(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let value = property(&["filter_state", name]).map_err(|_| Failure::State)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn may_wait(&self, provider: usize, wanted: Want) -> bool {
        self.waited.len() < MOST_WAITS
            && !self.waited.contains(&provider)
            && match wanted {
                Want::Keys => self.jwks.is_hopeful(provider),
                Want::NewerKeys => self.jwks.may_refetch(provider, self.milliseconds()),
            }
    }

    fn may_check(&self, algorithm: Algorithm) -> bool {
        let more = if self.signatures.are_quick(algorithm) { 1 } else { IN_SANDBOX };
        let work = self.work.get().saturating_add(more);
        self.work.set(work);
        work <= MOST_WORK
    }

    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        self.signatures.verify(scheme, key, text, signature)
    }
}

/// Lets a request decide, and edits it if it passes.
fn judge(plugin: &JwtHeaders, headers: &HeadersMut<'_>, waited: &[usize]) -> Result<Verdict> {
    let snapshot = headers.snapshot()?;
    let fields: Vec<_> = snapshot.iter().collect();
    let request = Request(&fields);
    if let Some(metadata) = &plugin.trusted {
        let passage = plugin.policy.pass_by(trusted::claims(metadata)?);
        return pass(plugin, headers, &request, &passage, Outcome::Allowed).map(Verdict::Flow);
    }
    let present = Present::of(plugin, waited);
    let decision = plugin.policy.decide(&request, &present);
    present.milliseconds.into_inner().transpose()?;
    match decision {
        Decision::Wait(provider) => Ok(Verdict::Waits(provider)),
        Decision::Deny(failure) => Ok(Verdict::Flow(deny(plugin, &request, failure))),
        Decision::Pass(passage) => {
            pass(plugin, headers, &request, &passage, Outcome::Allowed).map(Verdict::Flow)
        }
        Decision::Preflight(passage) => {
            pass(plugin, headers, &request, &passage, Outcome::Preflight).map(Verdict::Flow)
        }
    }
}

/// Edits a request that passes.
fn pass<'a>(
    plugin: &JwtHeaders,
    headers: &HeadersMut<'_>,
    request: &Request<'a>,
    passage: &Passage<'a>,
    outcome: Outcome,
) -> Result {
    let (change, state) = match plugin.policy.change(request, passage) {
        Ok(edited) => edited,
        Err(failure) => return Ok(deny(plugin, request, failure)),
    };
    state.iter().try_for_each(|(name, value)| set_filter_state(name, value))?;
    forward::apply(headers, &change)?;
    // Routes may look at filter state as well. An edit of headers has the route chosen anew by itself.
    if !state.is_empty() && change == Change::None {
        clear_route_cache()?;
    }
    count(plugin, outcome);
    Ok(Flow::Continue)
}

fn deny(plugin: &JwtHeaders, request: &Request<'_>, failure: Failure) -> Flow {
    count(plugin, Outcome::Denied);
    reply::log(failure, request);
    Flow::Reply(plugin.denial.reply(failure, request))
}

fn count(plugin: &JwtHeaders, outcome: Outcome) {
    if let Some(counters) = &plugin.counters {
        counters.count(outcome);
    }
}

/// The same, as often as there is something to wait for.
async fn judge_later(plugin: &JwtHeaders, headers: &HeadersMut<'_>, first: usize) -> Result {
    let mut waited = vec![first];
    loop {
        plugin.jwks.wait(*waited.last().unwrap_or(&first)).await?;
        match judge(plugin, headers, &waited)? {
            Verdict::Flow(flow) => return Ok(flow),
            Verdict::Waits(provider) => waited.push(provider),
        }
    }
}
