//! Asks a gRPC service about each request, and sends what it learns on a gRPC stream.

use proxy_wasm_kit::prelude::*;

struct Grpc {
    checks: GrpcService,
    events: GrpcService,
}

struct Ask(Rc<Grpc>);

proxy_wasm_kit::entry!(Grpc);

impl Extension for Grpc {
    type Config = ();
    type Filter = Ask;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        let checks = root.cluster("checks").grpc("acme.Check").metadata("x-tag", "a");
        Ok(Self { checks, events: root.cluster("events").grpc("acme.Events") })
    }

    fn filter(self: &Rc<Self>) -> Ask {
        Ask(self.clone())
    }
}

impl HttpFilter for Ask {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let plugin = self.0.clone();
        Ok(request.later(async move |held| {
            let user = match plugin.checks.unary("Allow", held.path()?).await {
                Err(error) if error.code() == 7 => {
                    log::info!("refused: {}", error.message());
                    return Ok(Flow::Reply(Response::new(403).details("refused")));
                }
                answer => answer?,
            };
            let mut events = plugin.events.stream("Publish")?;
            events.send(&user)?;
            let first = events.next().await?.unwrap_or_default();
            events.send_last(b"bye")?;
            while let Some(more) = events.next().await? {
                log::info!("another message: {more:?}");
            }
            let metadata = [events.initial_metadata(), events.trailing_metadata()];
            for (name, value) in
                metadata.iter().flatten().flat_map(Snapshot::iter).filter(|(name, _)| name.starts_with(b"x-"))
            {
                held.headers().set(name, value)?;
            }
            held.headers().set("x-receipt", first)?;
            Ok(Flow::Continue)
        }))
    }
}
