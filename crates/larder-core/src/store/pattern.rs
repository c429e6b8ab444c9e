//! Patterns over keys: `*`, `?`, and a backslash that takes the meaning away.

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Exactly these bytes.
    Text(Vec<u8>),
    /// Any number of bytes, none included.
    Many,
    /// One character: a UTF-8 sequence, or one byte where there is none.
    One,
}

/// A pattern over base keys.
///
/// `*` stands for any text, `?` for one character, a backslash makes the character behind it
/// ordinary. A key of exactly the pattern's text matches too, whatever is in it.
///
/// ```
/// use larder_core::store::Pattern;
///
/// let pattern = Pattern::parse("product_*");
/// assert!(pattern.matches(b"product_17") && pattern.matches(b"product_*"));
/// assert!(!pattern.matches(b"a product_17"));
/// assert!(!Pattern::parse(r"product_\*").matches(b"product_17"));
/// assert!(Pattern::parse("caf?").matches("café".as_bytes()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Vec<u8>,
    tokens: Vec<Token>,
}

impl Pattern {
    /// Reads a pattern. Every text is one; a backslash at the end stands for itself.
    pub fn parse(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let mut tokens = Vec::new();
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'*' if tokens.last() == Some(&Token::Many) => {}
                b'*' => tokens.push(Token::Many),
                b'?' => tokens.push(Token::One),
                b'\\' => push(&mut tokens, bytes.next().unwrap_or(b'\\')),
                _ => push(&mut tokens, byte),
            }
        }
        Self {
            text: text.to_vec(),
            tokens,
        }
    }

    /// Whether the text has a `*` or `?` that is not escaped.
    pub fn is_wild(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| !matches!(token, Token::Text(_)))
    }

    /// The steps of the pattern, for stores that hand it on in a language of their own.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// How all keys begin that match, as far as the pattern says.
    pub fn start(&self) -> &[u8] {
        match self.tokens.first() {
            // A key of exactly the pattern's text has the backslashes in it.
            Some(Token::Text(text)) if self.text.starts_with(text) => text,
            _ => b"",
        }
    }

    /// The pattern as it was written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether `key` matches, in time proportional to the product of the two lengths at worst.
    pub fn matches(&self, key: &[u8]) -> bool {
        key == self.text || matches(&self.tokens, key)
    }
}

fn push(tokens: &mut Vec<Token>, byte: u8) {
    if let Some(Token::Text(text)) = tokens.last_mut() {
        text.push(byte);
    } else {
        tokens.push(Token::Text(vec![byte]));
    }
}

/// Greedy matching with one point to fall back to: only the last `*` can need more text.
fn matches(tokens: &[Token], key: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut fallback: Option<(usize, usize)> = None;
    loop {
        let step = match tokens.get(token) {
            Some(Token::Many) => {
                fallback = Some((token + 1, at));
                Some(at)
            }
            Some(Token::One) => (at < key.len()).then(|| at + character(&key[at..])),
            Some(Token::Text(text)) => key[at..].starts_with(text).then(|| at + text.len()),
            None if at == key.len() => return true,
            None => None,
        };
        if let Some(next) = step {
            (token, at) = (token + 1, next);
        } else if let Some((after, from)) = fallback.filter(|&(_, from)| from < key.len()) {
            fallback = Some((after, from + 1));
            (token, at) = (after, from + 1);
        } else {
            return false;
        }
    }
}

/// The length of the character that `text` begins with.
fn character(text: &[u8]) -> usize {
    let end = text.len().min(4);
    (1..=end)
        .find(|&length| std::str::from_utf8(&text[..length]).is_ok())
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn stars_fall_back_and_questions_take_one_character() {
        let cases = [
            ("*", "", true),
            ("*a*b", "xaxxab", true),
            ("*ab", "aab", true),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("a**c", "abc", true),
            ("", "a", false),
            (r"a\", r"a\", true),
            (r"\?", "?", true),
            (r"\?", "x", false),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(
                Pattern::parse(pattern).matches(key.as_bytes()),
                expected,
                "{pattern} {key}"
            );
        }
    }
}
