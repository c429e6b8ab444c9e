//! Families: which variants of a base key are stored.

use crate::time::Timestamp;

const MAGIC: &[u8] = b"LRDf1:";
/// How many variants of one base key are known by their digests. More may be stored; those that were
/// noted first are then not listed, and not counted by who asks whether something was removed.
const REMEMBERED: usize = 1024;

/// The digests of the variants of a base key. A list to look by and no more: whether a variant is
/// valid is a matter of generations, so one that is missing here is found and purged all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Family {
    until: Timestamp,
    digests: Vec<u128>,
}

impl Family {
    pub(super) const fn new() -> Self {
        Self {
            until: Timestamp::EPOCH,
            digests: Vec::new(),
        }
    }

    pub(super) fn digests(&self) -> &[u128] {
        &self.digests
    }

    /// When the last variant ends.
    pub(super) const fn until(&self) -> Timestamp {
        self.until
    }

    /// The family with a variant that is stored until the first time; a family that changes lasts until
    /// the second one, so that not every refresh of a variant changes it. `None` when nothing changes.
    pub(super) fn with(
        &self,
        digest: u128,
        (needed, until): (Timestamp, Timestamp),
    ) -> Option<Self> {
        let known = self.digests.contains(&digest);
        if known && needed <= self.until {
            return None;
        }
        let mut family = self.clone();
        family.until = until.max(self.until);
        if !known {
            if family.digests.len() >= REMEMBERED {
                family.digests.remove(0);
            }
            family.digests.push(digest);
        }
        Some(family)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.until.as_millis().to_be_bytes());
        for digest in &self.digests {
            bytes.extend_from_slice(&digest.to_be_bytes());
        }
        bytes
    }

    /// The family in these bytes; `None` for anything else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (until, mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let mut digests = Vec::with_capacity(rest.len() / 16);
        while let Some((digest, others)) = rest.split_first_chunk::<16>() {
            digests.push(u128::from_be_bytes(*digest));
            rest = others;
        }
        rest.is_empty().then_some(Self {
            until: Timestamp::from_millis(u64::from_be_bytes(*until)),
            digests,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, REMEMBERED};
    use crate::time::Timestamp;

    #[test]
    fn a_family_grows_and_comes_back() {
        let at = Timestamp::from_millis;
        let one = Family::new().with(7, (at(5), at(10))).expect("it is new");
        assert_eq!(one.with(7, (at(10), at(20))), None);
        assert_eq!(one.with(7, (at(9), at(18))), None);
        let two = one.with(7, (at(11), at(11)));
        let two = two.and_then(|family| family.with(8, (at(5), at(5))));
        let two = two.expect("it is new");
        assert_eq!((two.until(), two.digests()), (at(11), &[7, 8][..]));
        assert_eq!(Family::read(&two.write()), Some(two));
        for bad in [&b""[..], b"LRDf1:", b"LRDf1:01234567x"] {
            assert_eq!(Family::read(bad), None);
        }
    }

    #[test]
    fn a_family_is_bounded() {
        let mut family = Family::new();
        for digest in 0..=REMEMBERED as u128 {
            let forever = (Timestamp::NEVER, Timestamp::NEVER);
            family = family.with(digest, forever).expect("it is new");
        }
        assert_eq!(family.digests().len(), REMEMBERED);
        assert!(!family.digests().contains(&0));
    }
}
