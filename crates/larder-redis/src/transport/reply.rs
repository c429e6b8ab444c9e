//! Where a reply ends, and what it says.
//!
//! The server's bytes are not trusted: a length in them is compared with what may come at all and
//! never allocated. [`Scanner`] finds the end of each reply without building anything, as the bytes
//! come in; only a complete reply is turned into a [`Value`].

use std::io::{self, ErrorKind};

use larder_net::{Progress, Reader};
use redis::{ServerError, Value, parse_redis_value};

/// How many bytes the server may send in answer to one request, beyond which it is mistrusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one string.
    pub(crate) string: usize,
    /// Of everything.
    pub(crate) total: usize,
}

impl Limits {
    /// Those of a server whose strings have at most so many bytes.
    pub(crate) fn of(string: usize) -> Self {
        const ROOM: usize = 256 << 20;
        Self {
            string,
            total: ROOM.max(string.saturating_mul(4)),
        }
    }
}

/// Strings in strings in strings: our own replies nest three deep.
const DEPTH: usize = 8;
/// A line that is longer than this is no status, no error and no number.
const LINE: usize = 4096;

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled(pub(crate) &'static str);

impl From<Garbled> for io::Error {
    fn from(garbled: Garbled) -> Self {
        Self::new(ErrorKind::InvalidData, garbled.0)
    }
}

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

/// The replies to as many commands as went out together: one value for each.
#[derive(Debug)]
pub(crate) struct Replies {
    scanner: Scanner,
    /// Where the next reply begins.
    start: usize,
    count: usize,
    values: Vec<Value>,
    replica: bool,
    /// Whether everything that the server says is a value, whatever it means.
    any: bool,
}

impl Replies {
    /// The replies to `count` commands, at least one.
    pub(crate) fn new(count: usize, limits: Limits) -> Self {
        Self {
            scanner: Scanner::new(limits),
            start: 0,
            count,
            values: Vec::with_capacity(count),
            replica: false,
            any: false,
        }
    }

    /// As [`new`](Self::new), for who judges by himself what the server says of its state.
    pub(crate) fn any(count: usize, limits: Limits) -> Self {
        Self {
            any: true,
            ..Self::new(count, limits)
        }
    }
}

impl Reader for Replies {
    type Answer = Vec<Value>;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Vec<Value>>> {
        while self.values.len() < self.count {
            let Some(end) = self.scanner.reply(bytes)? else {
                return Ok(Progress::Missing(self.scanner.missing(bytes.len()).max(1)));
            };
            let value = value(&bytes[self.start..end])?;
            if !self.any {
                unable(&value)?;
            }
            self.replica |= is_replica(&value);
            self.values.push(value);
            self.start = end;
        }
        if self.start == bytes.len() {
            Ok(Progress::Done(std::mem::take(&mut self.values)))
        } else {
            Err(Garbled("more replies than commands").into())
        }
    }

    fn is_elsewhere(&self) -> bool {
        self.replica
    }
}

/// Fails where the server says that it cannot be asked now, whatever is asked: it is still reading what it
/// had written down, without its master, busy with somebody's script, or wants a password that nobody has
/// told it. What it says of one command alone is a value.
fn unable(value: &Value) -> io::Result<()> {
    let Value::ServerError(error) = value else {
        return Ok(());
    };
    if ["LOADING", "MASTERDOWN", "BUSY", "NOAUTH"].contains(&error.code()) {
        return Err(io::Error::new(ErrorKind::ConnectionRefused, said(error)));
    }
    Ok(())
}

/// Whether the server says that it is a replica, which it may have become.
fn is_replica(value: &Value) -> bool {
    // Before version 7 a script's error says so in its midst.
    let in_script = |text: &str| text.contains("-READONLY ");
    matches!(value, Value::ServerError(error)
        if error.code() == "READONLY" || error.details().is_some_and(in_script))
}

/// What the server says instead of an answer, in its own words.
pub(crate) fn said(error: &ServerError) -> String {
    let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
    text.trim().to_owned()
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

/// As [`value`], on a connection that has asked for RESP3: what the server says unasked comes as a push.
pub(crate) fn message(bytes: &[u8]) -> Result<Value, Garbled> {
    match bytes.first() {
        Some(b'>' | b'%') => parse_redis_value(bytes).map_err(|_| Garbled("a push that is none")),
        _ => value(bytes),
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
    use larder_net::{Progress, Reader};
    use redis::Value;

    use super::{Garbled, Limits, Replies, Scanner, value};

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
    fn as_many_replies_are_read_as_there_were_commands() {
        let bytes = b"+OK\r\n$3\r\na\r\n\r\n:-7\r\n";
        let expected = [
            Value::Okay,
            Value::BulkString(b"a\r\n".to_vec()),
            Value::Int(-7),
        ];
        for step in 1..=bytes.len() {
            let mut replies = Replies::new(3, LIMITS);
            for end in (step..bytes.len()).step_by(step) {
                let progress = replies.read(&bytes[..end]).unwrap();
                assert!(matches!(progress, Progress::Missing(1..)), "{progress:?}");
            }
            match replies.read(bytes).unwrap() {
                Progress::Done(values) => assert_eq!(values, expected, "steps of {step}"),
                missing @ Progress::Missing(_) => panic!("steps of {step}: {missing:?}"),
            }
        }
        let more = Replies::new(2, LIMITS).read(bytes).unwrap_err();
        assert_eq!(more.to_string(), "more replies than commands");
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
