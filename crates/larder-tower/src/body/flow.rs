//! A body that several clients get while it comes: one copy, which a task fills and all of them read.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use larder_core::Timestamp;

use super::copied::Copied;

/// A body that several clients get while it comes.
///
/// There is one copy of it, however many read: what is to be stored is kept whole, and of what is too
/// long for that as much as the longest that is stored. Whoever reads so slowly that it has lost the
/// beginning of what it wants gets an error; nobody waits for it, but for the client that led.
pub(crate) struct Flow(Mutex<State>);

struct State {
    copied: Copied,
    end: Option<End>,
    /// How long the body says that it is.
    exact: Option<u64>,
    /// Whether the copy is going to be stored, so that nothing of it may be dropped.
    keeps: bool,
    /// The most that is kept.
    limit: usize,
    /// When the last piece came.
    moved_at: Timestamp,
    readers: Readers,
}

#[derive(Default)]
struct Readers {
    count: usize,
    next: u64,
    /// How far the client has read that led, while it is there.
    leader: Option<usize>,
    /// How far anyone has read.
    furthest: usize,
    waiting: HashMap<u64, Waker>,
    /// The task that fills the copy, where it waits for something.
    filler: Option<Waker>,
}

/// How a body ended.
#[derive(Clone)]
enum End {
    Complete,
    Trailers(HeaderMap),
    Broken,
}

/// What a reader gets.
pub(crate) enum Read {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// The body broke off, or the reader fell behind.
    Broken,
}

/// What the task that fills the copy is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Ask the origin for more.
    On,
    /// Wait until somebody has read on.
    Wait,
    /// Nobody reads, and nothing is to be stored.
    Stop,
}

/// How far ahead of its readers a body is fetched that is not going to be stored.
const AHEAD: usize = 256 << 10;

impl Flow {
    pub(super) fn new(limit: usize, exact: Option<u64>, now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            copied: Copied::default(),
            end: None,
            exact,
            keeps: true,
            limit,
            moved_at: now,
            readers: Readers::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader from the beginning on; `None` where the flow is no use to somebody who comes now: it
    /// broke off, its beginning is gone, or nothing has come for longer than `patience`.
    pub(crate) fn join(self: &Arc<Self>, now: Timestamp, patience: Duration) -> Option<Reader> {
        let mut state = self.lock();
        let stalled = state.end.is_none() && now.since(state.moved_at) > patience;
        if stalled || matches!(state.end, Some(End::Broken)) || state.copied.start() > 0 {
            return None;
        }
        Some(state.readers.add(Arc::clone(self), false))
    }

    /// The reader of the client that led, which is never left behind.
    pub(super) fn lead(self: &Arc<Self>) -> Reader {
        self.lock().readers.add(Arc::clone(self), true)
    }

    /// What to do next. A task that is told to wait is woken when that changes; one that asks the
    /// origin is woken when there is no point any more.
    pub(super) fn next(&self, abandons: bool, cx: &Context<'_>) -> Fill {
        // Trades places with an older waker, and is declared before the guard so that it dies after it.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        std::mem::swap(&mut state.readers.filler, &mut waker);
        let readers = &state.readers;
        if readers.count == 0 && (!state.keeps || abandons) {
            return Fill::Stop;
        }
        let ahead = state.copied.size().saturating_sub(readers.pace());
        if !state.keeps && ahead > AHEAD.min(state.limit) {
            return Fill::Wait;
        }
        Fill::On
    }

    /// Takes a piece. Answers `false` when the body turns out to be longer than is kept.
    pub(super) fn push(&self, chunk: &[u8], now: Timestamp) -> bool {
        let mut state = self.lock();
        state.moved_at = now;
        state.copied.push(chunk);
        let fits = state.copied.size() <= state.limit;
        if state.keeps && !fits {
            state.keeps = false;
        }
        if !state.keeps {
            state.trim();
        }
        let waiting = state.readers.take_waiting();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        fits
    }

    /// How much has come.
    pub(super) fn size(&self) -> usize {
        self.lock().copied.size()
    }

    /// All that has come, as one, which the readers then share with the store.
    pub(super) fn whole(&self) -> Bytes {
        // Joined without the lock. Only the task that calls this adds anything.
        let copied = self.lock().copied.clone();
        let whole = copied.join();
        let old = std::mem::replace(&mut self.lock().copied, Copied::whole(whole.clone()));
        drop(old);
        whole
    }

    /// It will not be stored: of what nobody needs any more nothing is kept.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        state.keeps = false;
        state.trim();
    }

    pub(super) fn complete(&self) {
        self.end(End::Complete);
    }

    pub(super) fn trailers(&self, trailers: HeaderMap) {
        self.end(End::Trailers(trailers));
    }

    /// Unless it has ended, it ends with an error.
    pub(super) fn break_off(&self) {
        self.end(End::Broken);
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        let waiting = state.readers.take_waiting();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Drops what nobody is going to read, and what is more than is kept at all. What whoever sets the
    /// pace has not read stays, for the task waits for it.
    fn trim(&mut self) {
        let size = self.copied.size();
        let kept = size.saturating_sub(self.limit);
        let first = match (self.readers.count, self.readers.leader) {
            (0, _) => size,
            (1, Some(leader)) => leader,
            _ => self.readers.pace().min(kept),
        };
        self.copied.drop_before(first);
    }
}

impl Readers {
    fn add(&mut self, flow: Arc<Flow>, leads: bool) -> Reader {
        self.count += 1;
        self.next += 1;
        if leads {
            self.leader = Some(0);
        }
        Reader {
            flow,
            number: self.next,
            at: 0,
            leads,
            ended: false,
        }
    }

    /// How far the one has read who sets the pace: the client that led, or whoever is furthest.
    fn pace(&self) -> usize {
        self.leader.unwrap_or(self.furthest)
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        self.waiting.drain().map(|(_, waker)| waker).collect()
    }
}

/// One client of a [`Flow`].
pub(crate) struct Reader {
    flow: Arc<Flow>,
    number: u64,
    at: usize,
    leads: bool,
    ended: bool,
}

impl Reader {
    pub(crate) fn poll_read(&mut self, cx: &Context<'_>) -> Poll<Read> {
        if self.ended {
            return Poll::Ready(Read::End);
        }
        let waker = cx.waker().clone();
        let mut state = self.flow.lock();
        if let Some(piece) = state.copied.piece(self.at) {
            self.at += piece.len();
            let readers = &mut state.readers;
            readers.furthest = readers.furthest.max(self.at);
            if self.leads {
                readers.leader = Some(self.at);
            }
            let filler = (!state.keeps).then(|| state.readers.filler.take());
            drop(state);
            filler.flatten().into_iter().for_each(Waker::wake);
            return Poll::Ready(Read::Data(piece));
        }
        let read = if self.at < state.copied.start() {
            Read::Broken
        } else {
            match state.end.clone() {
                None => {
                    let old = state.readers.waiting.insert(self.number, waker);
                    drop(state);
                    drop(old);
                    return Poll::Pending;
                }
                Some(End::Complete) => Read::End,
                Some(End::Trailers(trailers)) => Read::Trailers(trailers),
                Some(End::Broken) => Read::Broken,
            }
        };
        self.ended = true;
        Poll::Ready(read)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.flow.lock();
        let read_all = self.at == state.copied.size();
        self.ended || (read_all && matches!(state.end, Some(End::Complete)))
    }

    /// How much of the body is left, where it says how long it is.
    pub(crate) fn left(&self) -> Option<u64> {
        let exact = self.flow.lock().exact?;
        exact.checked_sub(self.at as u64)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.flow.lock();
        let readers = &mut state.readers;
        readers.count -= 1;
        if self.leads {
            readers.leader = None;
        }
        let waiting = readers.waiting.remove(&self.number);
        let filler = readers.filler.take();
        if !state.keeps {
            state.trim();
        }
        drop(state);
        drop(waiting);
        filler.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Flow")
            .field("size", &state.copied.size())
            .field("readers", &state.readers.count)
            .finish_non_exhaustive()
    }
}
