//! What a client wants of an answer: all of it, its head, a part of it, or only news.

use std::sync::LazyLock;

use http::header::{
    ACCEPT_ENCODING, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::request::Parts;
use http::{Method, StatusCode};
use larder_http::Fields;
use larder_http::conditional::{self, Condition};
use larder_http::range::{self, Part, Slice};

use crate::page::Page;

/// What a client wants of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Wants<'a> {
    is_head: bool,
    fields: &'a HeaderMap,
}

/// As [`Wants`], for longer than the request is there.
#[derive(Default)]
pub(crate) struct Wish {
    is_head: bool,
    fields: HeaderMap,
}

/// What it gets of a page.
pub(crate) enum Form {
    Whole,
    /// Its headers.
    Head,
    /// 304, because the client has it.
    NotModified,
    /// 206.
    Slice(Slice),
    /// 416, because it is not so long.
    Unsatisfied,
}

static FIELDS: [HeaderName; 4] = [IF_NONE_MATCH, IF_MODIFIED_SINCE, RANGE, IF_RANGE];
/// What says in which coding it wants it.
static CODINGS: HeaderName = ACCEPT_ENCODING;

impl<'a> Wants<'a> {
    /// Conditions and parts mean something for GET and HEAD; other methods want all of the answer.
    pub(crate) fn of(request: &'a Parts) -> Self {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        let is_head = request.method == Method::HEAD;
        let fields = if is_head || request.method == Method::GET {
            &request.headers
        } else {
            &NONE
        };
        Self { is_head, fields }
    }

    /// What it says of all that.
    pub(crate) const fn fields(&self) -> &HeaderMap {
        self.fields
    }

    pub(crate) const fn is_head(&self) -> bool {
        self.is_head
    }

    /// Whether it is a part of the answer, which an answer that is not stored yet does not have.
    pub(crate) fn is_part(&self) -> bool {
        !self.is_head && self.fields.contains_key(RANGE)
    }

    /// Whether the head of the page may be enough.
    pub(crate) fn is_for_head(&self) -> bool {
        self.is_head || self.is_conditional()
    }

    /// Whether it is an answer only if that is another one than the client has.
    pub(crate) fn is_conditional(&self) -> bool {
        conditional::is_conditional(self.fields)
    }

    /// Keeps what matters of the request.
    pub(crate) fn keep(&self) -> Wish {
        let mut fields = HeaderMap::new();
        for name in FIELDS.iter().chain([&CODINGS]) {
            let values = self.fields.get_all(name).iter();
            fields.extend(values.map(|value| (name.clone(), value.clone())));
        }
        Wish {
            is_head: self.is_head,
            fields,
        }
    }

    /// Whether the client has the answer with this status and these headers.
    pub(crate) fn has(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let judged = conditional::condition(self.method(), self.fields, status.as_u16(), headers);
        judged == Condition::NotModified
    }

    /// What the client gets of a page.
    pub(crate) fn form(&self, page: &Page) -> Form {
        if !self.is_head && !self.fields.has_any(&FIELDS) {
            return Form::Whole;
        }
        if self.is_conditional() && self.has_page(page) {
            return Form::NotModified;
        }
        if self.is_head {
            return Form::Head;
        }
        if !self.fields.contains_key(RANGE) {
            return Form::Whole;
        }
        let (status, length) = (page.status().as_u16(), page.body().len() as u64);
        match range::part(self.method(), self.fields, status, page.headers(), length) {
            Part::Whole => Form::Whole,
            Part::Slice(slice) => Form::Slice(slice),
            Part::None => Form::Unsatisfied,
        }
    }

    fn has_page(&self, page: &Page) -> bool {
        // What browsers send: the tag as they got it, and nothing else to read.
        let mut tags = self.fields.get_all(IF_NONE_MATCH).iter();
        let one = tags.next().filter(|_| tags.next().is_none());
        let same = one.is_some_and(|tag| page.etag() == Some(tag));
        (same && page.status().is_success()) || self.has(page.status(), page.headers())
    }

    const fn method(&self) -> &'static str {
        if self.is_head { "HEAD" } else { "GET" }
    }
}

impl Wish {
    pub(crate) const fn wants(&self) -> Wants<'_> {
        Wants {
            is_head: self.is_head,
            fields: &self.fields,
        }
    }
}

/// Takes out of a request what would make its answer less than whole: the condition is judged on the
/// answer, which is for others too.
pub(crate) fn make_whole(request: &mut Parts) {
    if request.method == Method::GET {
        request.headers.remove(IF_NONE_MATCH);
        request.headers.remove(IF_MODIFIED_SINCE);
    }
}
