//! `compress` and `uncompress`: zlib streams.

use crate::engine::status::Status;
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use std::io::Read as _;

/// What a VM may hold (row 54). Envoy itself has no limit here, and would be ended by the system.
const LIMIT: u64 = 1 << 30;

/// The same stream as zlib's, not always the same bytes: how hard the encoder looks differs.
pub(super) fn compress(bytes: &[u8]) -> Result<Vec<u8>, Status> {
    read(ZlibEncoder::new(bytes, Compression::default()))
}

/// Anything that is not a whole stream fails; what stands behind its end does not matter.
pub(super) fn uncompress(bytes: &[u8]) -> Result<Vec<u8>, Status> {
    if bytes.is_empty() {
        return Err(Status::SERIALIZATION_FAILURE);
    }
    read(ZlibDecoder::new(bytes))
}

fn read(stream: impl std::io::Read) -> Result<Vec<u8>, Status> {
    let mut bytes = Vec::new();
    let size = stream.take(LIMIT + 1).read_to_end(&mut bytes);
    size.ok().filter(|size| *size as u64 <= LIMIT).ok_or(Status::SERIALIZATION_FAILURE)?;
    Ok(bytes)
}
