//! How old an answer is.

use std::time::Duration;

use http::header::{AGE, DATE};
use larder_core::Timestamp;

use crate::cache_control::number;
use crate::dates;
use crate::fields::{Fields, members};

/// The greatest age that is ever told (RFC 9111 section 1.2.2).
const GREATEST: u64 = 1 << 31;

/// The age that an answer arrived with, in seconds; 0 where it says none or nonsense. Where it says
/// several, the greatest counts.
pub fn on_arrival(fields: &(impl Fields + ?Sized)) -> u64 {
    let mut age = 0;
    members(fields, &AGE, &mut |value| {
        age = age.max(number(value).unwrap_or(0).min(GREATEST));
    });
    age
}

/// How old an answer was when it arrived, by all that is known of it (RFC 9111 section 4.2.3,
/// `corrected_initial_age`): what it says in `Age` and how long it was on its way, or how long ago its
/// `Date` is. `asked` is when it was asked for, `arrived` when it came.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Timestamp;
///
/// let arrived = Timestamp::from_millis(784_111_777_000);
/// let asked = Timestamp::from_millis(784_111_775_000);
/// let old = [("date", "Sun, 06 Nov 1994 08:49:07 GMT"), ("age", "10")];
/// let age = larder_http::age::initial(old.as_slice(), asked, arrived);
/// assert_eq!(age, Duration::from_secs(30));
/// let age = larder_http::age::initial(&old[1..], asked, arrived);
/// assert_eq!(age, Duration::from_secs(12));
/// ```
pub fn initial(fields: &(impl Fields + ?Sized), asked: Timestamp, arrived: Timestamp) -> Duration {
    let date = dates::of(fields, &DATE).flatten();
    let apparent = date.map_or(Duration::ZERO, |date| arrived.since(date));
    let told = Duration::from_secs(on_arrival(fields)).saturating_add(arrived.since(asked));
    apparent.max(told).min(Duration::from_secs(GREATEST))
}

/// The value of `Age` for an answer that arrived with `on_arrival` seconds and has lain for
/// `resident` since.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(larder_http::age::age(5, Duration::from_millis(1999)), 6);
/// ```
pub fn age(on_arrival: u64, resident: Duration) -> u64 {
    on_arrival.saturating_add(resident.as_secs()).min(GREATEST)
}
