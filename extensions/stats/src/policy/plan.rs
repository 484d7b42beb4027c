//! Which metrics there are, and which labels each of them has.

use super::labels::{NAMES, OF_CONNECTIONS, OF_MESSAGES, Protocol};
use super::{Mistake, Rules, mistake};
use crate::config::{Definition, Kind, Override};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

/// What is counted or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// One for each request.
    Requests,
    /// How long it took, in milliseconds.
    Duration,
    /// The size of the request.
    RequestBytes,
    /// The size of the response.
    ResponseBytes,
    /// Messages of a gRPC call, from the client.
    RequestMessages,
    /// Messages of a gRPC call, from the server.
    ResponseMessages,
    /// Bytes of a connection, to the client.
    Sent,
    /// Bytes of a connection, from the client.
    Received,
    /// One for each connection, when it is reported first.
    Opened,
    /// One for each connection, when it is closed.
    Closed,
    /// What an expression of the operator gives, by its number.
    Expression(usize),
}

impl Value {
    /// Whether requests (or calls, or connections) are measured so.
    pub fn is_of(self, protocol: Protocol) -> bool {
        match self {
            Self::Sent | Self::Received | Self::Opened | Self::Closed => protocol == Protocol::Tcp,
            Self::RequestMessages | Self::ResponseMessages => protocol == Protocol::Grpc,
            _ => protocol != Protocol::Tcp,
        }
    }
}

/// A metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name, without `istio_`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it counts or measures.
    pub value: Value,
    /// Whether it is left out.
    pub is_dropped: bool,
    /// Where the standard labels come from, in their order: `None` are not there.
    standard: Vec<Option<From>>,
    /// Labels of the operator, by name, each with the number of its expression.
    custom: BTreeMap<String, usize>,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Standard,
    Expression(usize),
}

/// All metrics, with what has been changed about them.
#[derive(Debug)]
pub struct Plan(pub Vec<Metric>);

/// What an expression has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// A label's value.
    Text,
    /// A metric's value.
    Number,
    /// Whether a change applies.
    Truth,
}

/// Takes an expression, and gives the number by which its value will be known; why it cannot be compiled.
pub type Compile<'a> = dyn FnMut(&str, Gives) -> Result<usize, String> + 'a;

/// The plans for all combinations of conditions.
#[derive(Debug)]
pub struct Plans {
    metrics: Vec<Metric>,
    changes: Vec<Change>,
    /// Where there are no conditions.
    only: Option<Rc<Plan>>,
    /// Those for requests that were seen, by which conditions were true.
    made: RefCell<lru::LruCache<u64, Rc<Plan>>>,
}

/// How many combinations are kept. Making one again is cheap.
const KEPT: NonZeroUsize = NonZeroUsize::new(64).unwrap();

#[derive(Debug)]
struct Change {
    name: String,
    /// By label; what could not be compiled takes the label away.
    dimensions: Vec<(String, Option<usize>)>,
    removed: Vec<String>,
    drop: bool,
    /// The number of the expression that has to be true.
    when: Option<usize>,
}

impl Plans {
    /// What cannot be used is left out, and told.
    pub fn new(
        definitions: &[Definition],
        overrides: &[Override],
        rules: Rules,
        compile: &mut Compile<'_>,
    ) -> (Self, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut metrics = standard();
        for (index, definition) in definitions.iter().enumerate() {
            let defined = define(&mut metrics, definition, rules == Rules::Original, compile);
            mistakes.extend(defined.err().map(|found| found.within(&format!("definitions[{index}]"))));
        }
        let mut changes = Vec::new();
        for (index, change) in overrides.iter().enumerate() {
            let place = format!("metrics[{index}]");
            let conditions = changes.iter().filter(|change: &&Change| change.when.is_some()).count();
            if !change.name.is_empty() && metrics.iter().all(|metric| metric.name != change.name) {
                let known: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
                let message = format!("expected the name of a metric, one of {}", known.join(", "));
                mistakes.push(mistake(format!("{place}.name"), message));
            } else {
                let mut complain = |found: Mistake| mistakes.push(found.within(&place));
                let mut compiled = compiled(change, conditions, compile, &mut complain);
                if let Some(change) =
                    compiled.as_mut().filter(|change| change.drop && !change.may_drop(rules))
                {
                    change.drop = false;
                    let message = "by the native rules only a standard metric can be dropped, by its name";
                    complain(mistake("drop", message));
                }
                changes.extend(compiled);
            }
        }
        let is_one = changes.iter().all(|change| change.when.is_none());
        let mut plans = Self { metrics, changes, only: None, made: RefCell::new(lru::LruCache::new(KEPT)) };
        plans.only = is_one.then(|| Rc::new(plans.make(0)));
        (plans, mistakes)
    }

    /// The plan for a request or connection; `is_true` gives the value of a condition.
    pub fn plan(&self, mut is_true: impl FnMut(usize) -> bool) -> (u64, Rc<Plan>) {
        if let Some(only) = &self.only {
            return (0, only.clone());
        }
        let conditions = self.changes.iter().filter_map(|change| change.when).enumerate();
        let held = conditions
            .filter(|(_, condition)| is_true(*condition))
            .fold(0_u64, |held, (bit, _)| held | 1_u64.wrapping_shl(u32::try_from(bit).unwrap_or(u32::MAX)));
        let mut made = self.made.borrow_mut();
        (held, made.get_or_insert(held, || Rc::new(self.make(held))).clone())
    }

    fn make(&self, held: u64) -> Plan {
        let (mut metrics, mut held) = (self.metrics.clone(), held);
        for change in &self.changes {
            let mut applies = true;
            if change.when.is_some() {
                applies = held & 1 == 1;
                held = held.wrapping_shr(1);
            }
            let of = |metric: &&mut Metric| change.name.is_empty() || metric.name == change.name;
            metrics.iter_mut().filter(|_| applies).filter(of).for_each(|metric| change.apply(metric));
        }
        Plan(metrics)
    }
}

impl Change {
    fn may_drop(&self, rules: Rules) -> bool {
        rules == Rules::Original || standard().iter().any(|metric| metric.name == self.name)
    }

    fn apply(&self, metric: &mut Metric) {
        metric.is_dropped |= self.drop;
        for (label, expression) in &self.dimensions {
            metric.set(label, *expression);
        }
        for label in &self.removed {
            metric.set(label, None);
        }
    }
}

impl Metric {
    fn standard(name: &str, kind: Kind, value: Value, labels: usize) -> Self {
        let standard = vec![Some(From::Standard); labels];
        Self { name: name.to_owned(), kind, value, is_dropped: false, standard, custom: BTreeMap::new() }
    }

    fn set(&mut self, label: &str, expression: Option<usize>) {
        let place = NAMES.iter().position(|name| *name == label);
        if let Some(standard) = place.and_then(|place| self.standard.get_mut(place)) {
            *standard = expression.map(From::Expression);
        } else if let Some(expression) = expression {
            self.custom.insert(label.to_owned(), expression);
        } else {
            self.custom.remove(label);
        }
    }

    /// Its labels with their values: of the standard ones, and of expressions by their numbers.
    pub(super) fn labels<'a, 'e: 'a>(
        &'a self,
        standard: &'a [String],
        expression: &'a impl Fn(usize) -> &'e str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let own = self.standard.iter().zip(NAMES.iter().zip(standard));
        let own = own.filter_map(move |(from, (name, value))| match (*from)? {
            From::Standard => Some((*name, value.as_str())),
            From::Expression(number) => Some((*name, expression(number))),
        });
        own.chain(self.custom.iter().map(move |(name, number)| (name.as_str(), expression(*number))))
    }
}

/// The metrics that Istio has.
fn standard() -> Vec<Metric> {
    let (all, counter, histogram) = (NAMES.len(), Kind::Counter, Kind::Histogram);
    [
        ("requests_total", counter, Value::Requests, all),
        ("request_duration_milliseconds", histogram, Value::Duration, all),
        ("request_bytes", histogram, Value::RequestBytes, all),
        ("response_bytes", histogram, Value::ResponseBytes, all),
        ("request_messages_total", counter, Value::RequestMessages, OF_MESSAGES),
        ("response_messages_total", counter, Value::ResponseMessages, OF_MESSAGES),
        ("tcp_sent_bytes_total", counter, Value::Sent, OF_CONNECTIONS),
        ("tcp_received_bytes_total", counter, Value::Received, OF_CONNECTIONS),
        ("tcp_connections_opened_total", counter, Value::Opened, OF_CONNECTIONS),
        ("tcp_connections_closed_total", counter, Value::Closed, OF_CONNECTIONS),
    ]
    .map(|(name, kind, value, labels)| Metric::standard(name, kind, value, labels))
    .into()
}

fn define(
    metrics: &mut Vec<Metric>,
    definition: &Definition,
    may_redefine: bool,
    compile: &mut Compile<'_>,
) -> Result<(), Mistake> {
    let name = &definition.name;
    if !is_name(name) {
        return Err(mistake("name", "expected a name of ASCII letters, digits, `_`, `.` and `:`"));
    }
    let known = metrics.iter_mut().find(|metric| metric.name == *name);
    if known.is_some() && !may_redefine {
        return Err(mistake("name", "expected another name than that of a standard metric"));
    }
    let number = compile(&definition.value, Gives::Number).map_err(|found| mistake("value", found))?;
    let (kind, value) = (definition.kind, Value::Expression(number));
    match known {
        Some(metric) => (metric.kind, metric.value) = (kind, value),
        None => metrics.push(Metric::standard(name, kind, value, 0)),
    }
    Ok(())
}

/// `None` if it never applies.
fn compiled(
    change: &Override,
    conditions: usize,
    compile: &mut Compile<'_>,
    complain: &mut impl FnMut(Mistake),
) -> Option<Change> {
    let when = match (change.when.is_empty(), conditions < 64) {
        (true, _) => None,
        (false, false) => {
            complain(mistake("match", "expected at most 64 conditions"));
            return None;
        }
        (false, true) => Some(
            compile(&change.when, Gives::Truth).map_err(|found| complain(mistake("match", found))).ok()?,
        ),
    };
    let mut dimensions = Vec::new();
    for (label, source) in &change.dimensions {
        let place = format!("dimensions.{label}");
        if is_name(label) {
            let number = compile(source, Gives::Text).map_err(|found| complain(mistake(place, found))).ok();
            dimensions.push((label.clone(), number));
        } else {
            complain(mistake(place, "expected a label of ASCII letters, digits, `_`, `.` and `:`"));
        }
    }
    let (name, removed, drop) = (change.name.clone(), change.tags_to_remove.clone(), change.drop);
    Some(Change { name, dimensions, removed, drop, when })
}

/// Whether a text can stand in the name of a metric without being taken for something else.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':'))
}
