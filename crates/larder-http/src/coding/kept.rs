//! What is noted of a page that is stored in codings.

use http::header::HeaderName;

use super::{Coding, choose, select};
use crate::fields::{Fields, members};

/// The field of a stored page that says which codings it is stored in, and how long it is in each:
/// `br=1042, gzip=1203`, the most preferred first. It is for this cache alone, and is never sent.
pub const FIELD: HeaderName = HeaderName::from_static("larder-codings");

/// The codings that a page is stored in, and how long its body is in each; in the order in which they are
/// preferred.
///
/// ```
/// use larder_http::{Coding, coding::Codings};
///
/// let codings = Codings::read([("larder-codings", "br=1042, gzip=1203")].as_slice());
/// assert_eq!(codings.all(), [Coding::Brotli, Coding::Gzip]);
/// assert_eq!(codings.length(Coding::Gzip), Some(1203));
/// assert_eq!(codings.value().as_deref(), Some("br=1042, gzip=1203"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codings {
    /// The first `count` of them count.
    all: [Coding; 3],
    lengths: [u64; 3],
    count: usize,
}

impl Default for Codings {
    fn default() -> Self {
        Self {
            all: Coding::ALL,
            lengths: [0; 3],
            count: 0,
        }
    }
}

impl Codings {
    /// Those of a stored page. What cannot be read is passed over.
    pub fn read(stored: &(impl Fields + ?Sized)) -> Self {
        let mut codings = Self::default();
        members(stored, &FIELD, &mut |member| {
            let text = std::str::from_utf8(member).unwrap_or_default();
            let Some((token, length)) = text.split_once('=') else {
                return;
            };
            if let (Some(coding), Ok(length)) = (Coding::of(token.as_bytes()), length.parse()) {
                codings.add(coding, length);
            }
        });
        codings
    }

    /// Adds a coding behind the others, unless it is there.
    pub fn add(&mut self, coding: Coding, length: u64) {
        if self.length(coding).is_none() {
            self.all[self.count] = coding;
            self.lengths[self.count] = length;
            self.count += 1;
        }
    }

    /// The codings alone.
    pub fn all(&self) -> &[Coding] {
        &self.all[..self.count]
    }

    /// How long the body is in this coding.
    pub fn length(&self, coding: Coding) -> Option<u64> {
        let place = self.all().iter().position(|&own| own == coding)?;
        Some(self.lengths[place])
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of the field; `None` where there are none.
    pub fn value(&self) -> Option<String> {
        let all = self.all().iter().zip(&self.lengths);
        let texts: Vec<String> = all
            .map(|(coding, length)| format!("{}={length}", coding.token()))
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// Which of them a request gets: see [`select`].
    pub fn select(&self, request: &(impl Fields + ?Sized), tag: Option<&[u8]>) -> Option<Coding> {
        select(request, self.all(), tag)
    }

    /// Which of them a request gets by what it accepts alone: see [`choose`].
    pub fn choose(&self, request: &(impl Fields + ?Sized)) -> Option<Coding> {
        choose(request, self.all())
    }
}
