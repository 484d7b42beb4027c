//! One stream: what is asked of the proxy about it, and the attributes that come of it.

use crate::config::Phase;
use crate::generators::{Compiled, Generators};
use crate::policy::{ConditionNumber, Facts, InputNumber};
use proxy_wasm_kit::{Bytes, HostError, set_filter_state};
use std::rc::Rc;

pub(crate) struct Stream {
    plugin: Rc<Generators>,
    /// Method and path, for the phase of the response.
    remembered: Option<(Bytes, Bytes)>,
}

impl Stream {
    pub(crate) fn new(plugin: Rc<Generators>) -> Self {
        Self { plugin, remembered: None }
    }

    pub(crate) fn generate(&self, phase: Phase) {
        let mut request = match phase {
            Phase::OnResponse => Request::Known(self.remembered.clone()),
            Phase::OnRequest | Phase::AfterResponse => Request::Unasked,
        };
        for compiled in self.plugin.of(phase) {
            let name = &compiled.generator.output;
            let mut facts = Asked { plugin: &self.plugin, compiled, request: &mut request };
            match compiled.generator.value(&mut facts) {
                Ok(None) => {}
                Ok(Some(value)) => match set_filter_state(name, &*value) {
                    Ok(()) => self.plugin.has_set(name, &value),
                    Err(error) => self.plugin.has_failed(name, &error),
                },
                Err(error) => self.plugin.has_failed(name, &error),
            }
        }
    }

    pub(crate) fn remember_request(&mut self) {
        if self.plugin.remembers_request() {
            self.remembered = self.plugin.request();
        }
    }
}

/// Method and path, asked for once in a phase.
enum Request {
    Unasked,
    Known(Option<(Bytes, Bytes)>),
}

/// The facts that one generator asks for.
struct Asked<'a> {
    plugin: &'a Generators,
    compiled: &'a Compiled,
    request: &'a mut Request,
}

impl Facts for Asked<'_> {
    type Failure = HostError;

    fn holds(&mut self, ConditionNumber(number): ConditionNumber) -> Result<bool, HostError> {
        // Each number is one of the generator's own expressions.
        self.compiled.conditions.get(number).map_or(Ok(false), |condition| condition.evaluate())
    }

    fn text(&mut self, InputNumber(number): InputNumber) -> Result<Vec<u8>, HostError> {
        self.compiled.inputs.get(number).map_or(Ok(Vec::new()), |input| input.evaluate().map(Bytes::into_vec))
    }

    fn request(&mut self) -> Option<(&[u8], &[u8])> {
        if matches!(self.request, Request::Unasked) {
            *self.request = Request::Known(self.plugin.request());
        }
        match &self.request {
            Request::Known(Some((method, path))) => Some((method, path)),
            _ => None,
        }
    }
}
