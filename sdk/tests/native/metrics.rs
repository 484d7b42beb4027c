//! Counters, gauges and histograms.

use crate::start;
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_host::engine::Metric;
use proxy_wasm_kit_host::exchange::{Message, Setup};

struct Meters {
    requests: Counter,
    active: Gauge,
    sizes: Histogram,
}

struct Meter(Rc<Meters>);

impl Extension for Meters {
    type Config = ();
    type Filter = Meter;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self {
            requests: root.counter("requests")?,
            active: root.gauge("active")?,
            sizes: root.histogram("sizes")?,
        })
    }

    fn filter(self: &Rc<Self>) -> Meter {
        Meter(self.clone())
    }
}

impl HttpFilter for Meter {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        self.0.requests.add(2)?;
        self.0.requests.add(0)?;
        self.0.active.set(5)?;
        self.0.active.add(-2)?;
        self.0.sizes.record(request.path()?.len() as u64)?;
        let seen = format!("{} {}", self.0.requests.value()?, self.0.active.value()?);
        Ok(Flow::Reply(Response::new(200).body(seen)))
    }
}

#[test]
fn metrics_count_across_requests() {
    let host = start::<Meters>(Setup::default());
    let bodies = ["/", "/long"]
        .map(|path| crate::body(&host.exchange(Message::request("GET", path), &Message::response(200))));
    assert_eq!(bodies, ["2 3", "4 3"]);
    let metrics = host.metrics();
    assert_eq!(metrics.get("requests"), Some(&Metric::Counter(4)));
    assert_eq!(metrics.get("active"), Some(&Metric::Gauge(3)));
    assert_eq!(metrics.get("sizes"), Some(&Metric::Histogram([1, 5].into_iter().collect())));
}

#[derive(Clone, PartialEq, Eq, Hash, Labels)]
struct Served {
    method: Bytes,
    #[label(name = "answer_code")]
    code: u16,
}

struct Families(Family<Counter, Served>);
struct Count(Rc<Families>);

impl Extension for Families {
    type Config = ();
    type Filter = Count;

    fn configure(_: (), root: &Root) -> Result<Self, ConfigError> {
        Ok(Self(root.family("served").limit(2)))
    }

    fn filter(self: &Rc<Self>) -> Count {
        Count(self.clone())
    }
}

impl HttpFilter for Count {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let labels = Served { method: request.method()?, code: 200 };
        self.0.0.get(&labels)?.add(1)?;
        Ok(Flow::Continue)
    }
}

#[test]
fn a_series_is_defined_once_and_their_number_is_bounded() {
    let host = start::<Families>(Setup::default());
    let send = |method| host.exchange(Message::request(method, "/"), &Message::response(200));
    let defined = ["GET", "GET", "A;.;B", "HEAD", "PUT", "GET"]
        .map(|method| send(method).host_calls.get("proxy_define_metric").copied().unwrap_or(0));
    assert_eq!(defined, [1, 0, 1, 1, 0, 0]);
    let expected = [
        ("method=.=A_._B;.;answer_code=.=200;.;served", 1),
        ("method=.=GET;.;answer_code=.=200;.;served", 3),
        ("method=.=other;.;answer_code=.=other;.;served", 2),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), Metric::Counter(count)));
    assert_eq!(host.metrics(), expected.into());
}
