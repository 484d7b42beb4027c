//! Against the plainest memory there is: a list, newest last.

use super::*;
use proptest::prelude::*;

type Known = ((Kind, u8), Rc<[u8]>);

fn value(name: u8, size: usize) -> Rc<[u8]> {
    vec![name; size].into()
}

/// With a name of one byte.
fn size(value: &[u8]) -> usize {
    value.len().saturating_add(1).saturating_add(OVERHEAD)
}

#[test]
fn a_limit_beyond_all_memory_is_none() {
    let mut lru = Lru::new(u32::MAX as usize);
    let large = value(0, MOST_BYTES / 8);
    for name in 0..10 {
        lru.insert(Kind::Header, &[name], large.clone());
    }
    assert_eq!(lru.entries.len(), 7);
    assert!(lru.bytes <= MOST_BYTES && lru.get(Kind::Header, &[9]).is_some());
}

proptest! {
    #[test]
    fn what_is_the_same_is_equal(a in prop::collection::vec(0..2_u8, 0..20), b in prop::collection::vec(0..2_u8, 0..20)) {
        prop_assert_eq!(is_same(&a, &b), a == b);
        prop_assert!(is_same(&a, &a.clone()));
    }

    #[test]
    fn it_forgets_what_was_not_asked_for_longest(
        most in 0..5_usize,
        steps in prop::collection::vec((0..4_u8, any::<bool>(), 1..6_usize), 0..60),
    ) {
        let (mut lru, mut list) = (Lru::new(most), Vec::<Known>::new());
        for (byte, baggage, kilobytes) in steps {
            let kind = if baggage { Kind::Baggage } else { Kind::Header };
            let place = list.iter().position(|(name, _)| *name == (kind, byte));
            let known = place.map(|place| list.remove(place));
            prop_assert_eq!(lru.get(kind, &[byte]), known.as_ref().map(|(_, value)| value.clone()));
            let found = known.unwrap_or_else(|| ((kind, byte), value(byte, kilobytes.saturating_mul(4096))));
            lru.insert(kind, &[byte], found.1.clone());
            if size(&found.1) <= most.saturating_mul(BYTES_EACH) {
                list.push(found);
            }
            let bytes = |list: &[Known]| list.iter().map(|(_, value)| size(value)).sum::<usize>();
            while list.len() > most || bytes(&list) > most.saturating_mul(BYTES_EACH) {
                list.remove(0);
            }
            prop_assert_eq!(lru.entries.len(), list.len());
            prop_assert_eq!(lru.ages.len(), list.len());
            prop_assert_eq!(lru.bytes, bytes(&list));
        }
    }
}
