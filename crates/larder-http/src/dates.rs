//! Points in time, as HTTP writes them (RFC 9110 section 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::HeaderName;
use larder_core::Timestamp;

use crate::fields::Fields;

/// The last second that has four digits of a year, which is all that a date of HTTP can say.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Reads a date in any of the three forms; `None` for what is none, and for a time before 1970.
///
/// ```
/// use larder_core::Timestamp;
/// use larder_http::dates;
///
/// let date = dates::read(b"Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
/// assert_eq!(date, Timestamp::from_millis(784_111_777_000));
/// assert_eq!(dates::read(b"Sunday, 06-Nov-94 08:49:37 GMT"), Some(date));
/// assert_eq!(dates::read(b"Sun Nov  6 08:49:37 1994"), Some(date));
/// assert_eq!(dates::read(b"0"), None);
/// assert_eq!(dates::write(date), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn read(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH.plus(since))
}

/// Writes a point in time, to the second.
pub fn write(at: Timestamp) -> String {
    let since = at.since(Timestamp::EPOCH).min(LAST);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}

/// The earliest date of a field; `None` where the field is absent, and `Some(None)` where any of its
/// values is no date.
pub fn of(fields: &(impl Fields + ?Sized), name: &HeaderName) -> Option<Option<Timestamp>> {
    let mut found = None;
    fields.each(name, &mut |value| {
        let date = read(value);
        found = Some(found.map_or(date, |known: Option<Timestamp>| known.min(date)));
    });
    found
}
