//! Readings of paths and spellings of patterns.

use super::*;

fn read(path: &str) -> Vec<String> {
    let readings = readings(path.as_bytes()).unwrap();
    readings.iter().map(|reading| reading.escape_ascii().to_string()).collect()
}

fn is_read_as(path: &str, reading: &str) {
    assert!(
        read(path).iter().any(|found| found == reading),
        "{path} is not read as {reading}: {:?}",
        read(path)
    );
}

#[test]
fn an_ordinary_path_has_one_reading() {
    for path in ["/", "/a/b.html", "/a/..b/c", "/~a/$b(1),2@c:d=e&f+g!*", "/a."] {
        assert_eq!(read(path), [path]);
    }
    assert_eq!(read("/a?b=/../c"), ["/a"]);
    assert_eq!(read("*"), ["*"]);
    assert_eq!(read(""), ["/"]);
}

#[test]
fn spellings_of_one_path() {
    for path in [
        "/secret?x",
        "//secret",
        "/./secret",
        "/x/../secret",
        "/../secret",
        "/%73ecret",
        "/%2e/secret",
        "/x/%2E%2e/secret",
        "/%2573ecret",
        "/%252573ecret",
        "/x%2f..%2fsecret",
        "/x/..%2fsecret",
        "%2fsecret",
        "/%5csecret",
        "/\\secret",
        "/x\\..\\secret",
        "/secret;a=b",
        "/;a/secret",
        "/x/..;/secret",
        "/x/..;a=/b/../secret",
        "/x/%2e%2e%3b/secret",
        "/secret#",
        "/secret%23x",
        "/secret%3fx",
        "/secret%20",
        "/secret%09",
        "/secret%a0",
        "/secret/.",
        "/secret/x/..",
        "/x%2fy/%2e%2e/%2e%2e/secret",
        "/a//../../secret",
        "/x/y%2f../../secret",
        "/secret/./",
        "/%25%37%33ecret",
    ] {
        let path = if path.starts_with('%') { format!("/{path}") } else { path.to_owned() };
        let readings = read(&path);
        let hit = readings.iter().any(|reading| reading == "/secret" || reading == "/secret/");
        assert!(hit, "{path}: {readings:?}");
    }
}

#[test]
fn each_reading_is_one_that_some_server_has() {
    assert_eq!(read("/a%20b"), ["/a%20b", "/a b"]);
    assert_eq!(read("/a//b"), ["/a//b", "/a/b"]);
    assert_eq!(read("/projects/a%2Fb"), ["/projects/a%2Fb", "/projects/a/b"]);
    assert_eq!(read("/a;v=1"), ["/a;v=1", "/a"]);
    is_read_as("/secret/../public", "/secret/../public");
    is_read_as("/secret/../public", "/public");
    is_read_as("/x%2fy/%2e%2e/secret", "/secret");
    is_read_as("/x%2fy/%2e%2e/secret", "/x/secret");
}

#[test]
fn what_cannot_be_read_is_refused() {
    for path in [
        "/%",
        "/%1",
        "/%zz",
        "/a%2",
        "/%00",
        "/a%00b",
        "/%c0%af",
        "/%c1%9c",
        "/%e0%80%af",
        "/%2500",
        "x",
        "http://h/x",
    ] {
        assert_eq!(readings(path.as_bytes()), Err(Unreadable), "{path}");
    }
    assert_eq!(readings(b"/\xc0\xafsecret"), Err(Unreadable));
}

#[test]
fn what_is_made_to_confuse_is_refused() {
    let nested = format!("/%{}41", "25".repeat(200));
    assert_eq!(readings(nested.as_bytes()), Err(Unreadable));
    // It was read in 64 ways, of 2 KB each, at the price of hundreds of ordinary requests.
    let costly = format!("/a\\b//c;d/./%25252fe{}", "/seg-abc%41".repeat(200));
    assert_eq!(readings(costly.as_bytes()), Err(Unreadable));
    let huge = format!("/{}", "a%2f/;x\\".repeat(8000));
    assert_eq!(readings(huge.as_bytes()), Err(Unreadable));
}

#[test]
fn long_but_honest_paths_are_read() {
    let plain = format!("/{}", "a".repeat(60_000));
    assert_eq!(read(&plain).len(), 1);
    let encoded = format!("/{}", "%41".repeat(20_000));
    assert_eq!(read(&encoded).len(), 2);
}

fn spelt(pattern: &str, shape: Shape) -> Vec<String> {
    let spellings = spellings(pattern, shape).unwrap();
    spellings.into_iter().map(|spelling| String::from_utf8(spelling).unwrap()).collect()
}

#[test]
fn patterns_are_kept_as_written_and_in_normal_form() {
    assert_eq!(spelt("/a", Shape::Exact), ["/a"]);
    assert_eq!(spelt("/%61//b/./c/../d", Shape::Exact), ["/a/b/d", "/%61//b/./c/../d"]);
    assert_eq!(spelt("/.", Shape::Prefix), ["/."]);
    assert_eq!(spelt("/a/./.b", Shape::Prefix), ["/a/.b", "/a/./.b"]);
    assert_eq!(spelt("/..", Shape::Prefix), ["/.."]);
    assert_eq!(spelt("secret", Shape::Prefix), ["secret"]);
    assert_eq!(spelt(".html", Shape::Suffix), [".html"]);
    assert_eq!(spelt("/../a", Shape::Suffix), ["/../a"]);
    assert_eq!(spelt(".//x/./y", Shape::Suffix), ["./x/y", ".//x/./y"]);
}

#[test]
fn patterns_that_no_path_can_match_are_refused() {
    for pattern in ["/a?b", "/a#b", "/%", "/%0", "/%00", "/%c0%af"] {
        spellings(pattern, Shape::Prefix).unwrap_err();
    }
}
