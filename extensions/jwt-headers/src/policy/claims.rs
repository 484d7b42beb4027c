//! Claims: what they have to be (RFC 7519), whether they fit a provider, and their form in a header.

use super::failure::Failure;
use super::pattern::{Effort, Pattern};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use std::rc::Rc;

/// What is looked at of each token.
pub(super) const CHECKED: [&str; 6] = ["iss", "sub", "aud", "exp", "nbf", "iat"];

/// The claims of a token. Those that are checked have the types that they must have.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    all: Rc<Map<String, Value>>,
    /// Those that are texts of words, as lists.
    lists: Map<String, Value>,
    times: Times,
}

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    expiration: Option<u64>,
    not_before: Option<u64>,
    issued_at: Option<u64>,
}

/// What a provider asks of claims.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Empty: any.
    pub(super) issuer: String,
    /// Empty: any.
    pub(super) audiences: Vec<String>,
    pub(super) subjects: Option<Pattern>,
    pub(super) skew: u64,
    pub(super) require_expiration: bool,
    pub(super) max_lifetime: Option<u64>,
}

impl Claims {
    /// Checks the types of what is going to be looked at.
    pub(super) fn of(all: Map<String, Value>) -> Result<Self, Failure> {
        let is_text = |name| all.get(name).is_none_or(Value::is_string);
        if !is_text("iss") {
            return Err(Failure::IssuerType);
        }
        if !is_text("sub") {
            return Err(Failure::SubjectType);
        }
        let has_audience = match all.get("aud") {
            Some(Value::Array(list)) => list.iter().all(Value::is_string),
            other => other.is_none_or(Value::is_string),
        };
        if !has_audience {
            return Err(Failure::AudienceType);
        }
        let time = |name, kind, range, up| match all.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => seconds(number, up).map(Some).ok_or(range),
            Some(_) => Err(kind),
        };
        let issued_at = time("iat", Failure::IssuedAtType, Failure::IssuedAtRange, false)?;
        let not_before = time("nbf", Failure::NotBeforeType, Failure::NotBeforeRange, true)?;
        let expiration = time("exp", Failure::ExpirationType, Failure::ExpirationRange, false)?;
        Ok(Self { times: Times { expiration, not_before, issued_at }, lists: Map::new(), all: Rc::new(all) })
    }

    /// Claims that somebody else has verified: only looked up.
    pub(super) fn trusted(all: Map<String, Value>) -> Self {
        Self { all: Rc::new(all), ..Self::default() }
    }

    /// The same, of which these are texts of words: lists to whoever asks for lists.
    pub(super) fn with_lists(mut self, names: &[String]) -> Self {
        for name in names {
            if let Some(Value::String(text)) = self.all.get(name) {
                let words = text.split(' ').filter(|word| !word.is_empty()).map(Value::from);
                self.lists.insert(name.clone(), words.collect());
            }
        }
        self
    }

    /// Whether a provider accepts them at this time. In Envoy's order: issuer, time, audience, subject.
    pub(super) fn check(&self, by: &Checks, audiences: Option<&[String]>, now: u64) -> Result<(), Failure> {
        if !by.issuer.is_empty() && self.text("iss") != Some(&*by.issuer) {
            return Err(Failure::Issuer);
        }
        self.times.check(by, now)?;
        let allowed = audiences.unwrap_or(&by.audiences);
        if !allowed.is_empty()
            && !self.audiences().any(|mine| allowed.iter().any(|one| is_audience(one, mine)))
        {
            return Err(Failure::Audience);
        }
        let fits = |pattern: &Pattern| {
            let subject = self.text("sub")?;
            pattern.is_match(subject.as_bytes(), &mut Effort::for_expressions(1)).ok().filter(|fits| *fits)
        };
        match &by.subjects {
            Some(pattern) if fits(pattern).is_none() => Err(Failure::Subject),
            _ => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str()
    }

    fn audiences(&self) -> impl Iterator<Item = &str> {
        let list = match self.all.get("aud") {
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        list.iter().filter_map(Value::as_str)
    }

    /// The claim at a path of names; `null` counts as absent.
    pub(super) fn at(&self, path: &ClaimPath) -> Option<&Value> {
        let (first, rest) = path.0.split_first()?;
        let start = self.all.get(first)?;
        rest.iter()
            .try_fold(start, |value, name| value.as_object()?.get(name))
            .filter(|value| !value.is_null())
    }
}

impl Claims {
    /// The claim at a path of names, as a list if it is a text of words.
    pub(super) fn listed(&self, path: &ClaimPath) -> Option<&Value> {
        let list = match path.0.as_slice() {
            [name] => self.lists.get(name),
            _ => None,
        };
        list.or_else(|| self.at(path))
    }
}

impl Times {
    fn check(self, by: &Checks, now: u64) -> Result<(), Failure> {
        let latest = now.saturating_add(by.skew);
        if self.not_before.is_some_and(|start| start > latest)
            || self.issued_at.is_some_and(|issued| issued > latest)
        {
            return Err(Failure::NotYetValid);
        }
        if self.expiration.is_some_and(|end| end.saturating_add(by.skew) < now) {
            return Err(Failure::Expired);
        }
        if self.expiration.is_none() && by.require_expiration {
            return Err(Failure::NoExpiration);
        }
        match (by.max_lifetime, self.expiration) {
            (None, _) => Ok(()),
            (Some(longest), Some(end)) if end <= now.saturating_add(longest) => Ok(()),
            (Some(_), Some(_)) => Err(Failure::Lifetime),
            (Some(_), None) => Err(Failure::NoExpiration),
        }
    }
}

/// A numeric date in whole seconds. A fraction is rounded to the side on which the token is valid for less.
fn seconds(number: &Number, up: bool) -> Option<u64> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if let Some(whole) = number.as_u64() {
        return (whole <= i64::MAX.unsigned_abs()).then_some(whole);
    }
    let float = number.as_f64().filter(|float| (0.0..TOO_LARGE).contains(float))?;
    Some((if up { float.ceil() } else { float.floor() }) as u64)
}

/// Audiences are the same up to the scheme and a slash at the end, as in Envoy.
fn is_audience(one: &str, other: &str) -> bool {
    fn bare(audience: &str) -> &str {
        let schemeless = audience.strip_prefix("https://").or_else(|| audience.strip_prefix("http://"));
        let rest = schemeless.unwrap_or(audience);
        rest.strip_suffix('/').unwrap_or(rest)
    }
    bare(one) == bare(other)
}

/// Where a claim is: names of objects in objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// The claim that the others are in.
    pub(super) fn outermost(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// `a.b`, or `[a][https://b.c/d]` where a name holds a dot.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let names: Vec<String> = match text.strip_prefix('[') {
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or("expected `]` at the end")?;
                inner.split("][").map(str::to_owned).collect()
            }
            None => text.split('.').map(str::to_owned).collect(),
        };
        Self::of(names)
    }

    pub(super) fn of(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("expected the name of a claim, as `sub`, `a.b` or `[a][b.c]`".into());
        }
        Ok(Self(names))
    }
}

/// A claim as the value of a header: texts as they are, numbers and flags in their shortest form, lists and objects as base64
/// of their JSON. None if it cannot stand in one, or could be taken for another.
pub(super) fn header_value(claim: &Value) -> Option<String> {
    let value = match claim {
        Value::Array(_) | Value::Object(_) if !is_exact(claim) => return None,
        Value::Array(_) | Value::Object(_) => STANDARD.encode(serde_json::to_vec(claim).ok()?),
        plain => scalar(plain)?,
    };
    is_whole(&value).then_some(value)
}

/// Whether none of the numbers in it might come out as another.
fn is_exact(claim: &Value) -> bool {
    match claim {
        Value::Array(list) => list.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Number(number) => plain_number(number).is_some(),
        Value::String(_) | Value::Bool(_) | Value::Null => true,
    }
}

/// Whether a text arrives as it is: HTTP takes white space away from both ends of a value.
pub(super) fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.trim().len() == text.len() && is_printable(text)
}

/// A text, number or flag as text.
pub(super) fn scalar(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => plain_number(number),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `-5`, `1.5`: JSON writers differ in how they write the same number, and a header has one form. What is no whole
/// number of 64 bits and has more digits than every reader of JSON keeps might come out as another number: it has none.
fn plain_number(number: &Number) -> Option<String> {
    const LARGEST: f64 = 1e14;
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(0.0) => Some("0".into()),
        Some(float) if float.abs() >= LARGEST => None,
        Some(float) if float.fract() == 0.0 => Some(format!("{float:.0}")),
        _ => Some(number.to_string()),
    }
}

/// No control characters: nothing that ends a header or a line of a log.
fn is_printable(text: &str) -> bool {
    !text.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f)
}
