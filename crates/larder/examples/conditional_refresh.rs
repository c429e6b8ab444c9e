//! A value that its origin can confirm for less than it takes to make it: what is out of date is kept
//! to ask with. Run it with `cargo run --example conditional_refresh`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder::{Cache, Clock, Key, Kind, Lookup, Memory, Policy, Result, SystemClock, Value};

/// A report, and the version that its origin gave it.
#[derive(Clone)]
struct Report {
    version: u32,
    text: Arc<str>,
}

impl Value for Report {}

/// A service that says whether a report has changed, as one does that knows `If-None-Match`.
#[derive(Default)]
struct Origin {
    version: AtomicU32,
    made: AtomicU32,
    confirmed: AtomicU32,
}

impl Origin {
    /// `None` where the report of this version still holds.
    fn report(&self, known: Option<u32>) -> Option<Report> {
        let version = self.version.load(Ordering::Relaxed);
        if known == Some(version) {
            self.confirmed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        let text = format!("report {version}, after a minute of work").into();
        Some(Report { version, text })
    }
}

/// The report: from the cache for a minute, and confirmed instead of made for a day after that.
async fn report(cache: &Cache<Report>, origin: &Origin) -> Option<Report> {
    let key = Key::new(Kind::User, "report");
    let policy = Policy::new(Duration::from_secs(60)).revalidate_for(Duration::from_secs(86_400));
    match cache.lookup(&key, &policy).await {
        Lookup::Hit(hit) => Some(hit.value().clone()),
        Lookup::Miss(permit) | Lookup::Stale(_, permit) => {
            let previous = permit.previous().map(|entry| entry.value.clone());
            let known = previous.as_ref().map(|report| report.version);
            match origin.report(known) {
                Some(new) => {
                    permit.store(new.clone(), &policy).await;
                    Some(new)
                }
                None => {
                    // Everyone who waits gets it; without a previous value the permit comes back.
                    drop(permit.renew(&policy).await);
                    previous
                }
            }
        }
        _ => origin.report(None),
    }
}

fn open(clock: Arc<dyn Clock>) -> Result<Cache<Report>> {
    let memory = Memory::builder().clock(clock.clone()).build::<Report>()?;
    Ok(Cache::builder(memory.into()).clock(clock).build())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (cache, origin) = (open(SystemClock::new())?, Origin::default());
    for _ in 0..3 {
        let found = report(&cache, &origin).await;
        println!("{}", found.map_or("nothing".into(), |report| report.text));
    }
    println!(
        "made {} times; in a minute it is confirmed",
        origin.made.load(Ordering::Relaxed)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_has_not_changed_is_not_made_again() {
        let clock = larder_testkit::HandClock::new();
        let (cache, origin) = (open(clock.clone()).unwrap(), Origin::default());
        let read = |count: &AtomicU32| count.load(Ordering::Relaxed);
        let counts = |origin: &Origin| [read(&origin.made), read(&origin.confirmed)];
        let steps = [(0, 0), (59, 0), (1, 1), (59, 1), (3600, 2)];
        for (seconds, confirmed) in steps {
            clock.advance(Duration::from_secs(seconds));
            assert_eq!(report(&cache, &origin).await.unwrap().version, 0);
            assert_eq!(counts(&origin), [1, confirmed], "{seconds}");
        }
        origin.version.store(1, Ordering::Relaxed);
        clock.advance(Duration::from_secs(60));
        assert_eq!(report(&cache, &origin).await.unwrap().version, 1);
        assert_eq!(counts(&origin), [2, 2]);
    }
}
