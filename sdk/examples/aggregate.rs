//! Asks two servers at the same time and a third one if they are quick enough; sleeps; has a deadline.

use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::{First, join, select, sleep};
use std::time::Duration;

struct Aggregate {
    users: Cluster,
    groups: Cluster,
}

struct Ask(Rc<Aggregate>);

proxy_wasm_kit::entry!(Aggregate);

impl Extension for Aggregate {
    type Config = ();
    type Filter = Ask;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self { users: root.cluster("users"), groups: root.cluster("groups") })
    }

    fn filter(self: &Rc<Self>) -> Ask {
        Ask(self.clone())
    }
}

impl HttpFilter for Ask {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let plugin = self.0.clone();
        let flow = request.later(async move |held| {
            let (user, group) = join(plugin.users.get("/u").send(), plugin.groups.get("/g").send()).await;
            let group = group?;
            held.headers().set("x-user", user?.body())?;
            held.headers().set("x-group", group.body())?;
            held.headers().set("x-sum", group.trailers().first("x-sum").unwrap_or_default())?;
            let hint = select(plugin.groups.get("/hint").send(), sleep(Duration::from_secs(1))).await;
            let hint = if let First::Left(Ok(hint)) = hint { hint.body().clone() } else { Bytes::default() };
            held.headers().set("x-hint", hint)?;
            Ok(Flow::Continue)
        });
        Ok(flow.within(Duration::from_secs(5)))
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        Ok(response.later(async |held| {
            sleep(Duration::from_millis(30)).await?;
            held.headers().set("x-slept", "30")?;
            Ok(Flow::Continue)
        }))
    }
}
