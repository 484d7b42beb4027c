//! Reads the JSON body of a request and writes another one, holds its trailers for a moment, and hides digits in the response,
//! chunk by chunk.

use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::sleep;
use serde_json::Value;
use std::time::Duration;

struct Rewrite;

proxy_wasm_kit::entry!(Rewrite);

impl Extension for Rewrite {
    type Config = ();
    type Filter = Self;

    fn configure(_: (), _: &Root) -> Result<Self, ConfigError> {
        Ok(Self)
    }

    fn filter(self: &Rc<Self>) -> Self {
        Self
    }
}

impl HttpFilter for Rewrite {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        request.rewrites_body()?;
        Ok(Flow::Continue)
    }

    fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
        Ok(body.later(async |body| {
            let Ok(Value::Object(mut order)) = body.collect_json(64).await? else {
                return Ok(Flow::Reply(Response::new(422).details("not_an_object")));
            };
            order.insert("checked".into(), true.into());
            body.replace_json(&order)?;
            Ok(Flow::Continue)
        }))
    }

    fn on_request_trailers(&mut self, request: &mut RequestTrailers<'_>) -> Result {
        Ok(request.later(async |held| {
            sleep(Duration::from_millis(5)).await?;
            held.trailers().set("x-waited", "1")?;
            Ok(Flow::Continue)
        }))
    }

    fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
        let hidden: Vec<u8> =
            body.bytes()?.iter().map(|byte| if byte.is_ascii_digit() { b'*' } else { *byte }).collect();
        body.replace(hidden)?;
        Ok(BodyFlow::Continue)
    }
}
