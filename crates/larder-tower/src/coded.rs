//! Pages in content codings: made once, when the page is stored.

use std::borrow::Cow;
#[cfg(feature = "compress")]
use std::sync::Arc;
#[cfg(feature = "compress")]
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body;
use larder_core::{Error, ErrorKind, Hit, Key, Result};
use larder_http::{Coding, coding};

use crate::answer;
use crate::body::CacheBody;
use crate::key_rule::{KeyRule, path};
use crate::layer::{Question, Rules};
use crate::page::Page;
use crate::wants::{Form, Wants};

/// What a layer codes pages in.
#[derive(Debug, Default)]
pub(crate) struct Coder {
    /// The most preferred one first; none where nothing is coded.
    codings: Vec<Coding>,
    /// Whether the pages in codings lie beside the plain one, and not in it.
    beside: bool,
    /// How many bodies have been coded.
    #[cfg(feature = "compress")]
    made: Arc<AtomicU64>,
}

impl Coder {
    pub(crate) fn new(codings: Vec<Coding>, beside: bool) -> Self {
        Self {
            codings,
            beside,
            #[cfg(feature = "compress")]
            made: Arc::default(),
        }
    }

    #[cfg(feature = "compress")]
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.codings.is_empty()
    }

    /// Whether it is this layer that an answer with these headers depends on `Accept-Encoding` by, if it
    /// does: the origin was asked for plain answers, and gave one.
    pub(crate) fn covers(&self, answer: &HeaderMap) -> bool {
        self.is_on() && !answer.contains_key(CONTENT_ENCODING)
    }

    /// Says in an answer that may be stored in codings that other clients get other bytes. `length` is that
    /// of its body, where it is known.
    pub(crate) fn tell(&self, status: StatusCode, headers: &mut HeaderMap, length: Option<u64>) {
        if self.is_on() && coding::may_be_coded(status.as_u16(), &*headers, length) {
            let name = HeaderValue::from_static("accept-encoding");
            answer::add_vary(headers, &[(ACCEPT_ENCODING, name)]);
        }
    }

    /// The coding that a request is answered in if its page has it, where that page lies by itself.
    fn guess(&self, wants: Wants<'_>) -> Option<Coding> {
        if !self.is_on() || !self.beside || wants.is_part() || wants.is_for_head() {
            return None;
        }
        coding::choose(wants.fields(), &self.codings)
    }

    /// The page with its codings, if it is to have any; those of `same`, which has the same body, where it
    /// has them here.
    #[cfg(feature = "compress")]
    async fn code(&self, page: Page, same: Option<&Page>) -> Page {
        if !self.is_on() {
            return page;
        }
        let may_be_coded = |page: &Page| {
            let length = Some(page.body().len() as u64);
            coding::may_be_coded(page.status().as_u16(), page.headers(), length)
        };
        if !may_be_coded(&page) {
            return page.in_codings(self.codings.iter().map(|&coding| (coding, None)));
        }
        let same = same.filter(|same| may_be_coded(same));
        if let Some(bodies) = same.and_then(|same| same.bodies_in(&self.codings)) {
            return page.in_codings(bodies.into_iter());
        }
        let (codings, body) = (self.codings.clone(), page.body().clone());
        let made = Arc::clone(&self.made);
        let pack = move || -> Vec<(Coding, Option<Bytes>)> {
            let pack = |coding: Coding| {
                made.fetch_add(1, Ordering::Relaxed);
                (coding, coding::pack(coding, &body).map(Bytes::from))
            };
            codings.into_iter().map(pack).collect()
        };
        match crate::detach::aside(pack).await {
            Some(bodies) => page.in_codings(bodies.into_iter()),
            // The runtime ends: the page is as good without them.
            None => page,
        }
    }
}

#[cfg(feature = "compress")]
impl crate::builder::CacheLayerBuilder {
    /// Stores pages in these content codings too, and serves each client the first of them that it accepts
    /// (`Accept-Encoding` with its weights; of equal ones the order here counts). Default: in none.
    ///
    /// A page is compressed once, when it is stored, on a thread for what blocks, and each coding has an
    /// `ETag` of its own: `"1"` is `"1-br"` in brotli. Brotli makes the shortest bodies, zstd the cheapest to
    /// decode; what every client takes is gzip. The levels are 5, 3 and 6.
    ///
    /// - A page is coded whose type is a text or like one (HTML, JSON, scripts, SVG, wasm, fonts that are not
    ///   compressed), of 1 KiB at least, if that saves an eighth of it. What has a `Content-Encoding`, a
    ///   digest, or says `no-transform` stays as it is.
    /// - The origin is asked for plain answers; the page is one for all codings, and what an answer says of
    ///   `Accept-Encoding` in `Vary` needs no key. Ranges are cut out of the plain page.
    /// - An answer that is passed on while it comes is plain. What is not stored is not compressed.
    /// - A stored page takes a quarter to a half more room.
    ///
    /// Pages that hold a secret beside what a stranger chose are not to be compressed at all: their length
    /// gives it away (BREACH).
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_tower::{CacheLayer, Coding};
    ///
    /// let layer = CacheLayer::builder(Duration::from_secs(60)).compress(Coding::ALL).build()?;
    /// # Ok::<(), larder_core::Error>(())
    /// ```
    pub fn compress(mut self, codings: impl IntoIterator<Item = Coding>) -> Self {
        for coding in codings {
            if !self.codings.contains(&coding) {
                self.codings.push(coding);
            }
        }
        self
    }
}

/// Refuses a key that tells codings apart.
pub(crate) fn check_codings(codings: Vec<Coding>, key: &KeyRule) -> Result<Vec<Coding>> {
    let splits = key.vary().contains(&ACCEPT_ENCODING);
    if splits && !codings.is_empty() {
        let detail = "the key holds `accept-encoding`, and the layer compresses pages itself (leave the \
                      header out of the key: one page serves all codings)";
        return Err(Error::new(ErrorKind::Config, detail));
    }
    Ok(codings)
}

impl Rules {
    /// A page that is stored, with its codings; `same` has the same body.
    pub(crate) async fn coded_as(&self, page: Page, same: Option<&Page>) -> Page {
        #[cfg(feature = "compress")]
        let page = self.coder.code(page, same).await;
        #[cfg(not(feature = "compress"))]
        let _ = same;
        page
    }

    /// Asks the origin for a plain answer, where this layer codes it: it would be coded once for each client
    /// otherwise, or not be there for those who take no coding.
    pub(crate) fn ask_plain(&self, request: &mut Parts) {
        if self.coder.is_on() {
            let plain = HeaderValue::from_static("identity");
            request.headers.insert(ACCEPT_ENCODING, plain);
        }
    }

    /// Says the tags of plain pages beside those of coded ones in the condition of a change, which the origin
    /// judges by its own.
    pub(crate) fn ask_by_plain_tags(&self, request: &mut Parts) {
        if !self.coder.is_on() {
            return;
        }
        let Some(value) = request.headers.get_mut(IF_MATCH) else {
            return;
        };
        let plain = coding::with_plain_tags(value.as_bytes());
        if let Some(Ok(plain)) = plain.map(HeaderValue::try_from) {
            *value = plain;
        }
    }

    /// The page for a request, where it is in this process in the coding that the client gets.
    pub(crate) fn hit_at_once(&self, key: &Key, wants: Wants<'_>) -> Option<Hit<Page>> {
        let cache = self.engine();
        let coded = self.coder.guess(wants).and_then(|coding| {
            let form = cache.form_of(key, coding.form())?;
            cache.fresh_at_once(&form)
        });
        let hit = match coded {
            Some(hit) => hit,
            None => cache
                .fresh_at_once(key)
                .filter(|hit| hit.value().lacking(wants).is_none())?,
        };
        cache.was_served(key);
        Some(hit)
    }

    /// The page in the coding that a client is expected to get, where that is stored by itself: so the plain
    /// page is not read for it. A store that fails is met again by whoever looks next.
    pub(crate) async fn coded(&self, asked: &Question, request: &Parts) -> Option<Hit<Page>> {
        let coding = self.coder.guess(Wants::of(request))?;
        if self.bare.of(path(request)).is_some() {
            return None;
        }
        let cache = self.engine();
        let form = cache.form(&asked.key, coding.form(), &asked.policy);
        let hit = form.await.ok()??;
        cache.was_served(&asked.key);
        Some(hit)
    }

    /// The answer for what was found, in the coding that the client gets where that lies by itself.
    pub(crate) async fn answer<B>(
        &self,
        asked: &Question,
        request: &Parts,
        hit: &Hit<Page>,
    ) -> Response<CacheBody<B>>
    where
        B: Body<Data = Bytes> + 'static,
    {
        let wants = Wants::of(request);
        if self.coder.is_on() && self.coder.beside {
            // Nobody need look for what such a page does not have.
            let is_bare = hit.value().codings().is_empty();
            self.bare.learn(path(request), is_bare.then_some(()));
        }
        let coded = match hit.value().lacking(wants) {
            Some(coding) => self.engine().in_form(hit, &asked.key, coding.form()).await,
            None => None,
        };
        let by = self.sign.of(&asked.key);
        answer::hit(coded.as_ref().unwrap_or(hit), wants, by)
    }
}

impl Wants<'_> {
    /// The form of a page that the client gets: in one of its codings, or plain. Where the page in the coding
    /// is not at hand and its body is wanted, plain.
    pub(crate) fn page<'p>(&self, page: &'p Page) -> Cow<'p, Page> {
        let Some(coding) = page.selected(*self) else {
            return Cow::Borrowed(page);
        };
        if let Some(coded) = page.in_coding(coding) {
            return Cow::Borrowed(coded);
        }
        let head = page.head_in(coding);
        match head.map(|head| (self.form(&head), head)) {
            Some((Form::Head | Form::NotModified, head)) => Cow::Owned(head),
            _ => Cow::Borrowed(page),
        }
    }
}

impl Page {
    /// The coding that a client gets.
    fn selected(&self, wants: Wants<'_>) -> Option<Coding> {
        if self.codings().is_empty() {
            return None;
        }
        let tag = self.etag().map(HeaderValue::as_bytes);
        self.codings().select(wants.fields(), tag)
    }

    /// The coding that a client gets whose body is not at hand, and is wanted.
    fn lacking(&self, wants: Wants<'_>) -> Option<Coding> {
        let coding = self.selected(wants)?;
        if self.in_coding(coding).is_some() {
            return None;
        }
        let form = self.head_in(coding).map(|head| wants.form(&head));
        (!matches!(form, Some(Form::Head | Form::NotModified))).then_some(coding)
    }
}
