//! Which entries were read since the evictor came by: one byte for each part of them, shared by all
//! processes.
//!
//! A byte that is lost or that two entries share makes something stay that could go, or go that could
//! stay; nothing depends on it otherwise.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::names::{MARKS, Spot};
use crate::sys;
use crate::view::coarse;

/// How many marks there are, as a power of two.
const BITS: u32 = 18;
/// How long, in milliseconds, a process believes that a mark it has set is there.
const BELIEF: u64 = 16;
/// How many marks a process remembers to have set.
const REMEMBERED: usize = 4096;

#[derive(Debug)]
pub(crate) struct Marks {
    file: Option<File>,
    /// Which marks were looked at last, and when, in parts of [`BELIEF`].
    looked: Box<[AtomicU64]>,
}

impl Marks {
    pub(crate) fn open(root: impl AsFd) -> Self {
        Self {
            file: sys::sized_file(root, MARKS, 1 << BITS),
            looked: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn place(spot: Spot) -> u64 {
        spot.hash() >> (64 - BITS)
    }

    /// Says that an entry was read.
    pub(crate) fn set(&self, spot: Spot) {
        let Some(file) = &self.file else { return };
        let place = Self::place(spot);
        let now = (coarse() / BELIEF) << BITS | place;
        let looked = &self.looked[place as usize % REMEMBERED];
        if looked.swap(now, Ordering::Relaxed) == now {
            return;
        }
        let mut mark = [0];
        let read = file.read_at(&mut mark, place);
        if read.is_ok() && mark == [0] {
            let _ = file.write_at(&[1], place);
        }
    }

    /// The marks of the entries whose hashes begin with these bits.
    pub(crate) fn of_page(&self, page: u64, bits: u32) -> PageMarks<'_> {
        let (first, count) = if bits <= BITS {
            (page << (BITS - bits), 1_usize << (BITS - bits))
        } else {
            (page >> (bits - BITS), 1)
        };
        let mut marks = vec![0; count];
        if let Some(file) = &self.file
            && file.read_at(&mut marks, first).is_err()
        {
            marks.fill(0);
        }
        PageMarks {
            file: self.file.as_ref(),
            first,
            marks,
        }
    }
}

/// The marks of one page of the table.
pub(crate) struct PageMarks<'a> {
    file: Option<&'a File>,
    first: u64,
    marks: Vec<u8>,
}

impl PageMarks<'_> {
    /// Takes the mark off an entry; whether it had one.
    pub(crate) fn take(&mut self, spot: Spot) -> bool {
        let place = Marks::place(spot);
        let at = (place - self.first) as usize;
        let marked = self.marks.get_mut(at).is_some_and(|mark| {
            let marked = *mark != 0;
            *mark = 0;
            marked
        });
        if marked && let Some(file) = self.file {
            let _ = file.write_at(&[0], place);
        }
        marked
    }
}
