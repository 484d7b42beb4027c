//! What the targets share.

pub mod host;
pub mod jwt;
mod probe;
pub mod servers;
pub mod token;

/// How the extension of this name is registered.
pub fn extension(name: &[u8]) -> Option<fn()> {
    Some(match name {
        b"attribute-gen" => attribute_gen::initialize,
        b"basic-auth" => basic_auth::initialize,
        b"jwt-headers" => jwt_headers::initialize,
        b"metadata-exchange" => metadata_exchange::initialize,
        b"probe" => probe::initialize,
        b"stats" => stats::initialize,
        _ => return None,
    })
}

/// A configuration by which the extension of this name asks the host for as much as it can.
pub fn configuration(name: &[u8]) -> &'static [u8] {
    match name {
        b"attribute-gen" => include_bytes!("configurations/attribute-gen.json"),
        b"basic-auth" => include_bytes!("configurations/basic-auth.json"),
        b"jwt-headers" => include_bytes!("configurations/jwt-headers.json"),
        b"stats" => include_bytes!("configurations/stats.json"),
        _ => b"{}",
    }
}
