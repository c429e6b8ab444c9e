//! The store: what the operations of [`Store`] become.

mod count;
mod lease;
mod lent;
mod list;
mod listener;
mod read;
mod remove;
mod scan;
mod write;

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use larder_core::codec::Codec;
use larder_core::store::{Lease, Listed, Mode, Orders, Put, Reading, Removal};
use larder_core::{Clock, Entry, Fence, Key, Kind, Meta, Result, Store, Tag, Value};
use larder_net::{Deadline, Leases};
use redis::Value as Answer;

use crate::answer;
use crate::builder::RedisBuilder;
use crate::found::Scribe;
use crate::layout::{Layout, Record};
use crate::scripts::{Called, Lua, Scripts, is_unknown};
use crate::stats::Unreadables;
use crate::transport::{Blocking, Request, Transport};

use lease::Lender;

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
    /// The record as this process saw it last: what is written without a read goes out under it, and
    /// once more if the server knows better.
    generation: AtomicU64,
    sequence: AtomicU64,
    floor: AtomicU64,
    orders: Orders,
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
            layout: parts.layout,
            scribe: parts.scribe,
            scripts: Scripts::new(),
            transport,
            lends: parts.leases,
            leases: Leases::new(lender),
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
        self.generation.store(record.generation, Ordering::Relaxed);
        self.sequence.store(record.sequence, Ordering::Relaxed);
        self.floor.store(record.floor, Ordering::Relaxed);
    }
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    async fn ask(&self, request: &Request, deadline: Deadline) -> Result<Vec<Answer>> {
        let count = request.commands.len();
        let answers = self.transport.exchange(request, deadline).await?;
        if answers.len() == count {
            Ok(answers)
        } else {
            Err(answer::unexpected("too little"))
        }
    }

    /// Runs a script. `arguments` are those behind the generation of a namespace without a record.
    async fn run(
        &self,
        script: &Lua,
        (keys, arguments): (&[Vec<u8>], Vec<Vec<u8>>),
        deadline: Deadline,
    ) -> Result<Answer> {
        let mut all = vec![random().to_string().into_bytes()];
        all.extend(arguments);
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
fn random() -> u64 {
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

    fn leases(&self) -> bool {
        self.0.lends
    }

    async fn lease(&self, key: &Key) -> Result<Lease> {
        self.0.lease(key).await
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<V>> {
        let mut readings = self.0.read(std::slice::from_ref(key), tags).await?;
        readings.pop().ok_or_else(|| answer::unexpected("nothing"))
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
        self.0.put(key, &entry, mode).await
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        match what {
            Removal::Keys(keys) => self.0.remove_keys::<V>(keys).await,
            Removal::Prefix(kind, prefix) => self.0.remove_prefix::<V>(kind, prefix).await,
            Removal::Pattern(kind, pattern) => self.0.remove_pattern::<V>(kind, pattern).await,
            Removal::All => self.0.clear().await.map(|()| Vec::new()),
        }
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count::<V>(key, delta, &meta).await
    }

    fn max_weight(&self) -> usize {
        self.0.max_value
    }
}
