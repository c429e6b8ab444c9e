//! How old an answer is.

use std::time::Duration;

use http::header::AGE;

use crate::fields::Fields;

/// The greatest age that is ever told (RFC 9111 section 1.2.2).
const GREATEST: u64 = 1 << 31;

/// The age that an answer arrived with, in seconds; 0 where it says none or nonsense.
pub fn on_arrival(fields: &(impl Fields + ?Sized)) -> u64 {
    let mut age = 0;
    fields.each(&AGE, &mut |value| {
        let text = std::str::from_utf8(value).unwrap_or_default();
        age = age.max(text.trim().parse().unwrap_or(0).min(GREATEST));
    });
    age
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
