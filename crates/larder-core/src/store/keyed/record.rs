//! Places where marks stand.

use super::Found;
use super::mark::Mark;
use crate::time::Timestamp;

/// A place where a mark stands, or should.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) name: Vec<u8>,
    pub(super) owner: Vec<u8>,
    /// What is there, a mark or not.
    pub(super) raw: Option<Found>,
    /// The mark, unless it has ended.
    pub(super) mark: Option<Mark>,
}

impl Record {
    pub(super) fn new(name: Vec<u8>, owner: &[u8], raw: Option<Found>, now: Timestamp) -> Self {
        let mut record = Self {
            name,
            owner: owner.to_vec(),
            raw: None,
            mark: None,
        };
        record.find(raw, now);
        record
    }

    pub(super) fn find(&mut self, raw: Option<Found>, now: Timestamp) {
        let read = raw.as_ref().and_then(|raw| Mark::read(&raw.bytes));
        let ours = read.filter(|&(mark, owner)| owner == self.owner && now < mark.until);
        self.mark = ours.map(|(mark, _)| mark);
        self.raw = raw;
    }

    pub(super) fn put(&mut self, mark: Mark, bytes: Vec<u8>) {
        self.mark = Some(mark);
        self.raw = Some(bytes.into());
    }

    /// The generation that stands here; 0 where there is none.
    pub(super) fn generation(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.generation)
    }

    pub(super) fn until(&self) -> Timestamp {
        self.mark.map_or(Timestamp::EPOCH, |mark| mark.until)
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn is_there(&self) -> bool {
        self.raw.is_some()
    }
}
