//! Reports on each request by attributes: several in one host call, the request's own kept for the response.

use proxy_wasm_kit::attributes::{Attribute, Batch, RequestSnapshot, names, request};
use proxy_wasm_kit::prelude::*;

/// Address, route, code, and a header that may be absent.
type Facts = Batch<(Attribute<Bytes>, Attribute<Bytes>, Attribute<i64>, Attribute<Bytes>)>;

struct Report(Facts);
struct Observe(Rc<Report>, Option<RequestSnapshot>);

proxy_wasm_kit::entry!(Report);

impl Extension for Report {
    type Config = ();
    type Filter = Observe;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        let tag = Attribute::new("request.headers['x-tag']");
        Ok(Self(root.batch((
            names::destination::address,
            names::xds::virtual_host_name,
            names::response::code,
            tag,
        ))))
    }

    fn filter(self: &Rc<Self>) -> Observe {
        Observe(self.clone(), None)
    }
}

impl HttpFilter for Observe {
    fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
        self.1 = Some(request().snapshot()?);
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        let kept = self.1.as_ref().map(|kept| [kept.method(), kept.url_path(), kept.query()].join(&b'|'));
        response.headers().set("x-kept", kept.unwrap_or_default())?;
        Ok(Flow::Continue)
    }

    fn on_log(&mut self, _: &Log<'_>) -> Result<()> {
        let (address, host, code, tag) = self.0.0.read()?;
        log::info!("{} {} {code:?} {tag:?}", address.is_some(), host.is_some());
        Ok(())
    }
}
