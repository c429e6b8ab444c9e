//! Answers before the answer: 1xx, which hyper's client hands over and its server cannot send.
//!
//! An HTTP/1 connection has one answer on its way at a time, so an interim answer may be written to the
//! socket behind hyper's back, if two things hold: hyper has handed over all of the answer before, and
//! nothing of the final one. A [`Wire`] knows the first: hyper flushes a stream only when it keeps nothing
//! back itself (without `pipeline_flush`, which is not to be used with it). The second is up to who
//! answers: hyper begins with the final answer when its future is ready, and [`Queue::written`] is waited
//! for before that.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BufMut, BytesMut};
use http::{HeaderMap, StatusCode};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::sync::mpsc;

use crate::fields;

/// How many interim answers to one request wait to be written; the rest is dropped.
const AHEAD: usize = 16;

/// Where the interim answers to one request go. It lives as long as the request, so that what a refresh
/// behind an answer is told reaches nobody.
#[derive(Clone, Debug)]
pub(crate) struct Relay(mpsc::Sender<BytesMut>);

/// The other end of a [`Relay`].
pub(crate) type Relayed = mpsc::Receiver<BytesMut>;

impl Relay {
    pub(crate) fn new() -> (Self, Relayed) {
        let (sender, receiver) = mpsc::channel(AHEAD);
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, status: StatusCode, fields: &HeaderMap) {
        // One that does not fit, or comes too late, is lost.
        drop(self.0.try_send(written(status, fields)));
    }
}

fn written(status: StatusCode, fields: &HeaderMap) -> BytesMut {
    let mut text = BytesMut::with_capacity(256);
    text.put_slice(b"HTTP/1.1 ");
    text.put_slice(status.as_str().as_bytes());
    text.put_u8(b' ');
    text.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    text.put_slice(b"\r\n");
    for (name, value) in &fields::end_to_end(fields) {
        text.put_slice(name.as_str().as_bytes());
        text.put_slice(b": ");
        text.put_slice(value.as_bytes());
        text.put_slice(b"\r\n");
    }
    text.put_slice(b"\r\n");
    text
}

/// What is to be written between two answers of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: BytesMut,
    /// Whether hyper is within an answer, of which it may not have handed over everything.
    is_within: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, interim: &[u8]) {
        self.lock().bytes.put_slice(interim);
    }

    /// Waits until nothing is left to be written.
    pub(crate) async fn written(&self) {
        std::future::poll_fn(|cx| {
            let mut waiting = self.lock();
            if waiting.bytes.is_empty() {
                return Poll::Ready(());
            }
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Hands over what comes before an answer until that is there, and then waits until it is written.
pub(crate) async fn before<T>(
    queue: &Queue,
    mut relayed: Relayed,
    answer: impl Future<Output = T>,
) -> T {
    let mut answer = pin!(answer);
    let answer = loop {
        tokio::select! {
            biased;
            Some(interim) = relayed.recv() => queue.push(&interim),
            answer = &mut answer => break answer,
        }
    };
    while let Ok(interim) = relayed.try_recv() {
        queue.push(&interim);
    }
    queue.written().await;
    answer
}

/// A connection to a client, with room for interim answers.
#[derive(Debug)]
pub(crate) struct Wire<T> {
    inner: T,
    queue: Queue,
}

impl<T> Wire<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            queue: Queue::default(),
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        self.queue.clone()
    }
}

impl<T: Write + Unpin> Wire<T> {
    /// Writes what waits.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.queue.lock();
        while !waiting.bytes.is_empty() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &waiting.bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            waiting.bytes.advance(count);
        }
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Before a part of an answer is written.
    fn poll_before(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.queue.lock().is_within {
            ready!(self.poll_queue(cx))?;
            self.queue.lock().is_within = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Read + Unpin> Read for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: Write + Unpin> Write for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.queue.lock().is_within = false;
        ready!(self.poll_queue(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::task::Waker;

    use super::*;

    /// A stream that takes three bytes at a time, and none where it is stuck.
    #[derive(Debug, Default)]
    struct Narrow {
        taken: Vec<u8>,
        is_stuck: bool,
    }

    impl Write for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.is_stuck {
                return Poll::Pending;
            }
            let count = bytes.len().min(3);
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(wire: &mut Wire<Narrow>, bytes: &[u8]) -> Poll<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(wire)
            .poll_write(&mut cx, bytes)
            .map(Result::unwrap)
    }

    fn flush(wire: &mut Wire<Narrow>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(wire).poll_flush(&mut cx).is_ready()
    }

    #[test]
    fn what_comes_within_an_answer_waits_for_its_end() {
        let mut wire = Wire::new(Narrow::default());
        let queue = wire.queue();
        assert_eq!(write(&mut wire, b"answer"), Poll::Ready(3));
        queue.push(b"<hint>");
        assert_eq!(write(&mut wire, b"wer"), Poll::Ready(3));
        assert_eq!(wire.inner.taken, b"answer");
        assert!(flush(&mut wire));
        assert_eq!(wire.inner.taken, b"answer<hint>");
    }

    #[test]
    fn what_comes_between_two_answers_goes_before_the_next() {
        let mut wire = Wire::new(Narrow::default());
        let queue = wire.queue();
        for expected in ["<hint>one", "<hint>one<hint>one"] {
            queue.push(b"<hint>");
            // All of it, or nothing of the answer.
            wire.inner.is_stuck = true;
            assert!(write(&mut wire, b"one").is_pending());
            wire.inner.is_stuck = false;
            assert_eq!(write(&mut wire, b"one"), Poll::Ready(3));
            assert_eq!(String::from_utf8_lossy(&wire.inner.taken), expected);
            assert!(flush(&mut wire));
        }
    }

    #[test]
    fn a_final_answer_waits_for_what_comes_before_it() {
        let mut wire = Wire::new(Narrow::default());
        let queue = wire.queue();
        assert_eq!(write(&mut wire, b"old"), Poll::Ready(3));
        let (relay, relayed) = Relay::new();
        relay.send(StatusCode::EARLY_HINTS, &HeaderMap::new());
        let mut answer = pin!(before(&queue, relayed, ready(7)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(answer.as_mut().poll(&mut cx).is_pending());
        assert!(flush(&mut wire));
        assert_eq!(answer.as_mut().poll(&mut cx), Poll::Ready(7));
        assert_eq!(wire.inner.taken, b"oldHTTP/1.1 103 Early Hints\r\n\r\n");
    }
}
