//! A server on loopback that answers in whatever way it is told to, well-formed or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The answer to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes and the end of the connection.
    BytesThenEnd(Vec<u8>),
    /// The first bytes, then the second ones again and again for as long as somebody reads.
    Endless(Vec<u8>, Vec<u8>),
}

impl Reply {
    /// A well-formed answer with this body.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::http("200 OK", "content-type: application/json", body)
    }

    /// A well-formed answer with this status, one more header and this body.
    pub fn http(status: &str, header: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// In lower case; of a request that names none, its first line.
    pub action: String,
    pub body: String,
}

type Answer = dyn Fn(&Received) -> Reply + Send + Sync;

/// Serves until its runtime ends.
pub struct Server {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer: Arc<Answer> = Arc::new(answer);
        let (received, connections) = (Arc::default(), Arc::<Mutex<usize>>::default());
        let server = Self { address, received: Arc::clone(&received), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *connections.lock().expect("no panic") += 1;
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&received)));
            }
        });
        server
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().expect("no panic")
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Answer>, all: Arc<Mutex<Vec<Received>>>) {
    while let Some(received) = read_request(&mut stream).await {
        let reply = answer(&received);
        all.lock().expect("no panic").push(received);
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Reply::BytesThenEnd(bytes) => return stream.write_all(&bytes).await.unwrap_or_default(),
            Reply::Endless(first, again) => {
                let mut going = stream.write_all(&first).await;
                while going.is_ok() {
                    going = stream.write_all(&again).await;
                }
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            bytes = rest;
            break head;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let header = |name: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_owned)
    };
    let length: usize = header("content-length").map_or(Ok(0), |length| length.parse()).ok()?;
    while bytes.len() < length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let first_line = || head.lines().next().unwrap_or_default().to_owned();
    Some(Received { action: header("x-tc-action").unwrap_or_else(first_line), body })
}

/// A runtime for one case, in its own thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let done = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::ZERO);
    done
}
