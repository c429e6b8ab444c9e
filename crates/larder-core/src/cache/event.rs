//! What happened, and why: the names of everything that a cache decides.

use std::borrow::Cow;
use std::fmt;

use crate::error::Error;
use crate::key::Key;

/// Why an answer was not taken from the cache, or not put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The load asked for its own key.
    Recursive,
    /// The store failed.
    Store(Cow<'static, str>),
    /// The caller asked to leave the cache alone.
    Bypass,
    /// The answer says that it is for one user only.
    Private,
    /// The answer says that it must not be stored.
    NoStore,
    /// The answer sets a cookie.
    SetCookie,
    /// The request carries credentials that the key does not.
    Authorization,
    /// The request carries cookies that the key does not.
    Cookie,
    /// The origin looked at the session, which the key does not hold.
    Session,
    /// The request's method is not one whose answers are stored.
    Method,
    /// The answer's status is not one that is stored.
    Status(u16),
    /// The answer depends on something that the key does not hold.
    Vary(Cow<'static, str>),
    /// The answer weighs more than is kept.
    TooLarge,
    /// The origin failed.
    Failed,
    /// The policy says not to keep it.
    DoNotKeep,
    /// The caller's own test turned the answer down.
    Filtered,
    /// The answer is a stream, or something else that can be used once only.
    Stream,
    /// An argument that no key can be made of.
    Unkeyable(Cow<'static, str>),
    /// A value that cannot be kept apart from its other users, or cannot leave the process.
    Uncodable(Cow<'static, str>),
    /// A load that started later was stored already.
    Superseded,
    /// The origin read something that the key does not hold: `header:authorization`.
    UnkeyedInput(Cow<'static, str>),
    /// The request asks for a part of the answer, or the answer is one.
    Range,
    /// The answer sends the user to a login page.
    Login,
    /// The request says so, and is obeyed.
    Request,
}

impl Reason {
    /// The name of the reason, as it stands in `Cache-Status` and in counters.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recursive => "recursive",
            Self::Store(_) => "store-failed",
            Self::Bypass => "bypass",
            Self::Private => "private",
            Self::NoStore => "no-store",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Session => "session",
            Self::Method => "method",
            Self::Status(_) => "status",
            Self::Vary(_) => "vary",
            Self::TooLarge => "too-large",
            Self::Failed => "failed",
            Self::DoNotKeep => "do-not-keep",
            Self::Filtered => "filtered",
            Self::Stream => "stream",
            Self::Unkeyable(_) => "unkeyable",
            Self::Uncodable(_) => "uncodable",
            Self::Superseded => "superseded",
            Self::UnkeyedInput(_) => "unkeyed-input",
            Self::Range => "range",
            Self::Login => "login",
            Self::Request => "request",
        }
    }

    /// Whether the next answers of the same key will most likely be private too, so that callers
    /// should not wait for one another for a while.
    pub(crate) const fn is_private(&self) -> bool {
        !matches!(
            self,
            Self::Status(_)
                | Self::Method
                | Self::Failed
                | Self::Store(_)
                | Self::Superseded
                | Self::Recursive
                | Self::Range
                | Self::Request
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(detail)
            | Self::Vary(detail)
            | Self::Unkeyable(detail)
            | Self::Uncodable(detail)
            | Self::UnkeyedInput(detail) => write!(f, "{}: {detail}", self.name()),
            Self::Status(status) => write!(f, "status: {status}"),
            _ => f.write_str(self.name()),
        }
    }
}

/// Something that happened to a key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A fresh entry was served.
    Hit(&'a Key),
    /// A stale entry was served.
    StaleHit(&'a Key),
    /// Somebody else's load was shared.
    Collapsed(&'a Key),
    /// A load started.
    Miss(&'a Key),
    /// A follower waited as long as it may, and loads by itself.
    GaveUp(&'a Key),
    /// An entry was stored.
    Stored(&'a Key),
    /// A variant was dropped, because its base key has too many: the one that was stored first.
    VariantEvicted(&'a Key),
    /// A load ended after a purge of its key or of one of its tags; what it brought is not valid.
    Fenced(&'a Key),
    /// A value was not stored.
    Refused(&'a Key, &'a Reason),
    /// A load failed. Says whether something stale could be served in its place.
    LoadFailed {
        /// The key that was being loaded.
        key: &'a Key,
        /// Whether a stale value hid the failure.
        hidden: bool,
        /// What the load failed with.
        error: &'a (dyn std::error::Error + Send + Sync),
    },
    /// A load failed that nobody waits for any more, because it took longer than its timeout.
    LateLoadFailed {
        /// The key that was being loaded.
        key: &'a Key,
        /// What the load failed with.
        error: &'a (dyn std::error::Error + Send + Sync),
    },
    /// A caller was served something stale, because the load takes longer than the soft timeout.
    SoftTimeout(&'a Key),
    /// A load takes longer than the hard timeout of a caller.
    HardTimeout(&'a Key),
    /// Keys, tags or everything were purged.
    Purged,
    /// A purge failed with the store; it is carried out before anything is read from there again.
    PurgeOwed {
        /// How many purges are owed by now.
        owed: usize,
        /// What this one failed with.
        error: &'a Error,
    },
    /// So many purges that were owed have been carried out.
    PurgesPaid(usize),
    /// The store failed; the caller was sent to the origin.
    StoreFailed(&'a Error),
}

/// Is told what happens. Called on the caller's path with no lock held: be quick.
///
/// Closures are observers too:
///
/// ```
/// use larder_core::{Event, Observer};
///
/// fn takes(_: impl Observer) {}
/// takes(|event: &Event<'_>| eprintln!("{event:?}"));
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}
