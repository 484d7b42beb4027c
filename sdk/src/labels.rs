//! Metric families: one name, and a series for each combination of labels.
//!
//! The ABI knows names only, so labels stand in the name: `LABEL=.=VALUE;.;` for each, then the family's name, which is how
//! Istio's own extensions do it. The proxy takes them out again where its bootstrap has a `stats_tags` entry for each label:
//! [`stats_tags`] gives them, and so does `pwkit stats-tags NAME.wasm`. Without them nothing is lost, the names are long.

use crate::bytes::Bytes;
use crate::error::HostError;
use crate::metrics::{Counter, Gauge, Histogram};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash};

/// How many series a family has at most, unless it says otherwise.
const LIMIT: usize = 1000;

/// The bytes of a label's value that are kept.
const LONGEST_VALUE: usize = 128;

/// A set of labels: a struct whose fields are the labels. Derive it.
///
/// A label's name is the field's; `#[label(name = "..")]` gives another. It is of ASCII letters, digits and `_`. Choose names
/// with a prefix of your own where two extensions could mean different things by one.
///
/// ```
/// use proxy_wasm_kit::{LabelValue, Labels};
/// use std::fmt;
///
/// #[derive(Clone, Copy, PartialEq, Eq, Hash)]
/// enum Reason {
///     Missing,
///     Wrong,
/// }
///
/// impl fmt::Display for Reason {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str(match self {
///             Self::Missing => "missing",
///             Self::Wrong => "wrong",
///         })
///     }
/// }
///
/// #[derive(Clone, PartialEq, Eq, Hash, Labels)]
/// struct Denial {
///     rule: &'static str,
///     #[label(name = "denied_because")]
///     reason: Reason,
/// }
///
/// assert_eq!(Denial::NAMES, ["rule", "denied_because"]);
/// ```
///
/// A name that could not be taken out of a metric's name again does not compile:
///
/// ```compile_fail
/// #[derive(Clone, PartialEq, Eq, Hash, proxy_wasm_kit::Labels)]
/// struct Denial {
///     #[label(name = "denied;because")]
///     reason: String,
/// }
/// ```
pub trait Labels {
    /// The names of the labels.
    const NAMES: &'static [&'static str];

    /// Gives each value to `each`, in the order of the names.
    fn values(&self, each: &mut dyn FnMut(&dyn LabelValue));
}

/// What a label's value can be: all that displays itself, and [`Bytes`].
///
/// ```
/// use proxy_wasm_kit::{Bytes, LabelValue};
///
/// let values: [&dyn LabelValue; 3] = [&"text", &404, &Bytes::default()];
/// ```
pub trait LabelValue {
    /// The value as text.
    fn text(&self) -> Cow<'_, str>;
}

impl<T: fmt::Display> LabelValue for T {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl LabelValue for Bytes {
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self)
    }
}

/// A kind of metric that a family can be of: [`Counter`], [`Gauge`] or [`Histogram`].
///
/// ```
/// fn can_be_a_family<M: proxy_wasm_kit::Metric>() {}
/// can_be_a_family::<proxy_wasm_kit::Counter>();
/// ```
pub trait Metric: Copy {
    #[doc(hidden)]
    fn define(name: &str) -> Result<Self, HostError>;
}

macro_rules! metrics {
    ($($kind:ident)*) => {$(
        impl Metric for $kind {
            fn define(name: &str) -> Result<Self, HostError> {
                Self::define(name)
            }
        }
    )*};
}

metrics!(Counter Gauge Histogram);

type Series<M, L> = HashMap<L, M, BuildHasherDefault<DefaultHasher>>;

/// A metric with labels. Made by [`Root::family`](crate::Root::family).
///
/// A series is defined when it is first asked for, and its handle is kept: later it costs no host call to find. The proxy never
/// gives a series back, so their number is bounded, by 1000 or as [`limit`](Self::limit) says; what is over it is counted in
/// one series whose labels are all `other`.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// #[derive(Clone, PartialEq, Eq, Hash, Labels)]
/// struct Served {
///     method: Bytes,
///     status: u16,
/// }
///
/// struct Plugin(Family<Counter, Served>);
/// struct Count(Rc<Plugin>, Bytes);
///
/// impl Extension for Plugin {
///     type Config = ();
///     type Filter = Count;
///
///     fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self(root.family("served").limit(100)))
///     }
///
///     fn filter(self: &Rc<Self>) -> Count {
///         Count(self.clone(), Bytes::default())
///     }
/// }
///
/// impl HttpFilter for Count {
///     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
///         self.1 = request.method()?;
///         Ok(Flow::Continue)
///     }
///
///     fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
///         let labels = Served { method: self.1.clone(), status: response.status()? };
///         self.0.0.get(&labels)?.add(1)?;
///         Ok(Flow::Continue)
///     }
/// }
/// ```
pub struct Family<M, L> {
    name: Cow<'static, str>,
    limit: usize,
    series: RefCell<Series<M, L>>,
    over: RefCell<Option<M>>,
}

impl<M: Metric, L: Labels + Clone + Eq + Hash> Family<M, L> {
    pub(crate) fn new(name: Cow<'static, str>) -> Self {
        Self { name, limit: LIMIT, series: RefCell::default(), over: RefCell::default() }
    }

    /// How many series there are at most, besides the one for the rest.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # #[derive(Clone, PartialEq, Eq, Hash, Labels)]
    /// # struct ByRoute { route: String }
    /// fn requests(root: &Root) -> Family<Counter, ByRoute> {
    ///     root.family("requests").limit(50)
    /// }
    /// ```
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The metric with these labels.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # #[derive(Clone, PartialEq, Eq, Hash, Labels)]
    /// # struct ByRoute { route: String }
    /// fn count(requests: &Family<Counter, ByRoute>, route: String) -> Result<()> {
    ///     Ok(requests.get(&ByRoute { route })?.add(1)?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn get(&self, labels: &L) -> Result<M, HostError> {
        if let Some(metric) = self.series.borrow().get(labels) {
            return Ok(*metric);
        }
        if self.series.borrow().len() >= self.limit {
            return self.rest();
        }
        let mut values = Vec::with_capacity(L::NAMES.len());
        labels.values(&mut |value| values.push(cleaned(&value.text())));
        let metric = M::define(&self.full_name(values.iter().map(String::as_str)))?;
        self.series.borrow_mut().insert(labels.clone(), metric);
        Ok(metric)
    }

    fn rest(&self) -> Result<M, HostError> {
        if let Some(metric) = *self.over.borrow() {
            return Ok(metric);
        }
        let metric = M::define(&self.full_name(L::NAMES.iter().map(|_| "other")))?;
        *self.over.borrow_mut() = Some(metric);
        Ok(metric)
    }

    fn full_name<'a>(&self, values: impl Iterator<Item = &'a str>) -> String {
        let mut full = String::new();
        for (name, value) in L::NAMES.iter().zip(values) {
            let _ = write!(full, "{name}=.={value};.;");
        }
        full.push_str(&self.name);
        full
    }
}

impl<M, L> fmt::Debug for Family<M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Family({:?}, {} series of {})", self.name, self.series.borrow().len(), self.limit)
    }
}

/// A value that cannot be taken for the end of itself: no `;` and `=`, no control characters, not empty and not endless.
fn cleaned(value: &str) -> String {
    let fits = |letter: char| if letter.is_control() || matches!(letter, ';' | '=') { '_' } else { letter };
    let mut clean = String::new();
    for letter in value.chars().map(fits) {
        if clean.len().saturating_add(letter.len_utf8()) > LONGEST_VALUE {
            break;
        }
        clean.push(letter);
    }
    if clean.is_empty() { "unknown".to_owned() } else { clean }
}

/// The `stats_tags` with which Envoy takes these labels out of the names of metrics, for the `stats_config` of its bootstrap.
/// In Istio the annotation `sidecar.istio.io/extraStatTags` lists the names instead.
///
/// ```
/// use proxy_wasm_kit::Labels;
///
/// #[derive(Clone, PartialEq, Eq, Hash, Labels)]
/// struct ByRoute {
///     route: String,
/// }
///
/// assert_eq!(proxy_wasm_kit::stats_tags::<ByRoute>(), r#"stats_config:
///   stats_tags:
///   - tag_name: route
///     regex: '[.;](route=\.=(.*?);\.;)'
/// "#);
/// ```
pub fn stats_tags<L: Labels>() -> String {
    let mut text = String::from("stats_config:\n  stats_tags:\n");
    for name in L::NAMES {
        let _ = write!(text, "  - tag_name: {name}\n    regex: '[.;]({name}=\\.=(.*?);\\.;)'\n");
    }
    text
}

#[cfg(test)]
mod tests {
    //! Values that must not break out of their place.

    use super::*;

    #[test]
    fn values_stay_in_their_place() {
        assert_eq!(cleaned("a;.;rule=.=b\n"), "a_._rule_._b_");
        assert_eq!(cleaned(""), "unknown");
        assert_eq!(cleaned(&"é".repeat(100)).len(), 128);
        assert_eq!(Bytes::from(b"a\xff".to_vec()).text(), "a\u{fffd}");
    }
}
