//! Whether the pages of an environment are those that LMDB wrote.
//!
//! LMDB trusts its file: a damaged page can send it anywhere in memory. So whoever is the first to
//! open the environment walks through its trees before LMDB does. Every page is looked at once, every
//! number in it is bounded, keys must be in order, and what LMDB counted must be what is there. What
//! lies inside of an entry is not looked at: it has a checksum or a seal of its own.

mod page;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

use self::page::{
    BIG, Checked, IN_BRANCH, IN_LEAF, IN_OVERFLOW, NONE, Node, PAGE_HEAD, Tree, ensure, half, meta,
    nodes, number, word,
};
use crate::layout::{self, ENTRY, PURGE, STATE, State};

pub(crate) use self::page::Damage;

/// Deeper than any tree.
const DEEPEST: u16 = 32;

/// What was found in a file that is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) transaction: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// The bytes up to the last page in use.
    pub(crate) reach: u64,
}

/// Looks through the environment in `directory`. `Ok(None)` where there is none; the last
/// transaction must be one of `known`.
pub(crate) fn check(
    directory: &Path,
    known: &RangeInclusive<u64>,
) -> io::Result<Checked<Option<Sound>>> {
    let file = match File::open(directory.join("data.mdb")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(Ok(None));
    }
    // SAFETY: the caller is alone with the directory, so nobody writes to the file meanwhile.
    let bytes: Mmap = unsafe { MmapOptions::new().map(&file)? };
    let page = rustix::param::page_size();
    Ok(Walk::of(&bytes, page, known).map(Some))
}

/// What a walk has counted.
#[derive(Debug, Default)]
struct Count {
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
}

/// Which keys may stand below a branch.
#[derive(Clone, Copy, Debug, Default)]
struct Between<'a> {
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Numbers of pages that may be used again.
    Free,
    Records,
}

struct Walk<'a> {
    bytes: &'a [u8],
    page: usize,
    last: u64,
    seen: Vec<bool>,
    sound: Sound,
}

impl<'a> Walk<'a> {
    fn of(bytes: &'a [u8], page: usize, known: &RangeInclusive<u64>) -> Checked<Sound> {
        ensure(bytes.len() >= 2 * page, "the file is cut short")?;
        let one = meta(&bytes[..page], page)?;
        let two = meta(&bytes[page..2 * page], page)?;
        // The two pages are written in turns, so an older one that claims to be newer shows.
        let turns = one.0.abs_diff(two.0) == 1 || (one.0, two.0) == (0, 0);
        ensure(
            turns && one.0.is_multiple_of(2),
            "the meta pages are not of one time",
        )?;
        let (transaction, last, [free, records]) = if one.0 < two.0 { two } else { one };
        ensure(
            known.contains(&transaction),
            "the last transaction is missing",
        )?;
        ensure(
            (1..1 << 44).contains(&last),
            "the last page is out of reach",
        )?;
        // Pages beyond the end of the file cannot be reached.
        let pages =
            usize::try_from(last + 1).map_or(usize::MAX, |pages| pages.min(bytes.len() / page));
        let mut walk = Self {
            bytes,
            page,
            last,
            seen: vec![false; pages],
            sound: Sound {
                transaction,
                reach: (last + 1).saturating_mul(page as u64),
                ..Sound::default()
            },
        };
        walk.mark(0, 1)?;
        walk.mark(1, 1)?;
        walk.tree(records, Holds::Records)?;
        walk.tree(free, Holds::Free)?;
        Ok(walk.sound)
    }

    /// Notes that `count` pages from `first` on are in use.
    fn mark(&mut self, first: u64, count: u64) -> Checked<()> {
        let from = usize::try_from(first).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let pages = self.seen.get_mut(from..to);
        let pages = pages.ok_or(Damage("a page lies beyond the end of the file"))?;
        ensure(pages.iter().all(|seen| !seen), "a page is used twice")?;
        pages.fill(true);
        Ok(())
    }

    fn page(&mut self, at: u64) -> Checked<&'a [u8]> {
        self.mark(at, 1)?;
        let page = &self.bytes[at as usize * self.page..][..self.page];
        ensure(word(page, 0) == at, "a page has another number")?;
        Ok(page)
    }

    fn tree(&mut self, tree: Tree, holds: Holds) -> Checked<()> {
        let mut count = Count::default();
        if tree.root != NONE {
            ensure((1..=DEEPEST).contains(&tree.depth), "a tree is too deep")?;
            let at = (tree.root, tree.depth);
            self.walk(at, Between::default(), holds, &mut count)?;
        }
        let counted = [count.branches, count.leaves, count.overflows, count.entries];
        let said = [tree.branches, tree.leaves, tree.overflows, tree.entries];
        ensure(counted == said, "a tree does not hold what it says")
    }

    fn walk(
        &mut self,
        (at, depth): (u64, u16),
        between: Between<'a>,
        holds: Holds,
        count: &mut Count,
    ) -> Checked<()> {
        let page = self.page(at)?;
        let nodes = nodes(page)?;
        if depth == 1 {
            ensure(half(page, 10) == IN_LEAF, "a leaf is none")?;
            count.leaves += 1;
            return self.leaf(&nodes, between, holds, count);
        }
        ensure(half(page, 10) == IN_BRANCH, "a branch is none")?;
        ensure(nodes.len() >= 2, "a branch holds too little")?;
        count.branches += 1;
        for (number, node) in nodes.iter().enumerate() {
            // The first key of a branch stands for everything below the second.
            let from = match number {
                0 => between.from,
                _ => Some(node.key),
            };
            let to = nodes.get(number + 1).map(|next| next.key).or(between.to);
            ensure(
                in_order(from, to, holds),
                "the keys of a branch are out of order",
            )?;
            self.walk((node.page(), depth - 1), Between { from, to }, holds, count)?;
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        nodes: &[Node<'a>],
        between: Between<'a>,
        holds: Holds,
        count: &mut Count,
    ) -> Checked<()> {
        let mut last = None;
        for node in nodes {
            let fits = match last {
                None => between.from.is_none_or(|from| !less(node.key, from, holds)),
                Some(last) => less(last, node.key, holds),
            };
            ensure(fits, "the keys of a leaf are out of order")?;
            last = Some(node.key);
            let data = self.data(node, count)?;
            count.entries += 1;
            match holds {
                Holds::Free => self.free(node.key, data)?,
                Holds::Records => self.record(node.key, data)?,
            }
        }
        ensure(
            in_order(last, between.to, holds),
            "the keys of a leaf are out of order",
        )
    }

    /// The data of a node, wherever it lies.
    fn data(&mut self, node: &Node<'a>, count: &mut Count) -> Checked<&'a [u8]> {
        let size = node.size();
        if node.flags & BIG == 0 {
            ensure(node.flags == 0, "a node is of an unknown kind")?;
            return node
                .rest
                .get(..size)
                .ok_or(Damage("a node leaves its page"));
        }
        ensure(
            node.flags == BIG && node.rest.len() >= 8,
            "a node is of an unknown kind",
        )?;
        let first = word(node.rest, 0);
        let pages = (PAGE_HEAD - 1 + size) / self.page + 1;
        self.mark(first, pages as u64)?;
        let bytes = &self.bytes[first as usize * self.page..][..pages * self.page];
        let whole = word(bytes, 0) == first
            && half(bytes, 10) == IN_OVERFLOW
            && number(bytes, 12) as usize == pages;
        ensure(whole, "the pages of a long value are none")?;
        count.overflows += pages as u64;
        Ok(&bytes[PAGE_HEAD..][..size])
    }

    /// A list of pages that may be used again, the highest first.
    fn free(&mut self, key: &[u8], data: &[u8]) -> Checked<()> {
        let transaction = word(key, 0);
        let fits = key.len() == 8 && transaction <= self.sound.transaction;
        ensure(fits, "a list of free pages is of no transaction")?;
        let length = usize::try_from(word(data, 0)).unwrap_or(usize::MAX);
        ensure(length < data.len() / 8, "a list of free pages is cut short")?;
        let mut above = self.last + 1;
        for number in 1..=length {
            let page = word(data, 8 * number);
            ensure(
                (2..above).contains(&page),
                "a list of free pages is out of order",
            )?;
            above = page;
            // A page that was never written may lie beyond the end of the file.
            if (page as usize) < self.seen.len() {
                self.mark(page, 1)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], data: &[u8]) -> Checked<()> {
        match key.first() {
            Some(&ENTRY) => {
                self.sound.entries += 1;
                self.sound.bytes += data.len() as u64;
                Ok(())
            }
            Some(&PURGE) => ensure(
                layout::read_purge(key, data).is_some(),
                "the record of a purge is damaged",
            ),
            Some(&STATE) => ensure(
                State::read(key, data).is_some(),
                "the state of a namespace is damaged",
            ),
            _ => Ok(()),
        }
    }
}

/// Lists of free pages have numbers for keys.
fn less(one: &[u8], other: &[u8], holds: Holds) -> bool {
    match holds {
        Holds::Free => word(one, 0) < word(other, 0),
        Holds::Records => one < other,
    }
}

fn in_order(one: Option<&[u8]>, other: Option<&[u8]>, holds: Holds) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => less(one, other, holds),
        _ => true,
    }
}
