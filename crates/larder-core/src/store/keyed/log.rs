//! The log of the latest bumps: what a load asks about tags that it names only when it has ended.

use xxhash_rust::xxh3::xxh3_64;

use super::mark::random;
use crate::error::Result;
use crate::tag::Tag;

const MAGIC: &[u8] = b"LRDl1:";
/// How many bumped tags are remembered. A load during which more are bumped, and which names a tag
/// late, brings nothing valid.
const REMEMBERED: usize = 64;

/// The latest bumps, oldest first: the number of the bump, and the digest of a tag that it bumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log(Vec<(u64, u64)>);

impl Log {
    /// A log in which nothing has been bumped yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(vec![(random()?, 0)]))
    }

    /// The number of the last bump: a load that starts now has seen everything up to it.
    pub(super) fn last(&self) -> u64 {
        self.0.last().map_or(0, |&(number, _)| number)
    }

    /// The log after a bump of these tags. Answers its number, too.
    pub(super) fn bump(&self, tags: &[Tag]) -> Result<(Self, u64)> {
        let number = random()?;
        let mut bumps = self.0.clone();
        bumps.extend(tags.iter().map(|tag| (number, digest(tag))));
        let more = bumps.len().saturating_sub(REMEMBERED.max(tags.len()));
        bumps.drain(..more);
        Ok((Self(bumps), number))
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.0.iter().any(|&(bump, _)| bump == number)
    }

    /// Whether the tag may have been bumped after the bump `seen`. What is not remembered counts as
    /// bumped.
    pub(super) fn bumped_since(&self, seen: u64, tag: &Tag) -> bool {
        let Some(last) = self.0.iter().rposition(|&(number, _)| number == seen) else {
            return true;
        };
        let tag = digest(tag);
        self.0[last + 1..].iter().any(|&(_, bumped)| bumped == tag)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (number, tag) in &self.0 {
            bytes.extend_from_slice(&number.to_be_bytes());
            bytes.extend_from_slice(&tag.to_be_bytes());
        }
        bytes
    }

    /// The log in these bytes; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut bumps = Vec::new();
        while let Some((bump, others)) = rest.split_first_chunk::<16>() {
            let (number, tag) = bump.split_at(8);
            let number_of = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
            bumps.push((number_of(number)?, number_of(tag)?));
            rest = others;
        }
        (rest.is_empty() && !bumps.is_empty()).then_some(Self(bumps))
    }
}

fn digest(tag: &Tag) -> u64 {
    xxh3_64(tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Log, REMEMBERED};
    use crate::tag::Tag;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(Tag::new).collect()
    }

    #[test]
    fn a_log_knows_what_came_after() {
        let log = Log::new().expect("numbers");
        let start = log.last();
        let (log, first) = log.bump(&tags(&["a", "b"])).expect("numbers");
        let (log, second) = log.bump(&tags(&["c"])).expect("numbers");
        let after = |seen, name| log.bumped_since(seen, &Tag::new(name));
        assert!(after(start, "a") && after(start, "b") && after(start, "c"));
        assert!(!after(first, "a") && !after(first, "b") && after(first, "c"));
        assert!(!after(second, "c") && !after(start, "d"));
        assert!(after(0, "d"), "what nobody remembers counts as bumped");
        assert_eq!(Log::read(&log.write()), Some(log));
    }

    #[test]
    fn what_was_forgotten_counts_as_bumped() {
        let mut log = Log::new().expect("numbers");
        let start = log.last();
        for number in 0..=REMEMBERED {
            assert_eq!(
                log.bumped_since(start, &Tag::new("x")),
                number == REMEMBERED
            );
            log = log.bump(&tags(&["y"])).expect("numbers").0;
        }
        let many: Vec<String> = (0..2 * REMEMBERED).map(|n| n.to_string()).collect();
        let many: Vec<Tag> = many.iter().map(Tag::new).collect();
        let seen = log.last();
        let (log, _) = log.bump(&many).expect("numbers");
        assert!(many.iter().all(|tag| log.bumped_since(seen, tag)));
        for bad in [
            &b""[..],
            b"LRDl1:",
            b"LRDl1:short",
            b"LRDl2:0123456789abcdef",
        ] {
            assert_eq!(Log::read(bad), None);
        }
    }
}
