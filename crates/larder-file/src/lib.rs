//! Keeps Larder's entries as files in a directory, which all processes that are given it share.
//!
//! [`Files`] is a [`Store`](larder_core::Store). What one worker stores, the others read at their next
//! call, without a server; what it removes, they never read again. It outlives the processes, also
//! those that are killed in the midst of a write.
//!
//! ```
//! use larder_core::codec::Safe;
//! use larder_file::Files;
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path().join("cache");
//! let store = Files::builder(&directory).threshold(10_000).namespace("shop_").build(Safe)?;
//! # Ok::<(), larder_core::Error>(())
//! ```
//!
//! A read opens one file and waits for nobody. Writers of all processes take turns; a turn is some ten
//! microseconds, and what takes longer, the writing of the file, is done before it. A process that is
//! *stopped* (not killed) in the midst of its turn holds up the writers of the others until it goes on,
//! and they give up after two seconds. Where a whole machine shares a cache, `larder-shared` answers
//! faster; a directory can be on another machine, is read with any tool, and works on every Unix.
//!
//! # The directory
//!
//! Everything lies in a folder `larder-1` of its own, which is its owner's alone; what is beside it is
//! never touched. Another version of the layout has another folder, so that programs of two versions
//! run side by side and do not see each other's entries.
//!
//! | name | what |
//! |---|---|
//! | `entries/<xx>/<digest>` | an entry: a head of 72 bytes, then the envelope of `docs/FORMAT.md` |
//! | `entries/<xx>/<digest>-<digest>` | a variant of a base key |
//! | `purges-<namespace>` | the purges of a namespace, in one sequence |
//! | `table`, `marks` | what lies where, and what was read lately: for making room |
//! | `temp/` | files that are being written |
//! | `leases/`, `declined` | who loads which key, and whose answers are for one user each |
//! | `lock` | held by whoever changes something |
//!
//! An entry is written apart and put in its place when it is whole. Files that are no entries of ours,
//! or damaged, are a miss and are counted ([`Files::unreadables`]); links are not followed; making room
//! removes nothing that does not begin as our files do. What dead processes left unfinished is removed
//! by the next one that opens the directory.
//!
//! Nothing waits for the disk: after a crash of the whole machine, purges of its last seconds may be
//! lost as well as entries.
//!
//! # Purges
//!
//! All purges of a namespace have one sequence, as in the memory store; each entry says up to which
//! number it has seen them. A removal also takes the files away. Of tags, at most 65,536 have records;
//! what is forgotten counts as bumped. Records of removals are forgotten once in a hundred thousand,
//! which fences the loads that are under way. A purge that finds no room on the disk makes everything
//! in its namespace invalid instead.
//!
//! # Other machines
//!
//! On a network file system the store opens the record of purges at every read instead of looking at
//! it, so that it sees what other machines have purged as far as the file system keeps files
//! consistent from close to open, as NFS does. It needs locks there too. The machines must agree about
//! the time within five seconds: an entry from further in the future is not used.
//!
//! # Forks
//!
//! A store that was used before a fork works in the child. A child that never uses it keeps the leads
//! that its parent had at the fork alive, should the parent be killed while it holds one.

#![cfg(unix)]

mod builder;
mod event;
mod head;
mod lease;
mod lock;
mod log;
mod marks;
mod names;
mod page;
mod place;
mod stats;
mod store;
mod sys;
mod table;
mod temp;
mod view;

pub use builder::FileBuilder;
pub use event::FileEvent;
pub use stats::Unreadables;
pub use store::Files;
