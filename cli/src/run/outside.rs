//! What plugins call out to: the clusters of the command line, reached for real.
//!
//! A plugin calls out in the middle of a step, when nothing else may run. So a callout is an order at first; after the step
//! the orders depart, each as a task of this thread, and what comes back is a step of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::engine::Engine;
use super::message::{self, Inflow, Out, Outgoing, Piece, Sent};
use super::upstream::{Asked, Sender};
use hyper::Response;
use hyper::body::Incoming;
use proxy_wasm_kit_host::engine::Passed;
use proxy_wasm_kit_host::outside::{Arrival, Callout, Outside, Part};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// The clusters by name.
pub(super) type Around = Rc<BTreeMap<String, Sender>>;

/// The callouts of all plugins.
pub(super) struct Live {
    around: Around,
    orders: Orders,
    under_way: RefCell<BTreeMap<u32, UnderWay>>,
}

/// Between the engine, which may be asked on any thread, and this one.
type Orders = Arc<Mutex<VecDeque<Order>>>;

enum Order {
    Call(Callout),
    Send(u32, Vec<u8>, bool),
    Cancel(u32),
}

/// A callout that has departed.
struct UnderWay {
    task: JoinHandle<()>,
    /// The plugin's side of a gRPC stream.
    more: Option<UnboundedSender<Vec<u8>>>,
    /// What is told of it, as long as no answer has begun.
    report: Option<Report>,
}

/// What is told of a callout.
#[derive(Clone)]
struct Report {
    caller: Option<(u32, usize)>,
    title: String,
    begun: Instant,
}

impl Live {
    pub(super) fn new(around: Around) -> Rc<Self> {
        Rc::new(Self { around, orders: Orders::default(), under_way: RefCell::default() })
    }

    /// What the engine asks when a plugin calls out.
    pub(super) fn outside(&self) -> Box<dyn Outside> {
        let names = self.around.keys().cloned().collect();
        Box::new(Door { names, orders: Arc::clone(&self.orders) })
    }

    /// Carries out what was ordered.
    pub(super) fn depart(&self, engine: &Rc<Engine>) {
        loop {
            let order = self.orders.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match order {
                Some(Order::Call(callout)) => self.call(callout, engine),
                Some(Order::Send(id, data, end)) => self.send(id, data, end),
                Some(Order::Cancel(id)) => self.cancel(id, engine),
                None => return,
            }
        }
    }

    fn call(&self, callout: Callout, engine: &Rc<Engine>) {
        let Some(sender) = self.around.get(&callout.cluster) else { return };
        let (mut out, mut pieces) = (Out::default(), None);
        let (more, body) = if callout.whole {
            (None, Outgoing::of(&callout.request))
        } else {
            let (more, inbox) = unbounded_channel();
            pieces = Some(inbox);
            (Some(more), out.pipe())
        };
        let part = |name: &str| {
            String::from_utf8_lossy(callout.request.headers.first(name).unwrap_or_default()).into_owned()
        };
        let report = Report {
            caller: engine.caller(callout.id),
            title: format!("{} {} {}", callout.cluster, part(":method"), part(":path")),
            begun: Instant::now(),
        };
        let asked = sender.ask(&callout.request.headers, body);
        let engine = Rc::downgrade(engine);
        let task = Task { id: callout.id, engine, report: report.clone() };
        let task = tokio::task::spawn_local(async move {
            match pieces {
                Some(pieces) => {
                    // Both directions of a stream flow on their own.
                    tokio::join!(task.hear(asked), feed(out, pieces));
                }
                None => task.hear(asked).await,
            }
        });
        self.under_way.borrow_mut().insert(callout.id, UnderWay { task, more, report: Some(report) });
    }

    fn send(&self, id: u32, data: Vec<u8>, end: bool) {
        let mut under_way = self.under_way.borrow_mut();
        let Some(callout) = under_way.get_mut(&id) else { return };
        // Nobody listens any more when the server has ended the stream.
        let _ = callout.more.as_ref().map(|more| more.send(data));
        if end {
            callout.more = None;
        }
    }

    /// Nobody waits for it any more: it was cancelled, has run out of time, or is over.
    fn cancel(&self, id: u32, engine: &Rc<Engine>) {
        let cancelled = self.under_way.borrow_mut().remove(&id);
        if let Some(report) = cancelled.and_then(|mut under_way| under_way.report.take()) {
            report.tell(engine, "no answer, given up");
        }
    }

    /// An answer has begun, or there will be none.
    fn answered(&self, id: u32) {
        let mut under_way = self.under_way.borrow_mut();
        under_way.get_mut(&id).map(|under_way| under_way.report.take());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Report {
    fn tell(&self, engine: &Rc<Engine>, outcome: &str) {
        let time = self.begun.elapsed().as_secs_f64() * 1000.0;
        engine.note(self.caller, format!("{} -> {outcome} in {time:.1} ms", self.title));
    }
}

/// A callout on its way.
struct Task {
    id: u32,
    engine: Weak<Engine>,
    report: Report,
}

impl Task {
    /// Enters the plugin with each piece of the answer, as it comes.
    async fn hear(&self, asked: Asked) {
        match asked.await {
            Ok(response) => {
                self.tell(response.status().as_str());
                self.pass_on(response).await;
            }
            Err(down) => {
                self.tell(&down.text);
                self.arrive(Part::Failed(down.in_words_of_envoy().into()));
            }
        }
    }

    async fn pass_on(&self, response: Response<Incoming>) {
        let (head, body) = response.into_parts();
        let mut body = Inflow::new(body, head.version);
        self.arrive(Part::Headers(message::response_head(&head), body.is_none()));
        while let Some(pieces) = &mut body {
            let part = match pieces.next().await {
                Piece::Data(data, end) => Part::Data(data, end),
                Piece::Trailers(trailers) => Part::Trailers(trailers),
                Piece::Broken(_) => Part::Reset,
            };
            if !matches!(part, Part::Data(_, false)) {
                body = None;
            }
            self.arrive(part);
        }
    }

    fn tell(&self, outcome: &str) {
        if let Some(engine) = self.engine.upgrade() {
            engine.live().answered(self.id);
            self.report.tell(&engine, outcome);
        }
    }

    fn arrive(&self, part: Part) {
        if let Some(engine) = self.engine.upgrade() {
            engine.step(|worker| worker.arrive(self.id, part));
        }
    }
}

/// Sends what a plugin writes on a gRPC stream.
async fn feed(mut out: Out, mut pieces: UnboundedReceiver<Vec<u8>>) {
    let mut open = true;
    while open || !out.is_clear() {
        tokio::select! {
            piece = pieces.recv(), if open => {
                open = piece.is_some();
                out.push(Passed { body: piece.into_iter().collect(), end: !open, ..Passed::default() });
            }
            sent = out.send() => if sent == Sent::Gone { return },
        }
    }
}

/// Takes orders while a plugin runs.
struct Door {
    names: BTreeSet<String>,
    orders: Orders,
}

impl Door {
    fn order(&self, order: Order) -> Vec<Arrival> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push_back(order);
        Vec::new()
    }
}

impl Outside for Door {
    fn knows(&self, cluster: &str) -> bool {
        self.names.contains(cluster)
    }

    fn call(&mut self, callout: &Callout) -> Option<Vec<Arrival>> {
        Some(self.order(Order::Call(callout.clone())))
    }

    fn send(&mut self, id: u32, data: &[u8], end_of_stream: bool) -> Vec<Arrival> {
        self.order(Order::Send(id, data.to_vec(), end_of_stream))
    }

    fn cancel(&mut self, id: u32) {
        self.order(Order::Cancel(id));
    }
}
