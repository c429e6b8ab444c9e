//! Two processes that stand for one store.

use std::any::Any;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use larder_core::codec::{Envelope, Plain, Safe};
use larder_core::store::{Mode, Pattern, Put, Reading, Removal};
use larder_core::{
    Clock, Entry, Error, ErrorKind, Fence, Key, Kind, Meta, Result, Store, Tag, ThreadPark,
    Timestamp, drive,
};

use crate::HandClock;

/// What goes over the wire: a list of pieces of bytes.
type Frame = Vec<Vec<u8>>;

fn send(stream: &mut UnixStream, frame: &[Vec<u8>]) -> io::Result<()> {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    for piece in frame {
        bytes.extend_from_slice(&(piece.len() as u32).to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    stream.write_all(&bytes)
}

fn receive(stream: &mut UnixStream) -> io::Result<Frame> {
    let mut number = || -> io::Result<usize> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes) as usize)
    };
    let count = number()?;
    let mut frame = Vec::new();
    for _ in 0..count {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes)?;
        let mut piece = vec![0; u32::from_be_bytes(bytes) as usize];
        stream.read_exact(&mut piece)?;
        frame.push(piece);
    }
    Ok(frame)
}

fn digits(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn number<N: std::str::FromStr>(bytes: &[u8]) -> N {
    let text = std::str::from_utf8(bytes).unwrap();
    text.parse().ok().expect("a number")
}

fn word(text: impl fmt::Debug) -> Vec<u8> {
    format!("{text:?}").into_bytes()
}

fn envelope() -> Envelope {
    Envelope::new("wire", None).unwrap()
}

fn seal(key: &Key, entry: &Entry<Plain>) -> Vec<u8> {
    envelope().seal_entry(key, entry, &Safe).unwrap()
}

fn open(key: &Key, bytes: &[u8]) -> Entry<Plain> {
    let opened = envelope().open(key, bytes).unwrap();
    opened.into_entry(&Safe).unwrap()
}

/// A store whose every other operation happens in another process, which has the same place open: what
/// one of the two does, the other has to see. The other one runs [`serve`].
pub struct Pair<S> {
    here: S,
    there: Mutex<UnixStream>,
    turn: AtomicUsize,
    clock: Arc<dyn Clock>,
    _keeps: Box<dyn Any + Send + Sync>,
}

impl<S> Pair<S> {
    /// A pair of `here` and the process at the other end of `there`, which is told the time of `clock`.
    /// What is in `keeps` goes with the pair: the process, and the place.
    pub fn new(
        here: S,
        there: UnixStream,
        clock: Arc<dyn Clock>,
        keeps: impl Any + Send + Sync,
    ) -> Self {
        Self {
            here,
            there: Mutex::new(there),
            turn: AtomicUsize::new(0),
            clock,
            _keeps: Box::new(keeps),
        }
    }

    fn is_here(&self) -> bool {
        self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2)
    }

    /// Has the other process do something.
    fn ask(&self, what: &str, pieces: Vec<Vec<u8>>) -> Result<Frame> {
        let mut stream = self.there.lock().unwrap();
        let mut frame = vec![what.into(), digits(self.clock.now().as_millis())];
        frame.extend(pieces);
        send(&mut stream, &frame).unwrap();
        let mut answer = receive(&mut stream).unwrap();
        match answer.remove(0).as_slice() {
            b"NotACounter" => Err(Error::new(ErrorKind::NotACounter, "over there")),
            b"ok" => Ok(answer),
            other => panic!("{}", other.escape_ascii()),
        }
    }
}

impl<S: Store<Plain>> Store<Plain> for Pair<S> {
    fn name(&self) -> &'static str {
        "pair"
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<Plain>> {
        if self.is_here() {
            return self.here.get(key, tags).await;
        }
        let answer = self.ask("get", vec![key.as_bytes().into()])?;
        Ok(Reading {
            entry: answer.get(2).map(|bytes| Arc::new(open(key, bytes))),
            fence: Fence {
                all: number(&answer[0]),
                sequence: number(&answer[1]),
                ..Fence::default()
            },
        })
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<Plain>>)>> {
        if self.is_here() {
            return self.here.variants(base).await;
        }
        let answer = self.ask("variants", vec![base.as_bytes().into()])?;
        let pairs = answer.chunks_exact(2).map(|pair| {
            let key = Key::decode(&pair[0]).unwrap();
            let entry = Arc::new(open(&key, &pair[1]));
            (key, entry)
        });
        Ok(pairs.collect())
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<Plain>>, mode: Mode) -> Result<Put> {
        if self.is_here() {
            return self.here.put(key, entry, mode).await;
        }
        let order = digits(entry.order());
        let pieces = vec![key.as_bytes().into(), seal(key, &entry), word(mode), order];
        let answer = self.ask("put", pieces)?;
        let puts = [
            Put::Stored,
            Put::Fenced,
            Put::Superseded,
            Put::Exists,
            Put::TooLarge,
        ];
        Ok(puts.into_iter().find(|put| word(put) == answer[0]).unwrap())
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        if self.is_here() {
            return self.here.remove(what).await;
        }
        let (name, pieces) = match what {
            Removal::Keys(keys) => (
                "keys",
                keys.iter().map(|key| key.as_bytes().into()).collect(),
            ),
            Removal::Prefix(kind, prefix) => ("prefix", vec![vec![kind as u8], prefix.into()]),
            Removal::Pattern(kind, pattern) => {
                ("pattern", vec![vec![kind as u8], pattern.text().into()])
            }
            Removal::All => ("all", Vec::new()),
        };
        let answer = self.ask(name, pieces)?;
        Ok(answer.iter().map(|key| Key::decode(key).unwrap()).collect())
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        if self.is_here() {
            return self.here.bump(tags).await;
        }
        let pieces = tags.iter().map(|tag| tag.as_bytes().into()).collect();
        self.ask("bump", pieces).map(drop)
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        if self.is_here() {
            return self.here.count(key, delta, meta).await;
        }
        let entry = Entry::new(meta, Plain::Int(0), Fence::default());
        let pieces = vec![key.as_bytes().into(), seal(key, &entry), digits(delta)];
        Ok(number(&self.ask("count", pieces)?[0]))
    }

    fn max_weight(&self) -> usize {
        self.here.max_weight()
    }
}

/// The other process of a [`Pair`]: does what it is asked for, on the store that `make` makes with the
/// clock of the first one, until nobody asks any more.
///
/// # Panics
///
/// When the first process is gone in the middle of something, or asks for nonsense.
pub fn serve<S: Store<Plain>>(mut stream: UnixStream, make: impl FnOnce(Arc<dyn Clock>) -> S) {
    let clock = HandClock::at(Timestamp::EPOCH);
    let store = make(Arc::clone(&clock) as Arc<dyn Clock>);
    while let Ok(request) = receive(&mut stream) {
        let now = Timestamp::from_millis(number(&request[1]));
        if clock.now() < now {
            clock.set(now);
        }
        let what = std::str::from_utf8(&request[0]).unwrap();
        let Ok(answer) = drive(answer(&store, what, &request[2..]), &ThreadPark);
        let frame = match answer {
            Ok(mut frame) => {
                frame.insert(0, b"ok".to_vec());
                frame
            }
            Err(error) => vec![word(error.kind())],
        };
        send(&mut stream, &frame).unwrap();
    }
}

async fn answer<S: Store<Plain>>(store: &S, what: &str, pieces: &[Vec<u8>]) -> Result<Frame> {
    let key = |at: usize| Key::decode(&pieces[at]).unwrap();
    let kind = || Kind::from_byte(pieces[0][0]).unwrap();
    let removed = match what {
        "get" => return get(store, &key(0)).await,
        "variants" => {
            let found: Vec<(Key, Arc<Entry<Plain>>)> = store.variants(&key(0)).await?;
            let pairs = found.iter();
            return Ok(pairs
                .flat_map(|(key, entry)| [key.as_bytes().to_vec(), seal(key, entry)])
                .collect());
        }
        "put" => {
            let entry = open(&key(0), &pieces[1]);
            let order = number(&pieces[3]);
            let fence = Fence {
                order,
                ..entry.fence()
            };
            let entry = entry.under(fence);
            let replaces = pieces[2] == word(Mode::Replace);
            let mode = if replaces {
                Mode::Replace
            } else {
                Mode::IfAbsent
            };
            return Ok(vec![word(store.put(&key(0), entry.into(), mode).await?)]);
        }
        "bump" => {
            let tags: Vec<Tag> = pieces.iter().map(|tag| Tag::from_bytes(tag)).collect();
            store.bump(&tags).await?;
            return Ok(Vec::new());
        }
        "count" => {
            let meta = open(&key(0), &pieces[1]).meta();
            let (key, delta) = (key(0), number(&pieces[2]));
            let count = store.count(&key, delta, meta).await?;
            return Ok(vec![digits(count)]);
        }
        "keys" => {
            let keys: Vec<Key> = (0..pieces.len()).map(key).collect();
            store.remove(Removal::Keys(&keys)).await?
        }
        "prefix" => store.remove(Removal::Prefix(kind(), &pieces[1])).await?,
        "pattern" => {
            let pattern = Pattern::parse(&pieces[1]);
            store.remove(Removal::Pattern(kind(), &pattern)).await?
        }
        "all" => store.remove(Removal::All).await?,
        other => panic!("{other} is no operation"),
    };
    Ok(removed.iter().map(|key| key.as_bytes().to_vec()).collect())
}

async fn get<S: Store<Plain>>(store: &S, key: &Key) -> Result<Frame> {
    let reading: Reading<Plain> = store.get(key, &[]).await?;
    let mut frame = vec![digits(reading.fence.all), digits(reading.fence.sequence)];
    frame.extend(reading.entry.map(|entry| seal(key, &entry)));
    Ok(frame)
}

impl<S: fmt::Debug> fmt::Debug for Pair<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("here", &self.here)
            .finish_non_exhaustive()
    }
}
