//! Reading attributes by path, and writing filter state (rows 46 to 48).

use super::status::Status;
use super::vm::Vm;

impl Vm {
    /// `proxy_get_property`: a path whose parts are separated by NUL.
    pub fn get_property(&mut self, path: &[u8]) -> Result<Vec<u8>, Status> {
        let path = path.strip_suffix(&[0]).unwrap_or(path);
        let mut parts = path.split(|byte| *byte == 0);
        let first = parts.next().filter(|_| !path.is_empty()).ok_or(Status::SERIALIZATION_FAILURE)?;
        let mut value = self.attribute(first).ok_or(Status::NOT_FOUND)?;
        for part in parts {
            value = value.get(part).ok_or(Status::NOT_FOUND)?;
        }
        value.serialize()
    }

    /// `proxy_set_property`: becomes filter state under the whole path, NULs included, behind `wasm.` (row 48).
    pub fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let stream = self.stream().ok_or(Status::NOT_FOUND)?;
        let name = format!("wasm.{}", String::from_utf8_lossy(path));
        stream.filter_state.insert(name, value.to_vec());
        Ok(())
    }
}
