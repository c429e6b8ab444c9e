//! Leases at a server that is a list of what was asked of it; rounds are done when the test says so.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use larder_core::store::Over;
use larder_core::{Error, ErrorKind, Result, Timestamp};

use super::{Ended, LEASE, LONGEST, Leases, Lender, RENEW, Record};
use crate::Work;

/// A minute after the time that it is here.
const DECLINED: Timestamp = Timestamp::from_millis(60_000);

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Renewed(Vec<Record>),
    GaveUp(Vec<Ended>),
    Looked(Record),
}

#[derive(Default)]
struct Fake {
    asked: Vec<Asked>,
    left: VecDeque<Result<Option<Duration>>>,
    later: Vec<(Instant, Work)>,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Fake>>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Lender for Server {
    async fn renew(&self, records: &[Record]) -> Result<()> {
        self.asked(Asked::Renewed(records.to_vec()));
        Ok(())
    }

    async fn give_up(&self, ended: &[Ended]) -> Result<()> {
        self.asked(Asked::GaveUp(ended.to_vec()));
        Err(Error::new(ErrorKind::Unavailable, "away"))
    }

    async fn left(&self, record: &Record) -> Result<Option<Duration>> {
        self.asked(Asked::Looked(record.clone()));
        let left = self.0.lock().unwrap().left.pop_front();
        left.unwrap_or(Ok(Some(LEASE)))
    }

    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn later(&self, at: Instant, work: Work) {
        self.0.lock().unwrap().later.push((at, work));
    }
}

impl Server {
    fn asked(&self, asked: Asked) {
        self.0.lock().unwrap().asked.push(asked);
    }

    fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn take_later(&self) -> Vec<(Instant, Work)> {
        std::mem::take(&mut self.0.lock().unwrap().later)
    }

    /// Does what is to be done, and answers how far off it was.
    fn turn(&self) -> Vec<Duration> {
        let now = Instant::now();
        let turn = self.take_later().into_iter().map(|(at, mut work)| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(work.as_mut().poll(&mut context).is_ready());
            at.saturating_duration_since(now)
        });
        turn.collect()
    }
}

/// The same with the leases of each round in the order of their names.
fn sorted(mut asked: Vec<Asked>) -> Vec<Asked> {
    for asked in &mut asked {
        if let Asked::GaveUp(ended) = asked {
            ended.sort_by(|one, other| one.record.name.cmp(&other.record.name));
        }
    }
    asked
}

fn record(name: &str) -> Record {
    Record {
        name: name.into(),
        token: b"token".to_vec(),
    }
}

fn leases() -> (Leases<Server>, Server) {
    let server = Server::default();
    (Leases::new(server.clone()), server)
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn poll(self: &Arc<Self>, over: &mut Over) -> Poll<()> {
        pin!(over).poll(&mut Context::from_waker(&Arc::clone(self).into()))
    }
}

#[test]
fn what_is_dropped_is_given_up_together_and_away_from_here() {
    let (leases, server) = leases();
    let held = ["a", "b", "c"].map(|name| leases.hold(record(name), true));
    assert_eq!(
        server.take_later().len(),
        1,
        "one round of renewals for all"
    );
    held.into_iter().enumerate().for_each(|(number, held)| {
        if number == 1 {
            held.decline();
        }
    });
    assert_eq!(server.take_asked(), []);
    assert_eq!(
        leases.former(b"b").map(|ended| ended.alone),
        Some(Some(DECLINED)),
        "the server has not heard of it"
    );
    let rounds = server.turn();
    assert_eq!(rounds.len(), 1);
    assert_eq!(leases.former(b"b"), None);
    let ended = |name, alone| Ended {
        record: record(name),
        alone,
    };
    let all = vec![
        ended("a", None),
        ended("b", Some(DECLINED)),
        ended("c", None),
    ];
    assert_eq!(sorted(server.take_asked()), [Asked::GaveUp(all)]);
    drop(leases.hold(record("d"), false));
    server.turn();
    let last = Asked::GaveUp(vec![ended("d", None)]);
    assert!(server.take_asked().contains(&last), "the next round came");
}

#[test]
fn a_round_that_nobody_can_do_keeps_no_later_one_from_coming() {
    let (leases, server) = leases();
    drop(leases.hold(record("a"), true));
    assert_eq!(server.take_later().len(), 2);
    let _held = leases.hold(record("b"), true);
    drop(leases.hold(record("c"), true));
    assert_eq!(server.turn().len(), 2);
    let Some(Asked::GaveUp(ended)) = server.take_asked().pop() else {
        panic!("nothing was given up")
    };
    assert_eq!(ended.len(), 2, "also what the lost round was for");
}

#[test]
fn a_lease_is_renewed_in_time_for_five_minutes() {
    let (leases, server) = leases();
    let before = Instant::now();
    let held = leases.hold(record("a"), true);
    let after = Instant::now();
    let rounds = server.take_later();
    let [(at, _)] = &rounds[..] else {
        panic!("one round of renewals")
    };
    assert!((before + RENEW..=after + RENEW).contains(at));
    let due = |from, seconds| leases.lock().due(from + Duration::from_secs(seconds));
    assert_eq!(due(before, 1), []);
    assert_eq!(due(after, 2), [record("a")]);
    assert_eq!(due(after, 3), []);
    assert_eq!(due(before, 299), [record("a")]);
    assert_eq!(due(after, LONGEST.as_secs() + 1), []);
    // It has run out: there is nothing to give up.
    server.take_later();
    drop(held);
    assert_eq!(server.turn(), []);
    assert!(RENEW * 3 < LEASE, "two rounds may be missed");
}

#[test]
fn who_follows_is_woken_when_the_record_is_gone() {
    let (leases, server) = leases();
    let (woken, mut over) = (Arc::<Woken>::default(), leases.follow(record("a")));
    for _ in 0..3 {
        assert_eq!(woken.poll(&mut over), Poll::Pending);
        let pauses = server.turn();
        assert_eq!(pauses.len(), 1);
        assert!(pauses[0] <= Duration::from_millis(50));
        assert_eq!(server.take_asked(), [Asked::Looked(record("a"))]);
    }
    assert_eq!(woken.times(), 0);
    server.0.lock().unwrap().left.push_back(Ok(None));
    server.turn();
    assert_eq!((woken.times(), woken.poll(&mut over)), (1, Poll::Ready(())));
    assert_eq!(server.turn(), [], "nobody looks any more");
}

#[test]
fn a_server_that_is_away_keeps_nobody_waiting() {
    let (leases, server) = leases();
    let (woken, mut over) = (Arc::<Woken>::default(), leases.follow(record("a")));
    assert_eq!(woken.poll(&mut over), Poll::Pending);
    let away = Error::new(ErrorKind::Unavailable, "away");
    server.0.lock().unwrap().left.push_back(Err(away));
    server.turn();
    assert_eq!((woken.times(), woken.poll(&mut over)), (1, Poll::Ready(())));
}

#[test]
fn who_is_told_need_not_look() {
    let (leases, server) = leases();
    let woken = Arc::<Woken>::default();
    let (mut one, mut two) = (leases.follow(record("a")), leases.follow(record("a")));
    let mut other = leases.follow(record("b"));
    for over in [&mut one, &mut two, &mut other] {
        assert_eq!(woken.poll(over), Poll::Pending);
    }
    assert!(leases.is_followed());
    leases.over(b"a");
    assert_eq!(woken.times(), 2);
    assert_eq!(woken.poll(&mut one), Poll::Ready(()));
    assert_eq!(woken.poll(&mut other), Poll::Pending);
    // Of those who are over, and of those who have gone, nobody asks the server.
    drop(other);
    server.turn();
    assert_eq!(server.take_asked(), []);
    assert!(!leases.is_followed());
}

#[test]
fn a_new_look_takes_the_place_of_the_one_to_come() {
    let (leases, server) = leases();
    let _over = leases.follow(record("a"));
    leases.look_at_all();
    leases.look_at_all();
    server.turn();
    assert_eq!(server.take_asked().len(), 1);
    assert_eq!(server.take_later().len(), 1);
}

#[test]
fn a_lease_that_the_server_ended_is_not_given_up() {
    let (leases, server) = leases();
    let held = leases.hold(record("a"), true);
    assert_eq!(leases.current(b"a"), Some(record("a")));
    leases.ended(&record("a"));
    assert_eq!(leases.current(b"a"), None);
    server.take_later();
    drop(held);
    let again = leases.hold(record("a"), true);
    drop(again);
    assert_eq!(
        leases.current(b"a"),
        Some(record("a")),
        "until it is heard of"
    );
    leases.ended(&record("a"));
    server.turn();
    assert!(server.take_asked().is_empty());
}

#[test]
fn a_lease_that_ran_out_does_not_end_the_next_one() {
    let (leases, server) = leases();
    let old = leases.hold(record("a"), true);
    let next = Record {
        token: b"next".to_vec(),
        ..record("a")
    };
    let held = leases.hold(next.clone(), true);
    drop(old);
    assert_eq!(leases.current(b"a"), Some(next.clone()));
    assert_eq!(leases.former(b"a"), None);
    drop(held);
    server.turn();
    let alone = None;
    let ended = Ended {
        record: next,
        alone,
    };
    assert!(server.take_asked().contains(&Asked::GaveUp(vec![ended])));
}
