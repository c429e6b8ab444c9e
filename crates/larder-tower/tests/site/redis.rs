//! A real server for one test: started on a spare port, stopped when it is dropped.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// An empty server; `None`, said aloud, where no `redis-server` is installed and this is not CI.
    pub(crate) fn start() -> Option<Self> {
        let spare = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = spare.local_addr().unwrap().port();
        drop(spare);
        let binary = std::env::var_os("LARDER_TEST_REDIS_SERVER");
        let binary = binary.unwrap_or_else(|| "redis-server".into());
        let child = Command::new(&binary)
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("skipped: {} does not start: {error}", binary.display());
                return None;
            }
            Err(error) => panic!("{} does not start: {error}", binary.display()),
        };
        let server = Self { child, port };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
