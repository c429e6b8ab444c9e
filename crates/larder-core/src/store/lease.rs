//! Who may load a key, among all processes that share a store.

use std::fmt;
use std::pin::Pin;

/// What a store answers to a caller who leads a load in its own process and asks whether it leads it
/// among all of them ([`Store::lease`](super::Store::lease)).
pub enum Lease {
    /// Nobody else loads the key: load it, store the value, then drop the right.
    Lead(Held),
    /// Somebody else loads it: wait for this, then read the store again and ask anew. It is ready as
    /// soon as the other may have finished, be it by having stored, by having failed or by having
    /// died. Dropping it ends the wait.
    Follow(Over),
    /// The answers of this key are for one user each, as a lead in some process found out a moment
    /// ago: load it without waiting for anybody.
    Alone,
}

/// Ready when somebody else's load is over.
pub type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The right to load a key among all processes. Dropping it gives the right up and wakes those who
/// wait; so does the death of the process, within the time that the store names.
///
/// Dropping does no I/O on the dropping thread that could make it wait for a server.
pub struct Held {
    hold: Box<dyn Hold>,
    /// Whether another process may have stored the key between the read that found nothing and the
    /// moment at which this right was given.
    pub look: bool,
}

/// What a store keeps for as long as a right is held; its `Drop` gives the right up.
pub trait Hold: fmt::Debug + Send + Sync {
    /// Gives the right up and says that the answers of this key are for one user each: for a minute
    /// [`Lease::Alone`] is the answer to whoever asks.
    fn decline(self: Box<Self>) {}
}

impl Held {
    /// A right that lasts as long as `hold`. After it was given, the caller reads once more, unless
    /// [`look`](Self::look) is set to false.
    pub fn new(hold: impl Hold + 'static) -> Self {
        Self {
            hold: Box::new(hold),
            look: true,
        }
    }

    /// Gives the right up because the answer is for one user only.
    pub fn decline(self) {
        self.hold.decline();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hold.fmt(f)
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lead(held) => f.debug_tuple("Lead").field(held).finish(),
            Self::Follow(_) => f.write_str("Follow"),
            Self::Alone => f.write_str("Alone"),
        }
    }
}
