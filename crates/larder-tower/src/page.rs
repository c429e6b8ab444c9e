//! What is stored of an answer.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AGE, CONTENT_LENGTH, ETAG, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use larder_core::{Hit, Served, Value, codec};
use larder_http::validators::{EntityTag, etag_of};
use larder_http::{CacheStatus, Coding, Codings, age, coding, fields};

use crate::answer;
use crate::common;
use crate::sign::Signed;

use crate::body::Flow;

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
    /// Whether the page has one entity tag, and one that is well-formed.
    is_tagged: bool,
    /// The headers of the last hit, what it said about itself among them. Hits of one second have the
    /// same.
    told: Mutex<Option<Told>>,
    /// The body, where it is still on its way. Such a page is never stored.
    flow: Option<Arc<Flow>>,
    /// The codings that the page is stored in besides.
    codings: Codings,
    /// The page in them, where it was asked for and is in this process; `None` where it is not worth it.
    coded: Box<[(Coding, Option<Page>)]>,
}

/// The headers of a hit, and what they say of it.
struct Told {
    of: (u64, Option<i64>, Served, u64),
    headers: HeaderMap,
    /// Those that a client gets who has the page.
    news: Option<HeaderMap>,
}

impl Page {
    /// The page of an answer whose body is complete.
    pub fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        let length = body.len() as u64;
        Self::of_length(status, headers, body, length)
    }

    /// As [`new`](Self::new), of a page whose body may have been left out.
    fn of_length(status: StatusCode, mut headers: HeaderMap, body: Bytes, length: u64) -> Self {
        let age = age::on_arrival(&headers);
        fields::remove_hop_by_hop(&mut headers);
        headers.remove(coding::FIELD);
        headers.values_mut().for_each(own);
        // RFC 9110 section 8.6: an answer 204 has none. All others get it here and not for each hit.
        if status == StatusCode::NO_CONTENT {
            headers.remove(CONTENT_LENGTH);
        } else {
            headers.insert(CONTENT_LENGTH, common::number(length));
        }
        headers.insert(AGE, HeaderValue::from_static("0"));
        headers
            .entry(CACHE_STATUS)
            .or_insert(HeaderValue::from_static(""));
        let mut tags = headers.get_all(ETAG).iter();
        let is_tagged = tags
            .next()
            .is_some_and(|tag| tags.next().is_none() && EntityTag::parse(tag.as_bytes()).is_some());
        Self(Arc::new(Parts {
            status,
            headers,
            body,
            age,
            is_tagged,
            told: Mutex::default(),
            flow: None,
            codings: Codings::default(),
            coded: Box::default(),
        }))
    }

    /// The page of an answer whose body is on its way, for those who join it.
    pub(crate) fn on_its_way(status: StatusCode, mut headers: HeaderMap, flow: Arc<Flow>) -> Self {
        let age = age::on_arrival(&headers);
        fields::remove_hop_by_hop(&mut headers);
        Self(Arc::new(Parts {
            status,
            headers,
            body: Bytes::new(),
            age,
            is_tagged: false,
            told: Mutex::default(),
            flow: Some(flow),
            codings: Codings::default(),
            coded: Box::default(),
        }))
    }

    /// The body, where it is still on its way.
    pub(crate) fn flow(&self) -> Option<&Arc<Flow>> {
        self.0.flow.as_ref()
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The headers of the answer. `age` and `cache-status` hold the place of what a hit says.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body of the answer. Nothing where it is still on its way: such a page is seen only by who
    /// asks the engine itself for a key that a layer with
    /// [`join_streams`](crate::CacheLayerBuilder::join_streams) is loading.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    pub(crate) fn age_on_arrival(&self) -> u64 {
        self.0.age
    }

    /// The entity tag of the answer, if it has one that is well-formed.
    pub(crate) fn etag(&self) -> Option<&HeaderValue> {
        self.headers().get(ETAG).filter(|_| self.0.is_tagged)
    }

    /// The headers of a hit: those of the page, `Age`, and `Cache-Status`.
    pub(crate) fn headers_of(&self, hit: &Hit<Self>, by: Signed<'_>) -> HeaderMap {
        self.told(hit, by, |told| told.headers.clone())
    }

    /// The headers of a hit for a client who has the page: those that may have changed.
    pub(crate) fn news_of(&self, hit: &Hit<Self>, by: Signed<'_>) -> HeaderMap {
        self.told(hit, by, |told| {
            let news = told.news.get_or_insert_with(|| {
                let mut news = told.headers.clone();
                answer::keep_news(&mut news);
                news
            });
            news.clone()
        })
    }

    fn told<T>(&self, hit: &Hit<Self>, by: Signed<'_>, take: impl FnOnce(&mut Told) -> T) -> T {
        let age = age::age(self.0.age, hit.age());
        let of = (age, hit.seconds_left(), hit.served, by.number());
        let write = || {
            let mut headers = self.0.headers.clone();
            tell(&mut headers, by.write(CacheStatus::of_hit(hit)));
            headers.insert(AGE, common::number(age));
            Told {
                of,
                headers,
                news: None,
            }
        };
        // Whoever finds the lock taken writes for itself: nobody waits.
        let Ok(mut told) = self.0.told.try_lock() else {
            return take(&mut write());
        };
        match &mut *told {
            Some(told) if told.of == of => take(told),
            old => take(old.insert(write())),
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
        if let Some(codings) = self.0.codings.value() {
            let name = coding::FIELD.as_str().as_bytes().to_vec();
            headers.push((name, codings.into_bytes()));
        }
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
        let body = plain.body.clone();
        // That of a head is all that is left of its body.
        let length = match headers.get(CONTENT_LENGTH) {
            Some(length) if body.is_empty() => {
                length.to_str().ok().and_then(|text| text.parse().ok())
            }
            _ => None,
        };
        let length = length.unwrap_or(body.len() as u64);
        let codings = Codings::read(&headers);
        let mut page = Self::of_length(status, headers, body, length);
        Arc::get_mut(&mut page.0)?.codings = codings;
        Some(page)
    }

    /// The codings that the page is stored in besides.
    pub(crate) fn codings(&self) -> &Codings {
        &self.0.codings
    }

    /// The page in a coding, where it is in this process.
    pub(crate) fn in_coding(&self, coding: Coding) -> Option<&Self> {
        let mut coded = self.0.coded.iter();
        coded.find(|(own, _)| *own == coding)?.1.as_ref()
    }

    /// The head of the page in a coding that it is stored in.
    pub(crate) fn head_in(&self, coding: Coding) -> Option<Self> {
        let length = self.0.codings.length(coding)?;
        Some(self.described(coding, Bytes::new(), length))
    }

    /// The page in a coding.
    fn described(&self, coding: Coding, body: Bytes, length: u64) -> Self {
        let mut headers = self.0.headers.clone();
        coding::describe(&mut headers, coding, length);
        let mut page = Self::of_length(self.0.status, headers, body, length);
        if let Some(parts) = Arc::get_mut(&mut page.0) {
            parts.age = self.0.age;
        }
        page
    }

    /// The bodies of the page in these codings, where all of them are in this process.
    #[cfg(feature = "compress")]
    pub(crate) fn bodies_in(&self, codings: &[Coding]) -> Option<Vec<(Coding, Option<Bytes>)>> {
        let coded = self.0.coded.iter();
        let body = |(coding, page): &(_, Option<Self>)| {
            (*coding, page.as_ref().map(|page| page.body().clone()))
        };
        let is_whole = coded.clone().map(|(coding, _)| coding).eq(codings);
        is_whole.then(|| coded.map(body).collect())
    }

    /// The same page with these bodies in codings; `None` in the place of one that is not worth it.
    #[cfg(feature = "compress")]
    pub(crate) fn in_codings(
        mut self,
        bodies: impl Iterator<Item = (Coding, Option<Bytes>)>,
    ) -> Self {
        let mut codings = Codings::default();
        let coded = bodies.map(|(coding, body)| {
            let page = body.map(|body| {
                let length = body.len() as u64;
                codings.add(coding, length);
                self.described(coding, body, length)
            });
            (coding, page)
        });
        let coded = coded.collect();
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            (parts.codings, parts.coded) = (codings, coded);
        }
        self
    }
}

/// Gives a value memory of its own, for it may be a small part of a large buffer; or what many pages have
/// in common.
fn own(value: &mut HeaderValue) {
    if let Some(same) = common::value(value) {
        *value = same;
    } else if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
        copy.set_sensitive(value.is_sensitive());
        *value = copy;
    }
}

/// Says what this cache did, after what caches nearer to the origin said (RFC 9211 section 2).
pub(crate) fn tell(headers: &mut HeaderMap, status: HeaderValue) {
    match headers.get_mut(CACHE_STATUS) {
        Some(place) if place.is_empty() => *place = status,
        _ => {
            headers.append(CACHE_STATUS, status);
        }
    }
}

/// Gives an answer an entity tag that has none, so that clients need not fetch it twice. Only what can
/// be asked for with a condition gets one, and has a body to spare.
pub(crate) fn add_etag(status: StatusCode, headers: &mut HeaderMap, body: &[u8]) {
    if !status.is_success() || status == StatusCode::NO_CONTENT || headers.contains_key(ETAG) {
        return;
    }
    if let Ok(tag) = HeaderValue::try_from(etag_of(body)) {
        headers.insert(ETAG, tag);
    }
}

impl Value for Page {
    const HEADS: bool = true;
    const FORMS: &'static [u8] = &Coding::FORMS;

    fn head(&self) -> Option<Self> {
        if self.flow().is_some() {
            return None;
        }
        let (headers, length) = (self.0.headers.clone(), self.0.body.len() as u64);
        let mut head = Self::of_length(self.0.status, headers, Bytes::new(), length);
        let parts = Arc::get_mut(&mut head.0)?;
        (parts.age, parts.codings) = (self.0.age, self.0.codings);
        Some(head)
    }

    fn forms(&self) -> Vec<(u8, Option<Self>)> {
        let form = |(coding, page): &(Coding, Option<Self>)| (coding.form(), page.clone());
        self.0.coded.iter().map(form).collect()
    }

    fn weight(&self) -> usize {
        // A header map keeps its entries and an index of 4 bytes beside each.
        let room = self.0.headers.capacity() * (size_of::<(HeaderName, HeaderValue)>() + 24);
        let values: usize = self.0.headers.values().map(HeaderValue::len).sum();
        // A hit leaves a copy of the headers behind.
        let coded: usize = self
            .0
            .coded
            .iter()
            .filter_map(|(_, page)| page.as_ref())
            .map(Self::weight)
            .sum();
        size_of::<Self>() + size_of::<Parts>() + 2 * (room + values) + self.0.body.len() + coded
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
