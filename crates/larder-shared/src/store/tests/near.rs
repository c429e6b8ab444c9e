//! What a process keeps near by.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Codec, Plain, Safe};
use larder_core::store::{Mode, Put, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Policy, Store, Tag, ThreadPark, Value, drive,
};
use larder_testkit::HandClock;

use super::super::Shared;
use super::super::writing::Need;
use crate::layout::Head;

/// A handle on a store; two of them have nothing in common but the directory.
struct Handle {
    store: Shared<Safe>,
    clock: Arc<HandClock>,
}

fn key(name: &str) -> Key {
    Key::new(Kind::User, name)
}

fn variant(base: &str, name: &str) -> Key {
    let mut writer = KeyWriter::new();
    writer.text(name);
    key(base).with_variant(&writer)
}

fn now<T>(work: impl Future<Output = larder_core::Result<T>>) -> T {
    let Ok(done) = drive(work, &ThreadPark);
    done.unwrap()
}

impl Handle {
    fn with(folder: &Path, near: usize, clock: &Arc<HandClock>) -> Self {
        let builder = Shared::builder(folder.join("cache")).near(near);
        let clock = Arc::clone(clock);
        let store = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            store: store.build(Safe).unwrap(),
            clock,
        }
    }

    fn put(&self, key: &Key, value: i64) {
        self.put_for(key, value, 60);
    }

    fn put_for(&self, key: &Key, value: i64, seconds: u64) {
        assert_eq!(
            self.load(key, value, seconds, Fence::direct(0)),
            Put::Stored
        );
    }

    fn load(&self, key: &Key, value: i64, seconds: u64, fence: Fence) -> Put {
        let policy = Policy::new(Duration::from_secs(seconds)).tag("t");
        let meta = policy.stamp(self.clock.now(), Duration::ZERO).unwrap();
        let entry = Entry::new(meta, Plain::Int(value), fence);
        now(self.store.put(key, Arc::new(entry), Mode::Replace))
    }

    fn get(&self, key: &Key) -> Option<Plain> {
        let reading = now(<_ as Store<Plain>>::get(&self.store, key, &[]));
        Some(reading.entry?.value.clone())
    }

    /// What is answered without the environment.
    fn near(&self, key: &Key) -> Option<Plain> {
        let entry = <_ as Store<Plain>>::at_hand(&self.store, key)?;
        Some(entry.value.clone())
    }

    fn purge(&self, what: Removal<'_>) {
        drop(now(<_ as Store<Plain>>::remove(&self.store, what)));
    }

    fn remove(&self, key: &Key) {
        self.purge(Removal::Keys(std::slice::from_ref(key)));
    }
}

fn pair() -> (tempfile::TempDir, Handle, Handle) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
    let [one, other] = [1 << 20, 0].map(|near| Handle::with(folder.path(), near, &clock));
    (folder, one, other)
}

fn int(value: i64) -> Option<Plain> {
    Some(Plain::Int(value))
}

#[test]
fn what_was_read_is_near_by_until_anything_changes_it() {
    let (_folder, one, other) = pair();
    let (page, base) = (variant("page", "1"), key("page"));
    type Change<'a> = (&'a str, &'a dyn Fn(), bool);
    let changes: [Change<'_>; 10] = [
        ("read", &|| drop(other.get(&page)), false),
        ("another key", &|| other.put(&key("other"), 0), false),
        ("write", &|| other.put(&page, 1), true),
        ("write of the base", &|| other.put(&base, 2), true),
        (
            "count",
            &|| {
                let meta = Policy::new(Duration::from_secs(60));
                let meta = meta.stamp(other.clock.now(), Duration::ZERO).unwrap();
                now(<_ as Store<Plain>>::count(&other.store, &base, 1, meta));
            },
            true,
        ),
        ("removal", &|| other.remove(&page), true),
        ("removal of the base", &|| other.remove(&base), true),
        (
            "bump",
            &|| now(<_ as Store<Plain>>::bump(&other.store, &[Tag::new("x")])),
            true,
        ),
        (
            "prefix",
            &|| other.purge(Removal::Prefix(Kind::User, b"nothing")),
            true,
        ),
        ("clear", &|| other.purge(Removal::All), true),
    ];
    for (what, change, gone) in changes {
        one.put(&page, 7);
        assert_eq!(one.near(&page), None, "{what}: it was not read yet");
        assert_eq!(one.get(&page), int(7));
        assert_eq!(one.near(&page), int(7), "{what}");
        change();
        assert_eq!(one.near(&page).is_none(), gone, "{what}");
        assert_eq!(one.get(&page), other.get(&page), "{what}");
    }
}

#[test]
fn a_write_leaves_other_keys_near_by() {
    let (_folder, one, other) = pair();
    let keys: Vec<Key> = (0..100).map(|number| key(&number.to_string())).collect();
    for key in &keys {
        other.put(key, 1);
        one.get(key);
    }
    other.put(&key("k"), 2);
    // One in 65,536 shares a slot.
    assert!(keys.iter().filter(|key| one.near(key).is_none()).count() <= 1);
}

/// Its stamps hold what a writer did before it was killed, and its caller never heard of it.
#[test]
fn a_writer_that_is_killed_behind_its_commit_leaves_nothing_old_near_by() {
    let (_folder, one, other) = pair();
    let (first, second) = (key("first"), key("second"));
    for key in [&first, &second] {
        other.put(key, 1);
    }
    assert_eq!(one.get(&first), int(1));
    let opened = other.store.0.opened().unwrap();
    let state = other.store.0.write(Need::Room, |writing| writing.state());
    let head = Head {
        keep_until: u64::MAX,
        sequence: state.unwrap().unwrap().sequence,
        namespace: other.store.0.layout.namespace,
        order: 0,
    };
    let killed = other.store.0.unfinished(&opened, |writing| {
        for key in [&first, &second] {
            writing.insert(other.store.0.layout.spot(key), &head, b"no envelope")?;
        }
        assert_eq!(one.near(&first), int(1), "nothing has been said yet");
        writing.announce();
        assert_eq!(one.near(&first), None);
        // From before the commit, with words that move no more.
        assert_eq!(one.get(&second), int(1));
        assert_eq!(one.near(&second), None);
        Ok(())
    });
    killed.unwrap();
    for key in [&first, &second] {
        assert_eq!((one.near(key), one.get(key)), (None, None));
    }
    // Whoever writes next makes good what was left undone.
    other.put(&first, 2);
    assert_eq!((one.get(&first), one.near(&first)), (int(2), int(2)));
}

#[test]
fn the_fence_of_a_near_read_is_one_for_a_load() {
    let (_folder, one, other) = pair();
    let k = key("k");
    other.put(&k, 1);
    one.get(&k);
    let fence = || one.store.0.near_by::<Plain>(&k).unwrap().fence;
    let loading = fence();
    other.put(&key("another"), 1);
    assert_eq!(one.load(&k, 2, 60, loading), Put::Stored);
    one.get(&k);
    let loading = fence();
    other.remove(&k);
    assert_eq!(one.load(&k, 3, 60, loading), Put::Fenced);
    assert_eq!(one.get(&k), None);
}

#[test]
fn what_has_expired_is_not_near_by_and_what_is_stale_is() {
    let (_folder, one, other) = pair();
    let (k, page) = (key("k"), variant("k", "1"));
    other.put(&k, 1);
    other.put_for(&page, 2, 10);
    assert_eq!((one.get(&page), one.near(&page)), (int(2), int(2)));
    one.clock.advance(Duration::from_secs(10));
    assert_eq!(one.near(&page), None);
    assert_eq!(one.get(&page), int(1), "the base key serves it now");
    assert_eq!(one.near(&page), int(1));
    other.remove(&k);
    assert_eq!((one.near(&page), one.get(&k)), (None, None));
}

#[test]
fn a_store_in_the_place_of_another_is_another_one() {
    let (folder, one, _) = pair();
    let (k, path) = (key("k"), folder.path().join("cache"));
    one.put(&k, 1);
    one.get(&k);
    assert_eq!(one.near(&k), int(1));
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    // The same has happened to it, so that all its words are the same.
    let new = Handle::with(folder.path(), 0, &one.clock);
    one.store.0.opened().unwrap().suspect();
    new.put(&k, 2);
    assert_eq!(one.near(&k), None);
    assert_eq!((one.get(&k), one.near(&k)), (int(2), int(2)));
}

#[test]
fn what_is_kept_is_bounded_and_may_be_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
    let most = 100 << 10;
    let handle = Handle::with(folder.path(), most, &clock);
    for number in 0..1000 {
        let name = key(&number.to_string());
        handle.put(&name, number);
        assert_eq!(handle.get(&name), int(number));
    }
    let (entries, bytes) = handle.store.0.near.as_ref().unwrap().size();
    assert!(bytes <= most as u64, "{bytes}");
    assert!((100..1000).contains(&entries), "{entries}");
    let none = Handle::with(folder.path(), 0, &clock);
    assert_eq!(
        (none.get(&key("999")), none.near(&key("999"))),
        (int(999), None)
    );
}

/// Reads and writes numbers as plain integers do, and takes them for numbers.
#[derive(Clone, Copy, Debug)]
struct Both;

impl Codec<Plain> for Both {
    fn id(&self) -> u8 {
        <Safe as Codec<Plain>>::id(&Safe)
    }

    fn encode(&self, value: &Plain, out: &mut Vec<u8>) -> larder_core::Result<()> {
        Safe.encode(value, out)
    }

    fn decode(&self, payload: &[u8]) -> larder_core::Result<Plain> {
        Safe.decode(payload)
    }
}

impl Codec<i64> for Both {
    fn id(&self) -> u8 {
        <Safe as Codec<Plain>>::id(&Safe)
    }

    fn encode(&self, value: &i64, out: &mut Vec<u8>) -> larder_core::Result<()> {
        Safe.encode(&Plain::Int(*value), out)
    }

    fn decode(&self, payload: &[u8]) -> larder_core::Result<i64> {
        let value: Plain = Safe.decode(payload)?;
        Ok(value.as_count().unwrap_or_default())
    }
}

#[test]
fn a_value_that_is_read_as_one_of_another_type_is_read_anew() {
    let (folder, one, _) = pair();
    let builder = Shared::builder(folder.path().join("cache"));
    let store = builder
        .clock(Arc::clone(&one.clock) as Arc<dyn Clock>)
        .build(Both);
    let (store, k) = (store.unwrap(), key("k"));
    one.put(&k, 7);
    for _ in 0..2 {
        let number = now(<_ as Store<i64>>::get(&store, &k, &[])).entry;
        assert_eq!(number.unwrap().value, 7);
        assert!(<_ as Store<i64>>::at_hand(&store, &k).is_some());
        assert!(<_ as Store<Plain>>::at_hand(&store, &k).is_none());
        let plain = now(<_ as Store<Plain>>::get(&store, &k, &[])).entry;
        assert_eq!(plain.unwrap().value, Plain::Int(7));
    }
}
