//! Metrics: what became of requests, by rule. Each count is a host call, so they exist only when they are asked for.

use crate::policy::{Decision, Policy, Reason, RuleNumber};
use proxy_wasm_kit::{Counter, HostError, Root};

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
    /// The rule's name stands in the metric's, in the form that Istio makes a label of (`extraStatTags`).
    pub(crate) fn define(root: &Root, policy: &Policy) -> Result<Self, HostError> {
        let of_rule = |name: &str| {
            let counter = |what| root.counter(&format!("basic_auth_rule=.={name};.;basic_auth_{what}"));
            Ok(RuleCounters {
                allowed: counter("allowed")?,
                denied: counter("denied")?,
                missing: counter("missing")?,
                invalid: counter("invalid")?,
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
