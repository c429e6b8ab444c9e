//! The clock of the machine. The tests wait for it where they must, and never say how fast it has to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::task::{Wake, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_core::{Clock, SystemClock, Timestamp};
use larder_testkit::PATIENCE;

/// Tells when it was woken.
struct Bell(Sender<Timestamp>, Arc<SystemClock>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(self.1.now());
    }
}

fn bell(clock: &Arc<SystemClock>) -> (Waker, Receiver<Timestamp>) {
    let (send, woken) = channel();
    (Arc::new(Bell(send, Arc::clone(clock))).into(), woken)
}

#[test]
fn it_tells_the_time_of_the_wall() {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall = Timestamp::from_millis(wall.expect("it is after 1970").as_millis() as u64);
    let now = SystemClock::new().now();
    assert!(now.since(wall).max(wall.since(now)) < PATIENCE);
}

#[test]
fn it_never_goes_back_on_whatever_thread() {
    let clock = SystemClock::new();
    let (latest, start) = (AtomicUsize::new(0), clock.now());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while clock.now().since(start) < Duration::from_millis(100) {
                    // What another thread has seen before is never later than what this one sees now.
                    let seen = latest.load(Ordering::SeqCst);
                    let now = clock.now().as_millis() as usize;
                    assert!(seen <= now, "{seen} was seen before {now}");
                    latest.fetch_max(now, Ordering::SeqCst);
                }
            });
        }
    });
}

#[test]
fn an_alarm_goes_off_at_its_time_and_not_before() {
    let clock = SystemClock::new();
    for millis in [1, 7, 40] {
        let (waker, woken) = bell(&clock);
        let at = clock.now().plus(Duration::from_millis(millis));
        clock.wake_at(at, waker);
        let now = woken.recv_timeout(PATIENCE).expect("the alarm goes off");
        assert!(now >= at, "{now:?} is before {at:?}");
    }
}

#[test]
fn an_alarm_in_the_past_goes_off_at_once() {
    let clock = SystemClock::new();
    let (waker, woken) = bell(&clock);
    clock.wake_at(clock.now(), waker);
    assert!(woken.try_recv().is_ok());
}

#[test]
fn alarms_go_off_in_their_order() {
    let clock = SystemClock::new();
    // A machine that stood still before both were set is asked again, for longer.
    for step in [25, 250, 2_500, 25_000] {
        let start = clock.now();
        let set = |millis| {
            let (waker, woken) = bell(&clock);
            clock.wake_at(start.plus(Duration::from_millis(millis)), waker);
            woken
        };
        let (last, first) = (set(2 * step), set(step));
        if clock.now().since(start) >= Duration::from_millis(step) {
            continue;
        }
        let last = last.recv_timeout(PATIENCE).expect("it goes off");
        let first = first.try_recv().expect("it went off before");
        assert!(first <= last);
        return;
    }
    panic!("two alarms are not set within 25 seconds");
}

#[test]
fn an_alarm_that_was_cancelled_does_not_go_off() {
    let clock = SystemClock::new();
    let (waker, woken) = bell(&clock);
    let alarm = clock.wake_at(clock.now().plus(Duration::from_secs(3600)), waker);
    clock.cancel(alarm);
    clock.cancel(alarm);
    // Its waker went with it, so that nobody can wake it any more.
    assert_eq!(woken.try_recv(), Err(TryRecvError::Disconnected));
    let (waker, woken) = bell(&clock);
    clock.wake_at(clock.now().plus(Duration::from_millis(1)), waker);
    assert!(woken.recv_timeout(PATIENCE).is_ok(), "the others stay");
}

#[test]
fn a_waker_that_panics_does_not_silence_the_others() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("the waker panics"));
        }
    }
    let clock = SystemClock::new();
    let at = clock.now().plus(Duration::from_millis(20));
    clock.wake_at(at, Arc::new(Panics).into());
    let (waker, woken) = bell(&clock);
    clock.wake_at(at.plus(Duration::from_millis(20)), waker);
    assert!(woken.recv_timeout(PATIENCE).is_ok());
}

#[test]
fn a_process_has_one_clock() {
    assert!(Arc::ptr_eq(&SystemClock::shared(), &SystemClock::shared()));
}
