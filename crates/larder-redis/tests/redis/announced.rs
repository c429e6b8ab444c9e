//! Changes that are told by those who make them, where the server tells nobody.

use std::sync::Arc;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Removal};
use larder_core::{Kind, Store, Tag};
use larder_redis::Blocking;
use larder_testkit::PATIENCE;
use redis::cmd;

use crate::news::{Notes, Scene, Told, await_that, watch};
use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user, variant};

/// What the names of these tests begin with.
const NAMESPACE: &str = "t[*]?\\_";

/// The URL of an account that may do everything but this.
fn account(server: &Server, name: &str, but: &[&str]) -> String {
    let mut rules = cmd("ACL");
    rules.arg("SETUSER").arg(name);
    rules.arg(&["on", "nopass", "~*", "&*", "+@all"]).arg(but);
    rules.exec(&mut server.client()).unwrap();
    server.url().replace("//", &format!("//{name}:x@"))
}

/// A store that is watched through an account which may not have the server tell it of changes.
fn scene() -> Option<Scene> {
    let server = Server::start()?;
    let url = account(&server, "plain", &["-client|tracking"]);
    Some(Scene::at(server, &url))
}

fn bench(url: &str) -> Bench<Blocking> {
    let clock = Hand::new();
    Bench {
        store: builder(url, &clock).build(Safe).unwrap(),
        clock: Arc::clone(&clock),
    }
}

/// How often something was published.
fn published(server: &Server) -> u64 {
    let stats: String = cmd("INFO")
        .arg("commandstats")
        .query(&mut server.client())
        .unwrap();
    let calls = stats.split("cmdstat_publish:calls=").nth(1);
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[test]
fn every_change_is_told_by_who_makes_it() {
    let Some(scene) = scene() else { return };
    assert_eq!(scene.told_by(), Some("publish and subscribe"));
    let Scene { other, .. } = &scene;
    let (key, one, number) = (user("k"), variant(&user("v"), "1"), user("n"));
    let written = |key: &larder_core::Key| Told::Key(key.base_key());
    for key in [&key, &one] {
        // The first write goes the long way, the second one the short way.
        for _ in 0..2 {
            scene.tells(written(key), || {
                now(other.write(key, text("v"), &["t"]));
            });
        }
    }
    // A bare number is stored, and added to.
    for _ in 0..2 {
        scene.tells(written(&number), || {
            now(other.count(&number, 1)).unwrap();
        });
    }
    scene.tells(written(&key), || assert!(now(other.remove(&key))));
    scene.tells(written(&one), || {
        now(other.purge(Removal::Prefix(Kind::User, b"v")));
    });
    scene.tells(Told::Tag(Tag::new("t")), || now(other.bump("t")));
    scene.tells(Told::Everything, || {
        now(other.purge(Removal::All));
    });
    now(other.write(&key, text("v"), &[]));
    scene.tells(written(&key), || {
        let small = builder(&scene.server.url(), &other.clock).max_value(1 << 20);
        let small = Bench {
            store: small.build(Safe).unwrap(),
            clock: Arc::clone(&other.clock),
        };
        let put = now(small.write(&key, text(&"x".repeat(2 << 20)), &[]));
        assert_eq!(put, Put::TooLarge);
    });
    // The record that says that somebody listens outlives a clear, and leases are nobody's business.
    scene.quiet();
    drop(now(<_ as Store<Plain>>::lease(&other.store, &user("led"))).unwrap());
    assert_eq!(scene.quiet(), []);
}

#[test]
fn own_changes_are_not_told() {
    let Some(scene) = scene() else { return };
    let key = user("k");
    scene.quiet();
    let before = published(&scene.server);
    now(scene.bench.write(&key, text("v"), &["t"]));
    assert!(now(scene.bench.remove(&key)));
    now(scene.bench.bump("t"));
    assert_eq!(scene.quiet(), []);
    assert!(published(&scene.server) >= before + 3);
}

#[test]
fn messages_are_names_and_nobody_sends_any_where_nobody_listens() {
    let Some(server) = Server::start() else {
        return;
    };
    let other = bench(&server.url());
    now(other.write(&user("k"), text("secret"), &["t"]));
    now(other.bump("t"));
    assert_eq!(published(&server), 0);
    let url = account(&server, "plain", &["-client|tracking"]);
    let scene = Scene::at(server, &url);
    let mut client = scene.server.client();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut listener = client.as_pubsub();
    listener.subscribe(format!("{NAMESPACE}!n")).unwrap();
    now(other.write(&user("k"), text("secret"), &["t"]));
    let message: Vec<u8> = listener.get_message().unwrap().get_payload().unwrap();
    let message = String::from_utf8(message).unwrap();
    let (sender, name) = message.split_once(':').unwrap();
    assert_eq!(name, format!("{NAMESPACE}k"));
    let is_plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'.';
    assert!(sender.bytes().all(is_plain), "{message}");
}

#[test]
fn what_may_not_have_been_told_is_everything() {
    let Some(scene) = scene() else { return };
    let record = format!("{NAMESPACE}!p");
    // The record is evicted, or somebody empties the server.
    scene.tells(Told::Everything, || {
        let gone: i64 = cmd("DEL")
            .arg(&record)
            .query(&mut scene.server.client())
            .unwrap();
        assert_eq!(gone, 1);
    });
    // It is another one by now, which somebody else has made.
    scene.tells(Told::Everything, || {
        let mut set = cmd("SET");
        set.arg(&record).arg("another").arg("PX").arg(5000);
        set.exec(&mut scene.server.client()).unwrap();
    });
    // A writer that may not tell.
    let mute = bench(&account(&scene.server, "mute", &["-publish"]));
    scene.tells(Told::Everything, || {
        now(mute.write(&user("k"), text("v"), &[]));
    });
    scene.tells(Told::Key(user("k")), || {
        assert!(now(scene.other.remove(&user("k"))));
    });
}

#[test]
fn a_lost_connection_is_said_and_opened_anew() {
    let Some(scene) = scene() else { return };
    let mut client = scene.server.client();
    for kind in ["pubsub", "normal"] {
        let mut kill = cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg(kind)
            .arg("SKIPME")
            .arg("yes");
        let killed: i64 = kill.query(&mut client).unwrap();
        assert!(killed > 0, "{kind}");
        await_that("the loss", || scene.was_told(&Told::Lost));
        scene.settle();
        // A read finds out which of its connections are closed.
        now(scene.other.reading(&user("k")));
        scene.tells(Told::Key(user("k")), || {
            now(scene.other.write(&user("k"), text("v"), &[]));
        });
    }
}

#[test]
fn a_frozen_server_gives_no_sign_of_life() {
    let Some(scene) = scene() else { return };
    scene.server.freeze();
    await_that("the loss", || scene.was_told(&Told::Lost));
    assert_eq!(scene.told_by(), None);
    scene.server.thaw();
    scene.settle();
}

#[test]
fn a_server_that_lets_nobody_listen_is_not_watched() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = account(&server, "plain", &["-client|tracking", "-subscribe"]);
    let (bench, notes) = (bench(&url), Arc::new(Notes::default()));
    await_that("the refusal", || {
        let _ = now(bench.reading(&user("k")));
        !watch(&bench.store, &notes)
    });
    assert!(!notes.is_alive());
}
