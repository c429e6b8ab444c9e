//! What makes the content of a value valid; the writer and the reader ask the same questions.

/// A big-endian magnitude without leading zeros.
pub(super) fn significant(magnitude: &[u8]) -> &[u8] {
    let start = magnitude
        .iter()
        .position(|&byte| byte != 0)
        .unwrap_or(magnitude.len());
    &magnitude[start..]
}

/// Whether an integer does not fit in 64 bits. `magnitude` has no leading zeros.
pub(super) fn is_big(negative: bool, magnitude: &[u8]) -> bool {
    let smallest = [0x80, 0, 0, 0, 0, 0, 0, 0];
    match magnitude.len() {
        0..8 => false,
        8 => magnitude[0] >= 0x80 && !(negative && magnitude == smallest),
        _ => true,
    }
}

/// Whether `bytes` are UTF-8 in which surrogates take three bytes each, and have one at least.
pub(super) fn is_wide(mut bytes: &[u8]) -> bool {
    let mut surrogates = false;
    while let Err(error) = std::str::from_utf8(bytes) {
        match &bytes[error.valid_up_to()..] {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, rest @ ..] => bytes = rest,
            _ => return false,
        }
        surrogates = true;
    }
    surrogates
}

/// Whether `text` says a decimal number: a sign, digits with one point, an exponent; or an infinity,
/// or a quiet or signalling NaN with its digits.
pub(super) fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "Infinity" {
        return true;
    }
    if let Some(payload) = unsigned
        .strip_prefix("NaN")
        .or_else(|| unsigned.strip_prefix("sNaN"))
    {
        return payload.bytes().all(|byte| byte.is_ascii_digit());
    }
    let (number, exponent) = unsigned.split_once(['E', 'e']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some_digit = !(whole.is_empty() && part.is_empty());
    some_digit && digits(whole) && digits(part) && !exponent.is_empty() && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_big_from_the_65th_bit_on() {
        let of = |value: u64| value.to_be_bytes();
        let (most, above) = (of(i64::MAX.unsigned_abs()), of(i64::MIN.unsigned_abs()));
        assert!(!is_big(false, &most) && is_big(false, &above));
        assert!(!is_big(true, &above) && is_big(true, &of(i64::MIN.unsigned_abs() + 1)));
        assert!(is_big(true, &[1, 0, 0, 0, 0, 0, 0, 0, 0]) && !is_big(true, &[]));
    }

    #[test]
    fn a_wide_text_has_a_surrogate_and_nothing_else_unusual() {
        assert!(is_wide(b"a\xed\xa0\x80b"));
        assert!(
            is_wide(b"\xed\xa0\xbd\xed\xb8\x80"),
            "a pair, as two characters"
        );
        for bytes in [
            &b""[..],
            b"a",
            b"\xed\xa0",
            b"\xff\xed\xa0\x80",
            b"\xed\xa0\x80\xc0\x80",
        ] {
            assert!(!is_wide(bytes), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn decimals_are_told_from_other_text() {
        for text in [
            "0",
            "-1.50",
            "+.5",
            "5.",
            "1E+400",
            "1e-7",
            "NaN",
            "-sNaN12",
            "-Infinity",
        ] {
            assert!(is_decimal(text), "{text}");
        }
        for text in [
            "", "-", ".", "1E", "1E+", "E5", "1.2.3", "1 ", "0x1", "inf", "\u{665}", "--1",
        ] {
            assert!(!is_decimal(text), "{text}");
        }
    }
}
