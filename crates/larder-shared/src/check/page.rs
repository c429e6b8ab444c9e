//! What stands on a page of LMDB 0.9, on machines of 64 bits, in their byte order. Everything is read
//! within bounds: what lies outside reads as a number that nothing has.

pub(super) const MAGIC: u32 = 0xBEEF_C0DE;
pub(super) const PAGE_HEAD: usize = 16;
pub(super) const NODE_HEAD: usize = 8;
pub(super) const IN_BRANCH: u16 = 0x01;
pub(super) const IN_LEAF: u16 = 0x02;
pub(super) const IN_OVERFLOW: u16 = 0x04;
pub(super) const IN_META: u16 = 0x08;
/// The data of a node lies on pages of its own.
pub(super) const BIG: u16 = 0x01;
/// No page: the root of an empty tree.
pub(super) const NONE: u64 = u64::MAX;

/// What is wrong with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

pub(super) type Checked<T> = Result<T, Damage>;

/// One of the two trees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub(super) depth: u16,
    pub(super) branches: u64,
    pub(super) leaves: u64,
    pub(super) overflows: u64,
    pub(super) entries: u64,
    pub(super) root: u64,
}

pub(super) fn half(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
}

pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(NONE, u64::from_ne_bytes)
}

pub(super) fn number(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(u32::MAX, u32::from_ne_bytes)
}

pub(super) fn ensure(holds: bool, what: &'static str) -> Checked<()> {
    if holds { Ok(()) } else { Err(Damage(what)) }
}

/// The transaction, the last page and the trees in a meta page.
pub(super) fn meta(page: &[u8], size: usize) -> Checked<(u64, u64, [Tree; 2])> {
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

/// One record on a page, or the way to a page.
pub(super) struct Node<'a> {
    pub(super) low: u32,
    pub(super) flags: u16,
    pub(super) key: &'a [u8],
    /// What is behind the key, to the end of the page.
    pub(super) rest: &'a [u8],
}

impl Node<'_> {
    /// The length of the data of a node on a leaf.
    pub(super) fn size(&self) -> usize {
        self.low as usize
    }

    /// Where a node on a branch leads to.
    pub(super) fn page(&self) -> u64 {
        u64::from(self.low) | u64::from(self.flags) << 32
    }
}

pub(super) fn nodes(page: &[u8]) -> Checked<Vec<Node<'_>>> {
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

pub(super) fn node(page: &[u8], at: usize, upper: usize) -> Checked<Node<'_>> {
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
