//! Keeps Larder's entries in one memory map, which all processes of a machine read and write.
//!
//! [`Shared`] is a [`Store`](larder_core::Store) over one LMDB environment in a directory. What one
//! worker stores, the others read at their next call, without a server; what it removes, they never
//! read again. It outlives the processes, also those that are killed in the midst of a write, but not
//! a start of the machine: nothing waits for the disk, so what lies there after a crash of the
//! machine cannot be trusted and is set aside.
//!
//! ```
//! use larder_core::codec::Safe;
//! use larder_shared::Shared;
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let directory = directory.path().join("cache");
//! let store = Shared::builder(&directory).size(64 << 20).namespace("shop_").build(Safe)?;
//! # Ok::<(), larder_core::Error>(())
//! ```
//!
//! A read takes a microsecond or two and waits for nobody. What this process has read lately it keeps
//! as values, and answers with them like the memory store, as long as no process changes them: see
//! [`SharedBuilder::near`]. Writers of all processes take turns: a turn is some microseconds where the
//! file is written through its map, which is on ext4 and XFS, and some ten elsewhere. A process that is
//! *stopped* (not killed) in the midst of its turn holds up the writers of the others until it goes on.
//!
//! Where the file is written through its map, all of its room on the disk is taken when it is made, so
//! that no store into the map can find the disk full; where there is not that much room, it is written
//! as elsewhere.
//!
//! # The directory
//!
//! | name | what |
//! |---|---|
//! | `store-<epoch>/` | the LMDB environment |
//! | `coherence.map` | the words that processes share beside it: what has changed, what was read |
//! | `locks` | on whose bytes processes show that they are there, and leases are held |
//! | `set-aside/` | the environment that was replaced last, for whoever wants to know why |
//!
//! It belongs to one user, has mode 0700, and is on a local file system. Removing it while it is in
//! use is noticed; cutting its files short while they are in use ends the processes.
//!
//! # Purges
//!
//! All purges of a namespace have one sequence, as in the memory store, and their records lie in the
//! environment: each is written in the transaction that removes what it names. At most 65,536 keys
//! and as many tags have records; what is forgotten counts as purged. A purge that finds no room to
//! be recorded in replaces the whole environment.
//!
//! # One load for all
//!
//! Who leads a load holds a byte of the lock file, which the kernel lets go of when its process is
//! killed; whoever waits for it is woken at once. A process has one thread for each key that it waits
//! for, and waits for 512 at most: beyond, it loads beside the others.
//!
//! # Forks
//!
//! A store that was used before a fork works in the child: it closes its copy of what the parent had
//! open and opens it again. The one thing that must not be done is to fork from within a call of the
//! store, out of a codec or an observer.
//!
//! Linux on machines of 64 bits only; elsewhere this crate is empty.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

mod builder;
mod check;
mod coherence;
mod environment;
mod event;
mod fork;
mod layout;
mod lease;
mod locks;
mod map;
mod near;
mod opened;
mod place;
mod reserve;
mod settle;
mod stats;
mod store;

pub use builder::SharedBuilder;
pub use event::{Replaced, SharedEvent};
pub use stats::Unreadables;
pub use store::Shared;
