//! For tests of Larder and of what is built on it.
//!
//! A test of a cache fails for two wrong reasons: it slept and the machine was slow, or two threads met
//! in another order than it thought. Nothing in here sleeps. Time is a [`HandClock`] that the test
//! moves, an order is a [`Gate`] that the test opens, and a test knows that a hundred callers wait
//! because a hundred alarms are set, not because a second has passed.
//!
//! - [`conformance`]: what every store has to do, also one of your own, as a suite of tests;
//! - [`mod@scenarios`]: what a cache over any store promises to crowds, in outages of its origin and in races;
//! - [`HandClock`]: the time, moved by hand;
//! - [`Gate`]: stops threads and tasks until it is opened;
//! - [`CountingOrigin`]: something to be cached, slow and failing on demand, that counts its calls;
//! - [`FailingStore`] and [`SlowStore`]: any store, failing or waiting on demand;
//! - [`SpyStore`]: any store, with the bytes that are read from it;
//! - [`LeasingStore`]: any store, as processes share it;
//! - [`TellingStore`]: any store, with a channel that tells of changes;
//! - [`machine`]: stores that the processes of one machine share, on which they are killed;
//! - [`Pair`]: a store of which every other operation happens in another process;
//! - [`Program`] and [`Liar`]: a real server, to be frozen and killed, and one that lies;
//! - [`Recorder`]: an observer that keeps what it was told.
//!
//! ```
//! use std::time::Duration;
//! use larder_core::{Cache, Key, Kind, Policy, ThreadPark, drive, store::Memory};
//! use larder_testkit::{Answer, CountingOrigin, HandClock};
//!
//! let clock = HandClock::new();
//! let memory = Memory::builder().clock(clock.clone()).build::<u64>()?;
//! let cache = Cache::builder(memory).clock(clock.clone()).build();
//! let (origin, key) = (CountingOrigin::new(), Key::new(Kind::User, "answer"));
//! let policy = Policy::new(Duration::from_secs(10));
//! let ask = || drive(origin.ask(&cache, &key, &policy), &ThreadPark);
//!
//! assert!(matches!(ask(), Ok(Answer::Loaded(1, _))));
//! clock.advance(Duration::from_secs(9));
//! assert!(matches!(ask(), Ok(Answer::Hit(1, _))));
//! clock.advance(Duration::from_secs(1));
//! assert!(matches!(ask(), Ok(Answer::Loaded(2, _))));
//! # Ok::<(), larder_core::Error>(())
//! ```

mod clock;
pub mod conformance;
mod failing;
mod file_clock;
mod gate;
mod leasing;
mod liar;
#[cfg(unix)]
pub mod machine;
mod operation;
mod origin;
#[cfg(unix)]
mod pair;
mod program;
mod recorder;
pub mod scenarios;
mod slow;
mod spying;
mod telling;

pub use clock::HandClock;
pub use failing::FailingStore;
pub use file_clock::FileClock;
pub use gate::{Gate, Passing};
pub use leasing::LeasingStore;
pub use liar::Liar;
pub use operation::Operation;
pub use origin::{Answer, CountingOrigin, Down};
#[cfg(unix)]
pub use pair::{Pair, serve};
pub use program::Program;
pub use recorder::{Recorded, Recorder};
pub use slow::SlowStore;
pub use spying::SpyStore;
pub use telling::TellingStore;

use std::time::Duration;

/// How long a test waits for something that is bound to happen before it says that it hangs. No test
/// that passes ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many times as much as usual a long test is to do: 1, or what the environment variable
/// `LARDER_EFFORT` says, as in a run that takes hours.
///
/// # Panics
///
/// Where the variable is no whole number above 0.
///
/// ```
/// for round in 0..10 * larder_testkit::effort() {
///     // Kill something, and look what is left.
///     # let _ = round;
/// }
/// ```
pub fn effort() -> u64 {
    let Some(set) = std::env::var_os("LARDER_EFFORT") else {
        return 1;
    };
    let number = set.to_str().and_then(|text| text.parse().ok());
    let number = number.filter(|&number: &u64| number > 0);
    number.unwrap_or_else(|| {
        panic!("LARDER_EFFORT is {set:?} (give a whole number above 0, or unset it)")
    })
}
