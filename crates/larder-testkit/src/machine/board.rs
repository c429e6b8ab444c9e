//! Numbers that the processes of a test share, and numbers that look random.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// How many numbers are on a board.
pub const WORDS: usize = 256;

/// What a [`Board`] is made of: [`WORDS`] numbers, 0 at first, that all processes see and change. A
/// store that orders its memory without calls to the kernel wants words that do the same, for each call
/// is a barrier.
pub trait Words: Send + Sync {
    /// The words in a file, which is made where it is not there.
    fn open(path: &Path) -> Self;

    /// A number.
    fn get(&self, number: usize) -> u64;

    /// Changes a number in one step, though `how` may be asked more than once; what it is now.
    fn change(&self, number: usize, how: impl Fn(u64) -> u64) -> u64;
}

/// Words that are read from a file, and written to it under its lock.
#[derive(Debug)]
pub struct FileWords(File);

impl Words for FileWords {
    fn open(path: &Path) -> Self {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path).unwrap();
        file.set_len(8 * WORDS as u64).unwrap();
        Self(file)
    }

    fn get(&self, number: usize) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 8 * number as u64).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn change(&self, number: usize, how: impl Fn(u64) -> u64) -> u64 {
        // The lock of the file is one for all threads that share it.
        static THREADS: Mutex<()> = Mutex::new(());
        let _turn = THREADS.lock().unwrap();
        self.0.lock().unwrap();
        let now = how(self.get(number));
        let at = 8 * number as u64;
        self.0.write_all_at(&now.to_le_bytes(), at).unwrap();
        self.0.unlock().unwrap();
        now
    }
}

/// Numbers that the processes of a test share, in a file of their own.
pub struct Board<W>(W);

impl<W: Words> Board<W> {
    /// The board of a test with this directory.
    pub fn of(folder: &Path) -> Self {
        Self(W::open(&super::board(folder)))
    }

    /// A number.
    pub fn get(&self, number: usize) -> u64 {
        self.0.get(number)
    }

    /// Sets a number.
    pub fn set(&self, number: usize, value: u64) {
        self.0.change(number, |_| value);
    }

    /// Adds to a number; what it is now.
    pub fn add(&self, number: usize, more: u64) -> u64 {
        self.0.change(number, |now| now + more)
    }

    /// Makes a number at least so high.
    pub fn raise(&self, number: usize, least: u64) {
        self.0.change(number, |now| now.max(least));
    }

    /// Waits until a number is at least so high.
    #[track_caller]
    pub fn await_word(&self, number: usize, least: u64) {
        let start = Instant::now();
        while self.get(number) < least {
            assert!(
                start.elapsed() < PATIENCE,
                "word {number} stays below {least}"
            );
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl<W> fmt::Debug for Board<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Board").finish_non_exhaustive()
    }
}

/// A small generator of numbers that look random and are the same in every run.
#[derive(Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// The next number, as an index.
    pub fn index(&mut self, limit: usize) -> usize {
        self.below(limit as u64) as usize
    }
}
