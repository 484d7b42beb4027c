//! Values that all VMs with one VM id share (row 43).

use super::status::Status;
use super::vm::Vm;
use std::collections::BTreeMap;

/// The shared data of a process. The version of a value is a number that no other write ever had; it is never 0.
#[derive(Debug, Default)]
pub(super) struct SharedData {
    values: BTreeMap<(String, Vec<u8>), (Vec<u8>, u32)>,
    last_version: u32,
}

impl Vm {
    /// `proxy_get_shared_data`: value and version.
    pub fn get_shared_data(&mut self, key: &[u8]) -> Result<(Vec<u8>, u32), Status> {
        let key = (self.plugin().setup.vm_id.clone(), key.to_vec());
        self.shared_data.values.get(&key).cloned().ok_or(Status::NOT_FOUND)
    }

    /// `proxy_set_shared_data`: with a version other than 0 only if the value still has it. A version makes no difference
    /// to a key that is not there.
    pub fn set_shared_data(&mut self, key: &[u8], value: &[u8], version: u32) -> Result<(), Status> {
        let key = (self.plugin().setup.vm_id.clone(), key.to_vec());
        let data = &mut self.shared_data;
        let stale = |(_, current): &(Vec<u8>, u32)| version != 0 && version != *current;
        if data.values.get(&key).is_some_and(stale) {
            return Err(Status::CAS_MISMATCH);
        }
        data.last_version = data.last_version.checked_add(1).unwrap_or(1);
        data.values.insert(key, (value.to_vec(), data.last_version));
        Ok(())
    }
}
