//! Foreign functions: what Envoy offers beyond the ABI, by name.
//!
//! Measured on Envoy 1.40: `clear_route_cache` and `set_envoy_filter_state` act on the effective context, as host functions
//! do; expressions and `declare_property` look at the context that was entered, whatever the effective one is (row 9).

mod attributes;
mod compression;
mod expressions;
mod filter_state;
mod flat_buffers;
mod keys;
mod properties;
mod signatures;

pub(super) use filter_state::{Form, Held};
pub(super) use flat_buffers::fields as flat_fields;

use super::status::Status;
use super::vm::Vm;
use std::collections::BTreeMap;

/// What a VM remembers for its foreign functions.
#[derive(Default)]
pub(super) struct Foreign {
    /// By root context.
    expressions: BTreeMap<u32, expressions::Expressions>,
    /// By the context that declared them; only those of a root context are ever looked at.
    declared: BTreeMap<(u32, Vec<u8>), properties::Prototype>,
}

impl Vm {
    /// `proxy_call_foreign_function`.
    pub fn call_foreign_function(&mut self, name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Status> {
        let nothing = |()| Vec::new();
        match name {
            b"expr_create" => self.create_expression(arguments),
            b"expr_evaluate" => self.evaluate_expression(arguments),
            b"expr_delete" => self.delete_expression(arguments).map(nothing),
            b"declare_property" => self.declare_property(arguments).map(nothing),
            b"set_envoy_filter_state" => self.set_envoy_filter_state(arguments).map(nothing),
            b"clear_route_cache" => self.clear_route_cache().map(nothing),
            b"verify_signature" => signatures::verify(arguments),
            b"sign" => signatures::sign(arguments),
            b"compress" => compression::compress(arguments),
            b"uncompress" => compression::uncompress(arguments),
            _ => self.call_embedder(name, arguments),
        }
    }

    /// A function that Envoy does not have.
    fn call_embedder(&mut self, name: &[u8], arguments: &[u8]) -> Result<Vec<u8>, Status> {
        let known = &self.plugin().setup.foreign_functions;
        let function = std::str::from_utf8(name).ok().and_then(|name| known.get(name));
        function.ok_or(Status::NOT_FOUND)?.call(arguments).map_err(Status)
    }

    /// The root context of the context that was entered.
    fn current_root(&self) -> u32 {
        let current = self.current.unwrap_or(0);
        self.root_of(current)
    }
}
