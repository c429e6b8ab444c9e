//! Which coding a request gets (RFC 9110 section 12.5.3).

use http::header::{self};

use super::{Coding, tag_in};
use crate::conditional::names;
use crate::fields::{Fields, members};

/// The most members of the field that are looked at; what stands behind them is as good as absent.
const MOST: usize = 64;
/// The weight of what is refused by nobody and named by nobody: less than anything that is named.
const UNNAMED: u16 = 1;
/// The weight of a member without one.
const WHOLE: u16 = 1000;

/// What a request says of codings, in thousandths: 0 is refused.
///
/// ```
/// use larder_http::{Coding, coding::Accept};
///
/// let accept = Accept::read([("accept-encoding", "gzip;q=0.5, br, *;q=0")].as_slice());
/// assert!(accept.takes(Coding::Brotli) && accept.takes(Coding::Gzip));
/// assert!(!accept.takes(Coding::Zstd) && !accept.takes_plain());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    codings: [u16; 3],
    plain: u16,
}

impl Accept {
    /// Reads the field of a request. One that has none, or an empty one, gets plain pages: the RFC would let
    /// it have any coding, but who says nothing is mostly a program that cannot decode one. A member that
    /// is malformed is passed over; of what is named twice the smaller weight counts.
    pub fn read(request: &(impl Fields + ?Sized)) -> Self {
        let (mut codings, mut plain, mut rest) = ([None; 3], None, None);
        let mut left = MOST;
        members(request, &header::ACCEPT_ENCODING, &mut |member| {
            if left == 0 {
                return;
            }
            left -= 1;
            let Some((name, weight)) = read(member) else {
                return;
            };
            let place = if name == b"*" {
                &mut rest
            } else if let Some(coding) = Coding::of(name) {
                &mut codings[coding.number()]
            } else if name.eq_ignore_ascii_case(b"identity") {
                &mut plain
            } else {
                return;
            };
            *place = Some(place.map_or(weight, |known: u16| known.min(weight)));
        });
        Self {
            codings: codings.map(|weight| weight.or(rest).unwrap_or(0)),
            plain: plain.or(rest).unwrap_or(UNNAMED),
        }
    }

    /// Whether it takes a page in this coding.
    pub const fn takes(&self, coding: Coding) -> bool {
        self.codings[coding.number()] > 0
    }

    /// Whether it takes a page without a coding.
    pub const fn takes_plain(&self) -> bool {
        self.plain > 0
    }

    /// What it takes of these, `None` being the plain page, the most wanted first. Of equal weights the
    /// order of `offered` counts, and a coding before none.
    fn ranked(&self, offered: &[Coding]) -> impl Iterator<Item = Option<Coding>> {
        let weight = |coding: Coding| self.codings[coding.number()];
        let mut all = [(0, None); 4];
        let mut count = 0;
        for &coding in offered.iter().take(Coding::ALL.len()) {
            all[count] = (weight(coding), Some(coding));
            count += 1;
        }
        all[count] = (self.plain, None);
        // Stable, so that equal ones stay in their order.
        all[..=count].sort_by_key(|&(weight, _)| std::cmp::Reverse(weight));
        all.into_iter()
            .take(count + 1)
            .filter(|&(weight, _)| weight > 0)
            .map(|(_, coding)| coding)
    }
}

/// The coding that a request gets of these, by what it accepts alone; `None` is the plain page, also where
/// nothing that it takes is offered: an answer that it may not like is better than 406.
///
/// ```
/// use larder_http::{Coding, coding::choose};
///
/// let chosen = |accepts| choose([("accept-encoding", accepts)].as_slice(), &Coding::ALL);
/// assert_eq!(chosen("gzip, deflate, br, zstd"), Some(Coding::Brotli));
/// assert_eq!(chosen("gzip, br;q=0.8"), Some(Coding::Gzip));
/// assert_eq!(chosen("identity, gzip;q=0.5"), None);
/// assert_eq!(chosen("compress, identity;q=0"), None);
/// ```
pub fn choose(request: &(impl Fields + ?Sized), offered: &[Coding]) -> Option<Coding> {
    if offered.is_empty() {
        return None;
    }
    Accept::read(request).ranked(offered).next().flatten()
}

/// The coding that a request for a stored page gets, of those that the page has; `None` is the plain page,
/// whose entity tag is `tag`.
///
/// A client that has the page in a coding that it takes is asked to keep that one: it is told so with the
/// tag that it named. A part is always one of the plain page, whose bytes are the same in every process;
/// a request that refuses plain pages gets no part.
///
/// ```
/// use larder_http::{Coding, coding::select};
///
/// let request = [("accept-encoding", "br, gzip"), ("if-none-match", "\"1-gzip\"")];
/// assert_eq!(select(request.as_slice(), &Coding::ALL, Some(b"\"1\"")), Some(Coding::Gzip));
/// let request = [("accept-encoding", "br"), ("range", "bytes=0-9")];
/// assert_eq!(select(request.as_slice(), &Coding::ALL, None), None);
/// ```
pub fn select(
    request: &(impl Fields + ?Sized),
    offered: &[Coding],
    tag: Option<&[u8]>,
) -> Option<Coding> {
    if offered.is_empty() {
        return None;
    }
    let accept = Accept::read(request);
    if let Some(tag) = tag.filter(|_| request.has(&header::IF_NONE_MATCH)) {
        let tag_of = |coding: Option<Coding>| match coding {
            Some(coding) => tag_in(tag, coding),
            None => Some(tag.to_vec()),
        };
        let had = |coding: &Option<Coding>| tag_of(*coding).is_some_and(|tag| names(request, &tag));
        if let Some(coding) = accept.ranked(offered).find(had) {
            return coding;
        }
    }
    if accept.takes_plain() && request.has(&header::RANGE) {
        return None;
    }
    accept.ranked(offered).next().flatten()
}

/// A member of the field: its name, and its weight in thousandths.
fn read(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.splitn(2, |&byte| byte == b';');
    let name = parts.next()?.trim_ascii();
    let is_token = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return None;
    }
    let Some(parameter) = parts.next() else {
        return Some((name, WHOLE));
    };
    let parameter = parameter.trim_ascii();
    let value = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="))?;
    Some((name, weight(value)?))
}

/// A weight of RFC 9110 section 12.4.2: from 0 to 1, with three digits behind the point at most.
fn weight(text: &[u8]) -> Option<u16> {
    let (first, rest) = text.split_first()?;
    let whole = match first {
        b'0' => 0,
        b'1' => WHOLE,
        _ => return None,
    };
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut thousandths = 0;
    for (digit, worth) in digits.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        thousandths += u16::from(digit - b'0') * worth;
    }
    let weight = whole + thousandths;
    (weight <= WHOLE).then_some(weight)
}
