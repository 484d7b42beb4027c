//! One request on its way through the plugins to the upstream, and the answer on its way back.
//!
//! Nothing is collected: what the client sends is shown to the plugins as it comes, what they let pass goes on at once, and
//! the same holds for the answer. Who sends faster than the other side takes has to wait.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::message::{self, Inflow, Out, Outgoing, Piece, Reset, Sent};
use super::proxy::Proxy;
use super::trace::Story;
use super::upstream::{Asked, Down, Echo};
use hyper::body::Incoming;
use hyper::{Request, Response};
use proxy_wasm_kit_host::engine::{Link, Passed, Side};
use proxy_wasm_kit_host::exchange::{Headers, Message};
use tokio::sync::Notify;
use tokio::time::Sleep;

/// So long the upstream may take to answer, when it has the whole request.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request on its way. Its stream ends, and its story is told, when it is dropped: also when its client went away.
pub(super) struct Passage {
    proxy: Rc<Proxy>,
    engine: Rc<Engine>,
    /// Its stream.
    id: u32,
    moved: Rc<Notify>,
    begun: Instant,
    title: String,
    /// What the client still sends.
    request: Option<Inflow>,
    up: Up,
    /// The headers of the answer, when they have left the plugins and not the proxy.
    head: Option<Headers>,
    to_client: Out,
}

/// The upstream's part.
#[derive(Default)]
struct Up {
    echo: Option<Echo>,
    /// What is still to be sent.
    out: Option<Out>,
    asked: Option<Asked>,
    /// What it still answers.
    answer: Option<Inflow>,
    deadline: Option<Pin<Box<Sleep>>>,
    begun: Option<Instant>,
    /// How long its answer took to begin.
    took: Option<Duration>,
    down: Option<String>,
}

/// What happens next.
enum Event {
    FromClient(Piece),
    Answer(Result<Response<Incoming>, Down>),
    FromUpstream(Piece),
    ToUpstream(Sent),
    ToClient(Sent),
    Late,
    Moved,
}

impl Passage {
    /// A request arrives.
    pub(super) fn begin(proxy: Rc<Proxy>, request: Request<Incoming>, link: Link, worker: usize) -> Self {
        let begun = Instant::now();
        let engine = Rc::clone(&proxy.engine);
        let (head, body) = request.into_parts();
        let body = Inflow::new(body, head.version);
        let mut headers = message::request_head(&head);
        let title = proxy.title(&headers);
        let prefix = proxy.route(&mut headers);
        let serving = |place: usize| proxy.serves(place, prefix);
        let id = engine.step(|engine| engine.admit(worker, headers, body.is_none(), link, serving));
        let moved = engine.register(id);
        Self {
            engine,
            id,
            moved,
            begun,
            title,
            request: body,
            up: Up::default(),
            head: None,
            to_client: Out::default(),
            proxy,
        }
    }

    /// The answer, when it has begun. What is missing of it then follows by itself.
    pub(super) async fn answer(mut self) -> Result<Response<Outgoing>, Reset> {
        loop {
            self.forward();
            let (over, reset) = self.end();
            if let Some(head) = self.head.take().filter(|_| !reset) {
                let body = if over { self.to_client.whole() } else { self.to_client.pipe() };
                if !over {
                    tokio::task::spawn_local(self.finish());
                }
                return Ok(message::give_response(&head, body));
            }
            if over {
                return Err(Reset);
            }
            let event = self.next().await;
            if !self.happens(event) {
                return Err(Reset);
            }
        }
    }

    /// Sends the rest of the answer.
    async fn finish(mut self) {
        loop {
            self.forward();
            let (over, reset) = self.end();
            if reset || (over && self.to_client.is_clear()) {
                // Without an end the answer breaks off.
                return;
            }
            let event = match over {
                true => Event::ToClient(self.to_client.send().await),
                false => self.next().await,
            };
            if !self.happens(event) {
                return;
            }
        }
    }

    /// Whether the plugins are done with the stream, and whether it was broken off.
    fn end(&self) -> (bool, bool) {
        self.engine.look(|engine| (engine.is_over(self.id), engine.is_reset(self.id)))
    }

    /// Waits for whatever comes first. What its receiver has no room for is not read.
    async fn next(&mut self) -> Event {
        let Self { engine, id, moved, request, up, to_client, .. } = self;
        let full = |side| engine.look(|engine| engine.is_full(*id, side));
        let room_behind = up.out.as_ref().is_none_or(Out::is_clear) && !full(Side::Request);
        let room_before = to_client.is_clear() && !full(Side::Response);
        tokio::select! {
            piece = piece(request, room_behind) => Event::FromClient(piece),
            answer = present(&mut up.asked) => Event::Answer(answer),
            piece = piece(&mut up.answer, room_before) => Event::FromUpstream(piece),
            sent = sent(&mut up.out) => Event::ToUpstream(sent),
            sent = to_client.send() => Event::ToClient(sent),
            () = present(&mut up.deadline) => Event::Late,
            () = moved.notified() => Event::Moved,
        }
    }

    /// Returns whether there is still somebody to be answered.
    fn happens(&mut self, event: Event) -> bool {
        match event {
            Event::FromClient(Piece::Broken(_)) | Event::ToClient(Sent::Gone) => return false,
            Event::FromClient(piece) => self.arrives(Side::Request, piece),
            Event::FromUpstream(Piece::Broken(reason)) => {
                let cut = self.proxy.upstream.as_ref().map(|upstream| upstream.cut(&reason));
                self.fails(cut);
            }
            Event::FromUpstream(piece) => self.arrives(Side::Response, piece),
            Event::Answer(Ok(answer)) => self.answered(answer),
            Event::Answer(Err(down)) => self.fails(Some(down)),
            Event::Late => {
                let late = self.proxy.upstream.as_ref().map(|upstream| upstream.late(PATIENCE));
                self.fails(late);
            }
            // An upstream that wants no more may still answer.
            Event::ToUpstream(Sent::Gone) => self.up.out = None,
            Event::ToUpstream(Sent::End) => {
                self.up.out = None;
                self.up.wait();
            }
            Event::ToUpstream(Sent::Piece) | Event::ToClient(_) | Event::Moved => {}
        }
        true
    }

    fn arrives(&mut self, side: Side, piece: Piece) {
        let inflow = match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.up.answer,
        };
        if !matches!(piece, Piece::Data(_, false)) {
            *inflow = None;
        }
        let id = self.id;
        self.engine.step(|engine| match piece {
            Piece::Data(data, end) => engine.piece_arrives(id, side, data, end),
            Piece::Trailers(trailers) => engine.trailers_arrive(id, side, trailers),
            Piece::Broken(_) => {}
        });
    }

    fn answered(&mut self, answer: Response<Incoming>) {
        (self.up.asked, self.up.deadline) = (None, None);
        self.up.took = self.up.begun.map(|begun| begun.elapsed());
        let (head, body) = answer.into_parts();
        self.up.answer = Inflow::new(body, head.version);
        let (id, over) = (self.id, self.up.answer.is_none());
        self.engine.step(|engine| engine.answer_begins(id, message::response_head(&head), over));
    }

    fn fails(&mut self, down: Option<Down>) {
        let Some(down) = down else { return };
        let (id, begun) = (self.id, self.up.begun);
        self.up = Up { took: begun.map(|begun| begun.elapsed()), down: Some(down.text), ..Up::default() };
        self.engine.step(|engine| engine.upstream_fails(id, down.outage));
    }

    /// Takes what has left the plugins, each side on its way.
    fn forward(&mut self) {
        let id = self.id;
        let passed = self.engine.look(|engine| engine.take_passed(id, Side::Request));
        self.go_up(passed);
        let mut passed = self.engine.look(|engine| engine.take_passed(id, Side::Response));
        self.head = self.head.take().or(passed.headers.take());
        self.to_client.push(passed);
    }

    fn go_up(&mut self, mut passed: Passed) {
        match (passed.headers.take(), &self.proxy.upstream) {
            (Some(headers), Some(upstream)) => {
                let mut out = Out::default();
                let whole = passed.end;
                out.push(passed);
                let body = if whole { out.whole() } else { out.pipe() };
                self.up.begun = Some(Instant::now());
                self.up.asked = Some(upstream.ask(&headers, body));
                if whole {
                    self.up.wait();
                } else {
                    self.up.out = Some(out);
                }
            }
            (Some(headers), None) => {
                self.up.begun = Some(Instant::now());
                self.up.echo = Some(Echo::default());
                self.echo(Passed { headers: Some(headers), ..passed });
            }
            (None, _) if self.up.echo.is_some() => self.echo(passed),
            (None, _) => self.up.out.iter_mut().for_each(|out| out.push(std::mem::take(&mut passed))),
        }
    }

    fn echo(&mut self, passed: Passed) {
        let Some(answer) = self.up.echo.as_mut().and_then(|echo| echo.take(passed)) else { return };
        self.up.echo = None;
        self.up.took = self.up.begun.map(|begun| begun.elapsed());
        let (id, Message { headers, body, .. }) = (self.id, answer);
        self.engine.step(|engine| {
            engine.answer_begins(id, headers, body.is_empty());
            let last = body.len();
            // As HTTP/1.1 would bring it.
            for (index, piece) in body.into_iter().chain([Vec::new()]).enumerate() {
                engine.piece_arrives(id, Side::Response, piece, index == last);
            }
        });
    }
}

impl Up {
    /// The upstream has the whole request.
    fn wait(&mut self) {
        self.deadline = self.asked.is_some().then(|| Box::pin(tokio::time::sleep(PATIENCE)));
    }
}

/// The next piece of a body, if there is one and it is wanted.
async fn piece(inflow: &mut Option<Inflow>, wanted: bool) -> Piece {
    match inflow {
        Some(inflow) if wanted => inflow.next().await,
        _ => std::future::pending().await,
    }
}

async fn sent(out: &mut Option<Out>) -> Sent {
    match out {
        Some(out) => out.send().await,
        None => std::future::pending().await,
    }
}

/// What comes of a future, if there is one.
async fn present<T>(future: &mut Option<Pin<Box<impl Future<Output = T> + ?Sized>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let id = self.id;
        let outcome = self.engine.step(|engine| engine.end(id));
        self.proxy.tell(&Story {
            title: std::mem::take(&mut self.title),
            time: self.begun.elapsed(),
            upstream: self.up.took,
            down: self.up.down.take(),
            notes: self.engine.release(id),
            prospect: self.proxy.prospect,
            outcome,
        });
    }
}
