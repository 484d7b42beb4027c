//! Labels in the name of a metric, so that each can be taken out again, whatever its value is.

use std::borrow::Cow;

/// The bytes of a value that are kept. The longest name of a host has 253.
pub const LONGEST_VALUE: usize = 256;

/// The bytes that the name of a series mostly has at most.
const NAME: usize = 1500;

/// What stands in a name around the values of labels: neither letters nor digits, and no `_`, which takes their place.
#[derive(Clone, Debug)]
pub struct Separators {
    /// Behind a value.
    pub field: String,
    /// Before a value.
    pub value: String,
}

impl Separators {
    /// Whether a text can separate.
    pub fn fits(text: &str) -> bool {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_punctuation() && letter != '_')
    }

    /// The name of a series: each label with its value, then the metric.
    pub(super) fn series<'a>(
        &self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        metric: &str,
    ) -> String {
        let mut name = String::with_capacity(NAME);
        for (label, value) in labels {
            for part in [label, &self.value, &self.cleaned(value), &self.field] {
                name.push_str(part);
            }
        }
        name.push_str("istio_");
        name.push_str(metric);
        name
    }

    /// A value that ends where it ends, and is not taken for another label.
    ///
    /// The proxy looks for the first `label=.=` in a name, and for the first `;.;` after it. So neither may begin within a
    /// value, also if it would end beyond it.
    pub(super) fn cleaned<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.is_clean(value) {
            return Cow::Borrowed(value);
        }
        let mut clean: String = value.chars().map(printable).collect();
        clean.truncate(floor_boundary(&clean, LONGEST_VALUE));
        let followed = format!("{clean}{}", self.field);
        let broken = |(at, letter)| if self.begins(followed.get(at..)) { '_' } else { letter };
        Cow::Owned(clean.char_indices().map(broken).collect())
    }

    /// Whether nothing in a value needs a closer look, as is mostly so.
    fn is_clean(&self, value: &str) -> bool {
        let first = |separator: &str| separator.bytes().next();
        let (field, of_value) = (first(&self.field), first(&self.value));
        let is_plain =
            |byte: u8| (0x20..0x7f).contains(&byte) && Some(byte) != field && Some(byte) != of_value;
        value.len() <= LONGEST_VALUE && value.bytes().all(is_plain)
    }

    /// Whether a separator begins here.
    fn begins(&self, rest: Option<&str>) -> bool {
        rest.is_some_and(|rest| rest.starts_with(&self.field) || rest.starts_with(&self.value))
    }
}

fn printable(letter: char) -> char {
    if letter.is_control() { '_' } else { letter }
}

/// The greatest place up to `at` that a text may be cut at.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! Values that must not break out of their place.

    use super::*;
    use proptest::prelude::*;

    fn standard() -> Separators {
        Separators { field: ";.;".to_owned(), value: "=.=".to_owned() }
    }

    #[test]
    fn an_ordinary_value_stays() {
        for value in
            ["", "a=b;c", "spiffe://cluster.local/ns/default/sa/client", "ünïcode", "a;;", "=.", "a."]
        {
            assert_eq!(standard().cleaned(value), value);
        }
    }

    #[test]
    fn a_separator_is_broken_also_where_it_would_end_behind_the_value() {
        for (value, clean) in [
            ("a;.;reporter=.=b", "a_.;reporter_.=b"),
            ("a;.", "a_."),
            ("a;", "a;"),
            (";.;.;", "_._.;"),
            ("a\n\0\u{85}b", "a___b"),
        ] {
            assert_eq!(standard().cleaned(value), clean);
        }
        assert_eq!(standard().cleaned(&"é".repeat(1000)).len(), LONGEST_VALUE);
    }

    /// What Envoy does: the first match of `label=.=(.*?);.;`.
    fn taken_out<'a>(name: &'a str, label: &str) -> &'a str {
        let (_, behind) = name.split_once(&format!("{label}=.=")).unwrap();
        behind.split_once(";.;").unwrap().0
    }

    proptest! {
        #[test]
        fn every_value_can_be_taken_out_again(values in prop::collection::vec("[a;.=rx]{0,12}|.{0,300}", 3)) {
            let labels = ["a", "rx", "a.x"].into_iter().zip(values.iter().map(String::as_str));
            let name = standard().series(labels.clone(), "requests_total");
            for (label, value) in labels {
                prop_assert_eq!(taken_out(&name, label), standard().cleaned(value));
            }
            prop_assert!(!name.chars().any(char::is_control));
        }
    }
}
