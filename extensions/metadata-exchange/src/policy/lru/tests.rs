//! Against the plainest memory there is: a list, newest last.

use super::*;
use proptest::prelude::*;

fn value(name: u8, size: usize) -> Rc<[u8]> {
    vec![name; size].into()
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
        steps in prop::collection::vec((0..8_u8, 1..6_usize), 0..60),
    ) {
        let (mut lru, mut list) = (Lru::new(most), Vec::<(u8, Rc<[u8]>)>::new());
        for (name, kilobytes) in steps {
            let place = list.iter().position(|(known, _)| *known == name);
            let known = place.map(|place| list.remove(place));
            prop_assert_eq!(lru.get(&[name]), known.as_ref().map(|(_, value)| value.clone()));
            let found = known.unwrap_or_else(|| (name, value(name, kilobytes.saturating_mul(4096))));
            lru.insert(&[name], found.1.clone());
            if found.1.len() < most.saturating_mul(BYTES_EACH) {
                list.push(found);
            }
            let size = |list: &[(u8, Rc<[u8]>)]| list.iter().map(|(_, value)| value.len().saturating_add(1)).sum::<usize>();
            while list.len() > most || size(&list) > most.saturating_mul(BYTES_EACH) {
                list.remove(0);
            }
            prop_assert_eq!(lru.entries.len(), list.len());
            prop_assert_eq!(lru.ages.len(), list.len());
            prop_assert_eq!(lru.bytes, size(&list));
        }
    }
}
