//! Signals of the operating system, handed to the run.

use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::run::{Signal, Signals};

/// How long a run may take to leave that has been told twice, or that nobody listens for any more.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// The signal of a file that grew to its limit (`ulimit -f`): 25 on Linux, except on MIPS, and on the BSDs.
const FILE_SIZE_LIMIT: i32 = 25;

/// The exit code that tells of a signal.
pub(super) fn exit_of(signal: &str) -> Exit {
    match signal {
        "SIGTERM" => Exit::Terminated,
        "SIGHUP" => Exit::HungUp,
        _ => Exit::Interrupted,
    }
}

/// Lets a write past the limit on the size of files fail as any other write fails, where the signal would kill the
/// process: the run then stops in good order, and tells why. Once asked for, this holds until the process ends.
pub(super) fn outlive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    // where it cannot be caught, things are as they were
    let _ = signal(SignalKind::from_raw(FILE_SIZE_LIMIT));
}

/// Listens from now on, until the process ends, on a thread of its own: whatever may block the others (a terminal
/// that stands still, a reader that does not read, a disk that does not answer), a second Ctrl-C is heard.
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

/// The signals that are listened to.
struct Caught(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Caught {
    fn all() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::terminate(), Signal::Terminate),
            (SignalKind::hangup(), Signal::HangUp),
        ];
        // somebody who started us with nohup means it
        let heeded = |name: &Signal| *name != Signal::HangUp || !hang_up_is_ignored();
        let kinds = kinds.into_iter().filter(|(_, name)| heeded(name));
        kinds.map(|(kind, name)| Ok((signal(kind)?, name))).collect::<std::io::Result<_>>().map(Self)
    }

    /// The next one that comes.
    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|waiting| {
            let mut all = self.0.iter_mut();
            let come = all.find_map(|(stream, name)| stream.poll_recv(waiting).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Hands signals to the run. The second one it leaves upon at once, and so it does upon one that comes when it has
/// nothing left to do but print; where it does not manage that, because something blocks it, the process ends here.
/// Nothing is lost by that: what the ledger holds is durable, and the same command resumes.
async fn forward(mut caught: Caught, run: mpsc::UnboundedSender<Signal>) {
    let first = caught.next().await;
    if run.send(first).is_ok() {
        let second = caught.next().await;
        let _ = run.send(second);
    }
    crate::rate::until(tokio::time::Instant::now() + LEAVES_WITHIN).await;
    leave(exit_of(first.name()));
}

#[expect(clippy::exit, reason = "whoever else could end the process is blocked")]
fn leave(exit: Exit) {
    std::process::exit(exit.code().into());
}

/// True where SIGHUP was ignored when this process began, as `nohup` arranges it. Told by the kernel's mask of ignored
/// signals, whose lowest bit is SIGHUP; where there is none to read, nothing is known of it.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
