//! The store: what the operations of [`Store`] become.

mod count;
mod lease;
mod lent;
mod list;
mod listener;
mod many;
mod read;
mod remove;
mod scan;
mod seen;
mod write;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use larder_core::codec::Codec;
use larder_core::store::{Expected, Lease, Listed, Mode, Orders, Put, Reading, Removal, Watcher};
use larder_core::{
    Clock, Entry, Fence, Freshness, Key, Kind, Meta, Result, Store, Tag, Timestamp, Value,
};
use larder_net::{Deadline, Leases};
use redis::Value as Answer;

use crate::answer;
use crate::builder::RedisBuilder;
use crate::found::Scribe;
use crate::layout::{Layout, Record};
use crate::news::News;
use crate::scripts::{Called, Lua, Scripts, is_unknown};
use crate::stats::Unreadables;
use crate::transport::{Blocking, Request, Transport};

use lease::Lender;
use seen::{Seen, Sort};

/// How long the mark of a removal or a bump is kept at least, in milliseconds: longer than any load.
const MARK: u64 = 600_000;

/// Entries in a Redis or Valkey server. Cheap to clone; all clones are one store.
///
/// `C` turns values into bytes, `T` carries the bytes: [`Blocking`] for threads, `Tokio` for tasks.
///
/// ```no_run
/// use larder_core::codec::Safe;
/// use larder_redis::Redis;
///
/// let store = Redis::builder("redis://localhost:6379/0").namespace("shop_").build(Safe)?;
/// # Ok::<(), larder_core::Error>(())
/// ```
pub struct Redis<C, T = Blocking>(Arc<Inner<C, T>>);

pub(crate) struct Inner<C, T> {
    layout: Layout,
    scribe: Scribe<C>,
    scripts: Scripts,
    transport: Arc<T>,
    clock: Arc<dyn Clock>,
    max_value: usize,
    /// Whether processes that share the server load for one another.
    lends: bool,
    leases: Leases<Lender<T>>,
    news: Arc<News>,
    /// The record as this process saw it last: what is written without a read goes out under it, and
    /// once more if the server knows better.
    generation: AtomicU64,
    sequence: AtomicU64,
    floor: AtomicU64,
    orders: Orders,
    seen: Seen,
    /// This machine since its start: loads that started on it can be put in order.
    machine: Vec<u8>,
}

/// What a store is made of.
pub(crate) struct Parts<C, T> {
    pub(crate) layout: Layout,
    pub(crate) scribe: Scribe<C>,
    pub(crate) transport: T,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_value: usize,
    pub(crate) leases: bool,
}

impl Redis<(), Blocking> {
    /// A builder for a store at this URL: `redis://[user:password@]host[:port][/db]`, or
    /// `unix:///path/to/socket?db=0`.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(url.into())
    }
}

impl<C, T> Redis<C, T> {
    pub(crate) fn new(parts: Parts<C, T>) -> Self {
        let transport = Arc::new(parts.transport);
        let known = (parts.layout.clone(), Arc::clone(&parts.clock));
        let lender = Lender::new(known, Arc::clone(&transport));
        Self(Arc::new(Inner {
            news: Arc::new(News::new(parts.layout.clone())),
            layout: parts.layout,
            scribe: parts.scribe,
            scripts: Scripts::new(),
            transport,
            lends: parts.leases,
            leases: Leases::new(lender),
            seen: Seen::new(&*parts.clock),
            clock: parts.clock,
            max_value: parts.max_value,
            generation: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            orders: Orders::new(),
            machine: machine(),
        }))
    }

    /// How often reads of this process found something that is no entry for us.
    pub fn unreadables(&self) -> Unreadables {
        self.0.scribe.tally.read()
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.0.transport
    }
}

impl<C, T> Inner<C, T> {
    /// The fence of what is written without a load.
    fn guess(&self) -> Fence {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (generation, sequence) = (read(&self.generation), read(&self.sequence));
        Record {
            generation,
            sequence,
            floor: read(&self.floor),
        }
        .fence()
    }

    fn remember(&self, record: Record) {
        // Two threads may mix their records here. A guess that is wrong costs one more trip.
        let before = self.generation.swap(record.generation, Ordering::Relaxed);
        if before != record.generation {
            self.seen.cleared();
        }
        self.sequence.store(record.sequence, Ordering::Relaxed);
        self.floor.store(record.floor, Ordering::Relaxed);
    }
}

impl<C, T> Inner<C, T> {
    /// Notes until when what was read or stored under `key` is there for lookups.
    fn note<V: Value>(&self, key: &Key, tags: &[Tag], entry: Option<&Entry<V>>) {
        let now = self.clock.now();
        let until = entry.map_or(Timestamp::EPOCH, |entry| match entry.freshness(now) {
            Freshness::Fresh => entry.fresh_until(),
            Freshness::Throttled => entry.meta().retry_at,
            _ => Timestamp::EPOCH,
        });
        let sort = match entry.and_then(|entry| entry.value.as_count()) {
            Some(_) => Sort::Counter,
            None => Sort::Envelope,
        };
        self.seen.note(key, tags, (sort, until));
    }

    /// Notes that what this names is not there any more.
    fn purged(&self, what: &Removal<'_>) {
        match what {
            Removal::Keys(keys) => keys
                .iter()
                .for_each(|key| self.seen.purged(key.base_bytes())),
            Removal::Prefix(..) | Removal::Pattern(..) | Removal::All => self.seen.cleared(),
        }
    }
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    async fn ask(&self, request: &Request, deadline: Deadline) -> Result<Vec<Answer>> {
        let count = request.commands.len();
        let answers = self.transport.exchange(request, deadline).await?;
        self.news.answered();
        if answers.len() == count {
            Ok(answers)
        } else {
            Err(answer::unexpected("too little"))
        }
    }

    /// The arguments of a script that knows the record: in front of them the generation of a namespace
    /// that has none, behind them who makes a change.
    fn arguments(&self, arguments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut all = Vec::with_capacity(2 + arguments.len());
        all.push(random().to_string().into_bytes());
        all.extend(arguments);
        all.push(self.news.sender());
        all
    }

    /// Runs a script. `arguments` are those behind the generation of a namespace without a record.
    async fn run(
        &self,
        script: &Lua,
        (keys, arguments): (&[Vec<u8>], Vec<Vec<u8>>),
        deadline: Deadline,
    ) -> Result<Answer> {
        let all = self.arguments(arguments);
        let request = |called| Request {
            commands: script.call(called, keys, &all),
            // A second run would count twice, or take its own first result for somebody else's.
            repeatable: false,
        };
        let mut answers = self.ask(&request(Called::ByDigest), deadline).await?;
        if is_unknown(&answers) {
            answers = self.ask(&request(Called::ByCode), deadline).await?;
        }
        let answer = answers.pop().ok_or_else(|| answer::unexpected("nothing"))?;
        answer::accepted(&answer)?;
        Ok(answer)
    }

    /// Runs a script that answers with the record.
    async fn run_for_record(
        &self,
        script: &Lua,
        (keys, arguments): (&[Vec<u8>], Vec<Vec<u8>>),
        deadline: Deadline,
    ) -> Result<Record> {
        let record = answer::record(self.run(script, (keys, arguments), deadline).await?)?;
        self.remember(record);
        Ok(record)
    }
}

/// A number that no other process comes up with. Seeded anew in each process, because a fork copies
/// the state of every generator.
pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    hasher.write_u128(now.as_nanos());
    hasher.finish().max(1)
}

/// The machine since its start; where that cannot be known, this process.
fn machine() -> Vec<u8> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let text = text.trim();
    if text.is_empty() {
        random().to_string().into_bytes()
    } else {
        text.as_bytes().to_vec()
    }
}

impl<C, T> Clone for Redis<C, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: fmt::Debug, T: fmt::Debug> fmt::Debug for Redis<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field(
                "namespace",
                &self.0.layout.namespace().escape_ascii().to_string(),
            )
            .field("transport", &self.0.transport)
            .finish_non_exhaustive()
    }
}

impl<V: Value, C: Codec<V>, T: Transport> Store<V> for Redis<C, T> {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn may_wait(&self) -> bool {
        self.0.transport.may_wait()
    }

    fn may_block(&self) -> bool {
        self.0.transport.may_block()
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) -> bool {
        self.0.news.watch(watcher, &self.0.transport)
    }

    fn told_by(&self) -> Option<&'static str> {
        self.0.news.told_by()
    }

    fn leases(&self) -> bool {
        self.0.lends
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.0.lease(key).await
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        let reading = self.0.read_one(key, tags).await?;
        self.0.note(key, tags, reading.entry.as_deref());
        Ok(reading)
    }

    async fn peek(&self, key: &Key) -> Result<Option<Arc<Entry<V>>>> {
        Ok(self.0.read_one(key, &[]).await?.entry)
    }

    async fn peek_base(&self, base: &Key) -> Result<(Option<Arc<Entry<V>>>, bool)> {
        let inner = &self.0;
        let (entry, has_variants) = match inner.seen.get(base, &[], inner.clock.now()) {
            // Whoever finds what there was does not ask for variants.
            Some(_) => (inner.read_one(base, &[]).await?.entry, true),
            None => inner.read_base(base).await?,
        };
        inner.note(base, &[], entry.as_deref());
        Ok((entry, has_variants))
    }

    fn expects(&self, key: &Key, tags: &[Tag]) -> Expected {
        let inner = &self.0;
        match inner.seen.get(key, tags, inner.clock.now()) {
            Some(_) => Expected::Hit,
            None if inner.lends => Expected::Miss,
            None => Expected::Unknown,
        }
    }

    async fn get_to_load(&self, key: &Key, tags: &[Tag]) -> Result<(Reading<V>, Option<Lease>)> {
        let (reading, lease) = self.0.read_to_load(key, tags).await?;
        self.0.note(key, tags, reading.entry.as_deref());
        Ok((reading, lease))
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Reading<V>>> {
        if keys.is_empty() {
            Ok(Vec::new())
        } else {
            self.0.read(keys, &[]).await
        }
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>> {
        self.0.variants(&base.base_key()).await
    }

    async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Option<Vec<Listed>>> {
        self.0.list(kind, prefix).await.map(Some)
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<V>>, mode: Mode) -> Result<Put> {
        let put = self.0.put(key, &entry, mode).await?;
        if put == Put::Stored {
            self.0.note(key, entry.tags(), Some(&*entry));
        }
        Ok(put)
    }

    async fn put_many(&self, entries: &[(Key, Arc<Entry<V>>)]) -> Result<Vec<Put>> {
        let puts = self.0.put_many(entries).await?;
        for ((key, entry), put) in entries.iter().zip(&puts) {
            if *put == Put::Stored {
                self.0.note(key, entry.tags(), Some(&**entry));
            }
        }
        Ok(puts)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.0.purged(&what);
        match what {
            Removal::Keys(keys) => self.0.remove_keys::<V>(keys).await,
            Removal::Prefix(kind, prefix) => self.0.remove_prefix::<V>(kind, prefix).await,
            Removal::Pattern(kind, pattern) => self.0.remove_pattern::<V>(kind, pattern).await,
            Removal::All => self.0.clear().await.map(|()| Vec::new()),
        }
    }

    async fn forget(&self, keys: &[Key]) -> Result<()> {
        self.0.purged(&Removal::Keys(keys));
        self.0.forget(keys, self.0.transport.deadline()).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        tags.iter()
            .for_each(|tag| self.0.seen.purged(tag.as_bytes()));
        self.0.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count::<V>(key, delta, &meta).await
    }

    fn max_weight(&self) -> usize {
        self.0.max_value
    }
}
