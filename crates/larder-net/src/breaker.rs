//! Whether a server is worth asking.
//!
//! The first failure opens the breaker: from then on nobody waits for the server, except for one
//! probe at a time, which is sent after a pause. The first success closes it. All of it is a handful
//! of atomics: there is no lock that a fork could leave held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::{Clock, Timestamp};

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Ask the server.
    Pass,
    /// Do not ask it; but start the one probe that is due.
    Probe,
    /// Do not ask it.
    Refuse,
}

/// How long the breaker waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerTimes {
    /// The pause between a failure and the next probe. A random part of up to a quarter is taken
    /// off. Default: 250 ms, hence at most five probes a second.
    pub pause: Duration,
    /// How long a probe may take; another one may start when it is over. Default: 500 ms.
    pub probe: Duration,
}

impl Default for BreakerTimes {
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(250),
            probe: Duration::from_millis(500),
        }
    }
}

/// Lets callers through to a server that works, and hardly any to one that does not.
#[derive(Debug)]
pub struct Breaker {
    clock: Arc<dyn Clock>,
    times: BreakerTimes,
    /// When the next probe is due, in milliseconds; 0 while the breaker is closed.
    probe_at: AtomicU64,
    /// 0 until the server has answered once since the last failure.
    answered: AtomicU32,
    openings: AtomicU64,
    /// The state of the jitter: any sequence will do, as long as processes differ.
    dice: AtomicU64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(clock: Arc<dyn Clock>, times: BreakerTimes) -> Self {
        let seed = u64::from(std::process::id()) << 32 ^ clock.now().as_millis();
        Self {
            clock,
            times,
            probe_at: AtomicU64::new(0),
            answered: AtomicU32::new(0),
            openings: AtomicU64::new(0),
            dice: AtomicU64::new(seed),
        }
    }

    /// Whether the server is being left alone.
    pub fn is_open(&self) -> bool {
        self.probe_at.load(Ordering::Acquire) != 0
    }

    /// Whether the server has answered since the last failure. As long as it has not, connections
    /// are made one by one, so that a crowd does not storm a server that is down.
    pub fn is_proved(&self) -> bool {
        self.answered.load(Ordering::Acquire) != 0
    }

    /// How often the breaker has opened.
    pub fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    /// How long a probe may take.
    pub const fn probe_time(&self) -> Duration {
        self.times.probe
    }

    /// What the caller may do now. Of all callers at the time of a probe one is told to start it.
    pub fn admit(&self) -> Admission {
        let due = self.probe_at.load(Ordering::Acquire);
        if due == 0 {
            return Admission::Pass;
        }
        let now = self.clock.now();
        if now.as_millis() < due {
            return Admission::Refuse;
        }
        // Whoever moves the time owns the probe. A prober that dies, with its process after a fork
        // for example, is replaced when its time is over.
        let next = millis(now.plus(self.times.probe + self.pause()));
        match self
            .probe_at
            .compare_exchange(due, next, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => Admission::Probe,
            Err(_) => Admission::Refuse,
        }
    }

    /// The server answered.
    pub fn succeeded(&self) {
        if !self.is_proved() {
            self.answered.store(1, Ordering::Release);
        }
        if self.is_open() {
            self.probe_at.store(0, Ordering::Release);
        }
    }

    /// The server took a connection. Does not close an open breaker.
    pub fn proved(&self) {
        self.answered.store(1, Ordering::Release);
    }

    /// A connection broke that had worked: the server may be gone, or may have started anew.
    pub fn doubt(&self) {
        self.answered.store(0, Ordering::Release);
    }

    /// The server did not answer, or answered nonsense.
    pub fn failed(&self) {
        self.answered.store(0, Ordering::Release);
        let due = millis(self.clock.now().plus(self.pause()));
        if self.probe_at.swap(due, Ordering::AcqRel) == 0 {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The pause, with its random part taken off.
    fn pause(&self) -> Duration {
        let roll = self
            .dice
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (roll ^ roll >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let share = mixed as f64 / f64::from(1 << 24);
        self.times.pause.mul_f64(1.0 - share / 5.0)
    }
}

/// Never 0, which stands for a closed breaker.
fn millis(time: Timestamp) -> u64 {
    time.as_millis().max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Waker;
    use std::time::Duration;

    use larder_core::time::AlarmId;
    use larder_core::{Clock, Timestamp};

    use super::{Admission, Breaker, BreakerTimes};

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Hand {
        fn advance(&self, millis: u64) {
            self.0.fetch_add(millis, Ordering::SeqCst);
        }
    }

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }

        fn wake_at(&self, _at: Timestamp, _waker: Waker) -> AlarmId {
            0
        }

        fn cancel(&self, _alarm: AlarmId) {}
    }

    fn breaker() -> (Arc<Hand>, Breaker) {
        let hand = Arc::new(Hand(AtomicU64::new(1_000_000)));
        let breaker = Breaker::new(Arc::clone(&hand) as Arc<dyn Clock>, BreakerTimes::default());
        (hand, breaker)
    }

    #[test]
    fn a_failure_opens_and_one_probe_goes_through() {
        let (hand, breaker) = breaker();
        assert_eq!(breaker.admit(), Admission::Pass);
        breaker.failed();
        assert!(breaker.is_open() && !breaker.is_proved());
        assert_eq!(breaker.admit(), Admission::Refuse);
        hand.advance(250);
        assert_eq!(breaker.admit(), Admission::Probe);
        assert_eq!(breaker.admit(), Admission::Refuse);
        breaker.succeeded();
        assert_eq!(breaker.admit(), Admission::Pass);
        assert!(breaker.is_proved());
        assert_eq!(breaker.openings(), 1);
    }

    #[test]
    fn a_probe_that_never_ends_is_replaced() {
        let (hand, breaker) = breaker();
        breaker.failed();
        hand.advance(250);
        assert_eq!(breaker.admit(), Admission::Probe);
        hand.advance(500);
        assert_eq!(breaker.admit(), Admission::Refuse);
        hand.advance(250);
        assert_eq!(breaker.admit(), Admission::Probe);
    }

    #[test]
    fn at_most_five_probes_start_in_a_second_and_one_does_each_second() {
        let (hand, breaker) = breaker();
        breaker.failed();
        let mut probes = Vec::new();
        for now in 0..20_000_u64 {
            if breaker.admit() == Admission::Probe {
                probes.push(now);
                breaker.failed();
            }
            hand.advance(1);
        }
        for start in &probes {
            let second = probes
                .iter()
                .filter(|&at| (*start..start + 1000).contains(at))
                .count();
            assert!(
                second <= 5,
                "{second} probes within the second after {start} ms"
            );
        }
        let gaps = probes
            .windows(2)
            .map(|pair| Duration::from_millis(pair[1] - pair[0]));
        let (shortest, longest) = gaps.fold((Duration::MAX, Duration::ZERO), |(low, high), gap| {
            (low.min(gap), high.max(gap))
        });
        assert!(longest <= Duration::from_millis(250), "{longest:?}");
        assert!(shortest < longest, "probes are spread");
    }
}
