//! Requests for a part of an answer that is stored whole.

use http::header;

use crate::dates;
use crate::fields::Fields;
use crate::validators::{EntityTag, Validators, date, only};

/// Which part of a stored answer a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it, with its own status.
    Whole,
    /// 206 with these bytes.
    Slice(Slice),
    /// 416: it ends before the part begins.
    None,
}

/// Bytes of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The last byte; not before the first, and within the body.
    pub last: u64,
    /// How long the whole body is.
    pub whole: u64,
}

impl Slice {
    /// How many bytes it has: `Content-Length` of the 206.
    #[expect(clippy::len_without_is_empty, reason = "a slice is never empty")]
    pub const fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of `Content-Range` in the 206.
    ///
    /// ```
    /// use larder_http::range::Slice;
    ///
    /// let slice = Slice { first: 2, last: 4, whole: 10 };
    /// assert_eq!(slice.content_range(), "bytes 2-4/10");
    /// assert_eq!(slice.len(), 3);
    /// ```
    pub fn content_range(&self) -> String {
        format!("bytes {}-{}/{}", self.first, self.last, self.whole)
    }
}

/// The value of `Content-Range` in a 416 for a body of `whole` bytes.
pub fn unsatisfied(whole: u64) -> String {
    format!("bytes */{whole}")
}

/// Which part of a stored answer a request gets, after its conditions have been judged.
///
/// One range of bytes out of a stored 200 is cut out of it. The answer is whole for everything else
/// that RFC 9110 section 14.2 lets a server ignore: other methods than GET, other units, several
/// ranges (however many there are, reading ends at the first comma), what is malformed, an
/// `If-Range` that does not match strongly, an answer that says `Accept-Ranges: none`.
///
/// ```
/// use larder_http::range::{Part, Slice, part};
///
/// let cut = |range: &str| {
///     let request = [("range", range)];
///     let stored: [(&str, &str); 0] = [];
///     part("GET", request.as_slice(), 200, stored.as_slice(), 10)
/// };
/// assert_eq!(cut("bytes=-3"), Part::Slice(Slice { first: 7, last: 9, whole: 10 }));
/// assert_eq!(cut("bytes=10-"), Part::None);
/// assert_eq!(cut("bytes=0-1,4-5"), Part::Whole);
/// ```
pub fn part(
    method: &str,
    request: &(impl Fields + ?Sized),
    status: u16,
    stored: &(impl Fields + ?Sized),
    whole: u64,
) -> Part {
    if method != "GET" || status != 200 || !request.has(&header::RANGE) {
        return Part::Whole;
    }
    if refuses(stored) || !is_still_wanted(request, stored) {
        return Part::Whole;
    }
    only(request, &header::RANGE).map_or(Part::Whole, |range| read(&range, whole))
}

fn refuses(stored: &(impl Fields + ?Sized)) -> bool {
    let mut none = false;
    stored.each(&header::ACCEPT_RANGES, &mut |value| {
        none |= value.trim_ascii().eq_ignore_ascii_case(b"none");
    });
    none
}

/// Whether the answer is the one that the client has a part of (RFC 9110 section 13.1.5). A date
/// counts only where it must name one state: the answer was made at least a second after it changed
/// (section 8.8.2.2).
fn is_still_wanted(request: &(impl Fields + ?Sized), stored: &(impl Fields + ?Sized)) -> bool {
    if !request.has(&header::IF_RANGE) {
        return true;
    }
    let Some(wanted) = only(request, &header::IF_RANGE) else {
        return false;
    };
    let known = Validators::of(stored);
    if let Some(tag) = EntityTag::parse(&wanted) {
        return known.etag().is_some_and(|known| known.same_bytes(&tag));
    }
    let made = date(stored, &header::DATE);
    match (dates::read(&wanted), known.last_modified, made) {
        (Some(wanted), Some(changed), Some(made)) => wanted == changed && changed < made,
        _ => false,
    }
}

fn read(range: &[u8], whole: u64) -> Part {
    let mut halves = range.splitn(2, |&byte| byte == b'=');
    let unit = halves.next().unwrap_or_default();
    let spec = halves.next().unwrap_or_default().trim_ascii();
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return Part::Whole;
    }
    let Some(dash) = spec.iter().position(|&byte| byte == b'-') else {
        return Part::Whole;
    };
    let (from, to) = (&spec[..dash], &spec[dash + 1..]);
    match (from, to) {
        ([], _) => number(to).map_or(Part::Whole, |length| suffix(length, whole)),
        (_, []) => number(from).map_or(Part::Whole, |first| slice(first, u64::MAX, whole)),
        _ => match (number(from), number(to)) {
            (Some(first), Some(last)) if first <= last => slice(first, last, whole),
            _ => Part::Whole,
        },
    }
}

const fn slice(first: u64, last: u64, whole: u64) -> Part {
    if first >= whole {
        return Part::None;
    }
    let last = if last < whole { last } else { whole - 1 };
    Part::Slice(Slice { first, last, whole })
}

/// The last bytes. All of an empty body cannot be said as a range, so it is sent whole.
const fn suffix(length: u64, whole: u64) -> Part {
    match (length, whole) {
        (0, _) => Part::None,
        (_, 0) => Part::Whole,
        _ => slice(whole.saturating_sub(length), u64::MAX, whole),
    }
}

/// A number of digits alone; one that does not fit is beyond every body.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0_u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}
