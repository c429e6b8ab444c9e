//! What is said to a server. Names are digests, so nothing that people wrote is ever part of a line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::address::Login;

/// From here on the server takes seconds for a date: thirty days.
const DATES: u64 = 30 * 24 * 3600;

/// Says that nothing else is on its way, once all that was said before has been done.
pub(crate) const NOTHING_ELSE: &[u8] = b"mn\r\n";

/// When bytes are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// In any case.
    Always,
    /// Where nothing is.
    Absent,
    /// Where exactly the bytes of this version are.
    Version(u64),
}

/// Reads these names and their versions. One command for all of them, because the server turns to
/// others after twenty commands of one connection.
pub(crate) fn read(line: &mut Vec<u8>, names: &[&[u8]]) {
    line.extend_from_slice(b"gets");
    for name in names {
        line.push(b' ');
        line.extend_from_slice(name);
    }
    line.extend_from_slice(b"\r\n");
}

/// Deletes a name, without an answer.
pub(crate) fn delete(line: &mut Vec<u8>, name: &[u8]) {
    line.extend_from_slice(b"md ");
    line.extend_from_slice(name);
    line.extend_from_slice(b" q\r\n");
}

/// Deletes a name where exactly the bytes of this version are, without an answer.
pub(crate) fn delete_version(line: &mut Vec<u8>, name: &[u8], version: u64) {
    line.extend_from_slice(b"md ");
    line.extend_from_slice(name);
    line.extend_from_slice(format!(" C{version} q\r\n").as_bytes());
}

/// Stores bytes in place of those of this version, without an answer.
pub(crate) fn replace_version(line: &mut Vec<u8>, name: &[u8], bytes: &[u8], ends: (u64, u64)) {
    let (version, end) = ends;
    line.extend_from_slice(b"ms ");
    line.extend_from_slice(name);
    line.extend_from_slice(format!(" {} T{end} C{version} q\r\n", bytes.len()).as_bytes());
    line.extend_from_slice(bytes);
    line.extend_from_slice(b"\r\n");
}

/// Stores bytes that end then, as [`end`] has it.
pub(crate) fn store(name: &[u8], bytes: &[u8], (end, when): (u64, When)) -> Vec<u8> {
    let mut line = Vec::with_capacity(name.len() + bytes.len() + 64);
    line.extend_from_slice(b"ms ");
    line.extend_from_slice(name);
    line.extend_from_slice(format!(" {} T{end}", bytes.len()).as_bytes());
    match when {
        When::Always => {}
        When::Absent => line.extend_from_slice(b" ME"),
        When::Version(version) => line.extend_from_slice(format!(" C{version}").as_bytes()),
    }
    line.extend_from_slice(b"\r\n");
    line.extend_from_slice(bytes);
    line.extend_from_slice(b"\r\n");
    line
}

/// Logs in. A server that asks nobody to would keep this as an entry; it is to end before it begins.
pub(crate) fn log_in(login: &Login) -> Vec<u8> {
    let words = format!("{} {}", login.user, login.password);
    format!("set login 0 -1 {}\r\n{words}\r\n", words.len()).into_bytes()
}

/// The end of a life as the server takes it; 0 is none.
pub(crate) fn end(life: Option<Duration>) -> u64 {
    let Some(life) = life else { return 0 };
    // The server counts whole seconds from some moment within the current one. What it keeps longer
    // does no harm.
    let seconds = life.as_secs().saturating_add(2);
    if seconds < DATES {
        return seconds;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let date = now.map_or(0, |now| now.as_secs()).saturating_add(seconds);
    // It knows no later date than this.
    if date > i32::MAX as u64 { 0 } else { date }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{When, end, store};

    #[test]
    fn lives_are_seconds_dates_or_none() {
        assert_eq!(end(None), 0);
        assert_eq!(end(Some(Duration::from_millis(1))), 2);
        assert_eq!(end(Some(Duration::from_secs(3600))), 3602);
        let date = end(Some(Duration::from_secs(31 * 24 * 3600)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(date.abs_diff(now.as_secs() + 31 * 24 * 3600) < 60, "{date}");
        assert_eq!(end(Some(Duration::from_secs(1 << 40))), 0);
        assert_eq!(end(Some(Duration::MAX)), 0);
    }

    #[test]
    fn storing_says_when() {
        let line = |when| store(b"name", b"a\r\nb", (10, when));
        assert_eq!(line(When::Always), b"ms name 4 T10\r\na\r\nb\r\n");
        assert_eq!(line(When::Absent), b"ms name 4 T10 ME\r\na\r\nb\r\n");
        assert_eq!(line(When::Version(7)), b"ms name 4 T10 C7\r\na\r\nb\r\n");
    }
}
