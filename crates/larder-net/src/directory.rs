//! Servers that know where another one is.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::{Place, Reader, tries};

/// Where a server is found.
#[derive(Clone, Debug)]
pub enum Site {
    /// Always at one place.
    At(Place),
    /// Where others say that it is now.
    Told(Arc<Directory>),
}

impl From<Place> for Site {
    fn from(place: Place) -> Self {
        Self::At(place)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(place) => write!(f, "{place}"),
            Self::Told(directory) => write!(f, "{}", directory.about),
        }
    }
}

/// What is asked of those who know, and what takes their answer apart: the place, or `None` where they have
/// never heard of the server.
pub struct Question {
    /// The bytes; the first of them log in, where that is asked for.
    pub bytes: Vec<u8>,
    /// Takes the answer apart.
    pub answer: Box<dyn Reader<Answer = Option<Place>>>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The bytes may be a password.
        f.debug_struct("Question").finish_non_exhaustive()
    }
}

/// Makes the question anew for each connection.
type Asking = Box<dyn Fn() -> Question + Send + Sync>;

/// Servers that know where another one is, which may move.
///
/// They are asked one after another when a connection is made to a server that is not proved, and beside
/// those who use it about once a second: a server that others have left may answer on.
pub struct Directory {
    /// What the server is called.
    about: String,
    pub(crate) places: Vec<Place>,
    asking: Asking,
    /// Where the server was reached last. The lock is held for as long as a copy takes.
    latest: Mutex<Option<Place>>,
    /// Who is asked first.
    first: AtomicUsize,
    /// When they are to be asked again beside, in milliseconds, as tries are counted.
    due: AtomicU64,
}

/// How often those who know are asked while the server answers.
const LOOK: Duration = Duration::from_secs(1);

impl Directory {
    /// Those at these places, at least one; `about` is what the server is called in errors.
    pub fn new(
        about: impl Into<String>,
        places: Vec<Place>,
        asking: impl Fn() -> Question + Send + Sync + 'static,
    ) -> Self {
        Self {
            about: about.into(),
            places,
            asking: Box::new(asking),
            latest: Mutex::new(None),
            first: AtomicUsize::new(0),
            due: AtomicU64::new(0),
        }
    }

    /// Where the server was reached last, if it was.
    pub fn latest(&self) -> Option<Place> {
        let latest = self.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn question(&self) -> Question {
        (self.asking)()
    }

    /// The numbers of those who know, in the order in which they are asked.
    pub(crate) fn order(&self) -> impl Iterator<Item = usize> + Send + use<> {
        let (first, count) = (self.first.load(Ordering::Relaxed), self.places.len());
        (0..count).map(move |at| (first + at) % count)
    }

    /// Another one is asked first from now on.
    pub(crate) fn turn(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// The server was reached at this place, as `number` had said.
    pub(crate) fn found(&self, number: usize, place: Place) {
        self.first.store(number, Ordering::Relaxed);
        self.put_off();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(place);
    }

    fn put_off(&self) {
        self.due
            .store(tries::now() + LOOK.as_millis() as u64, Ordering::Relaxed);
    }

    /// Whether it is time to ask; of all callers one is told so.
    pub(crate) fn is_due(&self) -> bool {
        let (due, now) = (self.due.load(Ordering::Relaxed), tries::now());
        now >= due
            && self
                .due
                .compare_exchange(
                    due,
                    now + LOOK.as_millis() as u64,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("about", &self.about)
            .field("places", &self.places)
            .field("latest", &self.latest())
            .finish_non_exhaustive()
    }
}
