//! Makes the headers of a request what they have to be for the upstream.

use crate::policy::Change;
use proxy_wasm_kit::{HeadersMut, HostError};

pub(crate) fn apply(headers: &HeadersMut<'_>, change: &Change<'_>) -> Result<(), HostError> {
    match change {
        Change::None => Ok(()),
        Change::Names(names) => names.iter().try_for_each(|(name, values)| match values.as_slice() {
            [] => headers.remove(name),
            [one] => headers.set(name, one),
            several => {
                headers.remove(name)?;
                several.iter().try_for_each(|value| headers.add(name, value))
            }
        }),
        Change::All(lines) => {
            let lines: Vec<_> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
            headers.replace_all(&lines)
        }
    }
}
