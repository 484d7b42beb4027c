//! The rules that apply to a request, found by method, host and path without a scan.

use super::host::{self, HostPattern};
use super::path::{self, Shape};
use super::table::{Table, TableBuilder, reversed};
use crate::config::PathMatching;
use proxy_wasm_kit_paths::Unreadable;
use regex_lite::Regex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

/// Regular expressions take time in proportion to the text, for each of them; some need a microsecond for three bytes. So what
/// all of them together look at is bounded,
const MAX_REGEX_BYTES: usize = 16 * 1024;
/// but for each of them this is allowed, however many there are.
const REGEX_BYTES_FOR_EACH: usize = 2 * 1024;

/// What a rule is about, checked and parsed.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) methods: Methods,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) path: PathPattern,
}

/// What a rule says about the path.
#[derive(Debug)]
pub(super) enum PathPattern {
    /// One of the three shapes, in all its spellings.
    Text(Shape, Vec<Vec<u8>>),
    Regex(Regex),
    /// The default rule: what no other rule matches.
    Unmatched,
}

/// A set of methods, a bit each. Bit 0 stands for every method that no rule names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Methods(u64);

impl Methods {
    pub(super) const ALL: Self = Self(u64::MAX);

    fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn join(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The methods that rules name, and their bits.
#[derive(Debug, Default)]
pub(super) struct MethodNames(Vec<Box<str>>);

impl MethodNames {
    /// The bit of a method, which is given one if it has none; `None` when there are no more bits.
    pub(super) fn intern(&mut self, name: &str) -> Option<Methods> {
        if name == "*" {
            return Some(Methods::ALL);
        }
        if self.bit_of(name.as_bytes()).is_none() && self.0.len() < 63 {
            self.0.push(name.into());
        }
        self.bit_of(name.as_bytes())
    }

    pub(super) fn union(&mut self, names: &[String]) -> Option<Methods> {
        names.iter().try_fold(Methods::default(), |methods, name| Some(methods.join(self.intern(name)?)))
    }

    fn bit_of(&self, name: &[u8]) -> Option<Methods> {
        let index = self.0.iter().position(|known| known.as_bytes() == name)?;
        u32::try_from(index).ok()?.checked_add(1).and_then(|bit| 1_u64.checked_shl(bit)).map(Methods)
    }

    /// The methods that a request counts as. `get` counts as `GET` too: some frameworks do not mind the case.
    fn of_request(&self, name: &[u8], head_as_get: bool) -> Methods {
        let upper = name.to_ascii_uppercase();
        let get = (head_as_get && upper == b"HEAD").then(|| self.bit_of(b"GET")).flatten();
        let named = [self.bit_of(name), self.bit_of(&upper), get].into_iter().flatten().reduce(Methods::join);
        named.unwrap_or(Methods(1))
    }
}

/// All rules, indexed.
#[derive(Debug)]
pub(super) struct Rules {
    names: MethodNames,
    head_as_get: bool,
    path_matching: PathMatching,
    hosts: Table,
    /// For each host pattern the methods of its rules: whether anything about the path can matter at all.
    methods_at: Vec<Methods>,
    methods: Vec<Methods>,
    paths: Table,
    regexes: HashMap<u32, Vec<(u32, Regex)>>,
    /// The default rule and its host patterns.
    unmatched: Option<(u32, Vec<u32>)>,
}

/// The number of the pattern for all hosts.
const ANY_HOST: u32 = 0;

impl Rules {
    /// Indexes the rules; a rule's number is its place.
    pub(super) fn new(
        scopes: Vec<Scope>,
        names: MethodNames,
        head_as_get: bool,
        path_matching: PathMatching,
    ) -> Self {
        let mut hosts = HostNumbers::default();
        let mut paths = TableBuilder::default();
        let mut rules = Self {
            names,
            head_as_get,
            path_matching,
            hosts: Table::default(),
            methods_at: Vec::new(),
            methods: scopes.iter().map(|scope| scope.methods).collect(),
            paths: Table::default(),
            regexes: HashMap::new(),
            unmatched: None,
        };
        for (rule, scope) in (0..).zip(scopes) {
            let at = hosts.numbers_of(scope.hosts);
            rules.note_methods(&at, scope.methods);
            match scope.path {
                PathPattern::Text(shape, spellings) => add(&mut paths, &at, shape, spellings, rule),
                PathPattern::Regex(regex) => rules.add_regex(&at, rule, &regex),
                PathPattern::Unmatched => rules.unmatched = Some((rule, at)),
            }
        }
        rules.hosts = hosts.table.build();
        rules.paths = paths.build();
        rules
    }

    fn note_methods(&mut self, hosts: &[u32], methods: Methods) {
        for host in hosts.iter().filter_map(|host| usize::try_from(*host).ok()) {
            if self.methods_at.len() <= host {
                self.methods_at.resize(host.saturating_add(1), Methods::default());
            }
            if let Some(known) = self.methods_at.get_mut(host) {
                *known = known.join(methods);
            }
        }
    }

    fn add_regex(&mut self, hosts: &[u32], rule: u32, regex: &Regex) {
        for host in hosts {
            self.regexes.entry(*host).or_default().push((rule, regex.clone()));
        }
    }

    /// The rules that apply, in order, each once.
    ///
    /// Of the readings of a path each has to be covered: if one is matched by no rule, the default rule applies. Else a rule
    /// that asks for little could be reached by one reading, and what the default rule guards by another.
    pub(super) fn matching(
        &self,
        method: &[u8],
        authority: &[u8],
        path: &[u8],
    ) -> Result<Vec<u32>, Unreadable> {
        // No codec lets a request without a method through; if one were shown to us, nothing about it could be believed.
        if method.is_empty() {
            return Err(Unreadable);
        }
        let method = self.names.of_request(method, self.head_as_get);
        let hosts = self.hosts_of(authority, method);
        let mut found = Vec::new();
        if hosts.is_empty() {
            return Ok(found);
        }
        let readings = match self.path_matching {
            PathMatching::Original => vec![Cow::Borrowed(path)],
            PathMatching::Normalized => path::readings(path)?,
        };
        self.check_regex_input(&hosts, &readings)?;
        for reading in &readings {
            let before = found.len();
            self.match_reading(&hosts, method, reading, &mut found);
            if found.len() == before {
                found.extend(self.default_for(&hosts, method));
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The host patterns that match and that have a rule for the method.
    fn hosts_of(&self, authority: &[u8], method: Methods) -> Vec<u32> {
        let mut hosts = Vec::new();
        let mut consider = |host: u32| {
            let methods = usize::try_from(host).ok().and_then(|host| self.methods_at.get(host));
            if methods.is_some_and(|methods| methods.any_of(method)) && !hosts.contains(&host) {
                hosts.push(host);
            }
        };
        consider(ANY_HOST);
        if self.methods_at.len() > 1 {
            self.hosts.find(&[0], &host::normalise(authority), consider);
        }
        hosts
    }

    fn check_regex_input(&self, hosts: &[u32], readings: &[Cow<'_, [u8]>]) -> Result<(), Unreadable> {
        let regexes = hosts.iter().filter_map(|host| self.regexes.get(host));
        let regexes = regexes.fold(0_usize, |sum, list| sum.saturating_add(list.len()));
        let Some(share) = MAX_REGEX_BYTES.checked_div(regexes) else { return Ok(()) };
        let length = readings.iter().fold(0_usize, |sum, reading| sum.saturating_add(reading.len()));
        if length > share.max(REGEX_BYTES_FOR_EACH) { Err(Unreadable) } else { Ok(()) }
    }

    fn match_reading(&self, hosts: &[u32], method: Methods, reading: &[u8], found: &mut Vec<u32>) {
        self.paths.find(hosts, reading, |rule| {
            if self.is_for(rule, method) {
                found.push(rule);
            }
        });
        if !self.regexes.is_empty() {
            // What is not UTF-8 becomes a character that `.` matches.
            let text = String::from_utf8_lossy(reading);
            let regexes = hosts.iter().filter_map(|host| self.regexes.get(host)).flatten();
            let hits = regexes.filter(|(rule, regex)| self.is_for(*rule, method) && regex.is_match(&text));
            found.extend(hits.map(|(rule, _)| *rule));
        }
    }

    fn default_for(&self, hosts: &[u32], method: Methods) -> Option<u32> {
        let (rule, at) = self.unmatched.as_ref()?;
        (self.is_for(*rule, method) && hosts.iter().any(|host| at.binary_search(host).is_ok()))
            .then_some(*rule)
    }

    fn is_for(&self, rule: u32, method: Methods) -> bool {
        let methods = usize::try_from(rule).ok().and_then(|rule| self.methods.get(rule));
        methods.is_some_and(|methods| methods.any_of(method))
    }
}

fn add(paths: &mut TableBuilder, hosts: &[u32], shape: Shape, spellings: Vec<Vec<u8>>, rule: u32) {
    for spelling in spellings {
        let spelling: Rc<[u8]> = match shape {
            Shape::Suffix => reversed(&spelling).into(),
            Shape::Exact | Shape::Prefix => spelling.into(),
        };
        for host in hosts {
            match shape {
                Shape::Exact => paths.exact(*host, spelling.clone(), rule),
                Shape::Prefix => paths.prefix(*host, spelling.clone(), rule),
                Shape::Suffix => paths.suffix(*host, spelling.clone(), rule),
            }
        }
    }
}

/// Gives each distinct host pattern a number.
#[derive(Debug, Default)]
struct HostNumbers {
    table: TableBuilder,
    known: HashMap<HostPattern, u32>,
}

impl HostNumbers {
    fn numbers_of(&mut self, patterns: Vec<HostPattern>) -> Vec<u32> {
        if patterns.is_empty() {
            return vec![ANY_HOST];
        }
        let mut numbers: Vec<u32> = patterns.into_iter().map(|pattern| self.number_of(pattern)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn number_of(&mut self, pattern: HostPattern) -> u32 {
        if let Some(number) = self.known.get(&pattern) {
            return *number;
        }
        // 0 is taken by the pattern for all hosts.
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX).saturating_add(1);
        match &pattern {
            HostPattern::Any => return ANY_HOST,
            HostPattern::Exact(name) => self.table.exact(0, name[..].into(), next),
            HostPattern::Prefix(name) => self.table.prefix(0, name[..].into(), next),
            HostPattern::Suffix(name) => self.table.suffix(0, reversed(name).into(), next),
        }
        self.known.insert(pattern, next);
        next
    }
}
