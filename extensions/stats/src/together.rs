//! Several expressions in one host call: a list in CEL.

use proxy_wasm_kit::{Bytes, Expression};
use std::cell::Cell;

/// How many times things are asked for singly after a list has failed. What failed once is likely to fail again.
const PATIENCE: u8 = 15;

/// A list of expressions, which gives all values or none.
pub(crate) struct Together {
    list: Expression<Vec<Bytes>>,
    size: usize,
    singly: Cell<u8>,
}

impl Together {
    /// `None` when it would not be worth it, or the proxy evaluates no expressions.
    pub(crate) fn new<'a>(items: impl Iterator<Item = &'a str>) -> Option<Self> {
        // An item may end in a comment.
        let items: Vec<String> = items.map(|item| format!("({item}\n)")).collect();
        let list = (items.len() > 1).then(|| Expression::compile(&format!("[{}]", items.join(","))).ok());
        Some(Self { list: list.flatten()?, size: items.len(), singly: Cell::new(0) })
    }

    /// Whether it has not failed of late.
    pub(crate) fn is_trusted(&self) -> bool {
        self.singly.get() == 0
    }

    /// `None` when they have to be asked for singly.
    pub(crate) fn evaluate(&self) -> Option<Vec<Bytes>> {
        if let Some(left) = self.singly.get().checked_sub(1) {
            self.singly.set(left);
            return None;
        }
        let values = self.list.evaluate().ok().filter(|values| values.len() == self.size);
        if values.is_none() {
            self.singly.set(PATIENCE);
        }
        values
    }
}
