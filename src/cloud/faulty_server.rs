//! A scripted server for tests, which records what it receives.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The response to one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes; the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes and the end of the connection.
    BytesThenEnd(Vec<u8>),
    /// These bytes, after a delay.
    Later(Duration, Vec<u8>),
    /// No byte, and the end of the connection.
    End,
    /// No byte, and a reset of the connection.
    Reset,
    /// No byte, ever.
    Silence,
}

impl Reply {
    /// A well-formed HTTP response.
    pub fn http(status: &str, content_type: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }

    /// A response of the service.
    pub fn json(body: &str) -> Self {
        Self::http("200 OK", "application/json", body)
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Request line and headers.
    pub head: String,
    /// Everything after the empty line.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then_some(value))
    }
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    received: Vec<Received>,
    connections: usize,
}

/// A server on loopback. When its replies are used up it accepts everything, so that a request sent again
/// would show as a success.
pub struct Server {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let replies = replies.into_iter().collect();
        let script = Arc::new(Mutex::new(Script { replies, ..Script::default() }));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().expect("script").connections += 1;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script }
    }

    /// What a client is pointed at.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.script.lock().expect("script").received.clone()
    }

    pub fn connections(&self) -> usize {
        self.script.lock().expect("script").connections
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    while let Some(received) = read_request(&mut stream).await {
        let reply = {
            let mut script = script.lock().expect("script");
            script.received.push(received);
            script.replies.pop_front().unwrap_or_else(|| Reply::json(r#"{"Response":{"RequestId":"again"}}"#))
        };
        match reply {
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Reply::Later(wait, bytes) => {
                tokio::time::sleep(wait).await;
                stream.write_all(&bytes).await.unwrap_or_default();
            }
            Reply::BytesThenEnd(bytes) => return stream.write_all(&bytes).await.unwrap_or_default(),
            Reply::End => return,
            Reply::Reset => return stream.set_zero_linger().expect("linger"),
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let mut received = Received { head, body: bytes[end + 4..].to_vec() };
            let length = received.header("content-length").map_or(Ok(0), str::parse::<usize>).ok()?;
            let missing = length.checked_sub(received.body.len()).expect("nothing after the body");
            let mut rest = vec![0; missing];
            stream.read_exact(&mut rest).await.ok()?;
            received.body.extend(rest);
            return Some(received);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
