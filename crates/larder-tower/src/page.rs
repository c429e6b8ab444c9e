//! What is stored of an answer.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use larder_core::{Hit, Served, Value, codec};
use larder_http::{CacheControl, CacheStatus, age, fields};

/// `Cache-Status` (RFC 9211).
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A stored answer: status, headers and body. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Page(Arc<Parts>);

struct Parts {
    status: StatusCode,
    /// Without what concerns one connection only, and with room for what each hit says about itself:
    /// `age` and `cache-status` are in it already, so that a hit copies the map and never grows it.
    headers: HeaderMap,
    body: Bytes,
    /// How old the answer was when it arrived, in seconds.
    age: u64,
    /// What the last hit said about itself. Hits of one second say the same.
    told: Mutex<Option<Told>>,
}

/// What a hit says about itself, written out.
struct Told {
    of: (u64, Option<i64>, Served),
    age: HeaderValue,
    status: HeaderValue,
}

impl Page {
    /// The page of an answer whose body is complete.
    pub fn new(status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Self {
        let age = age::on_arrival(&headers);
        fields::remove_hop_by_hop(&mut headers);
        headers.values_mut().for_each(own);
        // RFC 9110 section 8.6: an answer 204 has none. All others get it here and not for each hit.
        if status == StatusCode::NO_CONTENT {
            headers.remove(CONTENT_LENGTH);
        } else {
            headers.insert(CONTENT_LENGTH, body.len().into());
        }
        headers.insert(AGE, HeaderValue::from_static("0"));
        headers
            .entry(CACHE_STATUS)
            .or_insert(HeaderValue::from_static(""));
        Self(Arc::new(Parts {
            status,
            headers,
            body,
            age,
            told: Mutex::default(),
        }))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The headers of the answer. `age` and `cache-status` hold the place of what a hit says.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body of the answer.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    pub(crate) fn age_on_arrival(&self) -> u64 {
        self.0.age
    }

    /// `Age` and `Cache-Status` of a hit.
    pub(crate) fn told(&self, hit: &Hit<Self>) -> (HeaderValue, HeaderValue) {
        let age = age::age(self.0.age, hit.age());
        let of = (age, hit.seconds_left(), hit.served);
        // Whoever finds the lock taken writes for itself: nobody waits.
        let Ok(mut told) = self.0.told.try_lock() else {
            return (age.into(), written(&CacheStatus::of_hit(hit)));
        };
        let told = match &mut *told {
            Some(told) if told.of == of => told,
            old => old.insert(Told {
                of,
                age: age.into(),
                status: written(&CacheStatus::of_hit(hit)),
            }),
        };
        (told.age.clone(), told.status.clone())
    }

    /// Whether the answer itself forbids to serve it stale.
    pub(crate) fn must_revalidate(headers: &HeaderMap) -> bool {
        headers.contains_key(CACHE_CONTROL) && {
            let control = CacheControl::read(headers);
            // RFC 9111 section 5.2.2.10: `s-maxage` implies `proxy-revalidate`.
            control.must_revalidate || control.s_maxage.is_some()
        }
    }

    /// The page as plain data, which every codec of the engine can write.
    pub(crate) fn to_plain(&self) -> codec::Page {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())
        };
        let told = |(name, value): &(&HeaderName, &HeaderValue)| {
            **name != AGE && !(**name == CACHE_STATUS && value.is_empty())
        };
        let mut headers: Vec<_> = self.headers().iter().filter(told).map(pair).collect();
        if self.0.age > 0 {
            headers.push((b"age".to_vec(), self.0.age.to_string().into_bytes()));
        }
        codec::Page {
            status: self.0.status.as_u16(),
            headers,
            body: self.0.body.clone(),
        }
    }

    /// The page of plain data; `None` where it is no answer of HTTP.
    pub(crate) fn from_plain(plain: &codec::Page) -> Option<Self> {
        let mut headers = HeaderMap::with_capacity(plain.headers.len() + 2);
        for (name, value) in &plain.headers {
            let name = HeaderName::from_bytes(name).ok()?;
            headers.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        let status = StatusCode::from_u16(plain.status).ok()?;
        Some(Self::new(status, headers, plain.body.clone()))
    }
}

/// Gives a value memory of its own, for it may be a small part of a large buffer.
fn own(value: &mut HeaderValue) {
    if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
    }
}

/// A `Cache-Status` as the value of a header.
pub(crate) fn written(status: &CacheStatus) -> HeaderValue {
    // The text is ASCII without control characters, which is all that is asked of a value.
    HeaderValue::from_maybe_shared(Bytes::from(status.to_bytes()))
        .unwrap_or(HeaderValue::from_static("Larder"))
}

impl Value for Page {
    fn weight(&self) -> usize {
        // A header map keeps its entries and an index of 4 bytes beside each.
        let room = self.0.headers.capacity() * (size_of::<(HeaderName, HeaderValue)>() + 24);
        let values: usize = self.0.headers.values().map(HeaderValue::len).sum();
        size_of::<Self>() + size_of::<Parts>() + room + values + self.0.body.len()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("status", &self.0.status)
            .field("headers", &self.0.headers)
            .field("body", &format_args!("{} bytes", self.0.body.len()))
            .finish()
    }
}
