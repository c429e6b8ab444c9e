//! Plain data: the values that both faces, and every store, understand alike.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::calendar::{Date, DateTime, Time, TimeDelta};
use crate::value::Value;

/// A value without behaviour: what JSON has, what Python's built-in types add to it, and a finished
/// HTTP response. Cloning it copies no content.
///
/// ```
/// use larder_core::codec::Plain;
///
/// let row = Plain::map([(Plain::text("name"), Plain::text("Lamp")), (Plain::text("id"), Plain::Int(7))]);
/// assert_ne!(Plain::Int(1), Plain::Bool(true));
/// assert_ne!(row, Plain::None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Plain {
    /// The absence of a value, which is a value to keep.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer that fits in 64 bits.
    Int(i64),
    /// An integer that does not. One that would fit is decoded as [`Plain::Int`].
    BigInt {
        /// Whether it is below zero.
        negative: bool,
        /// Its magnitude, big-endian.
        magnitude: Arc<[u8]>,
    },
    /// A floating-point number; its bits are kept, those of a NaN too.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A text with surrogates that stand alone; see [`Writer::wide_text`](super::Writer::wide_text).
    WideText(Arc<[u8]>),
    /// A string of bytes that cannot be changed.
    Bytes(Arc<[u8]>),
    /// A string of bytes that can be changed, where a language has one.
    ByteArray(Arc<[u8]>),
    /// A list.
    List(Arc<[Plain]>),
    /// A tuple.
    Tuple(Arc<[Plain]>),
    /// A map, in the order of its insertions.
    Map(Arc<[(Plain, Plain)]>),
    /// A set; its order means nothing.
    Set(Arc<[Plain]>),
    /// A set that cannot be changed.
    FrozenSet(Arc<[Plain]>),
    /// A day.
    Date(Date),
    /// A time of day.
    Time(Arc<Time<Arc<str>>>),
    /// A time of a day.
    DateTime(Arc<DateTime<Arc<str>>>),
    /// A span of time.
    TimeDelta(TimeDelta),
    /// A decimal number, as the text that says it exactly.
    Decimal(Arc<str>),
    /// A UUID.
    Uuid([u8; 16]),
    /// A text that is safe HTML already.
    Markup(Arc<str>),
    /// A finished HTTP response.
    Page(Arc<Page>),
    /// Bytes that only another codec understands, such as a pickle.
    Opaque(Arc<Opaque>),
}

/// A finished HTTP response.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    /// The status, 100 to 999.
    pub status: u16,
    /// The headers as bytes, in their order; a name may occur more than once.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (headers, body) = (self.headers.len(), self.body.len());
        write!(f, "Page({}, {headers} headers, {body} bytes)", self.status)
    }
}

/// Bytes of a foreign codec. Decoding plain data never runs them: it hands them on, and the face that
/// knows the codec decodes them only where the whole entry was sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The name of the codec: `pickle`.
    pub codec: Arc<str>,
    /// What it wrote.
    pub bytes: Bytes,
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({}, {} bytes)", self.codec, self.bytes.len())
    }
}

impl Plain {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A string of bytes that cannot be changed.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// A list.
    pub fn list(members: impl IntoIterator<Item = Self>) -> Self {
        Self::List(members.into_iter().collect())
    }

    /// A map, in this order.
    pub fn map(members: impl IntoIterator<Item = (Self, Self)>) -> Self {
        Self::Map(members.into_iter().collect())
    }

    /// The bytes behind the pointers of this value. What two values share is counted for each.
    fn behind(&self) -> usize {
        let members = |all: &Arc<[Self]>| shared(all.iter().map(Self::weight).sum());
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::Date(_) | Self::TimeDelta(_) | Self::Uuid(_) => 0,
            Self::BigInt {
                magnitude: bytes, ..
            }
            | Self::WideText(bytes)
            | Self::Bytes(bytes)
            | Self::ByteArray(bytes) => shared(bytes.len()),
            Self::Text(text) | Self::Decimal(text) | Self::Markup(text) => shared(text.len()),
            Self::List(all) | Self::Tuple(all) | Self::Set(all) | Self::FrozenSet(all) => {
                members(all)
            }
            Self::Map(all) => shared(
                all.iter()
                    .map(|(key, value)| key.weight() + value.weight())
                    .sum(),
            ),
            Self::Time(time) => shared(size_of_val(&**time) + zone_weight(time)),
            Self::DateTime(both) => shared(size_of_val(&**both) + zone_weight(&both.time)),
            // That of the page, not that of the `Arc` around it.
            Self::Page(page) => shared(Page::weight(page)),
            Self::Opaque(opaque) => shared(
                size_of::<Opaque>() + shared(opaque.codec.len()) + shared(opaque.bytes.len()),
            ),
        }
    }
}

/// What shared memory takes: two counters, then the content.
const fn shared(content: usize) -> usize {
    2 * size_of::<usize>() + content
}

fn zone_weight(time: &Time<Arc<str>>) -> usize {
    match &time.zone {
        super::Zone::Named(name) => shared(name.len()),
        _ => 0,
    }
}

impl Value for Page {
    const HEADS: bool = true;

    /// The page with its headers as they are, and no body.
    fn head(&self) -> Option<Self> {
        Some(Self {
            status: self.status,
            headers: self.headers.clone(),
            body: Bytes::new(),
        })
    }

    fn weight(&self) -> usize {
        let pair = size_of::<(Vec<u8>, Vec<u8>)>();
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.capacity() + value.capacity())
            .sum();
        size_of::<Self>() + self.headers.capacity() * pair + headers + shared(self.body.len())
    }
}

impl Value for Plain {
    const HEADS: bool = true;

    fn head(&self) -> Option<Self> {
        match self {
            Self::Page(page) => Page::head(page).map(|head| Self::Page(Arc::new(head))),
            _ => None,
        }
    }

    fn weight(&self) -> usize {
        size_of::<Self>() + self.behind()
    }

    fn as_count(&self) -> Option<i64> {
        match self {
            Self::Int(count) => Some(*count),
            _ => None,
        }
    }

    fn from_count(count: i64) -> Option<Self> {
        Some(Self::Int(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_three_words() {
        assert!(size_of::<Plain>() <= 24, "{}", size_of::<Plain>());
    }

    #[test]
    fn a_weight_counts_what_is_behind_the_pointers() {
        let text = Plain::text("x".repeat(1000));
        assert_eq!(text.weight(), 24 + 16 + 1000);
        let list = Plain::list([text.clone(), text]);
        assert_eq!(list.weight(), 24 + 16 + 2 * (24 + 16 + 1000));
        assert_eq!(
            Plain::map([(Plain::None, Plain::Int(1))]).weight(),
            24 + 16 + 2 * 24
        );
    }

    #[test]
    fn the_weight_of_a_page_is_that_of_its_body() {
        let page = Page {
            status: 200,
            headers: vec![(b"etag".to_vec(), vec![b'x'; 100])],
            body: vec![b'x'; 5000].into(),
        };
        let head = page.head().expect("a page has one");
        assert_eq!((head.status, head.headers.len()), (200, 1));
        assert!(head.body.is_empty());
        let [page, head] = [page, head].map(|page| Plain::Page(Arc::new(page)));
        assert!((5100..5400).contains(&page.weight()), "{}", page.weight());
        assert_eq!(page.weight() - head.weight(), 5000);
        assert_eq!(page.head(), Some(head));
    }

    #[test]
    fn only_an_integer_is_a_counter() {
        assert_eq!(Plain::Int(3).as_count(), Some(3));
        assert_eq!(Plain::Bool(true).as_count(), None);
        assert_eq!(Plain::from_count(-3), Some(Plain::Int(-3)));
    }
}
