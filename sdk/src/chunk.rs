//! Bytes at hand in a hook: a chunk of a body, or of a connection.

use crate::abi::{self, Buffer};
use crate::bytes::Bytes;
use crate::error::HostError;
use crate::length;

/// What the views of bytes do; the size is kept up to date so that later edits address the right bytes.
pub(crate) struct Chunk {
    buffer: Buffer,
    pub(crate) size: usize,
    pub(crate) end_of_stream: bool,
}

/// Further than any buffer reaches: the proxy takes it for the end.
const PAST_THE_END: usize = 0x7fff_ffff;

impl Chunk {
    pub(crate) fn new(buffer: Buffer, size: usize, end_of_stream: bool) -> Self {
        Self { buffer, size, end_of_stream }
    }

    pub(crate) fn range(&self, start: usize, size: usize) -> Result<Bytes, HostError> {
        let size = size.min(self.size.saturating_sub(start));
        if size == 0 {
            return Ok(Bytes::default());
        }
        abi::buffer(self.buffer, start, size).map(Option::unwrap_or_default)
    }

    pub(crate) fn replace(&mut self, data: &[u8]) -> Result<(), HostError> {
        if data.len() != self.size {
            length::require_free(self.buffer)?;
        }
        abi::set_buffer(self.buffer, 0, PAST_THE_END, data)?;
        self.size = data.len();
        Ok(())
    }

    /// More than there are is all of them.
    pub(crate) fn cut(&mut self, size: usize) -> Result<(), HostError> {
        let size = size.min(self.size);
        // Of no bytes the proxy would make an edit all the same.
        if size == 0 {
            return Ok(());
        }
        length::require_free(self.buffer)?;
        abi::set_buffer(self.buffer, 0, size, b"")?;
        self.size = self.size.saturating_sub(size);
        Ok(())
    }

    pub(crate) fn append(&mut self, data: &[u8]) -> Result<(), HostError> {
        if !data.is_empty() {
            length::require_free(self.buffer)?;
        }
        abi::set_buffer(self.buffer, PAST_THE_END, 0, data)?;
        self.size = self.size.saturating_add(data.len());
        Ok(())
    }

    pub(crate) fn prepend(&mut self, data: &[u8]) -> Result<(), HostError> {
        if !data.is_empty() {
            length::require_free(self.buffer)?;
        }
        abi::set_buffer(self.buffer, 0, 0, data)?;
        self.size = self.size.saturating_add(data.len());
        Ok(())
    }
}
