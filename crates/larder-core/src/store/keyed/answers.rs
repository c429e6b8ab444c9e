//! What the store underneath answered, taken apart in the order of the questions.

use super::record::Record;
use super::{Found, Look};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// The answers to a list of names, in its order.
pub(super) struct Answers {
    names: std::vec::IntoIter<Vec<u8>>,
    found: std::vec::IntoIter<Look>,
    /// Whether one was [`Look::Away`], and whether the last one was.
    pub(super) away: bool,
    pub(super) last_was_away: bool,
}

impl Answers {
    pub(super) fn new(names: Vec<Vec<u8>>, found: Vec<Look>) -> Result<Self> {
        let found = answers_each(names.len(), found)?;
        Ok(Self {
            names: names.into_iter(),
            found: found.into_iter(),
            away: false,
            last_was_away: false,
        })
    }

    fn named(&mut self) -> (Vec<u8>, Option<Found>) {
        let lookup = self.found.next().unwrap_or(Look::Absent);
        self.last_was_away = lookup == Look::Away;
        self.away |= self.last_was_away;
        (self.names.next().unwrap_or_default(), found_in(lookup))
    }

    pub(super) fn next(&mut self) -> Option<Found> {
        self.named().1
    }

    pub(super) fn record(&mut self, owner: &[u8], now: Timestamp) -> Record {
        let (name, found) = self.named();
        Record::new(name, owner, found, now)
    }
}

pub(super) fn found_in(lookup: Look) -> Option<Found> {
    match lookup {
        Look::Found(found) => Some(found),
        Look::Absent | Look::Away => None,
    }
}

pub(super) fn answers_each(asked: usize, found: Vec<Look>) -> Result<Vec<Look>> {
    if found.len() == asked {
        return Ok(found);
    }
    let detail = format!("{} values were answered for {asked} names", found.len());
    Err(Error::new(ErrorKind::Store, detail))
}
