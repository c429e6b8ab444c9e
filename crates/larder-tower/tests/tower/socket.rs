//! A site on a spare port, and a client that sends what it likes.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than any answer takes on a busy machine; whoever waits so long hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Serves until the test is over.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// An answer as it came, read until the server hung up.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// The status; 0 when the server hung up without one.
    pub(crate) fn status(&self) -> u16 {
        let text = self.0.get(9..12).unwrap_or(b"0");
        std::str::from_utf8(text).unwrap().parse().unwrap()
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let end = self.0.windows(4).position(|four| four == b"\r\n\r\n");
        self.0.split_at(end.map_or(self.0.len(), |end| end + 4))
    }

    /// The value of a header of the answer; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = String::from_utf8_lossy(self.split().0).into_owned();
        let line = head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        line.unwrap_or_default().to_owned()
    }

    /// The body, as it was framed.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(self.split().1).into_owned()
    }
}

/// Opens a connection, sends these bytes, and leaves it open.
pub(crate) async fn open(server: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // The server may hang up before it has read everything.
    drop(stream.write_all(request).await);
    stream
}

/// Reads a connection until the server hangs up.
pub(crate) async fn read(mut stream: TcpStream) -> Raw {
    let mut all = Vec::new();
    let read = timeout(HANGS, stream.read_to_end(&mut all)).await;
    drop(read.expect("the server answers, or hangs up"));
    Raw(all)
}

/// Sends these bytes, and reads until the server hangs up.
pub(crate) async fn send(server: SocketAddr, request: &[u8]) -> Raw {
    read(open(server, request).await).await
}

/// The bytes of a GET of HTTP/1.1, after which the server is to hang up.
pub(crate) fn get(target: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let mut request = [b"GET ", target, b" HTTP/1.1\r\nconnection: close\r\n"].concat();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}
