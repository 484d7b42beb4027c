//! `declare_property`: type, life span and writability of a property before it is first set (row 48).

use super::filter_state::{Form, Held};
use crate::engine::protobuf::Message;
use crate::engine::status::Status;
use crate::engine::vm::Vm;

/// What was declared of a property.
#[derive(Clone, Default)]
pub(super) struct Prototype {
    read_only: bool,
    form: Form,
    span: u64,
}

impl Vm {
    /// A second declaration of the same name is refused. One made in a stream is kept for that stream, and never looked at.
    pub(super) fn declare_property(&mut self, arguments: &[u8]) -> Result<(), Status> {
        let message = Message::parse(arguments).ok_or(Status::BAD_ARGUMENT)?;
        let name = message.text(1).ok_or(Status::BAD_ARGUMENT)?.as_bytes().to_vec();
        let prototype = Prototype {
            read_only: message.number(2) != 0,
            form: match message.number(3) {
                1 => Form::Text,
                2 => Form::FlatBuffer(message.bytes(4).into()),
                3 => Form::Message,
                _ => Form::Bytes,
            },
            span: life_span(message.number(5)),
        };
        let place = (self.current.unwrap_or(0), name);
        if self.foreign.declared.contains_key(&place) {
            return Err(Status::BAD_ARGUMENT);
        }
        self.foreign.declared.insert(place, prototype);
        Ok(())
    }

    /// `proxy_set_property`: becomes filter state under the whole path, NULs included, behind `wasm.` (row 48).
    pub fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let root = self.root_of(self.context());
        let prototype = self.foreign.declared.get(&(root, path.to_vec())).cloned().unwrap_or_default();
        let stream = self.stream().ok_or(Status::NOT_FOUND)?;
        let name = format!("wasm.{}", String::from_utf8_lossy(path));
        let new = || Held { read_only: prototype.read_only, form: prototype.form, span: prototype.span };
        let known = stream.filter_state.contains_key(&name);
        let held = stream.held.entry(name.clone()).or_insert_with(new);
        if known && held.read_only {
            return Err(Status::BAD_ARGUMENT);
        }
        stream.filter_state.insert(name, value.to_vec());
        Ok(())
    }
}

/// 0 filter chain, 1 request, 2 connection; what is unknown is the first.
pub(super) fn life_span(number: u64) -> u64 {
    if number > 2 { 0 } else { number }
}
