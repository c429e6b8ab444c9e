//! The flight under a model checker, which runs the same few threads in thousands of orders:
//!
//! ```text
//! cargo test -p larder-core --lib --features shuttle flight::model
//! ```
//!
//! A schedule in which somebody waits for ever is a deadlock, which the checker reports by itself. The
//! rest is said in assertions: one leader at a time, an outcome for everybody, and the right one.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::{check_pct, check_random, thread};

use super::{Chain, Flights, Follow, Followed, Join, Landing, Lead};
use crate::key::{Key, Kind};

/// How many orders each model is run in that are drawn at random.
const SCHEDULES: usize = 10_000;
/// How many more by probabilistic concurrency testing, which is likely to find what takes up to
/// `DEPTH` unlucky changes between threads.
const UNLUCKY: usize = 2_000;
const DEPTH: usize = 3;

fn check(model: impl Fn() + Copy + Send + Sync + 'static) {
    check_random(model, SCHEDULES);
    check_pct(model, UNLUCKY, DEPTH);
}

fn key() -> Key {
    Key::new(Kind::User, "key")
}

/// The flights of one key, and who leads at the moment.
struct Air {
    flights: Arc<Flights<u64>>,
    leaders: AtomicUsize,
    loads: AtomicU64,
}

impl Air {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flights: Flights::new(),
            leaders: AtomicUsize::new(0),
            loads: AtomicU64::new(0),
        })
    }

    fn join(&self) -> Join<u64> {
        self.flights.join(&key(), &[], &Chain::empty())
    }

    /// Loads, and ends the load so. Nobody else may be loading meanwhile.
    fn load(&self, lead: Lead<u64>, end: impl FnOnce(Lead<u64>)) {
        let others = self.leaders.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "two lead the same key");
        self.loads.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.leaders.fetch_sub(1, Ordering::SeqCst);
        end(lead);
    }

    /// Comes, and has a value in the end: of its own, or of the one it waited for.
    fn call(&self, own: u64) -> u64 {
        match self.join() {
            Join::Own => panic!("nobody calls itself here"),
            Join::Lead(lead) => self.load_and_land(lead, own),
            Join::Follow(follow) => self.follow(follow, own),
        }
    }

    fn load_and_land(&self, lead: Lead<u64>, own: u64) -> u64 {
        self.load(lead, |lead| lead.land(Landing::Shared(own)));
        own
    }

    fn follow(&self, follow: Follow<u64>, own: u64) -> u64 {
        match block_on(follow) {
            Followed::Landed(Landing::Shared(value) | Landing::Announced(value)) => value,
            Followed::Landed(Landing::Private) => own,
            Followed::Promoted(lead) => self.load_and_land(lead, own),
        }
    }

    /// Comes and goes again before it has anything: a leader drops its right, a follower its wait.
    fn come_and_go(&self, polls: usize) {
        match self.join() {
            Join::Own => panic!("nobody calls itself here"),
            Join::Lead(lead) => self.load(lead, drop),
            Join::Follow(follow) => {
                let mut follow = pin!(follow);
                let mut context = Context::from_waker(Waker::noop());
                for _ in 0..polls {
                    match follow.as_mut().poll(&mut context) {
                        Poll::Pending => thread::yield_now(),
                        Poll::Ready(Followed::Promoted(lead)) => return self.load(lead, drop),
                        Poll::Ready(Followed::Landed(_)) => return,
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.flights.shard(&key()).is_empty()
    }
}

/// Runs each on a thread of its own, to its end.
fn together<const N: usize>(air: &Arc<Air>, callers: [fn(&Air); N]) {
    let threads = callers.map(|caller| {
        let air = Arc::clone(air);
        thread::spawn(move || caller(&air))
    });
    for thread in threads {
        thread.join().expect("no caller panics");
    }
    assert!(air.is_empty(), "a flight was left in the table");
}

#[test]
fn a_leader_lands_while_others_join() {
    check(|| {
        let air = Air::new();
        let callers: [fn(&Air); 3] = [
            |air| assert!((1..=3).contains(&air.call(1))),
            |air| assert!((1..=3).contains(&air.call(2))),
            |air| assert!((1..=3).contains(&air.call(3))),
        ];
        together(&air, callers);
        assert!((1..=3).contains(&air.loads.load(Ordering::SeqCst)));
    });
}

#[test]
fn a_private_landing_lets_everyone_go() {
    check(|| {
        let air = Air::new();
        let callers: [fn(&Air); 3] = [
            |air| match air.join() {
                Join::Lead(lead) => air.load(lead, |lead| lead.land(Landing::Private)),
                Join::Follow(follow) => assert!(air.follow(follow, 1) > 0),
                Join::Own => panic!("nobody calls itself here"),
            },
            |air| assert!(air.call(2) > 0),
            |air| assert!(air.call(3) > 0),
        ];
        together(&air, callers);
    });
}

#[test]
fn a_leader_vanishes_while_others_join() {
    check(|| {
        let air = Air::new();
        let callers: [fn(&Air); 3] = [
            |air| air.come_and_go(2),
            |air| assert!((2..=3).contains(&air.call(2))),
            |air| assert!((2..=3).contains(&air.call(3))),
        ];
        together(&air, callers);
    });
}

#[test]
fn a_leader_vanishes_while_a_follower_is_cancelled() {
    check(|| {
        let air = Air::new();
        let callers: [fn(&Air); 4] = [
            |air| air.come_and_go(0),
            |air| air.come_and_go(1),
            |air| air.come_and_go(2),
            |air| assert_eq!(air.call(4), 4),
        ];
        together(&air, callers);
    });
}

#[test]
fn what_is_announced_reaches_everyone_however_the_flight_ends() {
    let leave: fn(&Air) = |air| match air.join() {
        Join::Lead(lead) => air.load(lead, |lead| lead.announce(1)),
        Join::Follow(follow) => assert!(air.follow(follow, 1) > 0),
        Join::Own => panic!("nobody calls itself here"),
    };
    let land: fn(&Air) = |air| match air.join() {
        Join::Lead(lead) => air.load(lead, |lead| {
            lead.announce(2);
            lead.land(Landing::Private);
        }),
        Join::Follow(follow) => assert!(air.follow(follow, 2) > 0),
        Join::Own => panic!("nobody calls itself here"),
    };
    check(move || together(&Air::new(), [leave, land, |air| assert!(air.call(3) > 0)]));
}

#[test]
fn the_lead_is_passed_on_until_somebody_stays() {
    check(|| {
        let air = Air::new();
        let vanish: fn(&Air) = |air| match air.join() {
            Join::Lead(lead) => air.load(lead, drop),
            Join::Follow(follow) => match block_on(follow) {
                Followed::Promoted(lead) => air.load(lead, drop),
                Followed::Landed(Landing::Shared(value)) => assert_eq!(value, 4),
                Followed::Landed(_) => panic!("nobody lands so"),
            },
            Join::Own => panic!("nobody calls itself here"),
        };
        let stay: fn(&Air) = |air| assert_eq!(air.call(4), 4);
        together(&air, [vanish, vanish, vanish, stay]);
    });
}

#[test]
fn nobody_who_comes_after_a_purge_joins_a_load_from_before() {
    check(|| {
        // The state of the origin: a load brings what it was when it started.
        let (flights, state) = (Flights::<u64>::new(), Arc::new(AtomicU64::new(1)));
        let call = |mut expect: Option<u64>| {
            let (flights, state) = (Arc::clone(&flights), Arc::clone(&state));
            move || {
                // Whoever sees the new state here came after the purge.
                let seen = *expect.get_or_insert_with(|| state.load(Ordering::SeqCst));
                let load = |lead: Lead<u64>| {
                    let value = state.load(Ordering::SeqCst);
                    thread::yield_now();
                    lead.land(Landing::Shared(value));
                    value
                };
                let value = match flights.join(&key(), &[], &Chain::empty()) {
                    Join::Lead(lead) => load(lead),
                    Join::Follow(follow) => match block_on(follow) {
                        Followed::Promoted(lead) => load(lead),
                        Followed::Landed(Landing::Shared(value)) => value,
                        Followed::Landed(_) => panic!("nobody lands so"),
                    },
                    Join::Own => panic!("nobody calls itself here"),
                };
                assert!(value >= seen, "{value} was loaded before the purge");
            }
        };
        let callers = [thread::spawn(call(Some(1))), thread::spawn(call(Some(1)))];
        state.store(2, Ordering::SeqCst);
        flights.detach(|_, _| true);
        let late = thread::spawn(call(Some(2)));
        for caller in callers.into_iter().chain([late]) {
            caller.join().expect("no caller panics");
        }
        assert!(flights.shard(&key()).is_empty());
    });
}

#[test]
fn a_detached_flight_is_abandoned_and_nobody_hangs() {
    check(|| {
        let (flights, landed) = (Flights::<u64>::new(), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let (flights, landed) = (Arc::clone(&flights), Arc::clone(&landed));
                thread::spawn(move || {
                    let end = |lead: Lead<u64>| match number {
                        0 => drop(lead),
                        _ => lead.land(Landing::Shared(number)),
                    };
                    match flights.join(&key(), &[], &Chain::empty()) {
                        Join::Lead(lead) => end(lead),
                        Join::Follow(follow) => match block_on(follow) {
                            Followed::Promoted(lead) => end(lead),
                            Followed::Landed(_) => {}
                        },
                        Join::Own => panic!("nobody calls itself here"),
                    }
                    landed.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        flights.detach(|_, _| true);
        for caller in callers {
            caller.join().expect("no caller panics");
        }
        assert_eq!(landed.load(Ordering::SeqCst), 3);
        assert!(flights.shard(&key()).is_empty());
    });
}

#[test]
fn who_missed_before_a_landing_knows_it() {
    check(|| {
        let air = Air::new();
        let stored = Arc::new(Mutex::new(None));
        let again = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let (air, stored, again) =
                    (Arc::clone(&air), Arc::clone(&stored), Arc::clone(&again));
                thread::spawn(move || {
                    let landed = air.flights.landed(&key());
                    let found: Option<u64> = *stored.lock().expect("nobody panics");
                    if found.is_some() {
                        return;
                    }
                    let lead = match air.join() {
                        Join::Lead(lead) => lead,
                        Join::Follow(follow) => match block_on(follow) {
                            Followed::Promoted(lead) => lead,
                            Followed::Landed(_) => return,
                        },
                        Join::Own => panic!("nobody calls itself here"),
                    };
                    if air.flights.landed(&key()) == landed {
                        air.load(lead, |lead| {
                            *stored.lock().expect("nobody panics") = Some(number);
                            lead.land(Landing::Shared(number));
                        });
                    } else {
                        again.store(true, Ordering::SeqCst);
                        let found = *stored.lock().expect("nobody panics");
                        let found = found.expect("what landed was stored before");
                        lead.land(Landing::Shared(found));
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().expect("no caller panics");
        }
        assert_eq!(air.loads.load(Ordering::SeqCst), 1);
    });
}
