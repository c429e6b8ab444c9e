//! Tags: names that many entries share, so that one bump makes all of them invalid.

use std::fmt;
use std::sync::Arc;

/// A name on entries. Bumping it makes every entry that carries it invalid, at once and in constant
/// time, however many there are.
///
/// ```
/// use larder_core::Tag;
///
/// assert_eq!(Tag::new("product:7"), Tag::new(String::from("product:7")));
/// // What a face tags by itself can never meet a name that a user chose.
/// assert_ne!(Tag::new("f"), Tag::function("f"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<[u8]>);

impl Tag {
    const USER: u8 = b'u';
    const FUNCTION: u8 = b'f';

    /// A tag of the user's own.
    pub fn new(name: impl AsRef<[u8]>) -> Self {
        Self::spaced(Self::USER, name.as_ref())
    }

    /// The tag that every memoized answer of a function carries.
    pub fn function(name: impl AsRef<[u8]>) -> Self {
        Self::spaced(Self::FUNCTION, name.as_ref())
    }

    /// The tag whose encoding is `bytes`, as [`as_bytes`](Self::as_bytes) gave it.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    fn spaced(space: u8, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(name.len() + 1);
        bytes.push(space);
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }

    /// The space in one byte, then the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the tag of a memoized function.
    ///
    /// ```
    /// use larder_core::Tag;
    ///
    /// assert!(Tag::function("f").is_function() && !Tag::new("f").is_function());
    /// ```
    pub fn is_function(&self) -> bool {
        self.0.first() == Some(&Self::FUNCTION)
    }

    /// The name, without its space.
    pub fn name(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.0.escape_ascii())
    }
}

/// The tags of a policy or an entry: shared, so that storing a value copies none of them, and one
/// word, because each entry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<Box<[Tag]>>>);

impl Tags {
    /// The tags and one more; a tag that is there already is not added again.
    #[must_use]
    pub fn with(&self, tag: Tag) -> Self {
        if self.contains(&tag) {
            return self.clone();
        }
        self.iter().cloned().chain([tag]).collect()
    }
}

impl std::ops::Deref for Tags {
    type Target = [Tag];

    fn deref(&self) -> &[Tag] {
        self.0.as_ref().map_or(&[], |tags| tags)
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Self {
        let tags: Vec<Tag> = tags.into_iter().collect();
        Self((!tags.is_empty()).then(|| Arc::new(tags.into_boxed_slice())))
    }
}
