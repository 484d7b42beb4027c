//! Buffers: bodies and configurations (rows 18 to 20).

use super::guest::Side;
use super::status::Status;
use super::vm::Vm;

/// The buffers of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferType {
    /// The body of one side.
    Body(Side),
    /// The VM's configuration.
    VmConfiguration,
    /// The plugin's configuration, while it is being configured.
    PluginConfiguration,
    /// The body of a callout's response, inside its callback.
    CalloutBody,
    /// A gRPC message, inside its callback.
    GrpcMessage,
    /// The data of one side of a connection.
    Data(Side),
    /// A buffer that is never filled: the data of a foreign function.
    Empty,
}

impl BufferType {
    /// The buffer with this number at the ABI.
    pub fn from_number(number: u32) -> Result<Self, Status> {
        Ok(match number {
            0 => Self::Body(Side::Request),
            1 => Self::Body(Side::Response),
            2 => Self::Data(Side::Request),
            3 => Self::Data(Side::Response),
            8 => Self::Empty,
            4 => Self::CalloutBody,
            5 => Self::GrpcMessage,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            _ => return Err(Status::BAD_ARGUMENT),
        })
    }
}

impl Vm {
    /// `proxy_get_buffer_bytes` (row 18): at most `size` bytes from `start` on; none when it starts behind the end.
    pub fn get_buffer_bytes(
        &mut self,
        buffer: BufferType,
        start: usize,
        size: usize,
    ) -> Result<Vec<u8>, Status> {
        let bytes = self.buffer(buffer)?;
        let end = start.saturating_add(size).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    /// `proxy_get_buffer_status`: its length.
    pub fn get_buffer_length(&mut self, buffer: BufferType) -> Result<usize, Status> {
        self.buffer(buffer).map(<[u8]>::len)
    }

    /// `proxy_set_buffer_bytes` (row 19): from the start, replaces `size` bytes; from the end on, appends; a start in
    /// between is refused.
    pub fn set_buffer_bytes(
        &mut self,
        buffer: BufferType,
        start: usize,
        size: usize,
        bytes: &[u8],
    ) -> Result<(), Status> {
        self.buffer(buffer)?;
        let body = match buffer {
            BufferType::Body(side) => self.stream().and_then(|stream| stream.buffer(side)),
            BufferType::Data(side) => self.stream().and_then(|stream| stream.data(side)),
            _ => None,
        };
        let body = body.ok_or(Status::BAD_ARGUMENT)?;
        if start == 0 {
            body.splice(..size.min(body.len()), bytes.iter().copied());
        } else if start >= body.len() {
            body.extend(bytes);
        } else {
            return Err(Status::BAD_ARGUMENT);
        }
        Ok(())
    }

    /// `proxy_get_configuration`, a function of ABI 0.1.0: the plugin's configuration while it is being
    /// configured, else the VM's.
    pub fn get_configuration(&self) -> Vec<u8> {
        let setup = &self.plugin().setup;
        if self.configuring { setup.configuration.clone() } else { setup.vm_configuration.clone() }
    }

    fn buffer(&mut self, buffer: BufferType) -> Result<&[u8], Status> {
        match buffer {
            BufferType::Body(side) => {
                // A body that is not there reads as an empty one.
                let body = self.stream().and_then(|stream| stream.buffer(side));
                Ok(body.map(|body| body.as_slice()).unwrap_or_default())
            }
            BufferType::Data(side) => {
                let data = self.stream().and_then(|stream| stream.data(side));
                Ok(data.map(|data| data.as_slice()).unwrap_or_default())
            }
            BufferType::VmConfiguration => Ok(&self.plugin().setup.vm_configuration),
            BufferType::PluginConfiguration if self.configuring => Ok(&self.plugin().setup.configuration),
            BufferType::GrpcMessage => Ok(self.heard().message.as_deref().unwrap_or_default()),
            BufferType::Empty => Ok(&[]),
            BufferType::CalloutBody => self.heard().response_body().ok_or(Status::NOT_FOUND),
            BufferType::PluginConfiguration => Err(Status::NOT_FOUND),
        }
    }
}
