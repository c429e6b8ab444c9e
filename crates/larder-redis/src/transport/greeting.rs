//! What is said on a connection besides requests.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use larder_net::{Greeting, Hello, Peer, Progress, Reader};
use redis::{Pipeline, ServerError, Value};

use super::reply::{Replies, said};
use super::{Address, Link, Servers};
use crate::scripts::MEET;
use crate::store::random;

/// The namespaces that a server is to be met in before anything else is asked of it.
#[derive(Debug, Default)]
pub(crate) struct Spaces {
    /// The names of their records. Locked for as long as a copy takes.
    records: Mutex<Vec<Vec<u8>>>,
    version: Arc<AtomicU64>,
}

impl Spaces {
    /// Meets the server in one namespace more: what is asked from now on goes out on connections that
    /// did so.
    pub(crate) fn add(&self, record: Vec<u8>) {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if !records.contains(&record) {
            records.push(record);
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn all(&self) -> Vec<Vec<u8>> {
        let records = self.records.lock();
        records.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Logs in, chooses the database, asks who the server is, and meets it in the namespaces; pings.
pub(super) fn greeting(link: &Link) -> Greeting {
    let (login, limits) = (login(&link.address), link.limits());
    let spaces = Arc::clone(&link.spaces);
    let is_master = matches!(link.address.servers, Servers::Sentinels(_));
    let version = Arc::clone(&spaces.version);
    let hello = move || {
        let mut commands = login.clone();
        let first = commands.len();
        commands.cmd("INFO").arg("server");
        commands.cmd("INFO").arg("replication");
        for record in spaces.all() {
            let meet = commands.cmd("EVAL").arg(MEET).arg(1).arg(record);
            meet.arg(random());
        }
        Some(Hello {
            bytes: commands.get_packed_pipeline(),
            welcome: Box::new(Welcome {
                replies: Replies::any(commands.len(), limits),
                first,
                is_master,
            }),
        })
    };
    Greeting {
        hello: Arc::new(hello),
        version,
        ping: b"*1\r\n$4\r\nPING\r\n".to_vec(),
        pong: is_pong,
    }
}

/// The commands by which a new connection logs in and chooses its database.
fn login(address: &Address) -> Pipeline {
    let mut commands = Pipeline::new();
    let name = (address.user.as_deref(), address.password.as_deref());
    log_in(&mut commands, name);
    if address.db != 0 {
        commands.cmd("SELECT").arg(address.db);
    }
    commands
}

/// Logs in under a name, or the server's own one, where there is a password.
pub(super) fn log_in(commands: &mut Pipeline, (user, password): (Option<&str>, Option<&str>)) {
    if let Some(password) = password {
        let login = commands.cmd("AUTH");
        if let Some(user) = user {
            login.arg(user);
        }
        login.arg(password);
    }
}

/// Whether the bytes are the whole answer to a ping.
fn is_pong(bytes: &[u8]) -> io::Result<bool> {
    const PONG: &[u8] = b"+PONG\r\n";
    if bytes == PONG {
        return Ok(true);
    }
    if PONG.starts_with(bytes) {
        return Ok(false);
    }
    Err(io::Error::new(
        ErrorKind::InvalidData,
        format!("no answer to a ping: {}", bytes.escape_ascii()),
    ))
}

pub(super) fn refused(detail: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, detail.into())
}

/// The answer to what goes out first.
struct Welcome {
    replies: Replies,
    /// How many replies come before those that tell who the server is.
    first: usize,
    /// Whether the server has to be one that is written to.
    is_master: bool,
}

impl Reader for Welcome {
    type Answer = Peer;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Peer>> {
        let values = match self.replies.read(bytes)? {
            Progress::Missing(more) => return Ok(Progress::Missing(more)),
            Progress::Done(values) => values,
        };
        for (at, value) in values.iter().enumerate() {
            match value {
                // What an account may not ask, or nobody, stays unknown.
                Value::ServerError(error) if at >= self.first && is_forbidden(error) => {}
                // The first refusal says most.
                Value::ServerError(error) => return Err(refused(said(error))),
                _ => {}
            }
        }
        let text = |at: usize| match values.get(self.first + at) {
            Some(Value::BulkString(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        };
        let (about, links) = (text(0), text(1));
        if self.is_master && field(&links, "role").is_some_and(|role| role != "master") {
            return Err(refused("it is a replica, and not the master any more"));
        }
        Ok(Progress::Done(peer(&about, &links)))
    }
}

/// Whether an account may not use a command, or the server has it under another name.
fn is_forbidden(error: &ServerError) -> bool {
    let unknown = |text: &str| text.contains("unknown command");
    error.code() == "NOPERM" || error.details().is_some_and(unknown)
}

/// The run of the server, and since when it is the one that is written to.
fn peer(about: &str, links: &str) -> Peer {
    match (field(about, "run_id"), field(links, "master_replid2")) {
        (Some(run), Some(before)) => Peer::named(&format!("{run}:{before}")),
        _ => Peer::default(),
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find_map(|(found, value)| (found == name).then(|| value.trim()))
}
