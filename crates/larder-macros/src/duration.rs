//! Lifetimes as text.

use std::time::Duration;

/// Seconds in each unit, in thousandths.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// The duration that a text such as `90s` or `2m` means.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration (write a number and ms, s, m, h, d or w: \"2m\")");
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
    let (_, millis) = unit.ok_or_else(wrong)?;
    number
        .checked_mul(*millis)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is longer than can be counted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_durations() {
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("1 d"), Ok(Duration::from_secs(86_400)));
        for wrong in [
            "",
            "2",
            "m",
            "2x",
            "-2s",
            "1.5h",
            "99999999999999999999s",
            "9999999999999999w",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
