//! How a store is put together, and how it logs in.

use std::time::Duration;

use larder_core::ErrorKind;
use larder_core::codec::Safe;
use larder_core::store::Put;
use larder_memcached::MemcachedBuilder;
use larder_testkit::{HandClock, Program};

use crate::server::Server;
use crate::support::{Bench, builder, now, text, user};

#[test]
fn servers_that_ask_for_a_login_get_one() {
    let file = std::env::temp_dir().join(format!("larder-login-{}", Program::free_port()));
    std::fs::write(&file, "me:huntertwo\n").unwrap();
    let options = ["-Y", file.to_str().unwrap()];
    let server = Server::with(&options);
    let clock = HandClock::new();
    let check = |server: &Server, login: Option<(&str, &str)>| {
        let builder = builder(&[server.address()], &clock);
        let builder = match login {
            Some((user, password)) => builder.login(user, password),
            None => builder,
        };
        let (store, clock) = (builder.build(Safe).unwrap(), clock.clone());
        let bench = Bench { store, clock };
        now(bench.try_write(&user("k"), text("v"), bench.meta(60, &[])))
    };
    if let Some(server) = server {
        let right = check(&server, Some(("me", "huntertwo")));
        assert_eq!(right.unwrap(), Put::Stored);
        for wrong in [("me", "hunterone"), ("you", "huntertwo")] {
            let error = check(&server, Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store);
            assert!(error.detail().contains("authentication failure"), "{error}");
            assert!(!error.detail().contains("hunter"), "{error}");
        }
        let error = check(&server, None).unwrap_err();
        assert!(error.detail().contains("unauthenticated"), "{error}");
        let url = format!("memcached://me:hunter%74wo@{}", server.address());
        let store = builder(&[url], &clock).build(Safe).unwrap();
        let bench = Bench { store, clock };
        assert_eq!(now(bench.value(&user("k"))), Some(text("v")));
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_login_that_nobody_asks_for_is_not_kept() {
    let Some(server) = Server::start() else {
        return;
    };
    let clock = HandClock::new();
    let store = builder(&[server.address()], &clock).login("me", "hunter2");
    let store = store.build(Safe).unwrap();
    let bench = Bench { store, clock };
    assert_eq!(now(bench.write(&user("k"), text("v"))), Put::Stored);
    assert_eq!(server.tell("mg login v"), "EN");
}

#[test]
fn wrong_settings_name_their_cure() {
    let wrong = |builder: MemcachedBuilder, names: &str| {
        let error = builder.build(Safe).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.detail().contains(names), "{error}");
        assert!(!error.detail().contains("hunter2"), "{error}");
    };
    let fine = || MemcachedBuilder::new(["localhost", "other"]);
    wrong(fine().namespace(""), "namespace");
    wrong(fine().deadline(Duration::ZERO), "deadline");
    wrong(fine().max_value(0), "max_value");
    wrong(fine().connections(0), "connections");
    wrong(fine().packing(Some(&b""[..])), "secret");
    wrong(fine().weights([1]), "weights");
    wrong(fine().weights([1, 0]), "weights");
    wrong(fine().weights([1, 1000]), "weights");
    wrong(fine().login("me", ""), "login");
    wrong(fine().login("m e", "hunter2"), "login");
    wrong(fine().login("me", "hunter 2"), "login");
    wrong(fine().login("me", "hunter2\r\nflush_all"), "login");
    wrong(
        MemcachedBuilder::new(Vec::<String>::new()),
        "no memcached server",
    );
    wrong(MemcachedBuilder::new(["a", "a:11211"]), "named twice");
    wrong(MemcachedBuilder::new(["redis://me:hunter2@a"]), "scheme");
    let url = "memcached://me:hunter2@a,b?weights=1,2";
    let builder = MemcachedBuilder::new([url]).packing(Some(&b"geheim"[..]));
    let shown = format!("{builder:?} {:?}", builder.clone().build(Safe).unwrap());
    assert!(
        !shown.contains("hunter2") && !shown.contains("geheim"),
        "{shown}"
    );
    assert!(!format!("{:?}", builder.build(Safe).unwrap().pairs()).contains("hunter2"));
}
