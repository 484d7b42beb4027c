//! What plugins call out to: the clusters of the command line, reached for real.
//!
//! A plugin calls out in the middle of a step, when nothing else may run. So a callout is an order at first; after the step
//! the orders depart, each as a task of this thread, and what comes back is a step of its own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::message;
use super::upstream::Sender;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use proxy_wasm_kit_host::exchange::Message;
use proxy_wasm_kit_host::outside::{Arrival, Callout, Outside, Part};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

/// The clusters by name.
pub(super) type Around = Rc<BTreeMap<String, Sender>>;

/// Enters the plugin with a part of an answer.
pub(super) type Arrive = Rc<dyn Fn(u32, Part)>;
/// Puts a line on the account of whoever called out.
pub(super) type Note = Rc<dyn Fn(String)>;

/// The callouts of one plugin.
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
    Unknown(String),
}

/// A callout that has departed.
struct UnderWay {
    task: JoinHandle<()>,
    /// The plugin's side of a gRPC stream.
    more: Option<UnboundedSender<Vec<u8>>>,
}

impl Live {
    pub(super) fn new(around: Around) -> Rc<Self> {
        Rc::new(Self { around, orders: Orders::default(), under_way: RefCell::default() })
    }

    /// What the engine asks when the plugin calls out.
    pub(super) fn outside(&self) -> Box<dyn Outside> {
        let names = self.around.keys().cloned().collect();
        Box::new(Door { names, orders: Arc::clone(&self.orders) })
    }

    /// Carries out what was ordered.
    pub(super) fn depart(self: &Rc<Self>, arrive: &Arrive, note: &Note) {
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Call(callout) => self.call(callout, Rc::clone(arrive), Rc::clone(note)),
                Order::Send(id, data, end) => self.send(id, data, end),
                Order::Cancel(id) => drop(self.under_way.borrow_mut().remove(&id)),
                Order::Unknown(name) => {
                    note(format!("{name}: there is no such cluster; name it with --cluster {name}=URL"));
                }
            }
        }
    }

    fn call(self: &Rc<Self>, callout: Callout, arrive: Arrive, note: Note) {
        let Some(sender) = self.around.get(&callout.cluster).cloned() else { return };
        let (more, body) = if callout.whole {
            (None, message::whole_body(&callout.request))
        } else {
            let (more, body) = message::pipe();
            (Some(more), body)
        };
        let id = callout.id;
        let live = Rc::downgrade(self);
        let task = tokio::task::spawn_local(async move {
            let begun = Instant::now();
            let outcome = match sender.open(&callout.request, body).await {
                Ok(response) => {
                    let status = response.status().as_u16().to_string();
                    let (head, body) = response.into_parts();
                    let head = message::response_head(&head);
                    note(described(&callout, &status, begun));
                    return pass_on(id, head, body, &arrive).await;
                }
                Err(down) => down.text,
            };
            note(described(&callout, &outcome, begun));
            arrive(id, Part::Failed(outcome));
            live.upgrade().map(|live| live.under_way.borrow_mut().remove(&id));
        });
        self.under_way.borrow_mut().insert(id, UnderWay { task, more });
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
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn described(callout: &Callout, outcome: &str, begun: Instant) -> String {
    let part = |name: &str| {
        String::from_utf8_lossy(callout.request.headers.first(name).unwrap_or_default()).into_owned()
    };
    let time = begun.elapsed().as_secs_f64() * 1000.0;
    format!("{} {} {} -> {outcome} in {time:.1} ms", callout.cluster, part(":method"), part(":path"))
}

/// Enters the plugin with each piece of an answer, as it comes.
async fn pass_on(id: u32, head: Message, mut body: Incoming, arrive: &Arrive) {
    let mut over = body.is_end_stream();
    arrive(id, Part::Headers(head.headers, over));
    while !over {
        let part = match body.frame().await {
            None => Part::Data(Vec::new(), true),
            Some(Err(_)) => Part::Reset,
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Part::Data(data.to_vec(), body.is_end_stream()),
                Err(frame) => Part::Trailers(message::fields(&frame.into_trailers().unwrap_or_default())),
            },
        };
        over = !matches!(part, Part::Data(_, false));
        arrive(id, part);
    }
}

/// Takes orders while the plugin runs.
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
        let known = self.names.contains(cluster);
        if !known {
            self.order(Order::Unknown(cluster.to_owned()));
        }
        known
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
