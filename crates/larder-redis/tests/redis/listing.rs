//! What people see when they look.

use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Listed, Removal};
use larder_core::{Key, Kind, Lifetime, Policy, Store};
use larder_redis::Transport;

use crate::server::Server;
use crate::support::{Bench, both, text, user, variant};

both! {
    fn what_lies_there_is_listed_once;
    fn what_was_removed_is_not_listed;
}

async fn names<T: Transport>(bench: &Bench<T>, kind: Kind, prefix: &str) -> Vec<String> {
    let found = list(bench, kind, prefix).await;
    let name = |one: &Listed| String::from_utf8_lossy(one.key.base()).into_owned();
    let mut names: Vec<String> = found.iter().map(name).collect();
    names.sort_unstable();
    names
}

async fn list<T: Transport>(bench: &Bench<T>, kind: Kind, prefix: &str) -> Vec<Listed> {
    let found = <_ as Store<Plain>>::list(&bench.store, kind, prefix.as_bytes()).await;
    found.unwrap().unwrap()
}

async fn what_lies_there_is_listed_once<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let view = user("view//x");
    a.write(&variant(&view, "1"), text("one"), &["t"]).await;
    a.write(&variant(&view, "2"), text("two"), &[]).await;
    a.write(&user("view*"), text("star"), &[]).await;
    a.write(&user("!odd"), text("odd"), &[]).await;
    a.write(&user("number"), Plain::Int(7), &[]).await;
    let memoized = Key::new(Kind::Memoize, "view//x");
    a.write(&memoized, text("memoized"), &[]).await;

    let all = ["!odd", "number", "view*", "view//x"];
    assert_eq!(names(&b, Kind::User, "").await, all);
    assert_eq!(names(&b, Kind::User, "view").await, ["view*", "view//x"]);
    assert_eq!(names(&b, Kind::User, "view*").await, ["view*"]);
    assert_eq!(names(&b, Kind::User, "!").await, ["!odd"]);
    assert_eq!(names(&b, Kind::Memoize, "").await, ["view//x"]);
    assert!(names(&b, Kind::Fragment, "").await.is_empty());

    let now = larder_core::Clock::now(&*a.clock);
    for (name, policy) in [
        ("short", Policy::new(Duration::from_secs(50))),
        ("ever", Policy::new(Lifetime::Forever)),
    ] {
        let meta = policy.stamp(now, Duration::ZERO).unwrap();
        a.write_for(&user(name), text(name), meta).await;
    }
    let short = list(&b, Kind::User, "short").await;
    let left = short[0].left.unwrap();
    assert!(left > Duration::from_secs(20) && left <= Duration::from_secs(50));
    assert_eq!(list(&b, Kind::User, "ever").await[0].left, None);
}

async fn what_was_removed_is_not_listed<T: Transport>(a: Bench<T>, b: Bench<T>, _: &Server) {
    let (view, kept) = (user("view//x"), user("kept"));
    a.write(&variant(&view, "1"), text("one"), &[]).await;
    a.write(&kept, text("kept"), &[]).await;
    assert_eq!(names(&b, Kind::User, "").await.len(), 2);
    // The marks of a removal stay, and are nothing to see.
    assert!(a.remove(&view).await);
    assert_eq!(names(&b, Kind::User, "").await, ["kept"]);
    <_ as Store<Plain>>::remove(&a.store, Removal::All)
        .await
        .unwrap();
    assert!(names(&b, Kind::User, "").await.is_empty());
}
