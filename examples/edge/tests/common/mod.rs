//! What the tests share: an origin on a bare socket, the edge in front of it, and clients on bare sockets.
//! No HTTP library comes between a test and the bytes that it judges.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use edge::{Edge, Origin, Patience, serve};
use larder_core::store::Memory;
use larder_core::{AnyStore, Cache};
use larder_testkit::HandClock;
use larder_tower::{CacheLayer, Page};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What never comes fails a test after this long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits for what comes, on a busy machine too.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("it never came")
}

/// One message as it was sent: its head, and its body if that has a length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The first line.
    pub(crate) fn line(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        head.lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn status(&self) -> u16 {
        let line = self.line();
        line.split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }

    /// The lines of the fields, names in lower case, values as they came.
    pub(crate) fn fields(&self) -> Vec<(String, Vec<u8>)> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        lines
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter_map(|line| {
                let colon = line.iter().position(|byte| *byte == b':')?;
                let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
                Some((name, line[colon + 1..].trim_ascii().to_vec()))
            })
            .collect()
    }

    /// All values of one field.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let fields = self.fields().into_iter().filter(|field| field.0 == name);
        fields
            .map(|field| String::from_utf8_lossy(&field.1).into_owned())
            .collect()
    }

    /// The values of one field, joined.
    pub(crate) fn get(&self, name: &str) -> String {
        self.all(name).join(", ")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A socket of either side, read message by message.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    rest: Vec<u8>,
}

impl Line {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            rest: Vec::new(),
        }
    }

    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::new(soon(TcpStream::connect(address)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// More bytes; false at the end.
    async fn more(&mut self) -> bool {
        let read = soon(self.socket.read_buf(&mut self.rest)).await;
        read.unwrap_or(0) > 0
    }

    /// The next head, without its empty line; `None` at the end.
    pub(crate) async fn head(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.rest, b"\r\n\r\n") {
                let head = self.rest[..at].to_vec();
                self.rest.drain(..at + 4);
                return Some(head);
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// This many bytes, or those that came before the end.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count && self.more().await {}
        let count = count.min(self.rest.len());
        self.rest.drain(..count).collect()
    }

    /// Everything up to a text, with it.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.rest, end) {
                return self.rest.drain(..at + end.len()).collect();
            }
            if !self.more().await {
                return std::mem::take(&mut self.rest);
            }
        }
    }

    /// Everything until the other side ends.
    pub(crate) async fn end(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.rest)
    }

    /// The next message. A body is there if it has a length or chunks, which stay as they came.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let mut message = Message {
            head: self.head().await?,
            body: Vec::new(),
        };
        if message.get("transfer-encoding").contains("chunked") {
            message.body = self.until(b"0\r\n\r\n").await;
        } else if let Ok(length) = message.get("content-length").parse() {
            message.body = self.bytes(length).await;
        }
        Some(message)
    }
}

pub(crate) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// What an origin got, in order.
pub(crate) type Seen = Arc<Mutex<Vec<Message>>>;

/// An origin that hands each connection to a script.
pub(crate) async fn origin<F, R>(script: F) -> SocketAddr
where
    F: Fn(Line) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(script(Line::new(socket)));
        }
    });
    address
}

/// An origin that gives one answer to each request, by its number and what was asked, on connections that
/// it keeps. An answer of nothing closes the connection.
pub(crate) async fn answers<A>(answer: A) -> (SocketAddr, Seen)
where
    A: Fn(usize, &Message) -> Vec<u8> + Clone + Send + Sync + 'static,
{
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let address = origin(move |mut line| {
        let (answer, seen) = (answer.clone(), Arc::clone(&noted));
        async move {
            while let Some(request) = line.message().await {
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len()
                };
                let bytes = answer(number, &request);
                if bytes.is_empty() || line.socket.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, seen)
}

/// An answer 200 with these fields and this body.
pub(crate) fn ok(fields: &str, body: &str) -> Vec<u8> {
    with_status("200 OK", fields, body)
}

pub(crate) fn with_status(status: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// The edge in front of an origin, on a clock moved by hand.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) const PATIENCE: Patience = Patience {
    connect: LONG,
    answer: LONG,
};

pub(crate) async fn front(origin: SocketAddr) -> Front {
    front_with(origin, PATIENCE, |edge| edge).await
}

pub(crate) async fn front_with(
    origin: SocketAddr,
    patience: Patience,
    with: impl FnOnce(Edge) -> Edge,
) -> Front {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone());
    let store = AnyStore::from(memory.build::<Page>().unwrap());
    let cache = Cache::builder(store).clock(clock.clone()).build();
    let layer = CacheLayer::builder(Duration::ZERO)
        .strict()
        .cache(cache)
        .target("cdn-cache-control")
        .stale_if_error(Duration::from_secs(86_400))
        .build()
        .unwrap();
    let place = origin.to_string().parse().unwrap();
    let edge = with(Edge::new(&layer, Origin::new(place, patience)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        let stop = async move { drop(stopped.await) };
        serve(edge, listener, stop, LONG).await.unwrap();
    });
    Front {
        address,
        clock,
        stop: Some(stop),
        served,
    }
}

impl Front {
    /// Sends one request on a connection of its own, and reads until the edge closes that.
    pub(crate) async fn raw(&self, request: impl AsRef<[u8]>) -> Vec<u8> {
        let mut line = Line::to(self.address).await;
        line.send(request).await;
        line.end().await
    }

    /// As [`raw`](Self::raw), taken apart; a body in chunks stays as it came.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Message {
        let bytes = self.raw(request).await;
        let at = find(&bytes, b"\r\n\r\n").unwrap_or(bytes.len());
        let body = bytes.get(at + 4..).unwrap_or_default().to_vec();
        Message {
            head: bytes[..at].to_vec(),
            body,
        }
    }

    /// Asks for a path with these fields, each with its line end.
    pub(crate) async fn ask(&self, method: &str, path: &str, fields: &str) -> Message {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\n");
        self.send(format!("{head}Connection: close\r\n{fields}\r\n"))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Message {
        self.ask("GET", path, "").await
    }
}
