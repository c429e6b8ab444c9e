//! A real server for one test: started on a spare port, stopped when it is dropped.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use larder_testkit::Program;
use redis::Connection;

pub(crate) struct Server {
    child: Option<Child>,
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
}

impl Server {
    /// An empty server; `None`, said aloud, where no `redis-server` is installed.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let options = options.iter().map(ToString::to_string).collect();
        let mut server = Self {
            child: None,
            folder,
            port: Program::free_port(),
            options,
        };
        server.run().then_some(server)
    }

    fn run(&mut self) -> bool {
        let binary = std::env::var_os("LARDER_TEST_REDIS_SERVER");
        let binary = binary.unwrap_or_else(|| "redis-server".into());
        let child = Command::new(&binary)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(&self.folder)
            .args(["--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => self.child = Some(child),
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("skipped: {} does not start: {error}", binary.display());
                return false;
            }
            Err(error) => panic!("{} does not start: {error}", binary.display()),
        }
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err()
            || UnixStream::connect(self.socket()).is_err()
        {
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    pub(crate) fn unix_url(&self) -> String {
        format!("unix://{}?db=0", self.socket().display())
    }

    /// A client of another make, to look behind the store's back.
    pub(crate) fn client(&self) -> Connection {
        redis::Client::open(self.url())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let child = self.child.as_ref().expect("the server runs");
        let process = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts it anew at the same place, empty.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.run());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
