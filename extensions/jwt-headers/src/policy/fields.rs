//! The headers of a request on their way to the upstream, and the cheapest way to make them so.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// A name or a value.
type Text<'a> = Cow<'a, [u8]>;

/// What Envoy takes in one piece: a list that is longer, or larger, counts as an empty one there.
const LARGEST_LIST: (usize, usize) = (1000, 1_000_000);

/// Headers in their order, to be edited.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    sent: &'a [(&'a [u8], &'a [u8])],
    now: Vec<(Text<'a>, Text<'a>)>,
    touched: BTreeSet<Vec<u8>>,
}

/// What has to be done to the headers of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Nothing, and so the route stays.
    None,
    /// These names have these values.
    Names(Vec<(Vec<u8>, Vec<Text<'a>>)>),
    /// These are the headers.
    All(Vec<(Text<'a>, Text<'a>)>),
}

impl<'a> Fields<'a> {
    pub(super) fn new(sent: &'a [(&'a [u8], &'a [u8])]) -> Self {
        let now = sent.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { sent, now, touched: BTreeSet::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.now.iter().find(|(known, _)| **known == *name.as_bytes()).map(|(_, value)| &**value)
    }

    /// Removes one line of what was sent. It is told by where it is: values are long.
    pub(super) fn remove_line(&mut self, name: &[u8], value: &[u8]) {
        self.touched.insert(name.to_vec());
        self.now.retain(|(_, other)| !std::ptr::eq(&**other, value));
    }

    /// Removes a name, however it is written.
    pub(super) fn remove_all_like(&mut self, name: &str) {
        self.remove_if(|known| is_alike(known, name));
    }

    /// Removes what only looks like a name to those.
    pub(super) fn remove_other_spellings(&mut self, name: &str) {
        self.remove_if(|known| known != name.as_bytes() && is_alike(known, name));
    }

    fn remove_if(&mut self, goes: impl Fn(&[u8]) -> bool) {
        let touched = &mut self.touched;
        self.now.retain(|(known, _)| {
            let goes = goes(known);
            if goes {
                touched.insert(known.to_vec());
            }
            !goes
        });
    }

    /// One line of this name, in the place of the first that there was.
    pub(super) fn set(&mut self, name: &str, value: Vec<u8>) {
        let is_named = |line: &(Text<'a>, Text<'a>)| *line.0 == *name.as_bytes();
        match self.now.iter_mut().find(|line| is_named(line)) {
            Some((_, old)) => *old = value.into(),
            None => self.now.push((name.as_bytes().to_vec().into(), value.into())),
        }
        let mut first = true;
        self.now.retain(|line| !is_named(line) || std::mem::take(&mut first));
        self.touched.insert(name.as_bytes().to_vec());
    }

    /// One more line of this name.
    pub(super) fn add(&mut self, name: &str, value: Vec<u8>) {
        self.now.push((name.as_bytes().to_vec().into(), value.into()));
        self.touched.insert(name.as_bytes().to_vec());
    }

    /// One or two names change by a call each; for more, all are replaced by one.
    pub(super) fn change(self) -> Change<'a> {
        let mut names: Vec<(Vec<u8>, Vec<Text<'a>>)> = Vec::new();
        for name in &self.touched {
            let after = self.now.iter().filter(|(known, _)| **known == **name);
            let after: Vec<_> = after.map(|(_, value)| value.clone()).collect();
            let before = self.sent.iter().filter(|(known, _)| *known == &**name).map(|(_, value)| *value);
            if !before.eq(after.iter().map(|value| &**value)) {
                names.push((name.clone(), after));
            }
        }
        let (most, largest) = LARGEST_LIST;
        let size = self.now.iter().fold(0_usize, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len()).saturating_add(10)
        });
        match names.len() {
            0 => Change::None,
            // To replace them all costs the proxy more than two edits.
            1 | 2 => Change::Names(names),
            _ if self.now.len() > most || size > largest => Change::Names(names),
            _ => Change::All(self.now),
        }
    }
}

/// Whether a server may take one name for the other: CGI and its heirs (WSGI, Rack, PHP) do not tell `-` from `_`.
pub(super) fn is_alike(sent: &[u8], name: &str) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    sent.len() == name.len() && sent.iter().map(folded).eq(name.as_bytes().iter().map(folded))
}
