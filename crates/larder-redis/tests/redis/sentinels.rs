//! Sentinels, and the servers that they look after: started for one test, stopped when they are dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use larder_redis::{Redis, RedisBuilder};
use larder_testkit::Program;

use crate::server::Server;

pub(crate) const PASSWORD: &str = "p@ss:w/rd";
pub(crate) const OWN: &str = "s3ntinel";
pub(crate) const MASTER: &str = "shop-cache";

/// Nothing here takes this long on a quiet machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "this never came: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks a server directly; `None` where it does not answer.
pub(crate) fn asked<T: redis::FromRedisValue>(
    port: u16,
    password: &str,
    words: &[&str],
) -> Option<T> {
    let mut parts = url_of(password);
    parts.push_str(&format!("127.0.0.1:{port}"));
    let client = redis::Client::open(parts).unwrap();
    let mut link = client
        .get_connection_with_timeout(Duration::from_secs(5))
        .ok()?;
    link.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut link).ok()
}

pub(crate) fn url_of(password: &str) -> String {
    let encoded = password
        .replace('@', "%40")
        .replace(':', "%3A")
        .replace('/', "%2F");
    format!("redis://:{encoded}@")
}

pub(crate) struct Sentinel {
    child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
}

impl Sentinel {
    pub(crate) fn start(master: u16) -> Self {
        let port = Program::free_port();
        let folder = std::env::temp_dir().join(format!("larder-sentinel-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        let settings = [
            format!("port {port}"),
            "bind 127.0.0.1".into(),
            format!("dir {}", folder.display()),
            format!("sentinel monitor {MASTER} 127.0.0.1 {master} 2"),
            format!("sentinel down-after-milliseconds {MASTER} 1000"),
            format!("sentinel failover-timeout {MASTER} 5000"),
            format!("sentinel auth-pass {MASTER} {PASSWORD}"),
            format!("requirepass {OWN}"),
            format!("sentinel sentinel-pass {OWN}"),
        ];
        let file = folder.join("sentinel.conf");
        std::fs::write(&file, settings.join("\n") + "\n").unwrap();
        let binary = std::env::var_os("LARDER_TEST_REDIS_SERVER");
        let child = Command::new(binary.unwrap_or_else(|| "redis-server".into()))
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            folder,
        }
    }

    pub(crate) fn told<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        asked(self.port, OWN, &[&["SENTINEL"], words].concat())
    }

    pub(crate) fn master(&self) -> Option<u16> {
        let place: Vec<String> = self.told(&["GET-MASTER-ADDR-BY-NAME", MASTER])?;
        place.last()?.parse().ok()
    }

    /// Whether it has found one replica, and the two others.
    pub(crate) fn is_ready(&self) -> bool {
        let count = |what: &str| self.told::<Vec<redis::Value>>(&[what, MASTER]);
        count("REPLICAS").is_some_and(|found| found.len() == 1)
            && count("SENTINELS").is_some_and(|found| found.len() == 2)
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A master, its replica, and three sentinels.
pub(crate) struct Scene {
    pub(crate) servers: [Server; 2],
    pub(crate) sentinels: Vec<Sentinel>,
}

impl Scene {
    pub(crate) fn start() -> Option<Self> {
        let access = [
            "--requirepass",
            PASSWORD,
            "--masterauth",
            PASSWORD,
            "--repl-diskless-sync-delay",
            "0",
        ];
        let first = Server::with(&access)?;
        let port = first.port().to_string();
        let follow = ["--replicaof", "127.0.0.1", &port];
        let second = Server::with(&[access.as_slice(), &follow].concat())?;
        until("a replica that follows", || {
            let links: Option<String> = asked(second.port(), PASSWORD, &["INFO", "replication"]);
            links.is_some_and(|links| links.contains("master_link_status:up"))
        });
        let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(first.port())).collect();
        until("three sentinels that know each other", || {
            sentinels.iter().all(Sentinel::is_ready)
        });
        Some(Self {
            servers: [first, second],
            sentinels,
        })
    }

    pub(crate) fn builder(&self) -> RedisBuilder {
        let places = self.sentinels.iter();
        let places: Vec<String> = places
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        let access = url_of(PASSWORD).replace("redis://", "redis+sentinel://");
        let url = format!(
            "{access}{}/{MASTER}/0?sentinel_password={OWN}",
            places.join(",")
        );
        Redis::builder(url).namespace("t_")
    }
}

impl Scene {
    /// Waits until all sentinels name another master than this one.
    pub(crate) fn promotes(&self, old: u16, gone: Instant) -> Duration {
        until("another master", || {
            let mut masters = self.sentinels.iter().map(Sentinel::master);
            masters.all(|port| port.is_some_and(|port| port != old))
        });
        gone.elapsed()
    }

    /// Waits until this server follows the other one.
    pub(crate) fn demotes(&self, old: u16) {
        until("a replica of what was the old master", || {
            let links: Option<String> = asked(old, PASSWORD, &["INFO", "replication"]);
            links.is_some_and(|links| {
                links.contains("role:slave") && links.contains("master_link_status:up")
            })
        });
    }
}
