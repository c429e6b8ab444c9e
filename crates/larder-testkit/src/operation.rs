//! The operations of a store, by name.

/// An operation of a [`Store`](larder_core::Store).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `get` and `get_many`.
    Get,
    /// `variants`.
    Variants,
    /// `put`.
    Put,
    /// `remove`.
    Remove,
    /// `bump`.
    Bump,
    /// `count`.
    Count,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Get,
        Self::Variants,
        Self::Put,
        Self::Remove,
        Self::Bump,
        Self::Count,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
