//! Filter state: a property with a type that can be written once, and an object that Envoy itself reads.

use proxy_wasm_kit::foreign::{LifeSpan, Property, PropertyType, clear_route_cache, set_envoy_filter_state};
use proxy_wasm_kit::prelude::*;

struct State(Expression<bool>);
struct Set(Rc<State>);

proxy_wasm_kit::entry!(State);

impl Extension for State {
    type Config = ();
    type Filter = Set;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Property::new("tier")
            .of_type(PropertyType::Text)
            .lives(LifeSpan::Request)
            .read_only()
            .declare(root)?;
        Ok(Self(root.expression("tier == 'gold'")?))
    }

    fn filter(self: &Rc<Self>) -> Set {
        Set(self.clone())
    }
}

impl HttpFilter for Set {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let tier = request.headers().first("x-tier")?.unwrap_or_default();
        proxy_wasm_kit::set_filter_state("tier", &tier)?;
        if !proxy_wasm_kit::set_filter_state("tier", "gold").is_err_and(|error| error.is_bad_argument()) {
            return Ok(Flow::Reply(Response::new(500).details("written_twice")));
        }
        set_envoy_filter_state("envoy.string", "seen", LifeSpan::FilterChain)?;
        let object = proxy_wasm_kit::property(&["filter_state", "envoy.string"])?.unwrap_or_default();
        request.headers().set("x-object", object)?;
        clear_route_cache()?;
        request.headers().set("x-gold", self.0.0.evaluate()?.to_string())?;
        Ok(Flow::Continue)
    }
}
