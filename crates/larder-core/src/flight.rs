//! Who loads, and who waits: one load for each key in this process.
//!
//! The first to ask for a missing key leads: it gets a `Lead`. Those who come while it loads follow:
//! they get a `Follow`, a future that threads and tasks await alike, for a thread that drives a
//! future is one more waker on the same list. A flight ends in one of three landings:
//!
//! - **shared**: the followers get what the leader got, a value or an error;
//! - **private**: the answer is for the leader alone; all followers go on by themselves, at once;
//! - **abandoned**: the leader vanished (panic, cancellation); one follower becomes the leader.
//!
//! A leader may **announce** what there is so far, a page whose body is on its way, before its flight
//! ends. From then on nobody waits for the flight, and it stays in the table for those who come.
//!
//! # Invariants
//!
//! - A flight that is in the table has a leader, or a follower that is marked as the next one.
//! - A flight leaves the table before its followers are woken, so that whoever arrives afterwards
//!   starts a new one.
//! - Locks are taken in the order table, flight. Wakers are foreign code: they are cloned, called and
//!   dropped with neither held.

mod began;
mod chain;
mod landings;
#[cfg(all(test, feature = "shuttle"))]
mod model;

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use foldhash::quality::RandomState;

use crate::key::Key;
use crate::shim::{Arc, Mutex, MutexGuard, PoisonError};
use crate::store::Held;
use crate::tag::Tag;
use crate::time::Timestamp;

pub use chain::{Chain, InChain, LoadId};
pub(crate) use landings::Landed;
use landings::Landings;

/// How a flight ended, for those who followed.
#[derive(Clone, Debug)]
pub(crate) enum Landing<T> {
    Shared(T),
    Private,
    /// It has not ended: this is what there is of it so far, for those who follow and those who come.
    Announced(T),
}

/// The flights of one cache. `T` is what a leader shares with its followers.
pub(crate) struct Flights<T> {
    shards: Box<[Mutex<Table<T>>]>,
    landings: Landings,
    hasher: RandomState,
}

type Table<T> = HashMap<Key, Arc<Flight<T>>, RandomState>;

/// A model checker looks at one key only, and pays for each lock that there is.
const SHARDS: usize = if cfg!(feature = "shuttle") { 2 } else { 16 };

struct Flight<T> {
    /// What the leader said it would store under. A bump of one of them outdates the load.
    tags: Box<[Tag]>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The load that leads now. Changes when a follower is promoted.
    leader: LoadId,
    landing: Option<Landing<T>>,
    /// The lead among all processes, where there are several.
    held: Option<Held>,
    /// Whether a purge has taken the flight out of the table.
    detached: bool,
    /// When the load began, where those who follow want to know.
    began: Timestamp,
    followers: Vec<Follower>,
    next_follower: u64,
}

struct Follower {
    number: u64,
    waker: Waker,
    promoted: bool,
}

/// What became of the wish to load a key.
pub(crate) enum Join<T: Clone> {
    Lead(Lead<T>),
    Follow(Follow<T>),
    /// A load further up in the caller's own chain leads: waiting for it would be for ever.
    Own,
}

impl<T: Clone> Flights<T> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Table::default())).collect(),
            landings: Landings::new(),
            hasher: RandomState::default(),
        })
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Table<T>> {
        lock(&self.shards[self.hasher.hash_one(key) as usize % SHARDS])
    }

    /// How many flights of this key, and of some others, have landed so far: tells a reader that a miss may
    /// be out of date.
    pub(crate) fn landed(&self, key: &Key) -> Landed {
        self.landings.of(key)
    }

    /// Leads the load of `key`, or follows who leads it.
    pub(crate) fn join(self: &Arc<Self>, key: &Key, tags: &[Tag], chain: &Chain) -> Join<T> {
        let shard = self.shard(key);
        if let Some(flight) = shard.get(key) {
            if chain.contains(flight.lock().leader) {
                return Join::Own;
            }
            return Join::Follow(Follow {
                flights: Arc::clone(self),
                key: key.clone(),
                flight: Arc::clone(flight),
                number: None,
            });
        }
        Join::Lead(self.take_off(shard, key, tags))
    }

    /// Leads the load of `key` if nobody does.
    pub(crate) fn try_lead(self: &Arc<Self>, key: &Key, tags: &[Tag]) -> Option<Lead<T>> {
        let shard = self.shard(key);
        if shard.contains_key(key) {
            return None;
        }
        Some(self.take_off(shard, key, tags))
    }

    fn take_off(
        self: &Arc<Self>,
        mut shard: MutexGuard<'_, Table<T>>,
        key: &Key,
        tags: &[Tag],
    ) -> Lead<T> {
        let load = LoadId::next();
        let flight = Arc::new(Flight::led_by(load, tags));
        shard.insert(key.clone(), Arc::clone(&flight));
        Lead {
            flights: Arc::clone(self),
            key: key.clone(),
            flight,
            load,
            settled: false,
        }
    }

    /// Takes the flights of these keys and tags out of the table: those who arrive from now on do
    /// not wait for a result that a purge has made invalid, nor do other processes. Who waits already
    /// is served.
    pub(crate) fn detach(&self, gone: impl Fn(&Key, &[Tag]) -> bool) {
        for shard in &self.shards {
            let detached: Vec<_> = lock(shard)
                .extract_if(|key, flight| gone(key, &flight.tags))
                .collect();
            for (_, flight) in detached {
                let held = {
                    let mut state = flight.lock();
                    state.detached = true;
                    state.held.take()
                };
                drop(held);
            }
        }
    }

    /// Takes the flight of one key out of the table, as [`detach`](Self::detach) does: what it
    /// announced was outdated by a purge that it has not seen.
    pub(crate) fn detach_one(&self, key: &Key) {
        let flight = self.shard(key).remove(key);
        let held = flight.and_then(|flight| {
            let mut state = flight.lock();
            state.detached = true;
            state.held.take()
        });
        drop(held);
    }

    /// Takes a flight out of the table, if it is what the table has.
    fn remove(&self, key: &Key, flight: &Arc<Flight<T>>) {
        remove(&mut self.shard(key), key, flight);
    }
}

fn remove<T>(table: &mut Table<T>, key: &Key, flight: &Arc<Flight<T>>) {
    if table
        .get(key)
        .is_some_and(|there| Arc::ptr_eq(there, flight))
    {
        table.remove(key);
    }
}

/// A panic under one of these locks is one of the allocator; the tables stay usable after it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Flight<T> {
    fn led_by(load: LoadId, tags: &[Tag]) -> Self {
        let state = State {
            leader: load,
            landing: None,
            held: None,
            detached: false,
            began: Timestamp::EPOCH,
            followers: Vec::new(),
            next_follower: 0,
        };
        Self {
            tags: tags.into(),
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    /// Marks one follower as the next leader; answers its waker. `None` when nobody follows.
    fn promote(&self) -> Option<Waker> {
        let mut state = self.lock();
        let next = state.followers.first_mut()?;
        next.promoted = true;
        // It registers another one should it be polled again before it notices, which it cannot be.
        Some(std::mem::replace(&mut next.waker, noop()))
    }
}

/// The right and the duty to load a key. Dropping it unsettled abandons the flight.
pub(crate) struct Lead<T: Clone> {
    flights: Arc<Flights<T>>,
    key: Key,
    flight: Arc<Flight<T>>,
    load: LoadId,
    settled: bool,
}

impl<T: Clone> Lead<T> {
    pub(crate) fn load(&self) -> LoadId {
        self.load
    }

    /// Keeps the lead among all processes for as long as this one lasts, or until a purge outdates the
    /// load.
    pub(crate) fn hold(&self, held: Held) {
        let unwanted = {
            let mut state = self.flight.lock();
            if state.detached {
                Some(held)
            } else {
                state.held.replace(held)
            }
        };
        drop(unwanted);
    }

    /// Says to all processes that the answer is for one user only.
    pub(crate) fn decline(&self) {
        let held = self.flight.lock().held.take();
        if let Some(held) = held {
            held.decline();
        }
    }

    /// Hands what there is so far to those who follow, and to those who come until the flight ends.
    pub(crate) fn announce(&self, so_far: T) {
        let followers = {
            let mut state = self.flight.lock();
            state.landing = Some(Landing::Announced(so_far));
            std::mem::take(&mut state.followers)
        };
        followers
            .into_iter()
            .for_each(|follower| follower.waker.wake());
    }

    /// What the flight brought is stored under another variant: whoever reads now and leads behind it has
    /// to know.
    pub(crate) fn went_elsewhere(&self) {
        self.flights.landings.note_elsewhere(&self.key);
    }

    /// Ends the flight.
    pub(crate) fn land(mut self, landing: Landing<T>) {
        self.settled = true;
        // After what the flight brought was stored, and before anyone can lead the next one.
        self.flights.landings.note(&self.key);
        self.flights.remove(&self.key, &self.flight);
        let (followers, held) = {
            let mut state = self.flight.lock();
            state.landing = Some(landing);
            (std::mem::take(&mut state.followers), state.held.take())
        };
        followers
            .into_iter()
            .for_each(|follower| follower.waker.wake());
        drop(held);
    }
}

impl<T: Clone> Drop for Lead<T> {
    fn drop(&mut self) {
        if !self.settled {
            pass_on(&self.flights, &self.key, &self.flight);
        }
    }
}

/// Hands an abandoned flight to one follower, or takes it out of the table if there is none.
fn pass_on<T: Clone>(flights: &Flights<T>, key: &Key, flight: &Arc<Flight<T>>) {
    // Given up first, so that whoever leads next can have it.
    let held = flight.lock().held.take();
    drop(held);
    loop {
        if let Some(waker) = flight.promote() {
            return waker.wake();
        }
        // A follower may have come since the look. Under both locks none can: one that joined and
        // has not been polled yet finds that nobody leads, and joins anew.
        let mut shard = flights.shard(key);
        let mut state = flight.lock();
        if !state.followers.is_empty() {
            continue;
        }
        state.leader = LoadId::NOBODY;
        drop(state);
        remove(&mut shard, key, flight);
        return;
    }
}

/// Waits for the landing of a flight that another leads.
pub(crate) struct Follow<T: Clone> {
    flights: Arc<Flights<T>>,
    key: Key,
    flight: Arc<Flight<T>>,
    number: Option<u64>,
}

/// What a follower waited for.
pub(crate) enum Followed<T: Clone> {
    Landed(Landing<T>),
    /// The leader vanished: this follower leads now.
    Promoted(Lead<T>),
}

impl<T: Clone> Future for Follow<T> {
    type Output = Followed<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Followed<T>> {
        loop {
            match self.step(cx) {
                Step::Wait => return Poll::Pending,
                Step::Done(followed) => return Poll::Ready(followed),
                Step::Rejoin => {
                    if let Some(lead) = self.rejoin() {
                        return Poll::Ready(Followed::Promoted(lead));
                    }
                }
            }
        }
    }
}

enum Step<T: Clone> {
    Wait,
    Done(Followed<T>),
    /// The leader vanished before this follower was on its list.
    Rejoin,
}

impl<T: Clone> Follow<T> {
    fn step(&mut self, cx: &Context<'_>) -> Step<T> {
        // Trades places with the waker of an earlier poll, and is declared before the guard so that
        // whichever is left dies after it.
        let mut waker = cx.waker().clone();
        let mut state = self.flight.lock();
        if let Some(landing) = &state.landing {
            let landing = landing.clone();
            self.number = None;
            return Step::Done(Followed::Landed(landing));
        }
        if state.leader == LoadId::NOBODY {
            return Step::Rejoin;
        }
        match self.number.and_then(|number| state.place(number)) {
            None => self.number = Some(state.follow(std::mem::replace(&mut waker, noop()))),
            Some(place) if !state.followers[place].promoted => {
                std::mem::swap(&mut state.followers[place].waker, &mut waker);
            }
            Some(place) => {
                let left = state.followers.remove(place);
                let load = LoadId::next();
                state.leader = load;
                drop(state);
                drop(left);
                self.number = None;
                return Step::Done(Followed::Promoted(self.lead(load)));
            }
        }
        Step::Wait
    }

    /// Leads the abandoned flight, if nobody has done so meanwhile and no other one has taken its
    /// place; else follows whichever that is.
    fn rejoin(&mut self) -> Option<Lead<T>> {
        let flights = Arc::clone(&self.flights);
        let mut shard = flights.shard(&self.key);
        let there = shard.get(&self.key);
        if let Some(other) = there.filter(|there| !Arc::ptr_eq(there, &self.flight)) {
            let old = std::mem::replace(&mut self.flight, Arc::clone(other));
            drop(shard);
            drop(old);
            return None;
        }
        let mut state = self.flight.lock();
        if state.leader != LoadId::NOBODY {
            return None;
        }
        let load = LoadId::next();
        state.leader = load;
        shard.insert(self.key.clone(), Arc::clone(&self.flight));
        drop((state, shard));
        Some(self.lead(load))
    }

    fn lead(&self, load: LoadId) -> Lead<T> {
        Lead {
            flights: Arc::clone(&self.flights),
            key: self.key.clone(),
            flight: Arc::clone(&self.flight),
            load,
            settled: false,
        }
    }
}

fn noop() -> Waker {
    Waker::noop().clone()
}

impl<T> State<T> {
    fn follow(&mut self, waker: Waker) -> u64 {
        let number = self.next_follower;
        self.next_follower += 1;
        self.followers.push(Follower {
            number,
            waker,
            promoted: false,
        });
        number
    }

    fn place(&self, number: u64) -> Option<usize> {
        // In the order of their numbers, for they are added at the end.
        self.followers
            .binary_search_by_key(&number, |follower| follower.number)
            .ok()
    }
}

impl<T: Clone> Drop for Follow<T> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let left = {
            let mut state = self.flight.lock();
            let place = state.place(number);
            place.map(|place| state.followers.remove(place))
        };
        // Promoted and cancelled before it noticed: the next in line leads.
        if left.is_some_and(|follower| follower.promoted) {
            pass_on(&self.flights, &self.key, &self.flight);
        }
    }
}
