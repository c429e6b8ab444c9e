//! The lives of a node, and which of them a record was written in.
//!
//! A replica that takes over may lack the last purges of its master, and so may a server that started anew
//! from what it had on disk. So every record has the **stamp** of the node's life behind it in which it was
//! written, and every answer comes with the stamp of the life that gives it: the first command of each
//! exchange asks for it. A record of another life is as good as absent. The life is that of the
//! replication history: a server begins a new one when it starts and when it takes over, and nothing that
//! was lost to it can have been lost within one.

use redis::Value;
use xxhash_rust::xxh3::xxh3_64;

/// A node's life, by the digest of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life(u64);

/// How long a stamp is.
const STAMP: usize = 8;
/// By what a node names the life that it is in.
pub(super) const ASK: [&[u8]; 2] = [b"INFO", b"replication"];

impl Life {
    /// No node's.
    pub(super) const NONE: Self = Self(0);

    /// The life that has this name.
    pub(super) fn named(name: &[u8]) -> Self {
        Self(xxh3_64(name).max(1))
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// What the answer to [`ASK`] says; `None` where it names no life.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        const FIELD: &[u8] = b"master_replid:";
        let text = match answer {
            Value::BulkString(text) => text.as_slice(),
            Value::VerbatimString { text, .. } => text.as_bytes(),
            _ => return None,
        };
        let mut lines = text.split(|&byte| byte == b'\n');
        let name = lines.find_map(|line| line.strip_prefix(FIELD))?;
        let name = name.trim_ascii_end();
        (!name.is_empty()).then(|| Self::named(name))
    }

    pub(super) const fn stamp(self) -> [u8; STAMP] {
        self.0.to_be_bytes()
    }

    /// What was stored, without its stamp; `None` where it was written in another life.
    pub(super) fn own(self, mut stored: Vec<u8>) -> Option<Vec<u8>> {
        let length = stored.len().checked_sub(STAMP)?;
        (stored[length..] == self.stamp()).then(|| {
            stored.truncate(length);
            stored
        })
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::Life;

    #[test]
    fn a_life_is_that_of_the_replication_history() {
        let answer = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let told = "# Replication\r\nrole:master\r\nmaster_replid:0a1b\r\nmaster_replid2:00\r\n";
        let life = Life::read(&answer(told)).expect("it is told");
        assert_eq!(life, Life::named(b"0a1b"));
        for other in ["", "# Replication\r\nrole:master\r\n", "master_replid:\r\n"] {
            assert_eq!(Life::read(&answer(other)), None, "{other}");
        }
        assert_eq!(Life::read(&Value::Nil), None);
        assert_eq!(Life::from_number(life.number()), Some(life));
    }

    #[test]
    fn what_another_life_wrote_is_not_there() {
        let (one, other) = (Life::named(b"one"), Life::named(b"other"));
        let stored = [b"bytes", &one.stamp()[..]].concat();
        assert_eq!(one.own(stored.clone()), Some(b"bytes".to_vec()));
        assert_eq!(other.own(stored), None);
        assert_eq!(one.own(one.stamp().to_vec()), Some(Vec::new()));
        assert_eq!(one.own(b"short".to_vec()), None);
    }
}
