//! Asks a server for one page, over connections that stay open.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::serve::ETAG;

const CONNECTIONS: u32 = 32;

/// Asks `requests` times in all; with `conditional`, for the page unless it is the one at hand.
pub fn load(port: u16, requests: u32, conditional: bool) {
    let condition = if conditional {
        format!("If-None-Match: {ETAG}\r\n")
    } else {
        String::new()
    };
    let request = format!("GET /products?page=2 HTTP/1.1\r\nHost: shop.example\r\n{condition}\r\n");
    let status: &[u8] = if conditional { b"304" } else { b"200" };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut visitors = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let request = request.clone();
            visitors
                .spawn(async move { visit(port, &request, requests / CONNECTIONS, status).await });
        }
        while let Some(visited) = visitors.join_next().await {
            visited.expect("a task").expect("an answer");
        }
    });
}

async fn visit(port: u16, request: &str, times: u32, status: &[u8]) -> io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.set_nodelay(true)?;
    let mut read = Vec::with_capacity(4096);
    for _ in 0..times {
        socket.write_all(request.as_bytes()).await?;
        read.clear();
        let whole = loop {
            if socket.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(length) = length_of(&read) {
                break length;
            }
        };
        while read.len() < whole {
            if socket.read_buf(&mut read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let found = read.get(9..12).unwrap_or_default();
        assert!(found == status, "status {}", found.escape_ascii());
    }
    Ok(())
}

/// The length of an answer, head and body, once its head is there.
fn length_of(read: &[u8]) -> Option<usize> {
    let head = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..head]).expect("a head of ASCII");
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().expect("a length"))
    };
    let has_body = !text.starts_with("HTTP/1.1 304");
    let body = text.lines().find_map(length).filter(|_| has_body);
    Some(head + body.unwrap_or(0))
}
