//! Futures to wait with: for a time, for several things, for the first of two.

use crate::dispatch::clock;
use crate::dispatch::tasks::{self, nanoseconds};
use crate::dispatch::timers::Timer;
use crate::error::HostError;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

/// Waits for a time; to the millisecond, and never less.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use std::time::Duration;
///
/// fn tarpit(request: &mut RequestHeaders<'_>) -> Flow {
///     request.later(async |_| {
///         proxy_wasm_kit::sleep(Duration::from_millis(200)).await?;
///         Ok(Flow::Reply(Response::new(429)))
///     })
/// }
/// ```
pub fn sleep(time: Duration) -> Sleep {
    Sleep { time, timer: None }
}

/// The future that [`sleep`] gives.
///
/// # Errors
///
/// The proxy gives no time (`proxy_get_current_time_nanoseconds`) or no timer (`proxy_set_tick_period_milliseconds`).
///
/// ```
/// let nap: proxy_wasm_kit::Sleep = proxy_wasm_kit::sleep(std::time::Duration::from_secs(1));
/// ```
#[must_use = "it waits when it is awaited"]
pub struct Sleep {
    time: Duration,
    timer: Option<Timer>,
}

impl Future for Sleep {
    type Output = Result<(), HostError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(timer) = &self.timer {
            return if timer.is_over(context.waker()) { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let Some(timers) = tasks::current().and_then(|wait| wait.timers()) else {
            return Poll::Ready(Err(HostError::outside("sleep")));
        };
        let timer = clock::now().and_then(|now| {
            let due = now.saturating_add(nanoseconds(self.time));
            Timer::new(&timers, now, due, context.waker())
        });
        match timer {
            Ok(timer) => self.timer = Some(timer),
            Err(error) => return Poll::Ready(Err(error)),
        }
        Poll::Pending
    }
}

/// Waits for both, at the same time.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// async fn both(users: Cluster, groups: Cluster) -> Result<bool> {
///     let (user, group) = proxy_wasm_kit::join(users.get("/u").send(), groups.get("/g").send()).await;
///     Ok(user?.status() == 200 && group?.status() == 200)
/// }
/// ```
pub async fn join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut left, mut right) = (None, None);
    poll_fn(|context| {
        advance(&mut left, a.as_mut(), context);
        advance(&mut right, b.as_mut(), context);
        match (left.take(), right.take()) {
            (Some(left), Some(right)) => Poll::Ready((left, right)),
            others => {
                (left, right) = others;
                Poll::Pending
            }
        }
    })
    .await
}

fn advance<F: Future>(output: &mut Option<F::Output>, future: Pin<&mut F>, context: &mut Context<'_>) {
    if output.is_none()
        && let Poll::Ready(ready) = future.poll(context)
    {
        *output = Some(ready);
    }
}

/// Waits for all, at the same time; the outputs stand in the order of the futures.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// async fn statuses(clusters: Vec<Cluster>) -> Vec<u16> {
///     let calls = clusters.iter().map(|cluster| cluster.get("/health").send());
///     let answers = proxy_wasm_kit::join_all(calls).await;
///     answers.into_iter().map(|answer| answer.map_or(0, |answer| answer.status())).collect()
/// }
/// ```
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (None, Box::pin(future))).collect();
    poll_fn(|context| {
        for (output, future) in &mut running {
            advance(output, future.as_mut(), context);
        }
        if running.iter().all(|(output, _)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(output, _)| output).collect()
}

/// Which of two was ready first.
///
/// ```
/// use proxy_wasm_kit::First;
///
/// assert_ne!(First::Left::<u8, u8>(1), First::Right(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First<A, B> {
    /// The first one that was named.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for the first of two that is ready; the other one is dropped.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use proxy_wasm_kit::{First, select, sleep};
/// use std::time::Duration;
///
/// async fn or_default(limits: Cluster) -> Result<u16> {
///     match select(limits.get("/limit").send(), sleep(Duration::from_millis(20))).await {
///         First::Left(answer) => Ok(answer?.status()),
///         First::Right(_) => Ok(200),
///     }
/// }
/// ```
pub async fn select<A: Future, B: Future>(a: A, b: B) -> First<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|context| match a.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(First::Left(output)),
        Poll::Pending => b.as_mut().poll(context).map(First::Right),
    })
    .await
}
