//! What the cache did, in the words of `Cache-Status` (RFC 9211).

use std::borrow::Cow;
use std::fmt;

use larder_core::{Hit, Reason, Served};

/// Why a request went to the origin (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// The cache was told to leave the request alone.
    Bypass,
    /// The method is not one that a cache answers.
    Method,
    /// Nothing was stored for the URI.
    UriMiss,
    /// Something was stored for the URI, and nothing for what the answer varies by.
    VaryMiss,
    /// Nothing was stored that matches.
    Miss,
    /// What was stored would have done; the client asked for a newer answer.
    Request,
    /// What was stored was stale.
    Stale,
    /// Only a part of what was asked for was stored.
    Partial,
}

impl Forward {
    const fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// One member of `Cache-Status`: what this cache did with a request.
///
/// ```
/// use larder_core::Reason;
/// use larder_http::{CacheStatus, Forward};
///
/// let stored = CacheStatus::forward(Forward::Miss).stored();
/// assert_eq!(stored.to_string(), "Larder; fwd=miss; stored");
///
/// let refused = CacheStatus::forward(Forward::Miss).because(&Reason::Vary("x-a".into()));
/// assert_eq!(refused.to_string(), r#"Larder; fwd=miss; detail="vary: x-a""#);
///
/// let told = CacheStatus::hit(Some(40)).key("view//products");
/// assert_eq!(told.to_bytes_as("edge 1"), br#""edge 1"; hit; ttl=40; key="view//products""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    answer: Answer,
    status: Option<u16>,
    stored: bool,
    collapsed: bool,
    ttl: Option<i64>,
    key: Option<Box<str>>,
    detail: Option<Cow<'static, str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Hit,
    Forward(Forward),
}

impl CacheStatus {
    const fn new(answer: Answer) -> Self {
        Self {
            answer,
            status: None,
            stored: false,
            collapsed: false,
            ttl: None,
            key: None,
            detail: None,
        }
    }

    /// The request went to the origin.
    pub const fn forward(why: Forward) -> Self {
        Self::new(Answer::Forward(why))
    }

    /// The request went to the origin, and this is the rule that sent it there.
    pub fn pass(reason: &Reason) -> Self {
        let why = match reason {
            Reason::Method => Forward::Method,
            _ => Forward::Bypass,
        };
        Self::forward(why).because(reason)
    }

    /// An entry was served. One that came from somebody else's load, which this request waited for,
    /// was not a hit but a collapsed miss.
    pub fn of_hit<V>(hit: &Hit<V>) -> Self {
        match hit.served {
            Served::Collapsed => Self::forward(Forward::Miss).collapsed(),
            Served::Fresh => Self::hit(hit.seconds_left()),
            stale => Self::hit(hit.seconds_left()).with(stale.name()),
        }
    }

    /// An entry was served that stays fresh for `ttl` seconds; negative when it is stale.
    pub const fn hit(ttl: Option<i64>) -> Self {
        let mut status = Self::new(Answer::Hit);
        status.ttl = ttl;
        status
    }

    /// The status that the origin answered with, where the client gets another one. Says nothing of a
    /// hit, for which nobody was asked.
    #[must_use]
    pub const fn origin_said(mut self, status: u16) -> Self {
        if matches!(self.answer, Answer::Forward(_)) {
            self.status = Some(status);
        }
        self
    }

    /// How many seconds the answer stays fresh.
    #[must_use]
    pub const fn ttl(mut self, seconds: Option<i64>) -> Self {
        self.ttl = seconds;
        self
    }

    /// The key, for those who may see it: it may name users.
    #[must_use]
    pub fn key(mut self, key: impl Into<Box<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The answer was stored.
    #[must_use]
    pub const fn stored(mut self) -> Self {
        self.stored = true;
        self
    }

    /// The request was answered with what another request to the origin brought.
    #[must_use]
    pub const fn collapsed(mut self) -> Self {
        self.collapsed = true;
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a reason. What a store said when it failed stays inside: it may name machines.
    #[must_use]
    pub fn because(self, reason: &Reason) -> Self {
        match reason {
            Reason::Vary(_) | Reason::Status(_) => self.with(reason.to_string()),
            _ => self.with(reason.name()),
        }
    }

    /// The text of the member, as ASCII.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_as(NAME)
    }

    /// As [`to_bytes`](Self::to_bytes), under the name of this cache among those that an answer passes.
    pub fn to_bytes_as(&self, name: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(64);
        push_item(&mut text, name);
        match self.answer {
            Answer::Hit => text.extend_from_slice(b"; hit"),
            Answer::Forward(why) => {
                text.extend_from_slice(b"; fwd=");
                text.extend_from_slice(why.token().as_bytes());
            }
        }
        if let Some(status) = self.status {
            text.extend_from_slice(b"; fwd-status=");
            text.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        }
        if self.stored {
            text.extend_from_slice(b"; stored");
        }
        if self.collapsed {
            text.extend_from_slice(b"; collapsed");
        }
        if let Some(ttl) = self.ttl {
            text.extend_from_slice(b"; ttl=");
            let ttl = ttl.clamp(-LARGEST, LARGEST);
            text.extend_from_slice(itoa::Buffer::new().format(ttl).as_bytes());
        }
        if let Some(key) = &self.key {
            text.extend_from_slice(b"; key=");
            push_string(&mut text, key);
        }
        if let Some(detail) = &self.detail {
            text.extend_from_slice(b"; detail=");
            push_item(&mut text, detail);
        }
        text
    }
}

/// What the cache is called unless it was given a name.
pub const NAME: &str = "Larder";

/// The largest integer of a structured field (RFC 9651 section 3.3.1).
const LARGEST: i64 = 999_999_999_999_999;

/// A token where the text is one, else a string (RFC 9651 sections 3.3.3 and 3.3.4).
fn push_item(text: &mut Vec<u8>, item: &str) {
    let mut bytes = item.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'*');
    if begins
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte))
    {
        text.extend_from_slice(item.as_bytes());
    } else {
        push_string(text, item);
    }
}

/// A string; what it cannot hold is a question mark.
fn push_string(text: &mut Vec<u8>, item: &str) {
    text.push(b'"');
    for byte in item.bytes() {
        match byte {
            b'"' | b'\\' => text.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => text.push(byte),
            _ => text.push(b'?'),
        }
    }
    text.push(b'"');
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}
