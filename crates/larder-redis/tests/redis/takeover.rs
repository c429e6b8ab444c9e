//! Servers that may not know the last purges: one that started anew from what it had written down, and a
//! replica that took over.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use larder_core::Fence;
use larder_core::codec::Safe;
use larder_core::store::Put;
use larder_redis::{Blocking, Transport};
use redis::Connection;

use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user};

fn raw_name(key: &str) -> String {
    format!("t[*]?\\_{key}")
}

/// The keys that the server has, whoever may use them.
fn holds(client: &mut Connection, keys: &[&str]) -> bool {
    let names: Vec<String> = keys.iter().map(|key| raw_name(key)).collect();
    let count: usize = redis::cmd("EXISTS").arg(names).query(client).unwrap();
    count == keys.len()
}

fn record(client: &mut Connection) -> String {
    redis::cmd("GET").arg(raw_name("!")).query(client).unwrap()
}

fn bench(url: &str) -> Bench<Blocking> {
    let clock = Hand::at_present();
    let store = builder(url, &clock).build(Safe).unwrap();
    Bench { store, clock }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "this never came: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Fills a server, makes it write all down, and purges.
async fn purge_behind_the_snapshot<T: Transport>(a: &Bench<T>, server: &Server) -> Fence {
    let fence = a.fence(&user("loading"), &[]).await;
    for key in ["removed", "bumped", "left"] {
        assert_eq!(a.write(&user(key), text("old"), &["t"]).await, Put::Stored);
    }
    assert_eq!(a.count(&user("count"), 41).await.unwrap(), 41);
    let mut client = server.client();
    redis::cmd("SAVE").exec(&mut client).unwrap();
    assert!(a.remove(&user("removed")).await);
    a.bump("t").await;
    assert!(a.remove(&user("count")).await);
    fence
}

/// What was purged on the server that was there before is not served by the one that is there now.
async fn nothing_comes_back<T: Transport>(a: &Bench<T>, fence: Fence, client: &mut Connection) {
    assert!(holds(client, &["removed", "bumped", "left", "count"]));
    for key in ["removed", "bumped", "left"] {
        assert_eq!(a.value(&user(key)).await, None, "{key}");
    }
    assert_eq!(a.count(&user("count"), 1).await.unwrap(), 1);
    // A load from before brings nothing, and what is written now stays.
    assert_eq!(a.load(&user("loading"), &[], fence).await, Put::Fenced);
    assert_eq!(a.write(&user("k"), text("new"), &["t"]).await, Put::Stored);
    assert_eq!(a.value(&user("k")).await, Some(text("new")));
}

#[test]
fn a_server_that_starts_anew_from_a_snapshot_before_threads() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let (a, b) = (bench(&server.url()), bench(&server.url()));
    now(a_server_that_starts_anew(a, b, &mut server));
}

#[tokio::test]
async fn a_server_that_starts_anew_from_a_snapshot_before_tasks() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let clock = Hand::at_present();
    let bench = || Bench {
        store: builder(&server.unix_url(), &clock)
            .build_tokio(Safe)
            .unwrap(),
        clock: Arc::clone(&clock),
    };
    let (a, b) = (bench(), bench());
    a_server_that_starts_anew(a, b, &mut server).await;
}

async fn a_server_that_starts_anew<T: Transport>(a: Bench<T>, b: Bench<T>, server: &mut Server) {
    let fence = purge_behind_the_snapshot(&a, server).await;
    assert_eq!(b.value(&user("removed")).await, None);
    server.restart();
    let mut client = server.client();
    let before = record(&mut client);
    nothing_comes_back(&a, fence, &mut client).await;
    // Whoever comes next finds that the server was met already.
    let met = record(&mut client);
    assert_ne!(before.split(':').next(), met.split(':').next());
    assert_eq!(b.value(&user("removed")).await, None);
    assert_eq!(b.value(&user("k")).await, Some(text("new")));
    let later = bench(&server.url());
    assert_eq!(now(later.value(&user("k"))), Some(text("new")));
    assert_eq!(record(&mut client).split(':').next(), met.split(':').next());
}

#[test]
fn a_replica_that_takes_over_without_the_last_purges() {
    let Some(mut master) = Server::start() else {
        return;
    };
    let port = master.port().to_string();
    let follow = ["--replicaof", "127.0.0.1", &port];
    let at_once = ["--repl-diskless-sync-delay", "0"];
    let Some(replica) = Server::with(&[follow.as_slice(), &at_once].concat()) else {
        return;
    };
    let mut client = replica.client();
    let a = bench(&master.url());
    until("a replica that follows", || {
        let links: String = redis::cmd("INFO")
            .arg("replication")
            .query(&mut client)
            .unwrap();
        links.contains("master_link_status:up")
    });
    assert_eq!(now(a.write(&user("first"), text("old"), &[])), Put::Stored);
    until("the replica's copy", || holds(&mut client, &["first"]));
    // A replica that is asked on purpose is asked as it is.
    let reader = bench(&replica.url());
    assert_eq!(now(reader.value(&user("first"))), Some(text("old")));

    let fence = now(purge_out_of_hearing(&a, (&master, &replica)));
    master.kill();
    redis::cmd("REPLICAOF")
        .arg("NO")
        .arg("ONE")
        .exec(&mut client)
        .unwrap();
    let b = bench(&replica.url());
    now(nothing_comes_back(&b, fence, &mut client));
    assert_eq!(now(b.value(&user("first"))), None);
}

async fn purge_out_of_hearing(a: &Bench<Blocking>, (master, replica): (&Server, &Server)) -> Fence {
    let fence = a.fence(&user("loading"), &[]).await;
    for key in ["removed", "bumped", "left"] {
        assert_eq!(a.write(&user(key), text("old"), &["t"]).await, Put::Stored);
    }
    assert_eq!(a.count(&user("count"), 41).await.unwrap(), 41);
    let wait = redis::cmd("WAIT").arg(1).arg(30_000).clone();
    let reached: usize = wait.query(&mut master.client()).unwrap();
    assert_eq!(reached, 1);
    // From now on it follows nobody.
    redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(1)
        .exec(&mut replica.client())
        .unwrap();
    assert!(a.remove(&user("removed")).await);
    a.bump("t").await;
    assert!(a.remove(&user("count")).await);
    fence
}

/// Stores share a transport; one that comes later meets the server too, before anything is read.
#[test]
fn a_namespace_that_comes_later_meets_the_server_too() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let first = bench(&server.url());
    let fence = now(purge_behind_the_snapshot(&first, &server));
    server.restart();
    let clock = Hand::at_present();
    let builder = builder(&server.url(), &clock);
    let mut shared = None;
    let other = builder
        .clone()
        .namespace("other_")
        .build_with(Safe, |link| {
            let transport = Arc::new(Blocking::new(link));
            shared = Some(Arc::clone(&transport));
            transport
        });
    let other = Bench {
        store: other.unwrap(),
        clock: Arc::clone(&clock),
    };
    assert_eq!(now(other.value(&user("removed"))), None);
    let transport = shared.unwrap();
    let store = builder.build_with(Safe, |_| transport).unwrap();
    let later = Bench { store, clock };
    now(nothing_comes_back(&later, fence, &mut server.client()));
}

/// An account that may not ask who the server is uses it all the same.
#[test]
fn an_account_without_info() {
    let account = [
        "--user", "plain", "on", ">word", "~*", "&*", "+@all", "-info",
    ];
    let Some(server) = Server::with(&account) else {
        return;
    };
    let url = server.url().replace("redis://", "redis://plain:word@");
    let (a, b) = (bench(&url), bench(&server.url()));
    assert_eq!(now(a.write(&user("k"), text("v"), &["t"])), Put::Stored);
    assert_eq!(now(a.value(&user("k"))), Some(text("v")));
    now(a.bump("t"));
    assert_eq!(now(a.value(&user("k"))), None);
    assert_eq!(now(a.write(&user("k"), text("w"), &["t"])), Put::Stored);
    // Who may ask makes the namespace its own once, and leaves it so.
    assert_eq!(now(b.value(&user("k"))), None);
    assert_eq!(now(b.write(&user("k"), text("x"), &["t"])), Put::Stored);
    let (c, d) = (bench(&url), bench(&server.url()));
    assert_eq!(now(c.value(&user("k"))), Some(text("x")));
    assert_eq!(now(d.value(&user("k"))), Some(text("x")));
}

/// Nor does a server that has the command under another name keep anybody from using it.
#[test]
fn a_server_without_info() {
    let Some(server) = Server::with(&["--rename-command", "INFO", ""]) else {
        return;
    };
    let (a, b) = (bench(&server.url()), bench(&server.url()));
    assert_eq!(now(a.write(&user("k"), text("v"), &["t"])), Put::Stored);
    assert_eq!(now(b.value(&user("k"))), Some(text("v")));
    assert!(now(b.remove(&user("k"))));
    assert_eq!(now(a.value(&user("k"))), None);
}
