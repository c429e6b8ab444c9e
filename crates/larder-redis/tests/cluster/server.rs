//! A real Cluster of three masters and three replicas.

use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use larder_testkit::{PATIENCE, Program};
use redis::{Connection, FromRedisValue};

/// How many slots there are, and how many masters.
const SLOTS: usize = 16384;
pub(crate) const MASTERS: usize = 3;

/// Six servers: three masters, then the replica of each.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Node>,
}

/// One server.
pub(crate) struct Node {
    pub(crate) program: Program,
    pub(crate) port: u16,
}

/// Ends the servers of a Cluster that lives as long as the process, when that has ended: what stands in
/// a static is not dropped.
struct Guard(#[allow(dead_code, reason = "it lives as long as its end of the pipe")] Child);

impl Node {
    fn start(options: &[String]) -> Option<Self> {
        let port = free_port();
        let mut arguments: Vec<String> = [
            "--bind",
            "127.0.0.1",
            "--dir",
            "{folder}",
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
            "--cluster-enabled",
            "yes",
            "--cluster-require-full-coverage",
            "no",
            "--cluster-replica-validity-factor",
            "0",
            "--cluster-migration-barrier",
            "100",
            "--repl-diskless-sync-delay",
            "0",
            "--repl-ping-replica-period",
            "1",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(["--port".to_owned(), port.to_string()]);
        arguments.extend_from_slice(options);
        let program = Program::start("redis-server", &arguments, Some(port))?;
        Some(Self { program, port })
    }

    /// A client of another make.
    pub(crate) fn client(&self) -> Connection {
        let url = format!("redis://127.0.0.1:{}", self.port);
        redis::Client::open(url).unwrap().get_connection().unwrap()
    }

    #[track_caller]
    pub(crate) fn tell<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.client())
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    pub(crate) fn id(&self) -> String {
        self.tell(&["CLUSTER", "MYID"])
    }

    /// How often a command was carried out since the server started.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let told: String = self.tell(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(start.as_str()));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }
}

/// A port that is free, and of which the port of the Cluster's bus is free, too.
fn free_port() -> u16 {
    loop {
        let port = Program::free_port();
        if port < 22_000 && std::net::TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

impl Cluster {
    /// An empty Cluster; `None`, said aloud, where no `redis-server` is installed. Nodes count as failed
    /// after the time given.
    pub(crate) fn start(timeout: Duration) -> Option<Self> {
        let timeout = timeout.as_millis().to_string();
        let words = ["--cluster-node-timeout".to_owned(), timeout];
        let servers = (0..2 * MASTERS).map(|_| Node::start(&words));
        let servers: Option<Vec<Node>> = servers.collect();
        let cluster = Self { servers: servers? };
        cluster.join();
        Some(cluster)
    }

    fn join(&self) {
        let ids: Vec<String> = self.servers.iter().map(Node::id).collect();
        for (at, server) in self.servers.iter().enumerate() {
            let epoch = (at + 1).to_string();
            let _: () = server.tell(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            if at < MASTERS {
                let slots: Vec<String> = Self::slots_of(at).map(|slot| slot.to_string()).collect();
                let mut words = vec!["CLUSTER", "ADDSLOTS"];
                words.extend(slots.iter().map(String::as_str));
                let _: () = server.tell(&words);
            }
            let first = self.servers[0].port.to_string();
            let _: () = server.tell(&["CLUSTER", "MEET", "127.0.0.1", &first]);
        }
        self.await_that("all have met", || {
            self.servers.iter().all(|server| {
                let nodes: String = server.tell(&["CLUSTER", "NODES"]);
                ids.iter().all(|id| nodes.contains(id.as_str())) && !nodes.contains("handshake")
            })
        });
        for at in MASTERS..2 * MASTERS {
            let master = &ids[at - MASTERS];
            let _: () = self.servers[at].tell(&["CLUSTER", "REPLICATE", master]);
        }
        self.await_that("all are ready", || {
            self.servers.iter().all(|server| {
                let info: String = server.tell(&["CLUSTER", "INFO"]);
                let slots: Vec<redis::Value> = server.tell(&["CLUSTER", "SLOTS"]);
                let all = slots.len() == MASTERS && slots.iter().all(has_replica);
                all && info.contains("cluster_state:ok")
            }) && self.servers[MASTERS..].iter().all(Node::is_in_step)
        });
    }

    /// The slots that a master has at first.
    pub(crate) fn slots_of(master: usize) -> std::ops::Range<usize> {
        SLOTS * master / MASTERS..SLOTS * (master + 1) / MASTERS
    }

    #[track_caller]
    pub(crate) fn await_that(&self, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what} never");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The slot of a name.
    pub(crate) fn slot(&self, name: &[u8]) -> usize {
        let mut keyslot = redis::cmd("CLUSTER");
        keyslot.arg("KEYSLOT").arg(name);
        keyslot
            .query(&mut self.servers[MASTERS - 1].client())
            .unwrap()
    }

    /// Which of the masters had the slot of a name at first.
    pub(crate) fn master_of(&self, name: &[u8]) -> usize {
        let slot = self.slot(name);
        (0..MASTERS)
            .find(|&at| Self::slots_of(at).contains(&slot))
            .unwrap()
    }

    /// The URL that names one node.
    pub(crate) fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.servers[0].port)
    }

    pub(crate) fn masters(&self) -> &[Node] {
        &self.servers[..MASTERS]
    }
}

impl Node {
    /// Whether a replica follows its master.
    pub(crate) fn is_in_step(&self) -> bool {
        let told: String = self.tell(&["INFO", "replication"]);
        told.contains("master_link_status:up")
    }
}

fn has_replica(range: &redis::Value) -> bool {
    matches!(range, redis::Value::Array(range) if range.len() == 4)
}

impl Guard {
    /// Of a Cluster that stands in a static.
    fn new(cluster: &Cluster) -> Self {
        let mut words = Vec::new();
        for Node { program, .. } in &cluster.servers {
            words.extend([
                program.id().to_string(),
                program.folder().display().to_string(),
            ]);
        }
        let script = "cat; while [ $# -gt 0 ]; do kill -9 $1; rm -rf \"$2\"; shift 2; done";
        let mut guard = Command::new("sh");
        guard.args(["-c", script, "sh"]).args(words);
        let guard = guard
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(guard.spawn().expect("there is a shell"))
    }
}

/// A machine that is busy must not look like a node that has failed.
pub(crate) const NEVER: Duration = Duration::from_secs(60);

/// The Cluster that tests share which disturb nobody, each in namespaces of its own.
pub(crate) fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<(Cluster, Guard)>> = OnceLock::new();
    let start = || {
        let cluster = Cluster::start(NEVER)?;
        let guard = Guard::new(&cluster);
        Some((cluster, guard))
    };
    SHARED
        .get_or_init(start)
        .as_ref()
        .map(|(cluster, _)| cluster)
}

/// A Cluster for one test at a time, which may freeze its nodes and cut their connections, and leaves them
/// as they were.
pub(crate) fn alone() -> Option<MutexGuard<'static, Cluster>> {
    static ALONE: OnceLock<Option<(Mutex<Cluster>, Guard)>> = OnceLock::new();
    let start = || {
        let cluster = Cluster::start(NEVER)?;
        let guard = Guard::new(&cluster);
        Some((Mutex::new(cluster), guard))
    };
    let (cluster, _) = ALONE.get_or_init(start).as_ref()?;
    // A test that failed may have left it in any state; that shows in the first one that did.
    Some(cluster.lock().unwrap_or_else(PoisonError::into_inner))
}
