//! Metrics: what became of requests, by rule. Each count is a host call, so they exist only when they are asked for.

use crate::policy::{Decision, Policy, Reason, RuleNumber};
use proxy_wasm_kit::{Counter, Family, HostError, Labels, Root};

/// The rule that a request met.
#[derive(Clone, PartialEq, Eq, Hash, Labels)]
struct ByRule {
    #[label(name = "basic_auth_rule")]
    rule: String,
}

/// The counters of all rules.
pub(crate) struct Counters {
    rules: Vec<RuleCounters>,
    unreadable: Counter,
}

#[derive(Clone, Copy)]
struct RuleCounters {
    allowed: Counter,
    denied: Counter,
    missing: Counter,
    invalid: Counter,
}

impl Counters {
    /// Every rule has a series, so their number is bounded by the configuration.
    pub(crate) fn define(root: &Root, policy: &Policy) -> Result<Self, HostError> {
        let family = |what| -> Family<Counter, ByRule> { root.family(what).limit(usize::MAX) };
        let [allowed, denied, missing, invalid] =
            ["allowed", "denied", "missing", "invalid"].map(|what| family(format!("basic_auth_{what}")));
        let of_rule = |name: &str| {
            let labels = ByRule { rule: name.to_owned() };
            Ok(RuleCounters {
                allowed: allowed.get(&labels)?,
                denied: denied.get(&labels)?,
                missing: missing.get(&labels)?,
                invalid: invalid.get(&labels)?,
            })
        };
        let rules = policy.names().map(of_rule).collect::<Result<_, _>>()?;
        Ok(Self { rules, unreadable: root.counter("basic_auth_unreadable")? })
    }

    /// Every rule that let the request pass counts it, or the one that did not.
    pub(crate) fn count(&self, decision: &Decision) {
        match decision {
            Decision::Unprotected => {}
            Decision::Allowed { rules, .. } => {
                rules.iter().filter_map(|rule| self.of(*rule)).for_each(|counters| add(counters.allowed));
            }
            Decision::Denied { rule, reason } => {
                self.count_denial(rule.and_then(|rule| self.of(rule)), *reason)
            }
        }
    }

    fn count_denial(&self, counters: Option<&RuleCounters>, reason: Reason) {
        let Some(counters) = counters else { return add(self.unreadable) };
        add(counters.denied);
        add(if reason == Reason::Missing { counters.missing } else { counters.invalid });
    }

    fn of(&self, rule: RuleNumber) -> Option<&RuleCounters> {
        usize::try_from(rule).ok().and_then(|rule| self.rules.get(rule))
    }
}

/// A count that is lost must not cost a request.
fn add(counter: Counter) {
    let _ = counter.add(1);
}
