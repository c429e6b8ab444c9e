//! The time, moved by hand in a file, for several processes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use larder_core::time::{AlarmId, Alarms};
use larder_core::{Clock, Timestamp};

/// How often alarms are compared with the file.
const LOOK: Duration = Duration::from_millis(2);

/// A clock that all processes share which open the same file, and that any of them may move. The file
/// holds milliseconds since the Unix epoch, as 8 bytes in big-endian order, and is read at each look at
/// the clock.
///
/// ```
/// use std::time::Duration;
/// use larder_core::Clock;
/// use larder_testkit::FileClock;
///
/// let path = std::env::temp_dir().join(format!("clock-{}", std::process::id()));
/// let (one, other) = (FileClock::open(&path)?, FileClock::open(&path)?);
/// let start = other.now();
/// one.advance(Duration::from_secs(60))?;
/// assert_eq!(other.now().since(start), Duration::from_secs(60));
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FileClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    ringing: Mutex<Ringing>,
}

#[derive(Debug, Default)]
struct Ringing {
    alarms: Alarms,
    /// Whether a thread compares them with the file.
    watched: bool,
}

impl FileClock {
    /// The clock in this file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Arc<Self>> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let inner = Inner {
            file: options.open(path)?,
            ringing: Mutex::default(),
        };
        if inner.file.metadata()?.len() == 0 {
            inner.write(Timestamp::from_millis(1_700_000_000_000))?;
        }
        Ok(Arc::new(Self(Arc::new(inner))))
    }

    /// Lets `span` pass, in all processes. For one process at a time.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn advance(&self, span: Duration) -> io::Result<()> {
        self.0.write(self.0.read().plus(span))
    }
}

impl Inner {
    fn read(&self) -> Timestamp {
        let mut bytes = [0; 8];
        let read = self.file.read_exact_at(&mut bytes, 0);
        read.expect("nobody cuts the file of the clock short");
        Timestamp::from_millis(u64::from_be_bytes(bytes))
    }

    fn write(&self, now: Timestamp) -> io::Result<()> {
        self.file.write_all_at(&now.as_millis().to_be_bytes(), 0)
    }

    fn lock(&self) -> MutexGuard<'_, Ringing> {
        self.ringing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes what is due, until nothing is to come.
    fn watch(&self) {
        loop {
            let now = self.read();
            let mut ringing = self.lock();
            let due = ringing.alarms.due(now);
            ringing.watched = ringing.alarms.next_at().is_some();
            let goes_on = ringing.watched;
            drop(ringing);
            due.into_iter().for_each(Waker::wake);
            if !goes_on {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        self.0.read()
    }

    fn wake_at(&self, at: Timestamp, waker: Waker) -> AlarmId {
        let mut ringing = self.0.lock();
        let alarm = ringing.alarms.add(at, waker);
        if !ringing.watched {
            ringing.watched = true;
            let inner = Arc::clone(&self.0);
            thread::spawn(move || inner.watch());
        }
        alarm
    }

    fn cancel(&self, alarm: AlarmId) {
        let waker = self.0.lock().alarms.cancel(alarm);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};
    use std::task::Wake;
    use std::time::Duration;

    use larder_core::Clock;

    use super::FileClock;
    use crate::PATIENCE;

    struct Bell(Sender<u8>, u8);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.send(self.1).expect("the test listens");
        }
    }

    #[test]
    fn an_alarm_goes_off_when_somebody_else_moves_the_file() {
        let path = std::env::temp_dir().join(format!("larder-clock-{}", std::process::id()));
        let (one, other) = (FileClock::open(&path), FileClock::open(&path));
        let (Ok(one), Ok(other)) = (one, other) else {
            panic!("{path:?} is no place for a clock")
        };
        let (send, woken) = channel();
        let bell = |number| Arc::new(Bell(send.clone(), number)).into();
        let second = Duration::from_secs(1);
        let cancelled = one.wake_at(one.now().plus(second), bell(0));
        one.wake_at(one.now().plus(2 * second), bell(2));
        one.wake_at(one.now().plus(second), bell(1));
        one.cancel(cancelled);
        for number in [1, 2] {
            assert!(woken.try_recv().is_err());
            other.advance(second).expect("the file is there");
            assert_eq!(woken.recv_timeout(PATIENCE), Ok(number));
        }
        std::fs::remove_file(path).expect("the file is there");
    }
}
