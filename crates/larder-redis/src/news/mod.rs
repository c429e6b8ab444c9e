//! What tells of changes that others make: one thread of the process for each store that is watched.
//!
//! The thread has a connection of its own on which the server names everything in the namespace that
//! changes, whoever changes it: writes, removals, marks of tags, what expires or is evicted, and what
//! other programs do. The order of things on that connection is what everything rests on: the answer
//! to a `PING` comes behind all that had changed before it was sent.
//!
//! Where the server refuses to tell, those tell who make changes: `announced.rs`.

mod announced;
mod channel;
mod watchers;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::fork;
use larder_core::store::Watcher;

use crate::store::random;
use crate::transport::{Link, Transport};

use announced::Announced;
pub(crate) use channel::{Change, Names};
use channel::{Channel, End};
pub(crate) use watchers::Watchers;

/// A channel is opened at most so often.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a server that does not tell of changes is believed to go on so.
const REFUSED: Duration = Duration::from_secs(60);
/// How often the thread looks whether it may connect.
const LOOK: Duration = Duration::from_millis(10);

/// The channel of a store at one server.
pub(crate) struct News {
    names: Box<dyn Names>,
    /// By what those who listen know the changes of this store, together with the process.
    origin: u64,
    watchers: Watchers,
    /// The process whose thread runs; 0 for none. A fork leaves the thread behind.
    running: AtomicU32,
    /// Whether the thread waits for an answer of the server to somebody else, before it connects.
    waits: AtomicBool,
    /// Whether the server has refused to tell.
    refused: AtomicBool,
    /// The number of the [`Means`] by which changes are told; 0 while they are not.
    means: AtomicU8,
}

/// How changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// By the server.
    Tracking = 1,
    /// By those who make them.
    Announced,
}

impl News {
    pub(crate) fn new(names: impl Names) -> Self {
        Self {
            names: Box::new(names),
            origin: random(),
            watchers: Watchers::default(),
            running: AtomicU32::new(0),
            waits: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            means: AtomicU8::new(0),
        }
    }

    /// Who makes the changes of this store in this process, for those who are told of them.
    pub(crate) fn sender(&self) -> Vec<u8> {
        format!("{:x}.{:x}", self.origin, std::process::id()).into_bytes()
    }

    /// The server has answered somebody: it is there, and worth a connection.
    pub(crate) fn answered(&self) {
        if self.waits.load(Ordering::Relaxed) {
            self.waits.store(false, Ordering::Release);
        }
    }

    /// Tells `watcher` from now on, for as long as it lives; `false` where the server tells nobody.
    pub(crate) fn watch<T: Transport>(
        self: &Arc<Self>,
        watcher: Weak<dyn Watcher>,
        transport: &Arc<T>,
    ) -> bool {
        self.watchers.add(watcher);
        let process = std::process::id();
        let runs = self.running.load(Ordering::Acquire);
        let taken = || {
            self.running
                .compare_exchange(runs, process, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        if runs == process || !taken() {
            return !self.refused.load(Ordering::Relaxed);
        }
        let (news, transport) = (Arc::clone(self), Arc::clone(transport));
        let thread = thread::Builder::new().name("larder-redis-news".into());
        // The thread is inside except while it waits for the server.
        let run = move || {
            let _inside = fork::inside();
            news.run(transport.link());
        };
        if thread.spawn(run).is_err() {
            self.running.store(0, Ordering::Release);
            return false;
        }
        !self.refused.load(Ordering::Relaxed)
    }

    fn run(&self, link: &Link) {
        loop {
            let began = Instant::now();
            let end = self.tell(link);
            self.watchers.lost();
            let pause = match end {
                End::Unwanted => Duration::ZERO,
                End::Lost => PAUSE,
                End::Refused => REFUSED,
            };
            self.refused
                .store(matches!(end, End::Refused), Ordering::Relaxed);
            while self.watchers.are_there() && began.elapsed() < pause {
                fork::aside(|| thread::sleep(LOOK));
            }
            if self.watchers.are_there() {
                continue;
            }
            self.running.store(0, Ordering::Release);
            // Who came meanwhile found a thread that runs.
            let process = std::process::id();
            let again = || {
                self.running
                    .compare_exchange(0, process, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            };
            if !self.watchers.are_there() || !again() {
                return;
            }
        }
    }

    /// Connects when the server has answered somebody, and tells until the connection is lost.
    fn tell(&self, link: &Link) -> End {
        self.waits.store(true, Ordering::Release);
        while self.waits.load(Ordering::Acquire) {
            if !self.watchers.are_there() {
                return End::Unwanted;
            }
            fork::aside(|| thread::sleep(LOOK));
        }
        let place = link.place();
        // A server that another one has replaced may go on telling of what nobody changes.
        let wanted = || self.watchers.are_there() && link.place() == place;
        let end = match Channel::open(link, &*self.names, &self.watchers) {
            Ok(mut channel) => self.hear(Means::Tracking, || channel.hear(wanted)),
            Err(End::Refused) => {
                match Announced::open(link, (&*self.names, self.sender()), &self.watchers) {
                    Ok(mut channel) => self.hear(Means::Announced, || channel.hear(wanted)),
                    Err(end) => end,
                }
            }
            Err(end) => end,
        };
        match end {
            End::Unwanted if self.watchers.are_there() => End::Lost,
            end => end,
        }
    }

    /// Hears of changes until that ends.
    fn hear(&self, means: Means, hear: impl FnOnce() -> End) -> End {
        self.refused.store(false, Ordering::Relaxed);
        self.means.store(means as u8, Ordering::Relaxed);
        let end = hear();
        self.means.store(0, Ordering::Relaxed);
        end
    }

    /// How changes are told at this moment, in words for people.
    pub(crate) fn told_by(&self) -> Option<&'static str> {
        // A fork leaves the thread behind, and what it has said.
        if self.running.load(Ordering::Relaxed) != std::process::id() {
            return None;
        }
        let means = self.means.load(Ordering::Relaxed);
        [Means::Tracking, Means::Announced]
            .into_iter()
            .find(|&known| known as u8 == means)
            .map(Means::said)
    }
}

impl Means {
    const fn said(self) -> &'static str {
        match self {
            Self::Tracking => "client tracking",
            Self::Announced => "publish and subscribe",
        }
    }
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("News")
            .field("watchers", &self.watchers)
            .field("told_by", &self.told_by())
            .finish_non_exhaustive()
    }
}
