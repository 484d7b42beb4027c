//! Counts visits over all workers, and remembers by path who came first.

use proxy_wasm_kit::prelude::*;
use std::time::Duration;

const VISITS: Shared<u64> = Shared::new("visits");
const FIRST: Cache<String> = Cache::new("first").places(256).ttl(Duration::from_secs(3600));

struct Visits;

proxy_wasm_kit::entry!(Visits);

impl Extension for Visits {
    type Config = ();
    type Filter = Self;

    fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
        VISITS.insert(&100)?;
        Ok(Self)
    }

    fn filter(self: &Rc<Self>) -> Self {
        Self
    }
}

impl HttpFilter for Visits {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let (method, path) = (request.method()?, request.path()?);
        let visitor = request.headers().first("x-visitor")?.unwrap_or_default();
        if method == "DELETE" {
            FIRST.remove(&path)?;
            VISITS.remove()?;
        }
        let visits = VISITS.update(|visits| visits.unwrap_or(0).saturating_add(1))?;
        let first = match FIRST.get(&path)? {
            Some(first) => first,
            None => {
                let first = visitor.as_str().unwrap_or_default().to_owned();
                FIRST.insert(&path, &first)?;
                first
            }
        };
        request.headers().set("x-visit", visits.to_string())?;
        request.headers().set("x-first", first)?;
        Ok(Flow::Continue)
    }
}
