//! What the server answers.
//!
//! Its bytes are not trusted: a length in them is compared with what may come at all and never
//! allocated, and names have to be those that were asked for.

use std::io::{self, ErrorKind};

use larder_core::store::{Found, Look};
use larder_net::{Progress, Reader};

/// A line that is longer than this is none of the server's.
const LINE: usize = 2048;
/// More bytes than this are no answer to what was to be done without one.
const QUIET: usize = 1 << 16;

/// How many bytes a server may answer with, beyond which it is mistrusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Of one value.
    pub(crate) value: usize,
    /// Of everything.
    pub(crate) total: usize,
}

/// What became of some bytes that were to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored,
    /// Something is there, or something else.
    Kept,
    /// The server says why it does not take them.
    Refused(String),
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// The line that begins at `from`, and where the next one begins.
fn line(bytes: &[u8], from: usize) -> io::Result<Option<(&[u8], usize)>> {
    let rest = bytes.get(from..).unwrap_or_default();
    let window = &rest[..rest.len().min(LINE)];
    match window.iter().position(|&byte| byte == b'\n') {
        Some(end) if end > 0 && window[end - 1] == b'\r' => {
            Ok(Some((&rest[..end - 1], from + end + 1)))
        }
        Some(_) => Err(garbled("a line without its end")),
        None if rest.len() >= LINE => Err(garbled("a line without an end")),
        None => Ok(None),
    }
}

/// What the server says instead of an answer.
fn refusal(line: &[u8]) -> Option<String> {
    let refused = ["SERVER_ERROR", "CLIENT_ERROR", "ERROR"];
    let refused = refused.iter().any(|word| line.starts_with(word.as_bytes()));
    refused.then(|| format!("the server refused: {}", line.escape_ascii()))
}

fn unexpected(line: &[u8]) -> io::Error {
    let other = || format!("an answer to another question: {}", line.escape_ascii());
    garbled(&refusal(line).unwrap_or_else(other))
}

/// Whether all of `bytes` is this line.
pub(crate) fn is_line(bytes: &[u8], expected: &[u8]) -> io::Result<bool> {
    match line(bytes, 0)? {
        None => Ok(false),
        Some((line, end)) if line == expected && end == bytes.len() => Ok(true),
        Some((line, _)) => Err(unexpected(line)),
    }
}

/// The answer to [`NOTHING_ELSE`](crate::command::NOTHING_ELSE).
pub(crate) fn is_nothing_else(bytes: &[u8]) -> io::Result<bool> {
    is_line(bytes, b"MN")
}

/// The answer to a login.
pub(crate) fn is_welcome(bytes: &[u8]) -> io::Result<bool> {
    is_line(bytes, b"STORED")
        .map_err(|error| io::Error::new(ErrorKind::PermissionDenied, error.to_string()))
}

/// Where the answers to what was to be done without answers end, which begin at `from`; `None` where
/// something is missing. A server may say of each that there was nothing, and says of each that was
/// not to be done as things are.
fn end_of_quiet(bytes: &[u8], from: &mut usize) -> io::Result<Option<()>> {
    while let Some((line, next)) = line(bytes, *from)? {
        match line {
            b"NF" | b"HD" | b"NS" | b"EX" => *from = next,
            b"MN" if next == bytes.len() => return Ok(Some(())),
            b"MN" => return Err(garbled("more answers than questions")),
            other => return Err(unexpected(other)),
        }
    }
    Ok(None)
}

/// The answer to what was to be done without answers.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// Where the next line begins.
    at: usize,
}

impl Reader for Quiet {
    type Answer = ();

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<()>> {
        if bytes.len() > QUIET {
            return Err(garbled("more answers than questions"));
        }
        let end = end_of_quiet(bytes, &mut self.at)?;
        Ok(end.map_or(Progress::Missing(1), Progress::Done))
    }
}

/// The answer to a store.
#[derive(Debug)]
pub(crate) struct Stored;

impl Reader for Stored {
    type Answer = Outcome;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Outcome>> {
        let Some((line, end)) = line(bytes, 0)? else {
            return Ok(Progress::Missing(1));
        };
        if end != bytes.len() {
            return Err(garbled("more answers than questions"));
        }
        let outcome = match line {
            b"HD" => Outcome::Stored,
            b"NS" | b"EX" | b"NF" => Outcome::Kept,
            other => Outcome::Refused(refusal(other).ok_or_else(|| unexpected(other))?),
        };
        Ok(Progress::Done(outcome))
    }
}

/// The answer to a read of some names.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    names: Vec<&'a [u8]>,
    /// Whether something without an answer follows the read.
    more: bool,
    limits: Limits,
    found: Vec<Look>,
    /// Where the next line begins.
    at: usize,
    ended: bool,
}

impl<'a> Values<'a> {
    pub(crate) fn new(names: Vec<&'a [u8]>, more: bool, limits: Limits) -> Self {
        Self {
            found: Vec::with_capacity(names.len()),
            names,
            more,
            limits,
            at: 0,
            ended: false,
        }
    }

    fn all(&mut self) -> Vec<Look> {
        let mut found = std::mem::take(&mut self.found);
        found.resize(self.names.len(), Look::Absent);
        found
    }

    /// Takes the value that the line at hand heads; how many bytes are missing, where some are.
    fn value(&mut self, head: &[u8], (bytes, start): (&[u8], usize)) -> io::Result<Option<usize>> {
        let mut words = head.split(|&byte| byte == b' ').skip(1);
        let name = words.next().unwrap_or_default();
        let mut number = || {
            let word = std::str::from_utf8(words.next()?).ok()?;
            word.parse::<u64>().ok()
        };
        let (_flags, length, version) = (number(), number(), number());
        let length = length.and_then(|length| usize::try_from(length).ok());
        let (Some(length), Some(version)) = (length, version) else {
            return Err(garbled("a value without a length or a version"));
        };
        if length > self.limits.value {
            return Err(garbled("a value longer than any may be"));
        }
        let end = start + length + 2;
        let Some(value) = bytes.get(start..end) else {
            return Ok(Some(end - bytes.len()));
        };
        let Some(value) = value.strip_suffix(b"\r\n") else {
            return Err(garbled("a value without its end"));
        };
        let rest = &self.names[self.found.len()..];
        let Some(skipped) = rest.iter().position(|asked| *asked == name) else {
            return Err(garbled("a value that nobody asked for"));
        };
        self.found.resize(self.found.len() + skipped, Look::Absent);
        let bytes = value.to_vec();
        self.found.push(Look::Found(Found { bytes, version }));
        self.at = end;
        Ok(None)
    }
}

impl Reader for Values<'_> {
    type Answer = Result<Vec<Look>, String>;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Self::Answer>> {
        if bytes.len() > self.limits.total {
            return Err(garbled("more bytes than fit"));
        }
        loop {
            if self.ended {
                let end = end_of_quiet(bytes, &mut self.at)?;
                return Ok(end.map_or(Progress::Missing(1), |()| Progress::Done(Ok(self.all()))));
            }
            let Some((head, next)) = line(bytes, self.at)? else {
                return Ok(Progress::Missing(1));
            };
            match head {
                head if head.starts_with(b"VALUE ") => {
                    if let Some(missing) = self.value(head, (bytes, next))? {
                        return Ok(Progress::Missing(missing));
                    }
                    continue;
                }
                b"END" if self.more => {
                    (self.ended, self.at) = (true, next);
                    continue;
                }
                b"END" => {}
                // Of several questions nobody knows which one was refused.
                head if self.more || self.at > 0 => return Err(unexpected(head)),
                head => {
                    let refusal = refusal(head).ok_or_else(|| unexpected(head))?;
                    return Ok(Progress::Done(Err(refusal)));
                }
            }
            if next != bytes.len() {
                return Err(garbled("more answers than questions"));
            }
            return Ok(Progress::Done(Ok(self.all())));
        }
    }
}

#[cfg(test)]
mod tests {
    use larder_core::store::{Found, Look};
    use larder_net::{Progress, Reader};

    use super::{Limits, Outcome, Quiet, Stored, Values};

    const LIMITS: Limits = Limits {
        value: 1000,
        total: 10_000,
    };
    const NAMES: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];

    /// The answer in `bytes`, which come in pieces of `step` bytes; `None` where some are missing.
    fn read<R: Reader>(
        mut reader: R,
        bytes: &[u8],
        step: usize,
    ) -> Option<Result<R::Answer, String>> {
        for end in (step..bytes.len()).step_by(step).chain([bytes.len()]) {
            match reader.read(&bytes[..end]) {
                Ok(Progress::Done(answer)) if end == bytes.len() => return Some(Ok(answer)),
                Ok(Progress::Done(_)) => return Some(Err("too early".into())),
                Ok(Progress::Missing(missing)) => assert!(missing > 0),
                Err(error) => return Some(Err(error.to_string())),
            }
        }
        None
    }

    fn values(more: bool) -> Values<'static> {
        Values::new(NAMES.to_vec(), more, LIMITS)
    }

    fn found(bytes: &[u8], version: u64) -> Look {
        let bytes = bytes.to_vec();
        Look::Found(Found { bytes, version })
    }

    const ANSWER: &[u8] = b"VALUE one 0 3 7\r\na\r\n\r\nVALUE three 5 0 8\r\n\r\nEND\r\n";

    #[test]
    fn values_are_read_in_pieces_of_any_size() {
        let expected = vec![
            found(b"a\r\n", 7),
            Look::Absent,
            found(b"", 8),
            Look::Absent,
        ];
        let quiet = [ANSWER, b"NF\r\nEX\r\nMN\r\n"].concat();
        for step in 1..=quiet.len() {
            let answer = read(values(false), ANSWER, step);
            assert_eq!(answer, Some(Ok(Ok(expected.clone()))), "steps of {step}");
            let answer = read(values(true), &quiet, step);
            assert_eq!(answer, Some(Ok(Ok(expected.clone()))), "steps of {step}");
        }
        for end in 0..ANSWER.len() {
            assert_eq!(read(values(false), &ANSWER[..end], 3), None, "cut at {end}");
        }
    }

    #[test]
    fn outcomes_and_refusals_are_told_apart() {
        let stored = |bytes| read(Stored, bytes, 1);
        assert_eq!(stored(b"HD\r\n"), Some(Ok(Outcome::Stored)));
        for kept in [&b"NS\r\n"[..], b"EX\r\n", b"NF\r\n"] {
            assert_eq!(stored(kept), Some(Ok(Outcome::Kept)));
        }
        let refusal = stored(b"SERVER_ERROR object too large for cache\r\n");
        assert!(matches!(refusal, Some(Ok(Outcome::Refused(why))) if why.contains("too large")));
        assert!(matches!(stored(b"OK\r\n"), Some(Err(_))));
        let refusal = read(values(false), b"SERVER_ERROR out of memory\r\n", 1);
        assert!(matches!(refusal, Some(Ok(Err(_)))));
        // Of several questions nobody knows which one was refused.
        let refusal = read(values(true), b"SERVER_ERROR out of memory\r\n", 1);
        assert!(matches!(refusal, Some(Err(_))));
    }

    #[test]
    fn nothing_is_believed() {
        let cases: [&[u8]; 10] = [
            b"VALUE two 0 1 1\r\nx\r\nVALUE one 0 1 1\r\nx\r\nEND\r\n",
            b"VALUE one 0 1 1\r\nx\r\nVALUE one 0 1 1\r\nx\r\nEND\r\n",
            b"VALUE five 0 1 1\r\nx\r\nEND\r\n",
            b"VALUE one 0 1001 1\r\n",
            b"VALUE one 0 18446744073709551615 1\r\n",
            b"VALUE one 0 1\r\nx\r\nEND\r\n",
            b"VALUE one 0 1 1\r\nxx\r\nEND\r\n",
            b"END\r\nMN\r\n",
            b"MN\r\n",
            b"END\n",
        ];
        for bytes in cases {
            let answer = read(values(false), bytes, bytes.len());
            assert!(matches!(answer, Some(Err(_))), "{}", bytes.escape_ascii());
        }
        let endless = b"NF\r\n".repeat(20_000);
        assert!(matches!(
            read(Quiet::default(), &endless, 4096),
            Some(Err(_))
        ));
        let long = [b'x'; 5000];
        assert!(matches!(read(values(false), &long, 100), Some(Err(_))));
    }

    /// What comes out of a damaged answer are bytes that stood in it, or an error.
    #[test]
    fn damaged_answers_are_answers_or_errors() {
        let mut dice = 7_u64;
        let mut roll = |bound: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 33) as usize % bound
        };
        let whole = [ANSWER, b"NF\r\nMN\r\n"].concat();
        let mut read_well = 0;
        for _ in 0..10_000 {
            let mut bytes = whole.clone();
            for _ in 0..=roll(3) {
                let at = roll(bytes.len());
                match roll(4) {
                    0 => bytes[at] ^= 1 << roll(8),
                    1 => bytes.truncate(at.max(1)),
                    2 => drop(bytes.splice(at..at, whole[..roll(whole.len())].to_vec())),
                    _ => bytes[at] = b"0123456789 \r\n"[roll(13)],
                }
            }
            let step = 1 + roll(bytes.len());
            if let Some(Ok(Ok(found))) = read(values(true), &bytes, step) {
                assert_eq!(found.len(), NAMES.len());
                read_well += 1;
            }
        }
        assert!(read_well > 100, "hardly any answer was read: {read_well}");
    }
}
