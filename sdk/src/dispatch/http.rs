//! One HTTP stream: its filter, what the filter's hooks decide, and the tasks that hold its messages.

use super::decision::{Decision, Verdict};
use super::plugin::RootState;
use super::side::{Phase, Side};
use super::tasks::{self, Extent, Message, Owner, Place, Task};
use super::timers::Timers;
use super::{Action, guard};
use crate::abi::{self, calls};
use crate::context;
use crate::error::HostError;
use crate::extension::{HttpFilter, Result};
use crate::failure::Error;
use crate::length;
use crate::phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
use crate::response::{BodyFlow, Flow, Later, Response};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::Poll;

/// The context of one HTTP stream.
pub struct HttpStream<F> {
    id: u32,
    root: Rc<RootState>,
    /// `None` when the plugin has no valid configuration, which no faithful proxy lets happen.
    filter: RefCell<Option<F>>,
    /// A local reply is under way. It passes through this filter's own response hooks, and a second one would hang it.
    replied: Cell<bool>,
    free_length: Cell<length::Free>,
    request: Side,
    response: Side,
}

/// The messages of a stream, by their number in the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request = 0,
    Response = 1,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Go,
    /// It waits, or was answered.
    Stay,
}

impl<F: HttpFilter> HttpStream<F> {
    pub(super) fn new(id: u32, root: Rc<RootState>, filter: Option<F>) -> Rc<Self> {
        let filter = RefCell::new(filter);
        let (replied, free_length) = (Cell::default(), Cell::default());
        let (request, response) = (Side::default(), Side::default());
        Rc::new(Self { id, root, filter, replied, free_length, request, response })
    }

    pub(crate) fn request_headers(self: &Rc<Self>, end: bool) -> Action {
        self.event(Direction::Request, Phase::Headers, Extent { size: 0, end }, |filter| {
            filter.on_request_headers(&mut RequestHeaders::new(end))
        })
    }

    pub(crate) fn request_body(self: &Rc<Self>, size: usize, end: bool) -> Action {
        self.event(Direction::Request, Phase::Body, Extent { size, end }, |filter| {
            filter.on_request_body(&mut RequestBody::new(size, end))
        })
    }

    pub(crate) fn request_trailers(self: &Rc<Self>) -> Action {
        self.event(Direction::Request, Phase::Trailers, Extent::default(), |filter| {
            filter.on_request_trailers(&mut RequestTrailers::new())
        })
    }

    pub(crate) fn response_headers(self: &Rc<Self>, end: bool) -> Action {
        self.event(Direction::Response, Phase::Headers, Extent { size: 0, end }, |filter| {
            filter.on_response_headers(&mut ResponseHeaders::new(end))
        })
    }

    pub(crate) fn response_body(self: &Rc<Self>, size: usize, end: bool) -> Action {
        self.event(Direction::Response, Phase::Body, Extent { size, end }, |filter| {
            filter.on_response_body(&mut ResponseBody::new(size, end))
        })
    }

    pub(crate) fn response_trailers(self: &Rc<Self>) -> Action {
        self.event(Direction::Response, Phase::Trailers, Extent::default(), |filter| {
            filter.on_response_trailers(&mut ResponseTrailers::new())
        })
    }

    pub(crate) fn log(&self) {
        guard((), || {
            context::begin(self.id, true);
            let logged = self.with_filter(|filter| filter.on_log(&Log::new()));
            if let Some(Err(error)) = logged {
                log::error!("a hook failed: {error}");
            }
        });
    }

    pub(crate) fn done(&self) {
        guard((), || {
            context::begin(self.id, true);
            drop((self.request.take(), self.response.take()));
            self.with_filter(F::on_done);
            tasks::run(self.place());
        });
    }

    /// An answer to a callout of this stream: `deliver` hands it to who waits for it.
    pub(crate) fn answer(&self, deliver: impl FnOnce()) {
        guard((), || {
            context::begin_answer(self.id, true, self.root.id);
            deliver();
            tasks::run(self.place());
        });
    }

    /// One callback of a message.
    fn event<D: Decision>(
        self: &Rc<Self>,
        direction: Direction,
        phase: Phase,
        extent: Extent,
        hook: impl FnOnce(&mut F) -> Result<D>,
    ) -> Action {
        guard(Action::Pause, || {
            context::begin(self.id, true);
            let side = self.side(direction);
            let step = if side.arrives(phase, extent) {
                Step::Stay
            } else {
                self.run(direction, phase, extent, hook)
            };
            side.inside.set(true);
            tasks::run(self.place());
            side.inside.set(false);
            let released = side.released.take();
            if step == Step::Go || released { Action::Continue } else { Action::Pause }
        })
    }

    fn run<D: Decision>(
        self: &Rc<Self>,
        direction: Direction,
        phase: Phase,
        extent: Extent,
        hook: impl FnOnce(&mut F) -> Result<D>,
    ) -> Step {
        self.obey(direction, phase, extent, &mut self.with_filter(hook))
    }

    /// Does what a hook has decided, or what the filter decides about its error.
    fn obey<D: Decision>(
        self: &Rc<Self>,
        direction: Direction,
        phase: Phase,
        extent: Extent,
        decided: &mut Option<Result<D>>,
    ) -> Step {
        match decided {
            Some(Ok(decision)) => self.follow(direction, phase, extent, decision),
            Some(Err(error)) => self.follow(direction, phase, extent, &mut self.failed(error)),
            None => self.reply(&Response::new(503).details("plugin_not_configured")),
        }
    }

    /// The decision stays in its place: an answer is not moved around.
    fn follow(
        self: &Rc<Self>,
        direction: Direction,
        phase: Phase,
        extent: Extent,
        decision: &mut impl Decision,
    ) -> Step {
        match decision.verdict() {
            Verdict::Continue => Step::Go,
            // To hold back the end would hang the stream: nothing comes that could release it.
            Verdict::Buffer if extent.end => Step::Go,
            Verdict::Buffer => Step::Stay,
            Verdict::Reply(response) => self.reply(response),
            Verdict::Later(later) => {
                let task = self.start(later);
                task.message.arrived.set(extent);
                task.message.seen.set(extent);
                self.hold(direction, phase, task)
            }
        }
    }

    fn start(self: &Rc<Self>, later: Later) -> Task {
        let owner: Weak<Self> = Rc::downgrade(self);
        Task::new(owner, later.work, Some(later.limit))
    }

    /// Polls a task, and keeps it if it is not ready.
    fn hold(self: &Rc<Self>, direction: Direction, phase: Phase, task: Task) -> Step {
        length::enter(&self.free_length);
        let settled = task.poll(|polled| {
            length::leave(&self.free_length);
            match polled {
                Poll::Ready(Ok(flow)) => Some(self.settle(direction, phase, &task, flow)),
                Poll::Ready(Err(error)) => {
                    Some(self.settle(direction, phase, &task, &mut self.failed(error)))
                }
                Poll::Pending => None,
            }
        });
        settled.unwrap_or_else(|| {
            self.side(direction).put(phase, task);
            Step::Stay
        })
    }

    /// A task is over. What of the message came while it ran has its hook run now.
    fn settle(self: &Rc<Self>, direction: Direction, phase: Phase, task: &Task, flow: &mut Flow) -> Step {
        let step = match flow.verdict() {
            Verdict::Continue | Verdict::Buffer => Step::Go,
            Verdict::Reply(response) => self.reply(response),
            Verdict::Later(later) => {
                let next = self.start(later);
                next.message.continues(&task.message);
                return self.hold(direction, phase, next);
            }
        };
        if step == Step::Stay { step } else { self.catch_up(direction, phase, &task.message) }
    }

    fn catch_up(self: &Rc<Self>, direction: Direction, phase: Phase, message: &Message) -> Step {
        if message.has_unseen_body(phase) && self.body_came(direction, message) == Step::Stay {
            return Step::Stay;
        }
        if phase == Phase::Trailers || !message.trailers.get() {
            return Step::Go;
        }
        self.run(direction, Phase::Trailers, Extent::default(), |filter| trailers(filter, direction))
    }

    fn body_came(self: &Rc<Self>, direction: Direction, message: &Message) -> Step {
        let extent = message.arrived.get();
        let over = Extent { end: extent.end || message.trailers.get(), ..extent };
        let mut decided = self.with_filter(|filter| body(filter, direction, extent));
        if let Some(Ok(decision)) = &mut decided
            && let Verdict::Later(later) = decision.verdict()
        {
            let task = self.start(later);
            task.message.continues(message);
            task.message.seen.set(extent);
            return self.hold(direction, Phase::Body, task);
        }
        self.obey(direction, Phase::Body, over, &mut decided)
    }

    /// Lets a message go on that a task held.
    fn release(&self, direction: Direction) {
        let side = self.side(direction);
        if side.inside.get() {
            side.released.set(true);
        } else if let Err(error) = calls::continue_stream(direction as u32).or_else(reset) {
            log::error!("the stream can be neither continued nor reset: {error}");
        }
    }

    fn failed(&self, error: &Error) -> Flow {
        log::error!("a hook failed: {error}");
        self.with_filter(|filter| filter.on_error(error)).unwrap_or_else(|| Flow::Reply(error.reply()))
    }

    fn with_filter<T>(&self, hook: impl FnOnce(&mut F) -> T) -> Option<T> {
        // Nobody else holds it: the proxy enters a hook only when no other runs.
        let mut filter = self.filter.try_borrow_mut().ok()?;
        filter.as_mut().map(|filter| length::within(&self.free_length, || hook(filter)))
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    /// Sends a local reply, once. One that cannot be sent must not let the message pass: the stream is reset.
    fn reply(&self, response: &Response) -> Step {
        if self.replied.replace(true) {
            return Step::Go;
        }
        send(response);
        Step::Stay
    }
}

/// Sends a local reply, or resets the stream.
pub(super) fn send(response: &Response) {
    if let Err(error) = response.send().or_else(reset) {
        log::error!("the stream can be neither answered nor reset: {error}");
    }
}

impl<F: HttpFilter> Owner for HttpStream<F> {
    fn place(&self) -> Place {
        Place { root: self.root.id, stream: Some(self.id) }
    }

    fn timers(&self) -> &Rc<Timers> {
        &self.root.timers
    }

    fn poll(self: Rc<Self>, task: u32) {
        let find = |direction| Some((direction, self.side(direction).take_if(task)?));
        let found = find(Direction::Request).or_else(|| find(Direction::Response));
        if let Some((direction, (phase, held))) = found
            && self.hold(direction, phase, held) == Step::Go
        {
            self.release(direction);
        }
    }
}

fn body(
    filter: &mut impl HttpFilter,
    direction: Direction,
    Extent { size, end }: Extent,
) -> Result<BodyFlow> {
    match direction {
        Direction::Request => filter.on_request_body(&mut RequestBody::new(size, end)),
        Direction::Response => filter.on_response_body(&mut ResponseBody::new(size, end)),
    }
}

fn trailers(filter: &mut impl HttpFilter, direction: Direction) -> Result {
    match direction {
        Direction::Request => filter.on_request_trailers(&mut RequestTrailers::new()),
        Direction::Response => filter.on_response_trailers(&mut ResponseTrailers::new()),
    }
}

fn reset(error: HostError) -> Result<(), HostError> {
    log::error!("the stream is reset: {error}");
    abi::close_stream()
}
