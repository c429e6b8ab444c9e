//! Timing: all contestants in each round, in an order that changes, so that noise falls on all alike.

use rustix::time::{ClockId, clock_gettime};

/// One way of answering a request.
pub struct Contestant {
    name: &'static str,
    work: Box<dyn FnMut(u32)>,
    loops: u32,
    seconds: Vec<f64>,
}

impl Contestant {
    /// `work` answers as many requests as it is told.
    pub fn new(name: &'static str, work: impl FnMut(u32) + 'static) -> Self {
        Self {
            name,
            work: Box::new(work),
            loops: 1,
            seconds: Vec::new(),
        }
    }

    /// Seconds for one request, in the middle of all rounds.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    fn at(&self, share: f64) -> f64 {
        let mut ordered = self.seconds.clone();
        ordered.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place"
        )]
        let place = ((ordered.len() - 1) as f64 * share).round() as usize;
        ordered[place]
    }

    fn batch(&mut self) -> f64 {
        let started = processor_seconds();
        (self.work)(self.loops);
        processor_seconds() - started
    }
}

/// How long to measure.
pub struct Effort {
    rounds: usize,
    batch: f64,
}

impl Effort {
    /// Few rounds with `--quick`.
    pub fn chosen(mut arguments: impl Iterator<Item = String>) -> Self {
        let quick = arguments.any(|argument| argument == "--quick");
        if quick {
            Self {
                rounds: 5,
                batch: 0.004,
            }
        } else {
            Self {
                rounds: 31,
                batch: 0.010,
            }
        }
    }
}

/// Processor time of this process, so that what else the machine does hardly counts.
fn processor_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Fills in the contestants' seconds.
pub fn measure(mut all: Vec<&mut Contestant>, effort: &Effort) {
    for one in &mut all {
        let mut spent = one.batch();
        while spent < effort.batch {
            one.loops *= 2;
            spent = one.batch();
        }
    }
    let mut order = 1_u64;
    for _ in 0..effort.rounds {
        for place in (1..all.len()).rev() {
            order = order
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            all.swap(place, (order >> 33) as usize % (place + 1));
        }
        for one in &mut all {
            let spent = one.batch() / f64::from(one.loops);
            one.seconds.push(spent);
        }
    }
}

/// A row for the tables, as JSON; `spent` is what each call cost before the work began.
pub fn row((group, name): (&str, &str), contestants: &[Contestant], spent: f64) -> String {
    let shown = contestants.iter().map(|one| {
        let [median, p10, p90] = [0.5, 0.1, 0.9].map(|share| one.at(share) - spent);
        let (name, isolates) = (one.name, true);
        format!(
            r#"{{"name":"{name}","isolates":{isolates},"median":{median:e},"p10":{p10:e},"p90":{p90:e}}}"#
        )
    });
    let shown: Vec<String> = shown.collect();
    format!(
        r#"{{"group":"{group}","name":"{name}","contestants":[{}]}}"#,
        shown.join(",")
    )
}
