//! Receives signals of the operating system and passes them to the run.

use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::run::{Signal, Signals};

/// How long a run may take to end after the second signal, or after the last part that receives signals has ended.
const EXIT_WITHIN: Duration = Duration::from_secs(2);

/// SIGXFSZ, the signal of a file that reached its size limit (`ulimit -f`): 25 on Linux (except MIPS) and macOS.
const FILE_SIZE_LIMIT: i32 = 25;

/// The exit code for a signal.
pub(super) fn exit_of(signal: &str) -> Exit {
    match signal {
        "SIGTERM" => Exit::Terminated,
        "SIGHUP" => Exit::HungUp,
        _ => Exit::Interrupted,
    }
}

/// Makes a write beyond the file size limit fail like any other write, instead of killing the process: the run then
/// stops in order and reports the cause. Holds until the process ends.
pub(super) fn survive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    // if it cannot be caught, the signal ends the process, as by default
    let _ = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
}

/// Receives signals from now until the process ends, on a separate thread: a second Ctrl-C works even if a stopped
/// terminal, a full pipe or a disk blocks all other threads.
pub(super) fn listen() -> std::io::Result<Signals> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let caught = {
        let _inside = runtime.enter();
        Caught::all()?
    };
    let listener = move || runtime.block_on(forward(caught, sender));
    std::thread::Builder::new().name("signals".into()).spawn(listener)?;
    Ok(receiver)
}

/// The signals that are received.
struct Caught(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Caught {
    fn all() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::terminate(), Signal::Terminate),
            (SignalKind::hangup(), Signal::HangUp),
        ];
        // nohup asks to ignore SIGHUP
        let received = |name: &Signal| *name != Signal::HangUp || !hang_up_is_ignored();
        let kinds = kinds.into_iter().filter(|(_, name)| received(name));
        kinds.map(|(kind, name)| Ok((signal(kind)?, name))).collect::<std::io::Result<_>>().map(Self)
    }

    /// The next signal.
    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|waiting| {
            let mut all = self.0.iter_mut();
            let come = all.find_map(|(stream, name)| stream.poll_recv(waiting).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Passes signals to the run, which ends at once on the second one, or on one that arrives while it only prints. If it
/// is blocked and does not end, the process ends here. Nothing is lost: the ledger is durable, and the same command
/// resumes.
async fn forward(mut caught: Caught, run: mpsc::UnboundedSender<Signal>) {
    let first = caught.next().await;
    if run.send(first).is_ok() {
        let second = caught.next().await;
        let _ = run.send(second);
    }
    crate::rate::until(tokio::time::Instant::now() + EXIT_WITHIN).await;
    end_process(exit_of(first.name()));
}

#[expect(clippy::exit, reason = "every other part that could end the process is blocked")]
fn end_process(exit: Exit) {
    std::process::exit(exit.code().into());
}

/// True if SIGHUP was ignored when this process started, as with `nohup`: the lowest bit of the mask of ignored signals
/// in `/proc`. False where `/proc` does not exist (macOS).
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
