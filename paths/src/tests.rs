//! Readings of paths.

use super::*;

fn read(path: &str) -> Vec<String> {
    let readings = readings(path.as_bytes()).unwrap_or_else(|Unreadable| panic!("{path} cannot be read"));
    readings.iter().map(|reading| reading.escape_ascii().to_string()).collect()
}

#[track_caller]
fn is_read_as(path: &str, readings: &[&str]) {
    let found = read(path);
    assert!(readings.iter().all(|reading| found.iter().any(|one| one == reading)), "{path}: {found:?}");
}

#[test]
fn an_ordinary_path_has_one_reading() {
    for path in
        ["/", "/api/users", "/a/b.html", "/a/..b/c", "/~a/$b(1),2@c:d=e&f+g!*", "/a.", "/.well-known/a b"]
    {
        assert_eq!(read(path), [path]);
    }
}

#[test]
fn where_there_is_no_sign_a_step_changes_nothing() {
    for byte in 0..=255 {
        for path in
            [&[b'/', byte, b'a'][..], &[b'/', b'a', byte], &[byte, b'a'], &[b'/', byte, byte], &[byte]]
        {
            let signs = signs(path);
            for (sign, step) in STEPS {
                assert!(signs & sign != 0 || step(path) == path, "{}: {sign}", path.escape_ascii());
            }
        }
    }
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
        "/x/%2e%2e/secret",
        "/x/%2E%2e/secret",
        "/%2573ecret",
        "/%252573ecret",
        "/x%2f..%2fsecret",
        "/x/..%2fsecret",
        "/%2fsecret",
        "/%5csecret",
        "/\\secret",
        "/x\\..\\secret",
        "/x\\y/../secret",
        "/x/a\\b/../../secret",
        "/secret;a=b",
        "/;a/secret",
        "/x/..;/secret",
        "/x/..;a=/b/../secret",
        "/x/%2e%2e%3b/secret",
        "/x/..;%2fx/../secret",
        "/x/..;%252fx/../secret",
        "/secret;%2f..",
        "/x;%2f../secret",
        "/secret#",
        "/secret%23",
        "/secret%23x",
        "/secret%3f",
        "/secret%3fx",
        "/secret%253fx",
        "/secret%20",
        "/secret%09",
        "/secret%a0",
        "/secret%c2%a0",
        "/secret/.",
        "/secret/x/..",
        "/x%2fy/../secret",
        "/x%2fy/%2e%2e/secret",
        "/x%2fy/%2e%2e/%2e%2e/secret",
        "/a//../../secret",
        "/x/y%2f../../secret",
        "/secret/./",
        "/%25%37%33ecret",
        "*/../secret",
        "secret",
    ] {
        let readings = read(path);
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
    assert_eq!(read("/100%25"), ["/100%25", "/100%"]);
    is_read_as("/secret/../public", &["/secret/../public", "/public"]);
    is_read_as("/x%2fy/%2e%2e/secret", &["/secret", "/x/secret"]);
    is_read_as("/a//../secret", &["/secret", "/a/secret"]);
    is_read_as("/public/..;%2fpublic/secret", &["/secret", "/public/secret"]);
}

#[test]
fn what_cannot_be_read_is_refused() {
    for path in [
        &b"/%"[..],
        b"/%1",
        b"/%zz",
        b"/%u0073ecret",
        b"/a%2",
        b"/%00",
        b"/a%00b",
        b"/secret%00.html",
        b"/%2500",
        b"/\0",
        b"/%c0%af",
        b"/%c1%9c",
        b"/%e0%80%af",
        b"/%f0%80%80%af",
        b"/open/..%c0%afsecret",
        b"/%25c0%25aesecret",
        b"/\xc0\xafsecret",
    ] {
        assert_eq!(readings(path), Err(Unreadable), "{}", path.escape_ascii());
    }
    assert!(readings("/caf%c3%a9/\u{20ac}".as_bytes()).is_ok());
    assert!(readings(b"/caf%e9/\xff").is_ok());
}

#[test]
fn what_is_made_to_confuse_is_refused() {
    for path in [
        format!("/%{}41", "25".repeat(200)),
        format!("/a\\b//c;d/%{}2e%2f..", "25".repeat(100)),
        // It was read in 64 ways, of 2 KB each, at the price of hundreds of ordinary requests.
        format!("/a\\b//c;d/./%25252fe{}", "/seg-abc%41".repeat(200)),
        format!("/{}", "a%2f/;x\\".repeat(8000)),
    ] {
        assert_eq!(readings(path.as_bytes()), Err(Unreadable));
    }
}

#[test]
fn long_but_honest_paths_are_read() {
    let plain = format!("/{}", "a".repeat(60_000));
    assert_eq!(read(&plain).len(), 1);
    let encoded = format!("/{}", "%41".repeat(20_000));
    assert_eq!(read(&encoded).len(), 2);
    let long = |count| format!("/{}", "%41bcde/".repeat(count));
    let of = |count| readings(long(count).as_bytes()).map(|all| all.len());
    assert_eq!([of(1000), of(5000), of(7000)], [Ok(2), Ok(2), Err(Unreadable)]);
}

#[test]
fn what_is_no_escape_stays() {
    for (text, plain) in [("a", "a"), ("%41%2f", "A/"), ("%4%41%", "%4A%"), ("%zz+%25%34%31", "%zz+%41")] {
        assert_eq!(*unescaped(text.as_bytes()), *plain.as_bytes(), "{text}");
    }
}
