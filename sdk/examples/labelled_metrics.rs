//! Counts answers by host and status class, each combination a series of one metric.

use proxy_wasm_kit::prelude::*;
use std::fmt;

#[derive(Clone, PartialEq, Eq, Hash, Labels)]
struct Answer {
    #[label(name = "example_host")]
    host: Bytes,
    #[label(name = "example_class")]
    class: Class,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Class(u16);

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}xx", self.0 / 100)
    }
}

struct Answers(Family<Counter, Answer>);
struct Count(Rc<Answers>, Bytes);

proxy_wasm_kit::entry!(Answers);

impl Extension for Answers {
    type Config = ();
    type Filter = Count;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.family("example_answers").limit(3)))
    }

    fn filter(self: &Rc<Self>) -> Count {
        Count(self.clone(), Bytes::default())
    }
}

impl HttpFilter for Count {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        self.1 = request.authority()?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        let labels = Answer { host: self.1.clone(), class: Class(response.status()?) };
        self.0.0.get(&labels)?.add(1)?;
        Ok(Flow::Continue)
    }
}
