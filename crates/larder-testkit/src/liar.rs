//! A server that does what none should.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::PATIENCE;

/// A server on the loopback address that does to each connection what it is told, on a thread of its
/// own; for tests of clients. It stops when it is dropped.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// let liar = larder_testkit::Liar::answering(b"nonsense");
/// let mut stream = TcpStream::connect(liar.address())?;
/// stream.write_all(b"a request")?;
/// let mut answer = [0; 8];
/// stream.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"nonsense");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Liar {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    taken: Arc<AtomicUsize>,
}

impl Liar {
    /// A server that does this to each connection. It is told when the test is over.
    ///
    /// # Panics
    ///
    /// Where no port can be had.
    pub fn new(behave: impl Fn(TcpStream, &AtomicBool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a port");
        let (over, taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (done, count, behave) = (Arc::clone(&over), Arc::clone(&taken), Arc::new(behave));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let (done, behave) = (Arc::clone(&done), Arc::clone(&behave));
                thread::spawn(move || behave(stream, &done));
            }
        });
        Self {
            address,
            over,
            taken,
        }
    }

    /// Answers every request with these bytes.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::new(move |mut stream, over| {
            let mut request = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                match stream.read(&mut request) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => drop(stream.write_all(answer)),
                }
            }
        })
    }

    /// Answers the first request with these bytes, twenty of them a second.
    pub fn dripping(answer: &'static [u8]) -> Self {
        Self::new(move |mut stream, over| {
            let _ = stream.read(&mut [0; 4096]);
            for byte in answer {
                if over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        })
    }

    /// Answers the first request with these bytes and says that nothing more will come, but keeps the
    /// connection open.
    pub fn half_closing(answer: &'static [u8]) -> Self {
        Self::new(move |mut stream, over| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let looks = PATIENCE.as_millis() / 10;
            for _ in 0..looks {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that takes connections.
        let _ = TcpStream::connect(self.address);
    }
}
