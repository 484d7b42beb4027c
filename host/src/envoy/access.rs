//! Envoy's access log, one JSON object a line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Error;
use super::log::{end_of, read_from};

/// The access log of all listeners.
#[derive(Debug)]
pub(super) struct AccessLog(pub(super) PathBuf);

/// What the access log tells about a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) details: String,
    pub(super) cluster: Option<String>,
    pub(super) filter_state: BTreeMap<String, Vec<u8>>,
    pub(super) expressions: BTreeMap<String, String>,
}

impl AccessLog {
    /// Where the next line will begin.
    pub(super) fn end(&self) -> Result<u64, Error> {
        end_of(&self.0)
    }

    /// The first line after `start` that is about the VM.
    pub(super) fn of_vm(&self, start: u64, vm_id: &str) -> Result<Option<Record>, Error> {
        Ok(self.all_of_vm(start, vm_id)?.into_iter().next())
    }

    /// All lines after `start` that are about the VM.
    pub(super) fn all_of_vm(&self, start: u64, vm_id: &str) -> Result<Vec<Record>, Error> {
        let text = read_from(&self.0, start)?;
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let records = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(records.filter(|record| record["vm_id"] == vm_id).map(|record| Record::of(&record)).collect())
    }
}

impl Record {
    fn of(record: &Value) -> Self {
        let state = record["filter_state"].as_object().into_iter().flatten();
        let filter_state = state.filter_map(|(name, value)| Some((name.clone(), bytes(value)?))).collect();
        let shown = record["expressions"].as_object().into_iter().flatten();
        let expressions =
            shown.filter_map(|(source, value)| Some((source.clone(), shown_as(value)?))).collect();
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let details = text("details").unwrap_or_default();
        Self { details, cluster: text("cluster"), filter_state, expressions }
    }
}

/// The value of an expression; Envoy shows nothing of one that fails.
fn shown_as(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The bytes of a filter state object, which Envoy shows as a protobuf message.
fn bytes(object: &Value) -> Option<Vec<u8>> {
    match (object["@type"].as_str(), &object["value"]) {
        (Some("type.googleapis.com/google.protobuf.BytesValue"), Value::String(text)) => {
            STANDARD.decode(text).ok()
        }
        (Some(_), Value::String(text)) => Some(text.clone().into_bytes()),
        _ if object.is_null() => None,
        _ => Some(object.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_details_and_filter_state() {
        let path = std::env::temp_dir().join(format!("pwkit-access-{}", std::process::id()));
        let state = r#"{"wasm.a":{"@type":"type.googleapis.com/google.protobuf.BytesValue","value":"/w=="},"b":null}"#;
        let lines = format!(
            "{{\"vm_id\":\"case-1\",\"details\":\"x\",\"cluster\":\"c\"}}\n\
             {{\"vm_id\":\"case-2\",\"details\":null,\"filter_state\":{state}}}\n{{\"vm_id\":\"case-3\""
        );
        std::fs::write(&path, lines).unwrap();
        let log = AccessLog(path.clone());
        let second = log.of_vm(0, "case-2").unwrap().unwrap();
        assert_eq!(second.details, "");
        assert_eq!(second.filter_state, [("wasm.a".to_owned(), vec![0xff])].into());
        let first = log.of_vm(0, "case-1").unwrap().unwrap();
        assert_eq!((first.details.as_str(), first.cluster.as_deref()), ("x", Some("c")));
        assert_eq!(log.of_vm(0, "case-3").unwrap(), None);
        assert_eq!(log.of_vm(log.end().unwrap(), "case-1").unwrap(), None);
        std::fs::remove_file(path).unwrap();
    }
}
