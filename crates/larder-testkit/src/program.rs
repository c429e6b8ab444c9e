//! A real server for one test.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::PATIENCE;

/// A program that listens on a port or a socket, with a folder of its own. It is killed when it is
/// dropped.
///
/// ```no_run
/// let port = larder_testkit::Program::free_port();
/// let arguments = ["-p".to_owned(), port.to_string()];
/// let Some(mut server) = larder_testkit::Program::start("memcached", &arguments, Some(port)) else {
///     return;
/// };
/// server.freeze();
/// server.thaw();
/// server.restart();
/// ```
#[derive(Debug)]
pub struct Program {
    child: Option<Child>,
    program: OsString,
    arguments: Vec<OsString>,
    port: Option<u16>,
    folder: PathBuf,
}

/// Ports below those of connections that ask for none (32,768 to 60,999 on Linux).
const PORTS: Range<u16> = 12_000..32_000;

/// More ports than the servers of all tests that run at the same time have.
const MOST_HELD: usize = 128;

/// Stands for the folder of the program in its arguments.
const FOLDER: &str = "{folder}";

impl Program {
    /// A port that nobody listens on at the moment, that the system gives to no connection by itself, and
    /// that no other test is given: it is free still when a server has been killed and starts anew.
    pub fn free_port() -> u16 {
        // While nobody listens on a port, nobody sees that it is taken. So this process holds the port of
        // UDP with its number, as the tests in Python do.
        static HELD: Mutex<VecDeque<UdpSocket>> = Mutex::new(VecDeque::new());
        loop {
            let chance = RandomState::new().hash_one(()) % u64::from(PORTS.end - PORTS.start);
            let port = PORTS.start + u16::try_from(chance).expect("there are fewer ports");
            let Ok(mine) = UdpSocket::bind(("127.0.0.1", port)) else {
                continue;
            };
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
                held.push_back(mine);
                if held.len() > MOST_HELD {
                    held.pop_front();
                }
                return port;
            }
        }
    }

    /// Starts a program and waits until it listens: on the port, else on the socket `s` in its folder,
    /// for which `{folder}` stands in the arguments. The program is the one that a variable names,
    /// `LARDER_TEST_MEMCACHED_SERVER` for example, else the one of this name. `None`, said aloud, where
    /// it is not installed.
    ///
    /// # Panics
    ///
    /// Where it is not installed while `CI` is set, and where it does not listen.
    pub fn start(name: &str, arguments: &[String], port: Option<u16>) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = format!("larder-{name}-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        let short = name.strip_suffix("-server").unwrap_or(name);
        let variable = format!("LARDER_TEST_{}_SERVER", short.to_uppercase());
        let text = folder.display().to_string();
        let arguments = arguments
            .iter()
            .map(|one| one.replace(FOLDER, &text).into());
        let mut program = Self {
            child: None,
            program: std::env::var_os(variable).unwrap_or_else(|| name.into()),
            arguments: arguments.collect(),
            port,
            folder,
        };
        program.run().then_some(program)
    }

    fn run(&mut self) -> bool {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => self.child = Some(child),
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!(
                    "skipped: {} does not start: {error}",
                    self.program.display()
                );
                return false;
            }
            Err(error) => panic!("{} does not start: {error}", self.program.display()),
        }
        let end = Instant::now() + PATIENCE;
        while !self.listens() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()?);
            assert!(ended.is_none(), "{:?} ended: {ended:?}", self.arguments);
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    fn listens(&self) -> bool {
        match self.port {
            Some(port) => TcpStream::connect(("127.0.0.1", port)).is_ok(),
            None => UnixStream::connect(self.socket()).is_ok(),
        }
    }

    /// The folder of the program, which is removed with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of the socket in it.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// The number of its process.
    ///
    /// # Panics
    ///
    /// Where it does not run.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    fn signal(&self, signal: Signal) -> Pid {
        let child = Pid::from_child(self.child.as_ref().expect("the server runs"));
        kill_process(child, signal).expect("the server runs");
        child
    }

    /// Stops it where it stands: it answers nothing, and its connections stay open.
    ///
    /// # Panics
    ///
    /// Where it does not run.
    pub fn freeze(&self) {
        let child = self.signal(Signal::STOP);
        // Its threads go on for a moment; the system says when all of them stand.
        waitpid(Some(child), WaitOptions::UNTRACED).expect("the server runs");
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// Where it does not run.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it.
    pub fn kill(&mut self) {
        // One at a time: where several threads wait for the ends of processes at once, Linux can spend a third of
        // a second on each, on what `/proc` remembers of them.
        static ENDING: Mutex<()> = Mutex::new(());
        if let Some(mut child) = self.child.take() {
            let _one = ENDING.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts it anew at the same place.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "it ran a moment ago");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_while_nobody_listens_there() {
        let port = Program::free_port();
        assert!(UdpSocket::bind(("127.0.0.1", port)).is_err());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }
}
