//! Where a reply ends, and what it says.
//!
//! The server's bytes are not trusted: a length in them is compared with what may come at all and
//! never allocated. [`Scanner`] finds the end of each reply without building anything, as the bytes
//! come in; only a complete reply is turned into a [`Value`].

use redis::{Value, parse_redis_value};

/// How many bytes the server may send in answer to one request, beyond which it is mistrusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one string.
    pub(crate) string: usize,
    /// Of everything.
    pub(crate) total: usize,
}

/// Strings in strings in strings: our own replies nest three deep.
const DEPTH: usize = 8;
/// A line that is longer than this is no status, no error and no number.
const LINE: usize = 4096;

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled(pub(crate) &'static str);

/// Finds the end of replies in bytes that come in pieces.
#[derive(Debug)]
pub(crate) struct Scanner {
    limits: Limits,
    /// Where the next element begins.
    at: usize,
    /// Elements still to come, one number for each open array.
    open: Vec<usize>,
    /// The end of the string that is coming, as far as the server says.
    end: usize,
}

impl Scanner {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: 0,
            open: Vec::new(),
            end: 0,
        }
    }

    /// How many bytes of a string are missing from `length`, as far as the server says.
    pub(crate) fn missing(&self, length: usize) -> usize {
        self.end.saturating_sub(length)
    }

    /// The end of the reply that begins where the last one ended; `None` when bytes are missing.
    /// `bytes` begins with everything of this request that came before.
    pub(crate) fn reply(&mut self, bytes: &[u8]) -> Result<Option<usize>, Garbled> {
        loop {
            let Some(element) = Element::read(bytes, self.at, self.limits.string)? else {
                return self.bounded(bytes).map(|()| None);
            };
            if element.end > bytes.len() {
                self.end = element.end;
                return self.bounded(bytes).map(|()| None);
            }
            self.at = element.end;
            if element.members > 0 {
                // Each member takes three bytes at least, so more cannot fit.
                if self.open.len() == DEPTH || element.members > self.limits.total / 3 {
                    return Err(Garbled("an array beyond all bounds"));
                }
                self.open.push(element.members);
                continue;
            }
            while let Some(left) = self.open.last_mut() {
                *left -= 1;
                if *left > 0 {
                    break;
                }
                self.open.pop();
            }
            if self.open.is_empty() {
                return Ok(Some(self.at));
            }
        }
    }

    fn bounded(&self, bytes: &[u8]) -> Result<(), Garbled> {
        if bytes.len() > self.limits.total {
            Err(Garbled("more bytes than fit"))
        } else {
            Ok(())
        }
    }
}

/// One element: a line, a string or the head of an array.
struct Element {
    /// Where the next element begins; for a string this may lie beyond the bytes at hand.
    end: usize,
    /// Elements that belong to it and follow.
    members: usize,
}

impl Element {
    fn read(bytes: &[u8], at: usize, longest: usize) -> Result<Option<Self>, Garbled> {
        let Some(&kind) = bytes.get(at) else {
            return Ok(None);
        };
        let each = match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' | b'$' | b'!' | b'=' => 0,
            b'*' | b'~' | b'>' => 1,
            b'%' => 2,
            _ => return Err(Garbled("bytes that begin no reply")),
        };
        let Some((line, end)) = line(bytes, at + 1)? else {
            return Ok(None);
        };
        if !matches!(kind, b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%') {
            return Ok(Some(Self { end, members: 0 }));
        }
        let length = match number(line) {
            Some(-1) if matches!(kind, b'$' | b'*') => {
                return Ok(Some(Self { end, members: 0 }));
            }
            Some(length) => usize::try_from(length).map_err(|_| Garbled("a length below zero"))?,
            None => return Err(Garbled("a length that is no number")),
        };
        if each > 0 {
            let members = length
                .checked_mul(each)
                .ok_or(Garbled("an array beyond all bounds"))?;
            return Ok(Some(Self { end, members }));
        }
        if length > longest {
            return Err(Garbled("a string longer than any value may be"));
        }
        let end = end + length + 2;
        if bytes.len() >= end && bytes[end - 2..end] != *b"\r\n" {
            return Err(Garbled("a string without its end"));
        }
        Ok(Some(Self { end, members: 0 }))
    }
}

/// The line that begins at `from`, and where the next one begins.
fn line(bytes: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, Garbled> {
    let rest = bytes.get(from..).unwrap_or_default();
    let window = &rest[..rest.len().min(LINE)];
    match window.windows(2).position(|pair| pair == b"\r\n") {
        Some(length) => Ok(Some((&rest[..length], from + length + 2))),
        None if rest.len() >= LINE => Err(Garbled("a line without an end")),
        None => Ok(None),
    }
}

fn number(line: &[u8]) -> Option<i64> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// Reads one complete reply. Strings, integers and arrays, the replies that matter, are read here
/// with one copy each; the rest goes through the parser of `redis`.
pub(crate) fn value(bytes: &[u8]) -> Result<Value, Garbled> {
    let mut at = 0;
    let value = element(bytes, &mut at)?;
    if at == bytes.len() {
        Ok(value)
    } else {
        Err(Garbled("bytes behind the reply"))
    }
}

fn element(bytes: &[u8], at: &mut usize) -> Result<Value, Garbled> {
    const CUT: Garbled = Garbled("a reply cut short");
    let from = *at;
    let head = Element::read(bytes, from, usize::MAX / 2)?.ok_or(CUT)?;
    let whole = bytes.get(from..head.end).ok_or(CUT)?;
    *at = head.end;
    match whole.first() {
        Some(b'$' | b'*') if whole.get(1..3) == Some(b"-1") => Ok(Value::Nil),
        Some(b'$') => {
            let (_, start) = line(whole, 1)?.ok_or(CUT)?;
            Ok(Value::BulkString(whole[start..whole.len() - 2].to_vec()))
        }
        Some(b'*') => {
            let members = (0..head.members).map(|_| element(bytes, at));
            Ok(Value::Array(members.collect::<Result<_, _>>()?))
        }
        Some(b':') => {
            let (line, _) = line(whole, 1)?.ok_or(CUT)?;
            number(line)
                .map(Value::Int)
                .ok_or(Garbled("an integer that is none"))
        }
        Some(b'~' | b'>' | b'%') => Err(Garbled("a reply of a protocol that was not asked for")),
        _ => parse_redis_value(whole).map_err(|_| Garbled("a line that is no reply")),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::{Garbled, Limits, Scanner, value};

    const LIMITS: Limits = Limits {
        string: 1000,
        total: 10_000,
    };

    /// The reply in `bytes`, handed over in pieces of `step` bytes.
    fn read(bytes: &[u8], step: usize) -> Result<Option<Value>, Garbled> {
        let mut scanner = Scanner::new(LIMITS);
        for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
            if let Some(end) = scanner.reply(&bytes[..end])? {
                return value(&bytes[..end]).map(Some);
            }
        }
        Ok(None)
    }

    #[test]
    fn replies_are_read_in_pieces_of_any_size() {
        let bytes = b"*5\r\n$3\r\na\r\n\r\n:-7\r\n*2\r\n+OK\r\n$-1\r\n*-1\r\n*0\r\n";
        let expected = Value::Array(vec![
            Value::BulkString(b"a\r\n".to_vec()),
            Value::Int(-7),
            Value::Array(vec![Value::Okay, Value::Nil]),
            Value::Nil,
            Value::Array(Vec::new()),
        ]);
        for step in 1..bytes.len() {
            assert_eq!(
                read(bytes, step),
                Ok(Some(expected.clone())),
                "steps of {step}"
            );
        }
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end], 3), Ok(None), "cut at {end}");
        }
    }

    #[test]
    fn errors_are_values() {
        let answer = read(b"-OOM command not allowed\r\n", 1).unwrap().unwrap();
        assert!(matches!(answer, Value::ServerError(error) if error.code() == "OOM"));
    }

    #[test]
    fn nothing_is_believed() {
        let long = vec![b'+'; 5000];
        let cases: [&[u8]; 12] = [
            b"$2147483647\r\n",
            b"*2000000000\r\n",
            b"$99999999999999999999\r\n",
            b"$-2\r\n",
            b"$x\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\x00\x00",
            b"$2\r\nabc\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+OK\r\n",
            &long,
            b"%9223372036854775807\r\n",
            b"~1\r\n+a\r\n",
        ];
        for bytes in cases {
            assert!(read(bytes, 1).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
