//! How a store over a key-value store is put together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::making::Making;
use super::names::{Form, Names};
use super::purging::Purging;
use super::{Inner, KeyValue, Keyed, Listener};
use crate::codec::{Envelope, News, Packing};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::store::orders::Orders;
use crate::time::{Clock, SystemClock};

/// Builds a [`Keyed`] store.
pub struct KeyedBuilder<K> {
    pairs: K,
    namespace: Vec<u8>,
    packing: Packing,
    names: Form,
    max_value: usize,
    clock: Option<Arc<dyn Clock>>,
    on_unreadable: Option<Listener>,
}

impl<K: KeyValue> KeyedBuilder<K> {
    /// The namespace, unless told otherwise.
    pub const NAMESPACE: &str = "flask_cache_";
    /// The largest value, unless told otherwise: 8 MB.
    pub const MAX_VALUE: usize = 8 << 20;

    pub(super) fn new(pairs: K) -> Self {
        Self {
            pairs,
            namespace: Self::NAMESPACE.into(),
            packing: Packing::new(),
            names: Form::Readable(|_| true),
            max_value: Self::MAX_VALUE,
            clock: None,
            on_unreadable: None,
        }
    }

    /// What every name in the store underneath begins with. Default: `flask_cache_`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl AsRef<[u8]>) -> Self {
        self.namespace = namespace.as_ref().to_vec();
        self
    }

    /// The secret by which entries are sealed, or none; [`packing`](Self::packing) takes several.
    /// Default: none, and entries have a checksum. Marks are
    /// not sealed: who can write to the store can make entries invalid in any case.
    #[must_use]
    pub fn secret(mut self, secret: Option<&[u8]>) -> Self {
        self.packing = self.packing.secrets(secret);
        self
    }

    /// How entries are packed: under which secrets they are sealed, older ones included. Default:
    /// none, and entries have a checksum.
    #[must_use]
    pub fn packing(mut self, packing: impl Into<Packing>) -> Self {
        self.packing = packing.into();
        self
    }

    /// Which names the store underneath takes; others are replaced by digests. Default: all.
    ///
    /// Memcached, for example, takes `|name| name.len() <= 250 && name.iter().all(u8::is_ascii_graphic)`.
    #[must_use]
    pub fn names(mut self, takes: fn(&[u8]) -> bool) -> Self {
        self.names = Form::Readable(takes);
        self
    }

    /// Makes every name of 40 hexadecimal digits: the route that chooses a part of the store, in 8,
    /// and a digest. For stores of several parts; see [`KeyValue`].
    #[must_use]
    pub fn routed(mut self) -> Self {
        self.names = Form::Routed;
        self
    }

    /// Keeps names readable, and puts the route into braces behind the namespace, three hexadecimal
    /// digits: one of [`BUCKETS`](super::BUCKETS). For clusters, which keep together what has the same
    /// text in braces; their homes are all numbers below. They list names by what stands around the tag.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.names = Form::Tagged;
        self
    }

    /// The largest value that is stored, in bytes. Default: 8 MB.
    #[must_use]
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.max_value = bytes;
        self
    }

    /// The clock of the entries. Default: the clock of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Who is told when an entry that is none for us lies under one of our keys: the key, and what it
    /// is. Of each key once, as far as the store remembers. Default: nobody; [`Keyed::unreadable`] counts in any case.
    #[must_use]
    pub fn on_unreadable(mut self, listener: impl Fn(&Key, &str) + Send + Sync + 'static) -> Self {
        self.on_unreadable = Some(Arc::new(listener));
        self
    }

    /// Builds the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming the setting, its value and the cure.
    pub fn build<C>(self, codec: C) -> Result<Keyed<K, C>> {
        let wrong = |detail: String| Err(Error::new(ErrorKind::Config, detail));
        let names = Names::new(&self.namespace, self.names);
        if !names.are_taken() {
            let shown = self.namespace.escape_ascii();
            return wrong(format!(
                "namespace is {shown}, and no name can begin so (use letters, digits and _)"
            ));
        }
        if self.max_value == 0 {
            return wrong("max_value is 0 (allow some bytes, 8 MB for example)".into());
        }
        Ok(Keyed(Arc::new(Inner {
            envelope: Envelope::new(&self.namespace, self.packing.largest(self.max_value))?,
            pairs: self.pairs,
            codec,
            names: Arc::new(names),
            clock: self.clock.unwrap_or_else(|| SystemClock::shared()),
            max_value: self.max_value,
            orders: Orders::new(),
            purging: Purging::new(),
            making: Making::default(),
            last_bump: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            on_unreadable: self.on_unreadable,
            news: News::default(),
        })))
    }
}

impl<K: fmt::Debug> fmt::Debug for KeyedBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBuilder")
            .field("pairs", &self.pairs)
            .field("namespace", &self.namespace.escape_ascii().to_string())
            .field("max_value", &self.max_value)
            .finish_non_exhaustive()
    }
}
