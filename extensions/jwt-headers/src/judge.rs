//! A request before the policy: what the policy has to know of the moment, and what its decision means for the proxy.

use crate::jwks::Jwks;
use crate::policy::{Decision, Passage, Request, Scheme, Surroundings, Want};
use crate::signatures::Signatures;
use crate::{JwtHeaders, forward, reply, trusted};
use proxy_wasm_kit::{Flow, HeadersMut, HostError, RequestHeaders, Result, now, set_filter_state};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// Each wait for keys ends by itself before.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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
    seconds: u64,
    signatures: Signatures,
    jwks: &'p Jwks,
    /// Providers whose keys were already waited for.
    waited: &'p [usize],
}

impl<'p> Present<'p> {
    fn of(plugin: &'p JwtHeaders, waited: &'p [usize]) -> Result<Self, HostError> {
        let since = now()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { seconds: since.as_secs(), signatures: plugin.signatures, jwks: &plugin.jwks, waited })
    }
}

impl Surroundings for Present<'_> {
    fn now(&self) -> u64 {
        self.seconds
    }

    fn may_wait(&self, provider: usize, wanted: Want) -> bool {
        !self.waited.contains(&provider)
            && match wanted {
                Want::Keys => self.jwks.is_hopeful(provider),
                Want::NewerKeys => self.jwks.may_refetch(provider, self.seconds),
            }
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
        return Ok(Verdict::Flow(pass(plugin, headers, &request, &passage)?));
    }
    let decision = plugin.policy.decide(&request, &Present::of(plugin, waited)?);
    if let Some(counters) = &plugin.counters {
        counters.count(&decision);
    }
    Ok(Verdict::Flow(match decision {
        Decision::Wait(provider) => return Ok(Verdict::Waits(provider)),
        Decision::Deny(failure) => {
            reply::log(failure, &request);
            Flow::Reply(plugin.denial.reply(failure, &request))
        }
        Decision::Pass(passage) | Decision::Preflight(passage) => pass(plugin, headers, &request, &passage)?,
    }))
}

/// Edits a request that passes.
fn pass<'a>(
    plugin: &JwtHeaders,
    headers: &HeadersMut<'_>,
    request: &Request<'a>,
    passage: &Passage<'a>,
) -> Result {
    match plugin.policy.change(request, passage) {
        Ok((change, state)) => {
            forward::apply(headers, &change)?;
            state.iter().try_for_each(|(name, value)| set_filter_state(name, value))?;
            Ok(Flow::Continue)
        }
        Err(failure) => {
            reply::log(failure, request);
            Ok(Flow::Reply(plugin.denial.reply(failure, request)))
        }
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
