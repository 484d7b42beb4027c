//! What servers make of a path before they look it up, each by its documentation or source, and not by the code of any policy.

/// What a server does to a path, step by step.
type Step = fn(&[u8]) -> Vec<u8>;

/// Servers, and their steps.
const SERVERS: [(&str, &[Step]); 11] = [
    ("a server that takes it as it is", &[cut]),
    ("Envoy with normalize_path and merge_slashes", &[cut, decode_unreserved, resolve, merge]),
    ("nginx", &[cut, decode, merge, resolve]),
    ("Apache httpd", &[cut, decode_but_slash, merge, resolve]),
    ("Tomcat", &[cut, strip_parameters, decode, turn, merge, resolve]),
    ("Jetty", &[cut, strip_parameters, decode, resolve]),
    ("IIS", &[cut, decode, turn, merge, resolve]),
    ("Go's ServeMux", &[cut, decode, merge, resolve]),
    ("Express and WSGI", &[cut, decode]),
    ("Tomcat of 2008, lenient with UTF-8", &[cut, decode, shorten, resolve]),
    ("a reader of WHATWG URLs", &[cut, turn, resolve_escaped]),
];

/// What servers alone, and each behind each other, take the path for.
pub fn taken_for(path: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut taken = Vec::new();
    for (first, path) in SERVERS.iter().map(|(name, steps)| (*name, run(steps, path))) {
        for (second, steps) in &SERVERS {
            taken.push((format!("{second} behind {first}"), run(steps, &path)));
        }
        taken.push((first.to_owned(), path));
    }
    taken
}

fn run(steps: &[Step], path: &[u8]) -> Vec<u8> {
    steps.iter().fold(path.to_vec(), |path, step| step(&path))
}

/// Without query and fragment.
fn cut(path: &[u8]) -> Vec<u8> {
    path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default().to_vec()
}

fn decode(path: &[u8]) -> Vec<u8> {
    decode_some(path, |_| true)
}

fn decode_but_slash(path: &[u8]) -> Vec<u8> {
    decode_some(path, |byte| byte != b'/')
}

fn decode_unreserved(path: &[u8]) -> Vec<u8> {
    decode_some(path, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

fn decode_some(path: &[u8], is_decoded: fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path
            .get(at + 1..at + 3)
            .filter(|_| path[at] == b'%')
            .and_then(|two| std::str::from_utf8(two).ok());
        match digits
            .filter(|two| !two.starts_with('+'))
            .and_then(|two| u8::from_str_radix(two, 16).ok())
            .filter(|byte| is_decoded(*byte))
        {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(path[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// UTF-8 that takes two bytes for what one would do, as that one.
fn shorten(path: &[u8]) -> Vec<u8> {
    let mut short: Vec<u8> = Vec::new();
    for byte in path {
        match short.last() {
            Some(lead @ (0xc0 | 0xc1)) if (0x80..0xc0).contains(byte) => {
                let byte = (lead & 1) << 6 | byte & 0x3f;
                short.pop();
                short.push(byte);
            }
            _ => short.push(*byte),
        }
    }
    short
}

/// `\` as `/`.
fn turn(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// Without `;name=value` in any segment.
fn strip_parameters(path: &[u8]) -> Vec<u8> {
    let mut stripped = Vec::new();
    let mut is_parameter = false;
    for byte in path {
        is_parameter = *byte != b'/' && (is_parameter || *byte == b';');
        if !is_parameter {
            stripped.push(*byte);
        }
    }
    stripped
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::new();
    for byte in path {
        if *byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(*byte);
        }
    }
    merged
}

fn resolve(path: &[u8]) -> Vec<u8> {
    resolve_by(path, |segment| segment.to_vec())
}

/// `%2e` counts as a dot in what is a dot segment, and stays elsewhere.
fn resolve_escaped(path: &[u8]) -> Vec<u8> {
    resolve_by(path, |segment| decode_some(segment, |byte| byte == b'.'))
}

/// RFC 3986, 5.2.4, by its own steps.
fn resolve_by(path: &[u8], read: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut output: Vec<u8> = Vec::new();
    let mut input = path;
    while let Some(rest) = input.strip_prefix(b"/") {
        let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (segment, after) = rest.split_at(end);
        input = after;
        match &*read(segment) {
            b"." => {
                if after.is_empty() {
                    output.push(b'/');
                }
            }
            b".." => {
                output.truncate(output.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                if after.is_empty() {
                    output.push(b'/');
                }
            }
            _ => {
                output.push(b'/');
                output.extend_from_slice(segment);
            }
        }
    }
    if output.is_empty() { vec![b'/'] } else { output }
}
