//! A queue: what is posted is taken again in order, by whichever worker is asked.

use proxy_wasm_kit::prelude::*;

struct Work(Queue);
struct Serve(Queue);

proxy_wasm_kit::entry!(Work);

impl Extension for Work {
    type Config = ();
    type Filter = Serve;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.queue("work")?))
    }

    fn filter(self: &Rc<Self>) -> Serve {
        Serve(self.0)
    }
}

impl HttpFilter for Serve {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        if request.method()? == "POST" {
            self.0.enqueue(request.path()?)?;
            return Ok(Flow::Reply(Response::new(202)));
        }
        // As a plugin in another VM would find it; "" stands for this VM's own id.
        let queue = Queue::resolve("", "work")?.ok_or_else(|| Error::new("no such queue"))?;
        Ok(Flow::Reply(match queue.dequeue()? {
            Some(entry) => Response::new(200).body(entry.into_vec()),
            None => Response::new(204),
        }))
    }
}
