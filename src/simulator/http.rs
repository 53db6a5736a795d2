//! Serves the simulator over HTTP/1.1 on loopback.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::authentication::{AcceptedKeys, Keys, ServiceTime, authenticate, text};
use super::fault_rules::Received;
use super::refusal::refuse;
use super::response::{Disconnect, JSON, render, response};
use super::service::{Reply, Simulator};
use super::sts::Identity;
use super::{metadata, request};
use crate::cloud::Refusal;

/// Largest body of a request, in bytes (the vendor's platform text, document 306/75053).
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// Wait after a failed accept: the likely cause, a lack of file descriptors, is temporary.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on a loopback address. Other addresses are refused: other machines must not take the simulator for the
/// service.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    check_loopback(address)?;
    TcpListener::bind(address).await
}

/// Serves until the future is dropped, which also closes every connection.
///
/// `POST /` is the API of DLC and STS; `GET /stats` returns [`super::Stats`] as JSON and needs no signature; the paths
/// of the metadata service answer as on a virtual machine.
pub async fn serve(listener: TcpListener, simulator: Simulator, keys: Keys) -> io::Result<Infallible> {
    check_loopback(listener.local_addr()?)?;
    let keys = Arc::new(keys);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if simulator.lock().rules.closes_connection(Instant::now()) {
                        drop(stream);
                    } else {
                        connections.spawn(serve_connection(stream, simulator.clone(), Arc::clone(&keys)));
                    }
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            // remove connections that have ended
            Some(_) = connections.join_next() => {}
        }
    }
}

fn check_loopback(address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message =
        format!("the simulator does not listen on {address}; use a loopback address such as 127.0.0.1");
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Serves one connection until either side closes it.
async fn serve_connection(stream: TcpStream, simulator: Simulator, keys: Arc<Keys>) {
    // responses are small and complete; waiting for a full segment only adds latency
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let is_reset = Arc::clone(&reset);
    let service = service_fn(move |request| {
        let at = Instant::now();
        let (simulator, keys, reset) = (simulator.clone(), Arc::clone(&keys), Arc::clone(&reset));
        Box::pin(async move {
            let response = respond(at, request, &simulator, &keys).await;
            reset.store(response.as_ref().err() == Some(&Disconnect::Reset), Ordering::Release);
            response
        })
    });
    let mut connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // without the shutdown, which sends a FIN: a FIN before the RST is a normal end
    if let Err(error) = poll_fn(|task| connection.poll_without_shutdown(task)).await {
        tracing::trace!(%error, "a connection to the simulator ended early");
    }
    if is_reset.load(Ordering::Acquire) {
        // closing without lingering sends RST; if this fails, the client gets FIN
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn respond(
    at: Instant,
    request: Request<Incoming>,
    simulator: &Simulator,
    keys: &Keys,
) -> Result<Response<Full<Bytes>>, Disconnect> {
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
    let reply = match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => reply_to(at, &head, &body.to_bytes(), simulator, keys, now()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {LARGEST_BODY} bytes");
            reply_with(at, &head, simulator, refuse("RequestSizeLimitExceeded", message))
        }
        // the client closed the connection in the middle of its request
        Err(_) => return Err(Disconnect::Close),
    };
    sleep_until(reply.due).await;
    match render(&reply, now()) {
        Some(rendered) => rendered,
        // hyper drops this when the client closes the connection
        None => std::future::pending().await,
    }
}

fn reply_to(
    at: Instant,
    head: &Parts,
    body: &[u8],
    simulator: &Simulator,
    keys: &Keys,
    now: Timestamp,
) -> Reply {
    let time =
        ServiceTime { now: now.as_second(), validity: simulator.scenario().signature_validity.as_secs() };
    let caller = match caller(head, body, simulator, keys, time) {
        Ok(caller) => caller,
        Err(refusal) => return reply_with(at, head, simulator, refusal),
    };
    let action = action(head);
    let engine = request::engine_id(action, body);
    let region = text(&head.headers, "x-tc-region");
    let call = request::read(action, region, body, caller, time.now);
    simulator.lock().process(Received { at, action, engine: engine.as_ref() }, call)
}

fn caller(
    head: &Parts,
    body: &[u8],
    simulator: &Simulator,
    keys: &Keys,
    time: ServiceTime,
) -> Result<Identity, Refusal> {
    if head.method != Method::POST {
        let message = format!("{} is not supported; use POST", head.method);
        return Err(refuse("UnsupportedProtocol", message));
    }
    if head.uri.path() != "/" || head.uri.query().is_some() {
        return Err(refuse("InvalidRequest", "the API is at / and has no query"));
    }
    let service = simulator.lock();
    let accepted = AcceptedKeys { keys, sessions: &service.sessions, scenario: simulator.scenario() };
    authenticate(&head.headers, body, accepted, time)
}

fn reply_with(at: Instant, head: &Parts, simulator: &Simulator, refusal: Refusal) -> Reply {
    simulator.lock().refuse(Received { at, action: action(head), engine: None }, refusal)
}

fn action(head: &Parts) -> &str {
    text(&head.headers, "x-tc-action").unwrap_or_default()
}

#[cfg(test)]
mod tests;
