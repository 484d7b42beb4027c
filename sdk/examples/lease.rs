//! Lets one report be made at a time, whichever worker is asked for it. If who makes it goes away, the lease runs out.

use proxy_wasm_kit::prelude::*;
use std::time::Duration;

struct Reports(Cluster);
struct Make(Rc<Reports>);

proxy_wasm_kit::entry!(Reports);

impl Extension for Reports {
    type Config = ();
    type Filter = Make;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.cluster("reports")))
    }

    fn filter(self: &Rc<Self>) -> Make {
        Make(self.clone())
    }
}

impl HttpFilter for Make {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        // One for each request: even those of one worker exclude each other.
        let lease = Lease::new("report", Duration::from_secs(3));
        if !lease.acquire()? {
            return Ok(Flow::Reply(Response::new(409).details("under_way")));
        }
        let server = self.0.0.clone();
        Ok(request.later(async move |_| {
            let report = server.post("/make").send().await;
            lease.release()?;
            Ok(Flow::Reply(Response::new(200).body(report?.body().to_vec())))
        }))
    }
}
