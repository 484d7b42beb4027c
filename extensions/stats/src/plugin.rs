//! The plugin: what the configuration came to, and what is open.

use crate::budget::Ledger;
use crate::config::{Config, DirectionChoice, LabelRules, Reporter as For};
use crate::expressions::{Expressions, Results};
use crate::hosts::Hosts;
use crate::observe::{Answers, Observer};
use crate::open::Open;
use crate::peers::{self, End, PeerCache};
use crate::policy::{
    self, Mistake, Peers, Plans, Policy, Protocol, Rules, Separators, Side, Value, Workload,
};
use crate::report::{Report, Reporter};
use proxy_wasm_kit::attributes::{TrafficDirection, node, plugin_root_id, xds};
use proxy_wasm_kit::{ConfigError, HostError, Root};
use std::cell::OnceCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

/// How often what is open is reported, where the configuration does not say.
const OFTEN: [(Rules, Duration); 2] =
    [(Rules::Original, Duration::from_secs(15)), (Rules::Native, Duration::from_secs(5))];

/// What reports.
pub(crate) struct Plugin {
    policy: Policy,
    reporter: Reporter,
    expressions: Expressions,
    peers: PeerCache,
    hosts: Hosts,
    /// `None` if only the listener can tell.
    side: Option<Side>,
    requests: Observer,
    connections: Observer,
    /// Whether what is open is reported before it ends.
    pub(crate) ticks: bool,
    pub(crate) open: Open,
}

/// Two ends as they are known.
pub(crate) struct Ends {
    downstream: Option<Rc<Workload>>,
    upstream: Option<Rc<Workload>>,
}

impl Plugin {
    pub(crate) fn new(config: &Config, root: &Root) -> Result<Rc<Self>, HostError> {
        let rules = match config.label_rules {
            LabelRules::Original => Rules::Original,
            LabelRules::Native => Rules::Native,
        };
        let separators = separators(config, root);
        let (side, period) = (side(config), period(config, rules, root));
        let (plans, expressions) = plans(config, rules, root);
        let vectors = usize::try_from(config.max_cached_vectors).ok().and_then(NonZeroUsize::new);
        let max_series = usize::try_from(config.max_series).unwrap_or(usize::MAX);
        let host_fallback = !config.disable_host_header_fallback;
        let policy = Policy { rules, host_fallback, own: peers::own(), separators };
        let version = node().metadata("ISTIO_VERSION").ok().flatten().unwrap_or_default();
        root.gauge(&policy.build(&String::from_utf8_lossy(&version)))?.set(1)?;
        let root_id = plugin_root_id().ok().flatten().unwrap_or_default();
        let ledger = Ledger::open(&format!("{root_id:?} {config:?}"));
        let vectors = vectors.unwrap_or(NonZeroUsize::MIN);
        let plugin = Rc::new(Self {
            reporter: Reporter::new(root, plans, ledger.as_ref(), max_series, vectors)?,
            hosts: Hosts::new(root, ledger, max_series)?,
            policy,
            expressions,
            peers: PeerCache::new(),
            side,
            requests: Observer::of_requests(side, rules),
            connections: Observer::of_connections(side, rules),
            ticks: !period.is_zero(),
            open: Open::default(),
        });
        plugin.clone().tick_every(period, root);
        Ok(plugin)
    }

    fn tick_every(self: Rc<Self>, period: Duration, root: &Root) {
        if self.ticks {
            root.every(period, async move || {
                self.open.report(&self);
                Ok(())
            });
        }
    }

    /// Which side a stream that was entered is on. One host call if the configuration does not say.
    pub(crate) fn side(&self) -> Side {
        let by_listener = || match xds().listener_direction() {
            Ok(Some(TrafficDirection::Outbound)) => Side::Outbound,
            _ => Side::Inbound,
        };
        self.side.unwrap_or_else(by_listener)
    }

    fn observer(&self, protocol: Protocol) -> &Observer {
        if protocol == Protocol::Tcp { &self.connections } else { &self.requests }
    }

    /// Asks about the request or connection whose callback runs, and evaluates the operator's expressions for it.
    pub(crate) fn see(&self, protocol: Protocol) -> (Side, Answers, Results) {
        let (answers, results) = self.observer(protocol).read(&self.expressions);
        (self.side.unwrap_or_else(|| answers.side()), answers, results)
    }

    /// Asks about a call or connection that was entered.
    pub(crate) fn look_at(
        &self,
        side: Side,
        protocol: Protocol,
        wanted: impl Fn(policy::Fact) -> bool,
    ) -> Answers {
        self.observer(protocol).look(side, wanted)
    }

    pub(crate) fn protocol(&self, content_type: &[u8]) -> Protocol {
        self.policy.protocol(content_type)
    }

    pub(crate) fn has_expressions(&self) -> bool {
        !self.expressions.is_empty()
    }

    /// Who stands at the other ends of a stream.
    pub(crate) fn ends(&self, side: Side, facts: &policy::Facts<'_>) -> Ends {
        self.ends_with(side, self.other(side), facts)
    }

    /// The other end, by what it says of itself.
    pub(crate) fn other(&self, side: Side) -> Option<Rc<Workload>> {
        self.peers.peer(end(side))
    }

    /// Whether calls that are open wait for their peers, as connections do.
    pub(crate) fn calls_wait(&self) -> bool {
        self.policy.rules == Rules::Native
    }

    /// The same where the other end has been asked for already.
    pub(crate) fn ends_with(
        &self,
        side: Side,
        other: Option<Rc<Workload>>,
        facts: &policy::Facts<'_>,
    ) -> Ends {
        let endpoint = || self.peers.endpoint(facts.text(policy::Fact::Endpoint));
        match side {
            Side::Outbound => Ends { downstream: None, upstream: other.or_else(endpoint) },
            Side::Inbound => Ends { downstream: other, upstream: None },
            Side::Waypoint => {
                let upstream = self.peers.peer(End::Upstream).or_else(endpoint);
                Ends { downstream: other, upstream }
            }
        }
    }

    /// Adds to the metrics what is known of a stream now.
    pub(crate) fn report(
        &self,
        (side, protocol): (Side, Protocol),
        facts: &policy::Facts<'_>,
        ends: &Ends,
        results: &Results,
        amount: impl Fn(Value) -> Option<u64>,
    ) {
        let peers = Peers { downstream: ends.downstream.as_deref(), upstream: ends.upstream.as_deref() };
        let mut facts = *facts;
        let host = self.policy.host_of_client(side, protocol, &facts);
        if let Some((host, is_routed)) = &host {
            facts.set(policy::Fact::Host, self.hosts.called(host, *is_routed));
        }
        let vector = self.policy.vector(side, protocol, &facts, peers);
        self.reporter.write(&self.policy, &Report { vector, results, values: OnceCell::new() }, amount);
    }
}

/// Whether the other end has said who it is, or will not. What is known otherwise of an endpoint is no answer: it says less,
/// and one stream would be counted under two names.
pub(crate) fn is_settled(side: Side, other: Option<&Rc<Workload>>) -> bool {
    other.is_some() || peers::takes_no_part(end(side))
}

/// The end that says who it is.
fn end(side: Side) -> End {
    if side == Side::Outbound { End::Upstream } else { End::Downstream }
}

fn complain(root: &Root, mistake: Mistake) {
    root.complain(ConfigError::at(mistake.path, mistake.message));
}

fn separators(config: &Config, root: &Root) -> Separators {
    let default = Config::default();
    let one = |path: &str, given: &String, default: String| {
        if Separators::fits(given) {
            return given.clone();
        }
        root.complain(ConfigError::at(path, format!("expected punctuation other than `_`; it is {default}")));
        default
    };
    Separators {
        field: one("field_separator", &config.field_separator, default.field_separator),
        value: one("value_separator", &config.value_separator, default.value_separator),
    }
}

fn period(config: &Config, rules: Rules, root: &Root) -> Duration {
    let default = OFTEN.iter().find(|(of, _)| *of == rules).map_or(Duration::ZERO, |(_, period)| *period);
    let Some(text) = &config.tcp_reporting_duration else { return default };
    // The timers of a proxy count milliseconds.
    let whole = |period: Duration| if period < Duration::from_millis(1) { Duration::ZERO } else { period };
    policy::duration::parse(text).map(whole).unwrap_or_else(|| {
        let message = format!("expected a duration such as \"15s\"; it is {default:?}");
        root.complain(ConfigError::at("tcp_reporting_duration", message));
        default
    })
}

fn side(config: &Config) -> Option<Side> {
    let root_id = plugin_root_id().ok().flatten().unwrap_or_default();
    match (config.reporter, config.direction, root_id.as_str()) {
        (For::ServerGateway, ..) => Some(Side::Waypoint),
        (_, DirectionChoice::Inbound, _) => Some(Side::Inbound),
        (_, DirectionChoice::Outbound, _) => Some(Side::Outbound),
        (_, _, Some("stats_inbound")) => Some(Side::Inbound),
        (_, _, Some("stats_outbound")) => Some(Side::Outbound),
        _ => None,
    }
}

fn plans(config: &Config, rules: Rules, root: &Root) -> (Plans, Expressions) {
    let mut expressions = Expressions::default();
    let mut compile = |source: &str, gives| expressions.add(root, source, gives);
    let (plans, mistakes) = Plans::new(&config.definitions, &config.metrics, rules, &mut compile);
    mistakes.into_iter().for_each(|mistake| complain(root, mistake));
    (plans, expressions)
}
