//! For stores that the processes of one machine share: real processes on one directory, as one store,
//! in a storm, and killed.
//!
//! A crate says how its store is [opened](Opening), and has one test, `support::worker`, that does what
//! a [`Task`] asks for: that is what a [`Worker`] runs, in a process of its own. Everything in here
//! panics where a test has to fail.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use larder_core::{Clock, codec::Plain, store::Memory};
//! use larder_testkit::machine::{Bench, FileWords, Opening};
//!
//! struct Memories;
//!
//! impl Opening for Memories {
//!     type Store = Memory<Plain>;
//!     type Builder = ();
//!     type Event = ();
//!     type Words = FileWords;
//!
//!     fn builder(_: &Path) {}
//!
//!     fn build(
//!         _: (),
//!         clock: Arc<dyn Clock>,
//!         _: impl Fn(&()) + Send + Sync + 'static,
//!     ) -> Memory<Plain> {
//!         Memory::builder().clock(clock).build().unwrap()
//!     }
//! }
//!
//! let bench = Bench::<Memories>::at(Path::new("nowhere"));
//! bench.put_text("k", "v");
//! assert_eq!(bench.get_text("k").as_deref(), Some("v"));
//! ```

mod bench;
mod board;
pub mod damage;
pub mod kills;
pub mod leases;
pub mod loads;
mod pair;
mod places;
pub mod processes;
pub mod storm;
mod worker;

pub use bench::{Bench, Events, key, variant};
pub use board::{Board, FileWords, Numbers, WORDS, Words};
pub use pair::pair;
pub use places::{counters, ground, pages, texts};
pub use worker::{Task, Work, Worker};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_core::codec::Plain;
use larder_core::{Clock, Store};
use tempfile::TempDir;

/// How a store that the processes of one machine share is opened.
pub trait Opening: 'static {
    /// The store. Its clones are one.
    type Store: Store<Plain> + Clone;
    /// What it is built of.
    type Builder;
    /// What it tells its observer.
    type Event: Clone + fmt::Debug + Send + 'static;
    /// What the [`Board`] of its tests is made of.
    type Words: Words;

    /// A builder for the store in a directory, the same one in every process.
    fn builder(directory: &Path) -> Self::Builder;

    /// Builds the store, which goes by the clock and tells `observer` what happens to it.
    fn build(
        builder: Self::Builder,
        clock: Arc<dyn Clock>,
        observer: impl Fn(&Self::Event) + Send + Sync + 'static,
    ) -> Self::Store;
}

/// A directory for one test, and the place of the store in it. It is removed when it is dropped.
pub fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = cache(folder.path());
    (folder, path)
}

fn cache(folder: &Path) -> PathBuf {
    folder.join("cache")
}

fn board(folder: &Path) -> PathBuf {
    folder.join("board")
}
