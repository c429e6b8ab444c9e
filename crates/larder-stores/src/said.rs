//! How errors about a URL are worded.

use larder_core::{Error, ErrorKind};

/// A text is close to another from this likeness on, of 1.
const CLOSE: f64 = 0.8;

/// The error for a store's URL: which one, what is wrong with it, and the cure.
pub(crate) fn wrong(text: &str, detail: impl AsRef<str>, cure: impl AsRef<str>) -> Error {
    let (shown, detail, cure) = (shown(text), detail.as_ref(), cure.as_ref());
    Error::new(
        ErrorKind::Config,
        format!("store url {shown:?} {detail} ({cure})"),
    )
}

/// The one of `known` that was probably meant by `name`.
pub(crate) fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let likeness = |other: &str| strsim::jaro_winkler(&name, other);
    let close = known.iter().map(|other| (likeness(other), *other));
    close
        .filter(|(likeness, _)| *likeness >= CLOSE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// The URL as it may be shown: without credentials, and without options, which may hold some.
pub(crate) fn shown(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // Where the credentials end is not certain once one of these signs stands in them as it is.
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, options) = rest.split_at(end);
    if options.contains('@') {
        return format!("{scheme}…");
    }
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    format!("{scheme}{place}")
}

#[cfg(test)]
mod tests {
    use super::{meant, shown};

    #[test]
    fn credentials_and_options_are_not_shown() {
        assert_eq!(
            shown("redis://me:hunter2@host:1/2?db=3"),
            "redis://host:1/2"
        );
        assert_eq!(shown("shared:///var/cache?size=1XB"), "shared:///var/cache");
        assert_eq!(shown("me:hunter2@host"), "host");
        assert_eq!(shown("redis://:hun?ter2@host"), "redis://…");
        assert_eq!(shown("redis://host?password=hun@ter2"), "redis://…");
        assert_eq!(shown("redis://:hun#ter2@host"), "redis://…");
        assert_eq!(shown("redis://:hun@ter2@host"), "redis://host");
    }

    #[test]
    fn what_was_meant_is_close() {
        assert_eq!(meant("memmory", &["memory", "memcached"]), Some("memory"));
        assert_eq!(meant("SHARD", &["memory", "shared"]), Some("shared"));
        assert_eq!(meant("http", &["memory", "shared"]), None);
    }
}
