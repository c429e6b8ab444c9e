//! How a layer signs what it says about itself in `Cache-Status`.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::HeaderValue;
use larder_core::Key;
use larder_http::{CacheStatus, cache_status};

/// The name of a layer, and whether it shows keys.
#[derive(Clone, Debug)]
pub(crate) struct Sign {
    name: Cow<'static, str>,
    keys: bool,
    /// Tells this sign from all others of the process: layers that share pages may have several.
    number: u64,
}

/// A sign, and the key that an answer is about.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    sign: &'a Sign,
    key: Option<&'a Key>,
}

impl Sign {
    pub(crate) fn new(name: Option<Cow<'static, str>>, keys: bool) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            name: name.unwrap_or(Cow::Borrowed(cache_status::NAME)),
            keys,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// For an answer that has a key.
    pub(crate) const fn of<'a>(&'a self, key: &'a Key) -> Signed<'a> {
        Signed {
            sign: self,
            key: Some(key),
        }
    }

    /// For an answer that has none.
    pub(crate) const fn alone(&self) -> Signed<'_> {
        Signed {
            sign: self,
            key: None,
        }
    }
}

impl Signed<'_> {
    pub(crate) const fn number(&self) -> u64 {
        self.sign.number
    }

    /// A `Cache-Status` as the value of a header.
    pub(crate) fn write(&self, status: CacheStatus) -> HeaderValue {
        let status = match self.key {
            Some(key) if self.sign.keys => status.key(key.to_string()),
            _ => status,
        };
        // The text is ASCII without control characters, which is all that is asked of a value.
        HeaderValue::from_maybe_shared(Bytes::from(status.to_bytes_as(&self.sign.name)))
            .unwrap_or(HeaderValue::from_static(cache_status::NAME))
    }
}
