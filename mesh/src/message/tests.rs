//! What is read, what is refused, and that what is read is written alike.

use super::*;
use proptest::prelude::*;

/// A struct with one field `a` whose value has these bytes.
fn with_value(value: &[u8]) -> Vec<u8> {
    let (mut entry, mut bytes) = (Vec::new(), Vec::new());
    wire::put(&mut entry, 1, b"a");
    wire::put(&mut entry, 2, value);
    wire::put(&mut bytes, 1, &entry);
    bytes
}

fn nested(depth: usize) -> Vec<u8> {
    (1..depth).fold(Vec::new(), |inner, _| {
        let mut value = Vec::new();
        wire::put(&mut value, 5, &inner);
        with_value(&value)
    })
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(|number| Value::Number(number.into())),
        any::<bool>().prop_map(Value::Flag),
        ".*".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((".*", inner), 0..4)
                .prop_map(|fields| Value::Struct(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(fields in prop::collection::vec((".*", values()), 0..6)) {
        let metadata: Struct = fields.into_iter().collect();
        prop_assert_eq!(Struct::decode(&metadata.encode()), Ok(metadata));
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(metadata) = Struct::decode(&bytes) {
            prop_assert_eq!(Struct::decode(&metadata.encode()).unwrap().encode(), metadata.encode());
        }
    }
}

#[test]
fn depth_and_size_have_limits() {
    let deepest = usize::from(MAX_DEPTH);
    Struct::decode(&nested(deepest)).unwrap();
    assert_eq!(Struct::decode(&nested(deepest + 1)), Err(Malformed::TooDeep));
    assert_eq!(Struct::decode(&nested(1000)), Err(Malformed::TooDeep));
    assert_eq!(Struct::decode(&vec![b'\n'; MAX_BYTES + 1]), Err(Malformed::TooLarge));
    let list = (0..20).fold(vec![0x08, 0], |inner, _| {
        let (mut list, mut value) = (Vec::new(), Vec::new());
        wire::put(&mut list, 1, &inner);
        wire::put(&mut value, 6, &list);
        value
    });
    assert_eq!(Struct::decode(&with_value(&list)), Err(Malformed::TooDeep));
}

#[test]
fn what_is_broken_is_refused() {
    let broken: [(&str, &[u8]); 10] = [
        ("two values", &[0x08, 0, 0x08, 0]),
        ("a null that is not 0", &[0x08, 1]),
        ("a flag that is 2", &[0x20, 2]),
        ("a field that does not exist", &[0x38, 0]),
        ("a text of a number's wire type", &[0x18, 1]),
        ("a wire type that does not exist", &[0x1f, 0]),
        ("a group", &[0x1b]),
        ("a text that is cut off", &[0x1a, 5, b'a']),
        ("a length beyond all bytes", &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ("a number without end", &[0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
    ];
    for (what, value) in broken {
        assert_eq!(Struct::decode(&with_value(value)), Err(Malformed::Form), "{what}");
    }
    assert_eq!(Struct::decode(&with_value(&[0x1a, 1, 0xff])), Err(Malformed::Text));
    assert_eq!(Struct::decode(b"\x12\x00"), Err(Malformed::Form), "a field that a struct does not have");
}

#[test]
fn what_is_not_there_is_a_default() {
    let null = |name: &str| Ok([(name.to_owned(), Value::Null)].into_iter().collect());
    assert_eq!(Struct::decode(&with_value(b"")), null("a"), "an unset value");
    assert_eq!(Struct::decode(b"\x0a\x03\x0a\x01a"), null("a"), "a name without a value");
    assert_eq!(Struct::decode(b"\x0a\x02\x12\x00"), null(""), "a value without a name");
    assert_eq!(Struct::decode(b"\x0a\x00"), null(""), "neither");
    let list = [("a".to_owned(), Value::List(vec![Value::Null]))].into_iter().collect();
    assert_eq!(Struct::decode(&with_value(b"\x32\x02\x0a\x00")), Ok(list), "an unset value in a list");
}

#[test]
fn of_a_name_that_occurs_twice_the_last_counts() {
    let mut metadata = Struct::default();
    metadata.push_text("a", "first");
    metadata.push_text("a", "last");
    let read = Struct::decode(&metadata.encode()).unwrap();
    assert_eq!(read.text("a"), Some("last"));
}
