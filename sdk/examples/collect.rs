//! Puts a line for each request into a queue. A task takes the lines out, and sends them on.

use proxy_wasm_kit::prelude::*;

struct Collect(Queue);

struct Line(Rc<Collect>);

proxy_wasm_kit::entry!(Collect);

impl Extension for Collect {
    type Config = ();
    type Filter = Line;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        let (lines, server) = (root.queue("lines")?, root.cluster("lines"));
        root.spawn(async move {
            loop {
                let line = lines.next().await?;
                if let Err(error) = server.post("/").body(line).send().await {
                    log::warn!("a line is lost: {error}");
                }
            }
        });
        Ok(Self(lines))
    }

    fn filter(self: &Rc<Self>) -> Line {
        Line(self.clone())
    }
}

impl HttpFilter for Line {
    fn on_log(&mut self, log: &Log<'_>) -> Result<()> {
        let path = log.request_headers().first(":path")?.unwrap_or_default();
        Ok(self.0.0.enqueue(path)?)
    }
}
