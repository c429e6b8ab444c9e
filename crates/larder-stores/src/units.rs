//! Sizes and spans of time as text.

use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};
use parse_size::{ByteSuffix, Config, Error as Wrong};

/// The number of bytes that a text such as `64MB` means: `name` is the setting that an error names.
/// Every unit is 1,024 times the one before; what is more than can be counted is the most that can be.
///
/// ```
/// use larder_stores::parse_size;
///
/// assert_eq!(parse_size("size", "64MB")?, 64 << 20);
/// assert_eq!(parse_size("size", "1.5 GiB")?, 3 << 29);
/// assert_eq!(parse_size("size", "500")?, 500);
/// assert!(parse_size("size", "64 apples").is_err());
/// # Ok::<(), larder_core::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Config`], naming the setting, the text and the cure.
pub fn parse_size(name: &str, text: &str) -> Result<u64> {
    const UNITS: Config = Config::new()
        .with_binary()
        .with_byte_suffix(ByteSuffix::Allow);
    match UNITS.parse_size(text) {
        Ok(bytes) => Ok(bytes),
        Err(Wrong::PosOverflow) => Ok(u64::MAX),
        Err(_) => Err(Error::new(
            ErrorKind::Config,
            format!("{name}={text:?} is no size (use a number of bytes, or one with kB, MB or GB)"),
        )),
    }
}

/// The span of time that a text such as `90ms` means: `name` is the setting that an error names.
///
/// ```
/// use std::time::Duration;
/// use larder_stores::parse_duration;
///
/// assert_eq!(parse_duration("deadline", "90ms")?, Duration::from_millis(90));
/// assert_eq!(parse_duration("deadline", "1m 30s")?, Duration::from_secs(90));
/// assert!(parse_duration("deadline", "90").is_err());
/// # Ok::<(), larder_core::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Config`], naming the setting, the text and the cure.
pub fn parse_duration(name: &str, text: &str) -> Result<Duration> {
    humantime::parse_duration(text).map_err(|error| {
        let detail = format!(
            "{name}={text:?} is no span of time (use a number with ms, s, m, h or d, 90ms for example)"
        );
        Error::new(ErrorKind::Config, detail).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{parse_duration, parse_size};

    #[test]
    fn each_unit_is_a_thousand_and_twenty_four_of_the_one_before() {
        for (text, bytes) in [
            ("1", 1),
            ("1B", 1),
            ("1kB", 1 << 10),
            ("1KB", 1 << 10),
            ("1KiB", 1 << 10),
            ("256mb", 256 << 20),
            ("1 GB", 1 << 30),
            ("1TB", 1 << 40),
            ("0", 0),
            ("99999999999GB", u64::MAX),
        ] {
            assert_eq!(parse_size("size", text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_named_with_the_cure() {
        for text in ["", "MB", "-1", "64XB", "64 MB?", "1h", "0x10"] {
            let error = parse_size("CACHE_SIZE", text).unwrap_err().to_string();
            let expected = format!("CACHE_SIZE={text:?} is no size (use a number of bytes, or");
            assert!(error.contains(&expected), "{error}");
        }
    }

    #[test]
    fn spans_of_time_have_a_unit() {
        for (text, seconds) in [("2s", 2), ("1m", 60), ("1h", 3600), ("1d", 86_400)] {
            let span = parse_duration("deadline", text).unwrap();
            assert_eq!(span, Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "90", "ms", "-1s", "2 apples", "99999999999999999999d"] {
            let error = parse_duration("deadline", text).unwrap_err().to_string();
            assert!(
                error.contains("is no span of time (use a number with ms"),
                "{error}"
            );
        }
    }
}
