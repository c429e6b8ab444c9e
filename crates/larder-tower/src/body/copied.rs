//! The copy of a body that is on its way.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The copy of a body that is on its way, in memory of its own: a chunk may be a small part of a large
/// buffer, which would live as long as the copy.
///
/// It takes what has come so far and at most one block more, until it is joined: then twice that for
/// the time of copying.
#[derive(Clone, Default)]
pub(super) struct Copied {
    /// Blocks that are full.
    blocks: VecDeque<Bytes>,
    /// The block that is being filled. It never grows beyond what it was made for.
    tail: Vec<u8>,
    size: usize,
    /// How much of the beginning is gone.
    start: usize,
}

/// A block is as large as everything before it, within these bounds.
const SMALLEST: usize = 4 << 10;
const LARGEST: usize = 256 << 10;

impl Copied {
    pub(super) fn push(&mut self, mut chunk: &[u8]) {
        self.size += chunk.len();
        while !chunk.is_empty() {
            let room = self.tail.capacity() - self.tail.len();
            if room == 0 {
                self.seal();
                continue;
            }
            let (now, later) = chunk.split_at(chunk.len().min(room));
            self.tail.extend_from_slice(now);
            chunk = later;
        }
    }

    /// Begins a new block.
    fn seal(&mut self) {
        let next = Vec::with_capacity(self.size.clamp(SMALLEST, LARGEST));
        let full = std::mem::replace(&mut self.tail, next);
        if !full.is_empty() {
            self.blocks.push_back(full.into());
        }
    }

    /// How many bytes there were, whatever has been dropped of them.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// A copy that is one already.
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            size: bytes.len(),
            blocks: VecDeque::from([bytes]),
            ..Self::default()
        }
    }

    /// Where what is left begins.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// What follows at `at`, as far as it lies together; `None` if that has not come, or is gone. A full
    /// block is shared; of the one that is being filled the reader gets a copy.
    pub(super) fn piece(&self, at: usize) -> Option<Bytes> {
        let mut begin = self.start;
        if at < begin {
            return None;
        }
        for block in &self.blocks {
            if at < begin + block.len() {
                return Some(block.slice(at - begin..));
            }
            begin += block.len();
        }
        let rest = self.tail.get(at - begin..)?;
        (!rest.is_empty()).then(|| Bytes::copy_from_slice(rest))
    }

    /// Gives back the blocks that lie before `at`, as far as they are full; all of them when that is the
    /// end.
    pub(super) fn drop_before(&mut self, at: usize) {
        while let Some(block) = self.blocks.front()
            && self.start + block.len() <= at
        {
            self.start += block.len();
            self.blocks.pop_front();
        }
        if at >= self.size && self.blocks.is_empty() {
            (self.tail, self.start) = (Vec::new(), self.size);
        }
    }

    /// All of it as one. Each block is given back as soon as it is copied.
    pub(super) fn join(mut self) -> Bytes {
        let mut all = BytesMut::with_capacity(self.size);
        while let Some(block) = self.blocks.pop_front() {
            all.extend_from_slice(&block);
        }
        all.extend_from_slice(&self.tail);
        all.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::{Copied, LARGEST};

    fn text(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn what_was_pushed_is_what_comes_out() {
        for size in [0, 1, 4095, 4096, 4097, 20_000, 3 * LARGEST + 1] {
            for step in [1, 7, 4096, 1 << 20] {
                let mut copied = Copied::default();
                text(size).chunks(step).for_each(|chunk| copied.push(chunk));
                assert_eq!(copied.size(), size);
                assert_eq!(copied.join(), text(size));
            }
        }
    }

    #[test]
    fn what_is_read_meanwhile_is_what_was_pushed() {
        let all = text(2 * LARGEST);
        let (mut copied, mut at) = (Copied::default(), 0);
        for chunk in all.chunks(3000) {
            copied.push(chunk);
            while let Some(piece) = copied.piece(at) {
                assert_eq!(piece, all[at..at + piece.len()]);
                at += piece.len();
            }
            assert_eq!(at, copied.size());
        }
        let whole = Copied::whole(copied.clone().join());
        assert_eq!(whole.piece(7).unwrap(), all[7..]);
        assert!(whole.piece(all.len()).is_none());
        copied.drop_before(100_000);
        assert!((1..=100_000).contains(&copied.start()));
        assert!(copied.piece(copied.start() - 1).is_none());
        let left = copied.piece(copied.start()).unwrap();
        assert_eq!(left, all[copied.start()..copied.start() + left.len()]);
        copied.drop_before(all.len());
        assert_eq!((copied.start(), copied.blocks.len()), (all.len(), 0));
        copied.push(b"more");
        assert_eq!(copied.piece(all.len()).unwrap(), &b"more"[..]);
    }

    #[test]
    fn it_takes_one_block_more_than_there_is() {
        let mut copied = Copied::default();
        for chunk in text(5 << 20).chunks(100) {
            copied.push(chunk);
            let blocks: usize = copied.blocks.iter().map(|block| block.len()).sum();
            let taken = blocks + copied.tail.capacity();
            assert!(taken <= copied.size() + LARGEST, "{taken}");
        }
    }
}
