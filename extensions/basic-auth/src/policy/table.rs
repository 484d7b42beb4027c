//! Exact, prefix and suffix patterns, found in a number of steps that hardly depends on how many there are.

use std::cmp::Ordering;
use std::rc::Rc;

/// Patterns of the three shapes with a number each, apart for each scope. A scope is for instance a host.
#[derive(Debug, Default)]
pub(super) struct Table {
    exact: Patterns,
    prefix: Patterns,
    suffix: Patterns,
}

/// Collects patterns; [`Table`] finds them.
#[derive(Debug, Default)]
pub(super) struct TableBuilder {
    exact: Vec<Entry>,
    prefix: Vec<Entry>,
    suffix: Vec<Entry>,
}

type Entry = (u32, Rc<[u8]>, u32);

impl TableBuilder {
    pub(super) fn exact(&mut self, scope: u32, pattern: Rc<[u8]>, value: u32) {
        self.exact.push((scope, pattern, value));
    }

    pub(super) fn prefix(&mut self, scope: u32, pattern: Rc<[u8]>, value: u32) {
        self.prefix.push((scope, pattern, value));
    }

    /// The pattern has to come [`reversed`].
    pub(super) fn suffix(&mut self, scope: u32, pattern: Rc<[u8]>, value: u32) {
        self.suffix.push((scope, pattern, value));
    }

    pub(super) fn build(self) -> Table {
        let [exact, prefix, suffix] = [self.exact, self.prefix, self.suffix].map(Patterns::new);
        Table { exact, prefix, suffix }
    }
}

/// Back to front.
pub(super) fn reversed(text: &[u8]) -> Vec<u8> {
    text.iter().rev().copied().collect()
}

impl Table {
    /// Calls `found` with the number of each pattern of the scopes that matches; twice, when it was given twice.
    pub(super) fn find(&self, scopes: &[u32], text: &[u8], mut found: impl FnMut(u32)) {
        for scope in scopes {
            self.exact.equal(*scope, text).iter().copied().for_each(&mut found);
            self.prefix.prefixes_of(*scope, text, &mut found);
        }
        if !self.suffix.is_empty() {
            let text = reversed(text);
            scopes.iter().for_each(|scope| self.suffix.prefixes_of(*scope, &text, &mut found));
        }
    }
}

/// Patterns in order, so that all that are a prefix of a text are found by one binary search.
///
/// Of the patterns that do not come after the text, the last one begins with every pattern that is a prefix of the text
/// (what lies between a prefix and the text begins with that prefix). So they are all on its chain of ancestors.
#[derive(Debug, Default)]
struct Patterns {
    groups: Vec<Group>,
    /// The patterns' bytes and values, in the order of the groups: neighbours in a search are neighbours in memory.
    bytes: Vec<u8>,
    values: Vec<u32>,
}

/// A pattern: where its bytes and values begin. They end where the next group's begin.
#[derive(Debug)]
struct Group {
    scope: u32,
    bytes: u32,
    values: u32,
    /// The longest other pattern of the scope that this one begins with, or [`NONE`].
    ancestor: u32,
}

const NONE: u32 = u32::MAX;

impl Patterns {
    fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        let mut patterns = Self::default();
        let mut open: Vec<u32> = Vec::new();
        for (scope, pattern, value) in entries {
            let last = number(patterns.groups.len()).checked_sub(1);
            if !last.is_some_and(|last| patterns.is(last, scope, &pattern)) {
                while open.last().is_some_and(|top| !patterns.begins(scope, &pattern, *top)) {
                    open.pop();
                }
                let ancestor = open.last().copied().unwrap_or(NONE);
                open.push(number(patterns.groups.len()));
                let (bytes, values) = (number(patterns.bytes.len()), number(patterns.values.len()));
                patterns.groups.push(Group { scope, bytes, values, ancestor });
                patterns.bytes.extend_from_slice(&pattern);
            }
            patterns.values.push(value);
        }
        patterns
    }

    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn group(&self, group: u32) -> Option<&Group> {
        usize::try_from(group).ok().and_then(|group| self.groups.get(group))
    }

    fn pattern(&self, group: u32) -> &[u8] {
        slice(&self.bytes, self.group(group), self.group(group.saturating_add(1)), |group| group.bytes)
    }

    fn values(&self, group: u32) -> &[u32] {
        slice(&self.values, self.group(group), self.group(group.saturating_add(1)), |group| group.values)
    }

    fn is(&self, group: u32, scope: u32, text: &[u8]) -> bool {
        self.group(group).is_some_and(|found| found.scope == scope) && self.pattern(group) == text
    }

    fn begins(&self, scope: u32, text: &[u8], group: u32) -> bool {
        self.group(group).is_some_and(|found| found.scope == scope) && text.starts_with(self.pattern(group))
    }

    /// The last group that does not come after the text.
    fn last_up_to(&self, scope: u32, text: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, number(self.groups.len()));
        while low < high {
            steps::count();
            let middle = low.midpoint(high);
            let order = self.group(middle).map(|group| group.scope.cmp(&scope));
            if order.map(|order| order.then_with(|| self.pattern(middle).cmp(text)))
                == Some(Ordering::Greater)
            {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        low.checked_sub(1)
    }

    fn equal(&self, scope: u32, text: &[u8]) -> &[u32] {
        let same = self.last_up_to(scope, text).filter(|last| self.is(*last, scope, text));
        same.map_or(&[], |group| self.values(group))
    }

    fn prefixes_of(&self, scope: u32, text: &[u8], found: &mut impl FnMut(u32)) {
        let Some(mut next) = self.last_up_to(scope, text) else { return };
        let common = self.pattern(next).iter().zip(text).take_while(|(a, b)| a == b).count();
        while let Some(group) = self.group(next).filter(|group| group.scope == scope) {
            steps::count();
            if self.pattern(next).len() <= common {
                self.values(next).iter().copied().for_each(&mut *found);
            }
            next = group.ancestor;
        }
    }
}

/// What belongs to a group of a list that all groups share.
fn slice<'a, T>(all: &'a [T], group: Option<&Group>, next: Option<&Group>, at: fn(&Group) -> u32) -> &'a [T] {
    let place = |group: &Group| usize::try_from(at(group)).unwrap_or(usize::MAX);
    let start = group.map_or(usize::MAX, place);
    all.get(start..next.map_or(all.len(), place)).unwrap_or_default()
}

/// A place in a list. A configuration whose patterns fill 4 GiB does not fit into a VM.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}

/// How much work a lookup is, for tests: a number that does not depend on the machine.
pub(super) mod steps {
    #[cfg(test)]
    thread_local!(static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

    pub(super) fn count() {
        #[cfg(test)]
        STEPS.set(STEPS.get().saturating_add(1));
    }

    #[cfg(test)]
    pub(in crate::policy) fn take() -> usize {
        STEPS.take()
    }
}

#[cfg(test)]
mod tests {
    //! Against a scan of all patterns.

    use super::*;
    use proptest::prelude::*;

    fn found(table: &Table, scopes: &[u32], text: &[u8]) -> Vec<u32> {
        let mut values = Vec::new();
        table.find(scopes, text, |value| values.push(value));
        values.sort_unstable();
        values
    }

    /// Few letters, so that patterns are often prefixes of each other and of the text.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0_u8..3, 0..6)
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            patterns in prop::collection::vec((0_u8..3, 0_u32..3, word()), 0..40),
            text in word(),
            scope in 0_u32..3,
        ) {
            let mut builder = TableBuilder::default();
            let mut expected = Vec::new();
            for (value, (shape, of, pattern)) in (0..).zip(&patterns) {
                let matches = match shape {
                    0 => { builder.exact(*of, pattern[..].into(), value); text == *pattern }
                    1 => { builder.prefix(*of, pattern[..].into(), value); text.starts_with(pattern) }
                    _ => { builder.suffix(*of, reversed(pattern)[..].into(), value); text.ends_with(pattern) }
                };
                if matches && *of == scope {
                    expected.push(value);
                }
            }
            prop_assert_eq!(found(&builder.build(), &[scope], &text), expected);
        }
    }

    #[test]
    fn many_rules_with_a_pattern_that_does_not_match_cost_nothing() {
        let mut builder = TableBuilder::default();
        (0..10_000).for_each(|value| builder.prefix(0, b"/b"[..].into(), value));
        builder.prefix(0, b"/"[..].into(), 10_000);
        let table = builder.build();
        steps::take();
        assert_eq!(found(&table, &[0], b"/c"), [10_000]);
        assert!(steps::take() < 10);
    }
}
