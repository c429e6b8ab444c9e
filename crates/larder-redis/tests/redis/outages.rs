//! How often a server that is away is tried, and what the states mean that it tells of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::Plain;
use larder_core::{ErrorKind, Store};
use larder_testkit::PATIENCE;

use crate::faults::{Liar, answers, kind, patient, store};
use crate::support::{now, user};

/// Counts what `crowd` connects to a server that hangs up: five times in each second that has begun, at
/// most. When each of them was tried nobody knows here: threads of the server take them as they come to run.
fn storm(crowd: impl Fn(&str, &(dyn Fn() -> bool + Sync))) {
    const LEAST: u64 = 3;
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let liar = Liar::new(move |stream, _| {
        count.fetch_add(1, Ordering::SeqCst);
        drop(stream);
    });
    let start = Instant::now();
    crowd(&liar.url, &|| {
        let is_idle = taken.load(Ordering::SeqCst) < LEAST && start.elapsed() < PATIENCE;
        start.elapsed() < Duration::from_secs(2) || is_idle
    });
    let all = taken.load(Ordering::SeqCst);
    // The client counts in whole milliseconds.
    let begun = 1 + (start.elapsed() + Duration::from_millis(10)).as_secs();
    assert!(
        all <= 5 * begun,
        "{all} connections, and {begun} seconds have begun"
    );
    assert!(all >= LEAST, "only {all} connections");
}

#[test]
fn a_crowd_tries_a_server_that_is_away_five_times_a_second() {
    storm(|url, goes_on| {
        let store = store(url);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while goes_on() {
                        assert_ne!(kind(&store), None);
                        // Who waits for others to load is as good a reason to connect.
                        let leased = now(Store::<Plain>::lease(&store, &user("k")));
                        assert!(leased.is_err());
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        });
    });
}

#[test]
fn a_crowd_asks_sentinels_that_are_away_five_times_a_second() {
    storm(|url, goes_on| {
        let place = url.trim_start_matches("redis://");
        // Three of them, all of whom hang up.
        let url = format!("redis+sentinel://{place},{place},{place}/master");
        let store = store(&url);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    while goes_on() {
                        assert_ne!(kind(&store), None);
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            }
        });
    });
}

/// A server that cannot be asked now, whatever is asked, is left alone like one that is away.
#[test]
fn what_a_server_says_of_its_state_opens_the_breaker() {
    let states: [&'static [u8]; 4] = [
        b"-LOADING Redis is loading the dataset in memory\r\n-LOADING\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n-MASTERDOWN\r\n",
        b"-BUSY Redis is busy running a script.\r\n-BUSY\r\n",
        b"-NOAUTH Authentication required.\r\n-NOAUTH\r\n",
    ];
    for state in states {
        let liar = Liar::new(answers(state));
        let store = patient(&liar.url);
        assert_eq!(kind(&store), Some(ErrorKind::Store));
        assert!(store.transport().breaker().is_open());
    }
    // What it says of one command is the business of that command.
    for answer in [
        &b"-OOM command not allowed\r\n-OOM\r\n"[..],
        b"-NOPERM this user has no permissions\r\n-NOPERM\r\n",
        b"-MISCONF errors writing to disk\r\n-MISCONF\r\n",
    ] {
        let liar = Liar::new(answers(answer));
        let store = patient(&liar.url);
        for _ in 0..3 {
            assert_eq!(kind(&store), Some(ErrorKind::Store));
        }
        assert!(!store.transport().breaker().is_open());
        assert_eq!(store.transport().attempts(), 1);
    }
}

/// Who stands at the place of a server that has become a replica is asked again, once a second at most.
#[test]
fn a_server_that_became_a_replica_is_connected_to_anew() {
    let liar = Liar::new(answers(b"-READONLY You can't write\r\n-READONLY\r\n"));
    let store = patient(&liar.url);
    for _ in 0..20 {
        assert_eq!(kind(&store), Some(ErrorKind::Store));
    }
    let attempts = store.transport().attempts();
    assert!((2..=20).contains(&attempts), "{attempts}");
    assert!(!store.transport().breaker().is_open());
}
