//! Runs one process with crashes and suspensions.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// The panic payload of a simulated crash.
#[derive(Debug)]
pub struct Crashed;

/// When a process crashes or is suspended.
#[derive(Clone, Debug, Default)]
pub struct Interruptions {
    /// It crashes instead of this poll, counted from one.
    pub dies_at_poll: Option<u64>,
    /// Before which polls it is suspended for how long, earliest first.
    pub suspensions: Vec<(u64, Duration)>,
    /// Polls after which a process counts as endless.
    pub most_polls: u64,
}

/// How a process ended.
#[derive(Debug)]
pub enum End<T> {
    /// By itself.
    Done(T),
    /// It was killed.
    Crashed,
    /// It panicked by itself.
    Panicked(String),
    /// It exceeded the limit of polls or time.
    Endless,
}

/// Runs a process. `on_suspension` is called after every suspension.
pub async fn drive<T>(
    process: impl Future<Output = T>,
    mut interruptions: Interruptions,
    longest: Duration,
    mut on_suspension: impl FnMut(Duration),
) -> End<T> {
    enum Step<T> {
        End(End<T>),
        Suspension(Duration),
    }
    let mut process = pin!(process);
    let (mut polls, started) = (0, Instant::now());
    interruptions.suspensions.reverse();
    loop {
        let step = poll_fn(|context| {
            polls += 1;
            if interruptions.dies_at_poll == Some(polls) {
                return Poll::Ready(Step::End(End::Crashed));
            }
            if polls > interruptions.most_polls || started.elapsed() > longest {
                return Poll::Ready(Step::End(End::Endless));
            }
            if let Some((_, span)) = interruptions.suspensions.pop_if(|(poll, _)| *poll <= polls) {
                return Poll::Ready(Step::Suspension(span));
            }
            match catch_unwind(AssertUnwindSafe(|| process.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(done)) => Poll::Ready(Step::End(End::Done(done))),
                Err(panic) if panic.is::<Crashed>() => Poll::Ready(Step::End(End::Crashed)),
                Err(panic) => Poll::Ready(Step::End(End::Panicked(panic_message(&*panic)))),
            }
        })
        .await;
        match step {
            Step::End(end) => return end,
            Step::Suspension(span) => {
                tokio::time::advance(span).await;
                on_suspension(span);
            }
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
