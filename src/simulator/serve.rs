//! The simulator over HTTP/1.1 on loopback, for everything that only a socket can show.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{Dropped, JSON, render, response};
use super::gateway::{self, Keys, Known, ServiceTime};
use super::service::{Answer, Arriving};
use super::sts::Identity;
use super::world::Objection;
use super::{Simulator, metadata, sts_wire, wire};

/// Largest body of a request, in bytes (the vendor's platform text, document 306/75053).
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// Wait after a failed accept: the likely cause is a lack of file descriptors, which passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on a loopback address and on no other: the simulator must not be mistaken for a service.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    on_loopback(address)?;
    TcpListener::bind(address).await
}

/// Serves until the future is dropped, which also ends every connection.
///
/// `POST /` is the API, DLC's and STS's; `GET /stats` answers [`super::Stats`] as JSON and needs no signature, and the
/// paths of the metadata service answer as on a virtual machine.
pub async fn serve(listener: TcpListener, simulator: Simulator, keys: Keys) -> io::Result<Infallible> {
    on_loopback(listener.local_addr()?)?;
    let keys = Arc::new(keys);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if simulator.lock().faults.closes_connection(Instant::now()) {
                        drop(stream);
                    } else {
                        connections.spawn(attend(stream, simulator.clone(), Arc::clone(&keys)));
                    }
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            // forget connections that ended
            Some(_) = connections.join_next() => {}
        }
    }
}

fn on_loopback(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let what =
        format!("the simulator does not listen on {address}; use a loopback address such as 127.0.0.1");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

/// Serves one connection until either side ends it.
async fn attend(stream: TcpStream, simulator: Simulator, keys: Arc<Keys>) {
    // answers are small and complete; waiting to fill a segment would only add to the latency
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let service = service_fn(move |request| {
        let at = Instant::now();
        let (simulator, keys, reset) = (simulator.clone(), Arc::clone(&keys), Arc::clone(&reset));
        async move {
            let answered = respond(at, request, &simulator, &keys).await;
            reset.store(answered.as_ref().err() == Some(&Dropped::Reset), Ordering::Release);
            answered
        }
    });
    let served =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service).await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection to the simulator ended early");
    }
}

async fn respond(
    at: Instant,
    request: Request<Incoming>,
    simulator: &Simulator,
    keys: &Keys,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let now = || Timestamp::now().saturating_add(simulator.skew()).unwrap_or(Timestamp::MAX);
    let (head, body) = request.into_parts();
    if head.method == Method::GET && head.uri.path() == "/stats" {
        let stats = serde_json::to_string_pretty(&simulator.stats()).unwrap_or_default();
        return Ok(response(200, JSON, stats, now()));
    }
    if head.method == Method::GET
        && let Some(response) = metadata::answer(head.uri.path(), simulator, now())
    {
        return Ok(response);
    }
    let answer = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => answer(at, &head, &body.to_bytes(), simulator, keys, now()),
        Err(error) if error.is::<LengthLimitError>() => {
            let what = format!("the body is larger than {LARGEST_BODY} bytes");
            turn_away(at, &head, simulator, Objection::new("RequestSizeLimitExceeded", what))
        }
        // the caller left in the middle of its request
        Err(_) => return Err(Dropped::Closed),
    };
    sleep_until(answer.due).await;
    match render(&answer, now()) {
        Some(rendered) => rendered,
        // hyper notices when the caller gives up, and drops this
        None => std::future::pending().await,
    }
}

fn answer(
    at: Instant,
    head: &Parts,
    body: &[u8],
    simulator: &Simulator,
    keys: &Keys,
    now: Timestamp,
) -> Answer {
    let time =
        ServiceTime { now: now.as_second(), validity: simulator.scenario().signature_validity.as_secs() };
    let caller = match check(head, body, simulator, keys, time) {
        Ok(caller) => caller,
        Err(objection) => return turn_away(at, head, simulator, objection),
    };
    let action = action(head);
    let engine = wire::engine_named(action, body);
    let region = gateway::text(&head.headers, "x-tc-region");
    let call = if sts_wire::ACTIONS.contains(&action) {
        sts_wire::call(action, region, body, caller, time.now)
    } else {
        wire::call(action, region, body)
    };
    simulator.lock().receive(Arriving { at, action, engine: engine.as_ref() }, call)
}

fn check(
    head: &Parts,
    body: &[u8],
    simulator: &Simulator,
    keys: &Keys,
    time: ServiceTime,
) -> Result<Identity, Objection> {
    if head.method != Method::POST {
        let what = format!("{} is not served; use POST", head.method);
        return Err(Objection::new("UnsupportedProtocol", what));
    }
    if head.uri.path() != "/" || head.uri.query().is_some() {
        return Err(Objection::new("InvalidRequest", "the API is at / and takes no query"));
    }
    let service = simulator.lock();
    let known = Known { keys, sessions: &service.sessions, scenario: simulator.scenario() };
    gateway::check(&head.headers, body, known, time)
}

fn turn_away(at: Instant, head: &Parts, simulator: &Simulator, objection: Objection) -> Answer {
    simulator.lock().turn_away(Arriving { at, action: action(head), engine: None }, objection)
}

fn action(head: &Parts) -> &str {
    gateway::text(&head.headers, "x-tc-action").unwrap_or_default()
}

/// A connection that can end in a reset.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            // closing without lingering sends RST; without it the caller sees FIN, which is close enough
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Acquire) {
            // a FIN first would turn the reset into an ordinary end
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "serve_sts_tests.rs"]
mod sts_tests;
