//! What Larder's stores on other machines have in common.
//!
//! A server may be away, frozen, slow by intent or by accident. These pieces keep it from holding up
//! those who ask it: one [`Deadline`] for everything that an operation does, a [`Socket`] whose every
//! step ends by it, names [resolved](resolve()) off the caller's thread, connections kept in a
//! [`Pool`] that works after a fork, and a [`Breaker`] that leaves a server alone that failed.
//! [`Client`] puts them together for any protocol of requests and answers, over a [`Medium`]: threads
//! that block, or tasks that wait. On top of them, [`Leases`]: who may load a key among all processes
//! that share a server.
//!
//! For authors of stores; those who use one find everything in its own crate.
//!
//! ```
//! use std::time::Duration;
//!
//! use larder_core::SystemClock;
//! use larder_net::{Admission, Breaker, BreakerTimes};
//!
//! let breaker = Breaker::new(SystemClock::new(), BreakerTimes::default());
//! assert_eq!(breaker.admit(), Admission::Pass);
//! breaker.failed();
//! assert_eq!(breaker.admit(), Admission::Refuse);
//! ```

mod breaker;
mod client;
mod deadline;
mod debts;
mod directory;
mod errands;
mod lease;
mod line;
mod medium;
mod place;
mod pool;
mod reach;
mod resolve;
#[cfg(feature = "tls")]
mod secured;
mod socket;
#[cfg(feature = "tokio")]
mod tasks;
mod tls;
mod tries;
mod wire;

pub use breaker::{Admission, Breaker, BreakerTimes};
pub use client::{Begun, Client, Request, Target};
pub use deadline::Deadline;
pub use debts::{Debt, Debts};
pub use directory::{Directory, Question, Site};
pub use errands::{Work, errand};
pub use lease::{ALONE, Ended, LEASE, Leases, Lender, Record};
pub use line::{Check, Greeting, Hello, Peer, Progress, Reader};
pub use medium::{Medium, Stream, Threads};
pub use place::Place;
pub use pool::{Idle, Pool};
pub use resolve::resolve;
#[cfg(feature = "tls")]
pub use secured::Secured;
pub use socket::Socket;
#[cfg(feature = "tokio")]
pub use tasks::{TaskStream, Tasks};
pub use tls::{Tls, TlsSettings};
pub use wire::Wire;
