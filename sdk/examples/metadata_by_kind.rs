//! Reads metadata of the request, the route and the node: texts, numbers, flags, lists and maps.

use proxy_wasm_kit::attributes::{dynamic_metadata, node, xds};
use proxy_wasm_kit::prelude::*;

struct Tell;

proxy_wasm_kit::entry!(Tell);

impl Extension for Tell {
    type Config = ();
    type Filter = Self;

    fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn filter(self: &Rc<Self>) -> Self {
        Self
    }
}

impl HttpFilter for Tell {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        // What a filter before this one has found out, here the one that verifies JWTs.
        let claims = dynamic_metadata("envoy.filters.http.jwt_authn").at("claims");
        request.headers().set("x-user", claims.text("sub")?.unwrap_or_default())?;
        request.headers().set("x-groups", claims.list("groups")?.unwrap_or_default().join(&b','))?;
        request.headers().set("x-admin", claims.flag("admin")?.unwrap_or(false).to_string())?;

        let route = xds().route_metadata("com.example.limits");
        let burst = match route.number("burst")? {
            Some(of_route) => of_route,
            None => node().values().at("limits").number("burst")?.unwrap_or(1.0),
        };
        request.headers().set("x-burst", burst.to_string())?;

        let labels = node().values().map("LABELS")?;
        let app = labels.as_ref().and_then(|labels| labels.first("app")).unwrap_or(b"none");
        request.headers().set("x-app", app)?;
        Ok(Flow::Continue)
    }
}
