//! The suite that every store is run through, over two processes: every other operation is carried
//! out by a worker that has the same directory open.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use larder_core::codec::{Envelope, Plain, Safe};
use larder_core::store::{Mode, Pattern, Put, Reading, Removal};
use larder_core::{
    Clock, Entry, Error, ErrorKind, Fence, Key, Kind, Meta, Result, Store, Tag, ThreadPark,
    Timestamp, drive,
};
use larder_file::Files;
use larder_testkit::HandClock;
use larder_testkit::conformance::Suite;
use tempfile::TempDir;

use crate::support::{Worker, builder, folder};

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

fn word(text: impl std::fmt::Debug) -> Vec<u8> {
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

/// A store whose every other operation happens in another process.
#[derive(Debug)]
struct Pair {
    here: Files<Safe>,
    there: Mutex<UnixStream>,
    turn: AtomicUsize,
    clock: Arc<dyn Clock>,
    // In the order in which they go.
    _worker: Worker,
    _folder: TempDir,
}

impl Pair {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let (folder, path) = folder();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let worker = Worker::start("serve", folder.path(), 0);
        let (there, _) = listener.accept().unwrap();
        Self {
            here: builder(&path)
                .clock(Arc::clone(&clock))
                .build(Safe)
                .unwrap(),
            there: Mutex::new(there),
            turn: AtomicUsize::new(0),
            clock,
            _worker: worker,
            _folder: folder,
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

impl Store<Plain> for Pair {
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
        let order = digits(entry.fence.order);
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
            return <_ as Store<Plain>>::remove(&self.here, what).await;
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
            return <_ as Store<Plain>>::bump(&self.here, tags).await;
        }
        let pieces = tags.iter().map(|tag| tag.as_bytes().into()).collect();
        self.ask("bump", pieces).map(drop)
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        if self.is_here() {
            return <_ as Store<Plain>>::count(&self.here, key, delta, meta).await;
        }
        let entry = Entry::new(meta, Plain::Int(0), Fence::default());
        let pieces = vec![key.as_bytes().into(), seal(key, &entry), digits(delta)];
        Ok(number(&self.ask("count", pieces)?[0]))
    }

    fn max_weight(&self) -> usize {
        <_ as Store<Plain>>::max_weight(&self.here)
    }
}

/// The other process: does what it is asked for until nobody asks any more.
pub(crate) fn serve(folder: &Path) {
    let mut stream = UnixStream::connect(folder.join("socket")).unwrap();
    let clock = HandClock::at(Timestamp::EPOCH);
    let store = builder(&folder.join("cache"));
    let store = store
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .build(Safe);
    let store = store.unwrap();
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

async fn answer(store: &Files<Safe>, what: &str, pieces: &[Vec<u8>]) -> Result<Frame> {
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
            let mut entry = open(&key(0), &pieces[1]);
            entry.fence.order = number(&pieces[3]);
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
            <_ as Store<Plain>>::bump(store, &tags).await?;
            return Ok(Vec::new());
        }
        "count" => {
            let meta = open(&key(0), &pieces[1]).meta;
            let (key, delta) = (key(0), number(&pieces[2]));
            let count = <_ as Store<Plain>>::count(store, &key, delta, meta).await?;
            return Ok(vec![digits(count)]);
        }
        "keys" => {
            let keys: Vec<Key> = (0..pieces.len()).map(key).collect();
            <_ as Store<Plain>>::remove(store, Removal::Keys(&keys)).await?
        }
        "prefix" => <_ as Store<Plain>>::remove(store, Removal::Prefix(kind(), &pieces[1])).await?,
        "pattern" => {
            let pattern = Pattern::parse(&pieces[1]);
            <_ as Store<Plain>>::remove(store, Removal::Pattern(kind(), &pattern)).await?
        }
        "all" => <_ as Store<Plain>>::remove(store, Removal::All).await?,
        other => panic!("{other} is no operation"),
    };
    Ok(removed.iter().map(|key| key.as_bytes().to_vec()).collect())
}

async fn get(store: &Files<Safe>, key: &Key) -> Result<Frame> {
    let reading: Reading<Plain> = store.get(key, &[]).await?;
    let mut frame = vec![digits(reading.fence.all), digits(reading.fence.sequence)];
    frame.extend(reading.entry.map(|entry| seal(key, &entry)));
    Ok(frame)
}

larder_testkit::store_conformance!(
    Suite::new(Pair::new, |number| Plain::Int(number.cast_signed()))
        .no_counter(Plain::text("no number"))
        .sized(|bytes| Plain::text("x".repeat(bytes)))
        .effort(100)
);
