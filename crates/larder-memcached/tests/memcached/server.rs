//! Real servers, each for one test.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use larder_testkit::Program;

/// A memcached that is stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) program: Program,
    port: u16,
}

/// As root it has to be told an account to run as.
fn account() -> Vec<String> {
    let is_root = rustix::process::geteuid().is_root();
    let account = ["-u", "nobody"].map(str::to_owned);
    if is_root {
        account.to_vec()
    } else {
        Vec::new()
    }
}

impl Server {
    /// An empty server; `None`, said aloud, where there is no memcached.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Option<Self> {
        let port = Program::free_port();
        let mut arguments = vec![
            "-l".into(),
            "127.0.0.1".into(),
            "-p".into(),
            port.to_string(),
        ];
        arguments.extend(account());
        arguments.extend(options.iter().map(ToString::to_string));
        let program = Program::start("memcached", &arguments, Some(port))?;
        Some(Self { program, port })
    }

    /// One that listens on a unix socket only.
    pub(crate) fn on_socket() -> Option<Program> {
        let mut arguments = vec!["-s".to_owned(), "{folder}/s".into()];
        // The account has to be one that may write into the folder, which is ours.
        let is_root = rustix::process::geteuid().is_root();
        arguments.extend(
            is_root
                .then(|| ["-u".into(), "root".into()])
                .into_iter()
                .flatten(),
        );
        Program::start("memcached", &arguments, None)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Says something to the server behind the store's back. Answers its first line.
    pub(crate) fn tell(&self, command: &str) -> String {
        self.lines(command, |_| true).pop().unwrap_or_default()
    }

    /// Says something, and reads lines up to one that is the last.
    pub(crate) fn lines(&self, command: &str, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(command.as_bytes()).unwrap();
        stream.write_all(b"\r\n").unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(stream).split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap())
                .trim_end()
                .to_owned();
            lines.push(line.clone());
            if is_last(&line) {
                break;
            }
        }
        lines
    }

    /// The names of everything in the server.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |line: &String| Some(line.strip_prefix("key=")?.split(' ').next()?.to_owned());
        // What is being moved within the server at the moment is passed by, and a server that has just
        // begun may be busy with a round of its own: it then names nothing, and sends no end.
        let is_last = |line: &str| line == "END" || line.starts_with("BUSY");
        for _ in 0..100 {
            let lines = self.lines("lru_crawler metadump all", is_last);
            let names: Vec<String> = lines.iter().filter_map(name).collect();
            if names.len() as u64 == self.stat("curr_items") {
                return names;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the server does not name all of its entries");
    }

    /// A number that the server keeps about itself.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let lines = self.lines("stats", |line| line == "END");
        let line = lines
            .iter()
            .find_map(|line| line.strip_prefix(&format!("STAT {name} ")));
        line.and_then(|number| number.parse().ok()).expect(name)
    }

    /// How many seconds what stands under a name lasts; -1 is for ever.
    pub(crate) fn left(&self, name: &str) -> i64 {
        let line = self.tell(&format!("mg {name} t"));
        let left = line.strip_prefix("HD t").expect(&line);
        left.parse().expect(&line)
    }

    /// What stands under a name, up to its first end of line; `EN` for nothing.
    pub(crate) fn value(&self, name: &str) -> String {
        self.numbered(name).1
    }

    /// The number of what stands under a name, which the next one that does has not, and what it is.
    pub(crate) fn numbered(&self, name: &str) -> (String, String) {
        let ends = std::cell::Cell::new(0);
        let is_last = |line: &str| ends.replace(ends.get() + 1) == 1 || line == "EN";
        let mut lines = self.lines(&format!("mg {name} c v"), is_last);
        let value = lines.pop().unwrap_or_default();
        let number = lines.iter().find_map(|line| line.split(" c").nth(1));
        (number.unwrap_or("0").to_owned(), value)
    }
}
