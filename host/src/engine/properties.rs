//! Reading attributes by path (rows 46 and 47).

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
}
