//! How long an answer says that it is.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, StatusCode};

/// How long an answer says that it is, by its `Content-Length`.
///
/// One that turns out to be longer or shorter is incomplete (RFC 9112 section 8), and is not stored
/// (RFC 9111 section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nothing is said, or it does not matter.
    Any,
    /// So many bytes.
    Bytes(u64),
    /// Something that is no length, or several that differ.
    Nonsense,
}

impl Length {
    pub(crate) fn said(status: StatusCode, headers: &HeaderMap) -> Self {
        // RFC 9110 section 8.6: what it says there is said by mistake.
        if status == StatusCode::NO_CONTENT {
            return Self::Any;
        }
        let mut length = Self::Any;
        for value in headers.get_all(CONTENT_LENGTH) {
            let digits = value.as_bytes();
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(digits).ok().filter(|_| is_number);
            let next = text
                .and_then(|text| text.parse().ok())
                .map_or(Self::Nonsense, Self::Bytes);
            if length != Self::Any && length != next {
                return Self::Nonsense;
            }
            length = next;
        }
        length
    }

    /// Whether a body of this size is what was said.
    pub(crate) const fn is(self, size: usize) -> bool {
        match self {
            Self::Any => true,
            Self::Bytes(said) => said == size as u64,
            Self::Nonsense => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_LENGTH;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::Length;

    fn said(values: &[&'static str]) -> Length {
        let line = |value: &&'static str| (CONTENT_LENGTH, HeaderValue::from_static(value));
        let mut headers = HeaderMap::new();
        headers.extend(values.iter().map(line));
        Length::said(StatusCode::OK, &headers)
    }

    #[test]
    fn only_one_number_is_a_length() {
        assert_eq!(said(&[]), Length::Any);
        assert_eq!(said(&["12"]), Length::Bytes(12));
        assert_eq!(said(&["12", "12"]), Length::Bytes(12));
        for wrong in [
            &["12", "13"][..],
            &[""],
            &["+12"],
            &["-1"],
            &["12, 12"],
            &["0x1"],
            &["99999999999999999999"],
            &["12", ""],
        ] {
            assert_eq!(said(wrong), Length::Nonsense, "{wrong:?}");
        }
    }
}
