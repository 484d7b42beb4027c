//! One HTTP stream: its filter, what the filter's hooks decide, and the tasks that hold its messages.

use super::plugin::RootState;
use super::side::{Phase, Side};
use super::tasks::{self, Extent, Owner, Place, Task, Wait};
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
            filter.on_request_headers(&mut RequestHeaders::new(end)).map(BodyFlow::from)
        })
    }

    pub(crate) fn request_body(self: &Rc<Self>, size: usize, end: bool) -> Action {
        self.event(Direction::Request, Phase::Body, Extent { size, end }, |filter| {
            filter.on_request_body(&mut RequestBody::new(size, end))
        })
    }

    pub(crate) fn request_trailers(self: &Rc<Self>) -> Action {
        self.event(Direction::Request, Phase::Trailers, Extent::default(), |filter| {
            filter.on_request_trailers(&mut RequestTrailers::new()).map(BodyFlow::from)
        })
    }

    pub(crate) fn response_headers(self: &Rc<Self>, end: bool) -> Action {
        self.event(Direction::Response, Phase::Headers, Extent { size: 0, end }, |filter| {
            filter.on_response_headers(&mut ResponseHeaders::new(end)).map(BodyFlow::from)
        })
    }

    pub(crate) fn response_body(self: &Rc<Self>, size: usize, end: bool) -> Action {
        self.event(Direction::Response, Phase::Body, Extent { size, end }, |filter| {
            filter.on_response_body(&mut ResponseBody::new(size, end))
        })
    }

    pub(crate) fn response_trailers(self: &Rc<Self>) -> Action {
        self.event(Direction::Response, Phase::Trailers, Extent::default(), |filter| {
            filter.on_response_trailers(&mut ResponseTrailers::new()).map(BodyFlow::from)
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
    fn event(
        self: &Rc<Self>,
        direction: Direction,
        phase: Phase,
        extent: Extent,
        hook: impl FnOnce(&mut F) -> Result<BodyFlow>,
    ) -> Action {
        guard(Action::Pause, || {
            context::begin(self.id, true);
            let side = self.side(direction);
            let step = if side.arrives(phase, extent) {
                Step::Stay
            } else {
                let flow = self.run(hook);
                self.follow(direction, phase, extent, flow)
            };
            side.inside.set(true);
            tasks::run(self.place());
            side.inside.set(false);
            let released = side.released.take();
            if step == Step::Go || released { Action::Continue } else { Action::Pause }
        })
    }

    /// Does what a hook has decided.
    fn follow(self: &Rc<Self>, direction: Direction, phase: Phase, extent: Extent, flow: BodyFlow) -> Step {
        match flow {
            BodyFlow::Continue => Step::Go,
            // To hold back the end would hang the stream: nothing comes that could release it.
            BodyFlow::Buffer if extent.end => Step::Go,
            BodyFlow::Buffer => Step::Stay,
            BodyFlow::Reply(response) => self.reply(&response),
            BodyFlow::Later(later) => {
                let task = later.start(&self.root.timers);
                task.wait.message.arrived.set(extent);
                task.wait.message.seen.set(extent);
                self.hold(direction, phase, task)
            }
        }
    }

    /// Polls a task, and keeps it if it is not ready.
    fn hold(self: &Rc<Self>, direction: Direction, phase: Phase, mut task: Task) -> Step {
        match length::within(&self.free_length, || task.poll()) {
            Poll::Ready(result) => self.settle(direction, phase, &task.wait, result),
            Poll::Pending => {
                let owner: Weak<Self> = Rc::downgrade(self);
                task.keep(owner);
                self.side(direction).put(phase, task);
                Step::Stay
            }
        }
    }

    /// A task is over. What of the message came while it ran has its hook run now.
    fn settle(self: &Rc<Self>, direction: Direction, phase: Phase, wait: &Wait, result: Result) -> Step {
        let flow = result.unwrap_or_else(|error| self.failed(&error));
        let step = match flow {
            Flow::Continue => Step::Go,
            Flow::Reply(response) => self.reply(&response),
            Flow::Later(later) => {
                let task = later.start(&self.root.timers);
                task.wait.message.continues(&wait.message);
                return self.hold(direction, phase, task);
            }
        };
        if step == Step::Stay { step } else { self.catch_up(direction, phase, wait) }
    }

    fn catch_up(self: &Rc<Self>, direction: Direction, phase: Phase, wait: &Wait) -> Step {
        let message = &wait.message;
        if message.has_unseen_body(phase) {
            let extent = message.arrived.get();
            let flow = self.run(|filter| body(filter, direction, extent));
            if let BodyFlow::Later(later) = flow {
                let task = later.start(&self.root.timers);
                task.wait.message.continues(message);
                task.wait.message.seen.set(extent);
                return self.hold(direction, Phase::Body, task);
            }
            let over = Extent { end: extent.end || message.trailers.get(), ..extent };
            if self.follow(direction, Phase::Body, over, flow) == Step::Stay {
                return Step::Stay;
            }
        }
        if phase != Phase::Trailers && message.trailers.get() {
            let flow = self.run(|filter| trailers(filter, direction));
            return self.follow(direction, Phase::Trailers, Extent::default(), flow);
        }
        Step::Go
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

    /// Runs a hook, logs its error and lets the filter decide about it.
    fn run(&self, hook: impl FnOnce(&mut F) -> Result<BodyFlow>) -> BodyFlow {
        let unconfigured = || Flow::Reply(Response::new(503).details("plugin_not_configured")).into();
        let result = self.with_filter(hook);
        result.map_or_else(unconfigured, |result| result.unwrap_or_else(|error| self.failed(&error).into()))
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
        for direction in [Direction::Request, Direction::Response] {
            if let Some((phase, held)) = self.side(direction).take_if(task)
                && self.hold(direction, phase, held) == Step::Go
            {
                self.release(direction);
            }
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

fn trailers(filter: &mut impl HttpFilter, direction: Direction) -> Result<BodyFlow> {
    let flow = match direction {
        Direction::Request => filter.on_request_trailers(&mut RequestTrailers::new()),
        Direction::Response => filter.on_response_trailers(&mut ResponseTrailers::new()),
    };
    flow.map(BodyFlow::from)
}

fn reset(error: HostError) -> Result<(), HostError> {
    log::error!("the stream is reset: {error}");
    abi::close_stream()
}

impl From<Flow> for BodyFlow {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue,
            Flow::Reply(response) => Self::Reply(response),
            Flow::Later(later) => Self::Later(later),
        }
    }
}

impl Later {
    fn start(self, timers: &Rc<Timers>) -> Task {
        Task::new(timers, self.work, Some(self.limit))
    }
}
