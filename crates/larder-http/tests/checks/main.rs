//! Requests for less than a whole answer, and what an answer says of others: tables, and what holds for
//! every input.

mod coding;
mod conditional;
mod invalidation;
mod no_vary_search;
mod range;
mod revalidated;
mod vary;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header fields of a request or an answer; a name may come several times.
fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        map.append(name, value);
    }
    map
}
