//! The little DER that keys and signatures need to be verified by the proxy: written, and read where a PEM block or a
//! certificate is given.

use super::algorithm::Curve;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate.
const VERSION: u8 = 0xa0;

/// `rsaEncryption` with its NULL.
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey`.
const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `id-Ed25519`.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// A public key of RSA as `SubjectPublicKeyInfo`, from big-endian numbers.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = value(SEQUENCE, &[integer(modulus), integer(exponent)].concat());
    public_key(RSA, &numbers)
}

/// A public key of ECDSA as `SubjectPublicKeyInfo`, from the coordinates of a point.
pub(super) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Vec<u8> {
    let algorithm = [EC, &value(OBJECT, curve_name(curve))].concat();
    public_key(&algorithm, &[&[0x04], x, y].concat())
}

/// A signature of ECDSA, from two numbers side by side; none if one of them is zero.
pub(super) fn signature(numbers: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = numbers.split_at_checked(size)?;
    let usable = s.len() == size && [r, s].iter().all(|number| number.iter().any(|byte| *byte != 0));
    usable.then(|| value(SEQUENCE, &[integer(r), integer(s)].concat()))
}

/// A public key that was read.
pub(super) enum Public<'a> {
    /// The numbers of RSA.
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
    /// A point on a curve.
    Ec { curve: Curve, x: &'a [u8], y: &'a [u8] },
    /// The 32 bytes of Ed25519.
    Ed25519(&'a [u8]),
}

/// Reads `SubjectPublicKeyInfo`.
pub(super) fn read(der: &[u8]) -> Option<Public<'_>> {
    let (info, []) = take(SEQUENCE, der)? else { return None };
    public(info)
}

/// Reads the public key in a certificate (RFC 5280, 4.1), and nothing else of it.
pub(super) fn certified(der: &[u8]) -> Option<Public<'_>> {
    let (certificate, []) = take(SEQUENCE, der)? else { return None };
    let (signed, _) = take(SEQUENCE, certificate)?;
    let rest = take(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial, rest) = take(INTEGER, rest)?;
    let after = |from, _| take(SEQUENCE, from).map(|(_, rest)| rest);
    let rest = ["signature", "issuer", "validity", "subject"].into_iter().try_fold(rest, after)?;
    public(take(SEQUENCE, rest)?.0)
}

fn public(info: &[u8]) -> Option<Public<'_>> {
    let (algorithm, rest) = take(SEQUENCE, info)?;
    let (bits, []) = take(BIT_STRING, rest)? else { return None };
    let key = bits.strip_prefix(&[0])?;
    if algorithm == RSA {
        let (numbers, []) = take(SEQUENCE, key)? else { return None };
        let (modulus, rest) = take(INTEGER, numbers)?;
        let (exponent, []) = take(INTEGER, rest)? else { return None };
        return Some(Public::Rsa { modulus, exponent });
    }
    if algorithm == ED25519 {
        return Some(Public::Ed25519(key));
    }
    let (name, []) = take(OBJECT, algorithm.strip_prefix(EC)?)? else { return None };
    let curve =
        [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|curve| curve_name(*curve) == name)?;
    let (x, y) = key.strip_prefix(&[4])?.split_at_checked(curve.size())?;
    Some(Public::Ec { curve, x, y })
}

fn curve_name(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        Curve::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
        Curve::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
    }
}

fn public_key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = [&[0], key].concat();
    value(SEQUENCE, &[value(SEQUENCE, algorithm), value(BIT_STRING, &bits)].concat())
}

/// A number that is not negative, in as few bytes as possible.
fn integer(number: &[u8]) -> Vec<u8> {
    let shortest = without_zeros(number);
    // The highest bit is the sign; and zero is one byte.
    let sign = shortest.first().is_none_or(|first| *first >= 0x80);
    let padded = if sign { [&[0], shortest].concat() } else { shortest.to_vec() };
    value(INTEGER, &padded)
}

/// A big-endian number without the zeros in front.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let shortest = without_zeros(&length);
    let mut out = vec![tag];
    match shortest {
        [] => out.push(0),
        [one] if *one < 0x80 => out.push(*one),
        bytes => {
            out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(4));
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

/// The content of a value with this tag, and what follows it.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first().filter(|(first, _)| **first == tag)?;
    let _ = first;
    let (length, rest) = rest.split_first()?;
    if *length < 0x80 {
        return rest.split_at_checked(usize::from(*length));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
    let length =
        (bytes.len() <= 3).then(|| bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)))?;
    rest.split_at_checked(length)
}
