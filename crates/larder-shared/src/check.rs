//! Whether the pages of an environment are those that LMDB wrote.
//!
//! LMDB trusts its file: a damaged page can send it anywhere in memory. So whoever is the first to
//! open the environment walks through its trees before LMDB does. Every page is looked at once, every
//! number in it is bounded, keys must be in order, and what LMDB counted must be what is there. What
//! lies inside of an entry is not looked at: it has a checksum or a seal of its own.
//!
//! This is the layout of LMDB 0.9 on machines of 64 bits, written in their byte order.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use memmap2::{Mmap, MmapOptions};

use crate::layout::{self, ENTRY, PURGE, STATE, State};

const MAGIC: u32 = 0xBEEF_C0DE;
const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
const IN_BRANCH: u16 = 0x01;
const IN_LEAF: u16 = 0x02;
const IN_OVERFLOW: u16 = 0x04;
const IN_META: u16 = 0x08;
/// The data of a node lies on pages of its own.
const BIG: u16 = 0x01;
/// No page: the root of an empty tree.
const NONE: u64 = u64::MAX;
/// Deeper than any tree.
const DEEPEST: u16 = 32;

/// What is wrong with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

type Checked<T> = Result<T, Damage>;

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

/// One of the two trees.
#[derive(Clone, Copy, Debug)]
struct Tree {
    depth: u16,
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
    root: u64,
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

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(NONE, u64::from_ne_bytes)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(u32::MAX, u32::from_ne_bytes)
}

fn ensure(holds: bool, what: &'static str) -> Checked<()> {
    if holds { Ok(()) } else { Err(Damage(what)) }
}

/// The transaction, the last page and the trees in a meta page.
fn meta(page: &[u8], size: usize) -> Checked<(u64, u64, [Tree; 2])> {
    ensure(half(page, 10) & IN_META != 0, "a meta page is none")?;
    let meta = &page[PAGE_HEAD..];
    ensure(number(meta, 0) == MAGIC, "a meta page has no magic")?;
    ensure(
        number(meta, 4) == 1,
        "the file is of another version of LMDB",
    )?;
    let tree = |at: usize| Tree {
        depth: half(meta, at + 6),
        branches: word(meta, at + 8),
        leaves: word(meta, at + 16),
        overflows: word(meta, at + 24),
        entries: word(meta, at + 32),
        root: word(meta, at + 40),
    };
    ensure(
        number(meta, 24) as usize == size,
        "the pages have another size",
    )?;
    ensure(
        half(meta, 24 + 48 + 4) == 0,
        "the records have another order",
    )?;
    Ok((word(meta, 128), word(meta, 120), [tree(24), tree(72)]))
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

/// One record on a page, or the way to a page.
struct Node<'a> {
    low: u32,
    flags: u16,
    key: &'a [u8],
    /// What is behind the key, to the end of the page.
    rest: &'a [u8],
}

impl Node<'_> {
    /// The length of the data of a node on a leaf.
    fn size(&self) -> usize {
        self.low as usize
    }

    /// Where a node on a branch leads to.
    fn page(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

fn nodes(page: &[u8]) -> Checked<Vec<Node<'_>>> {
    let (lower, upper) = (half(page, 12) as usize, half(page, 14) as usize);
    let bounded = (PAGE_HEAD..=upper).contains(&lower) && upper <= page.len();
    ensure(
        bounded && lower.is_multiple_of(2),
        "a page has wrong bounds",
    )?;
    (PAGE_HEAD..lower)
        .step_by(2)
        .map(|at| node(page, half(page, at) as usize, upper))
        .collect()
}

fn node(page: &[u8], at: usize, upper: usize) -> Checked<Node<'_>> {
    ensure(
        at >= upper && at.is_multiple_of(2),
        "a node lies outside of its page",
    )?;
    let bytes = page.get(at..).filter(|bytes| bytes.len() >= NODE_HEAD);
    let bytes = bytes.ok_or(Damage("a node leaves its page"))?;
    let behind = &bytes[NODE_HEAD..];
    let (key, rest) = behind
        .split_at_checked(half(bytes, 6) as usize)
        .ok_or(Damage("a node leaves its page"))?;
    Ok(Node {
        low: u32::from(half(bytes, 0)) | u32::from(half(bytes, 2)) << 16,
        flags: half(bytes, 4),
        key,
        rest,
    })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use heed::types::Bytes;
    use heed::{CommitOrAbort, EnvOpenOptions};

    use super::*;

    /// Writes so many transactions into an environment of its own.
    fn write(path: &Path, transactions: u64) {
        // SAFETY: nobody else knows of this environment.
        let env = unsafe { EnvOpenOptions::new().map_size(1 << 20).open(path).unwrap() };
        let opened = env.create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
            let records = opener.create_database::<Bytes, Bytes>(txn, None)?;
            heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(records))
        });
        let records = opened.unwrap().unwrap_commit();
        for number in 0..transactions {
            let mut txn = env.write_txn().unwrap();
            let key = number.to_be_bytes();
            records.put(&mut txn, &key, &[7; 3000]).unwrap();
            txn.commit().unwrap();
        }
        env.prepare_for_closing().wait();
    }

    fn checked(path: &Path, known: RangeInclusive<u64>) -> Checked<Option<Sound>> {
        check(path, &known).unwrap()
    }

    #[test]
    fn an_environment_that_was_never_begun_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(checked(folder.path(), 0..=0), Ok(None));
        write(folder.path(), 0);
        let sound = checked(folder.path(), 0..=9).unwrap().unwrap();
        assert_eq!(sound.entries, 0);
    }

    #[test]
    fn the_last_transaction_is_one_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20);
        let sound = checked(folder.path(), 0..=u64::MAX).unwrap().unwrap();
        let last = sound.transaction;
        assert!(last >= 20);
        assert!(checked(folder.path(), last..=last).is_ok());
        let missing = Err(Damage("the last transaction is missing"));
        assert_eq!(checked(folder.path(), last + 1..=last + 9), missing);
        assert_eq!(checked(folder.path(), 0..=last - 1), missing);
    }

    /// LMDB would take the older state of the two for the newer one.
    #[test]
    fn an_older_meta_page_that_claims_to_be_newer_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20);
        let file = folder.path().join("data.mdb");
        let whole = fs::read(&file).unwrap();
        let size = rustix::param::page_size();
        let at = |page: usize| page * size + PAGE_HEAD + 128;
        let older = usize::from(word(&whole, at(0)) > word(&whole, at(1)));
        for more in [1, 2, 3, 4, 1 << 40] {
            let mut bytes = whole.clone();
            let claimed = word(&whole, at(older)) + more;
            bytes[at(older)..][..8].copy_from_slice(&claimed.to_ne_bytes());
            fs::write(&file, bytes).unwrap();
            let found = checked(folder.path(), 0..=u64::MAX);
            // With two more it is what LMDB would have written next, but for what it leads to.
            assert_eq!(found.is_err(), more != 2, "{more}: {found:?}");
        }
    }

    /// LMDB would write over a page that is in use.
    #[test]
    fn a_free_page_that_is_in_use_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 20);
        let file = folder.path().join("data.mdb");
        let whole = fs::read(&file).unwrap();
        let size = rustix::param::page_size();
        let page = |number: usize| &whole[number * size..][..size];
        let metas = [0, 1].map(|number| meta(page(number), size).unwrap());
        let (_, _, [free, _]) = if metas[0].0 < metas[1].0 {
            metas[1]
        } else {
            metas[0]
        };
        let lists = nodes(page(free.root as usize)).unwrap();
        let list = lists.iter().find(|list| word(list.rest, 0) > 1).unwrap();
        // The numbers go down; the last of them may be any below the one before it.
        let last = 8 * word(list.rest, 0) as usize;
        let (before, itself) = (word(list.rest, last - 8), word(list.rest, last));
        let at = list.rest.as_ptr() as usize - whole.as_ptr() as usize + last;
        for claimed in 2..before {
            let mut bytes = whole.clone();
            bytes[at..][..8].copy_from_slice(&claimed.to_ne_bytes());
            fs::write(&file, bytes).unwrap();
            let found = checked(folder.path(), 0..=u64::MAX);
            assert_eq!(found.is_ok(), claimed == itself, "{claimed}: {found:?}");
        }
    }
}
