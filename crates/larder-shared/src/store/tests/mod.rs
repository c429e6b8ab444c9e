mod near;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Mode, Put};
use larder_core::{Clock, Entry, Key, Kind, Policy, Store, SystemClock, Tag, ThreadPark, drive};

use super::Shared;
use super::writing::Need;
use crate::layout::Purged;
use crate::map::Word;

/// A store that reads everything from the environment.
fn store() -> (tempfile::TempDir, Shared<Safe>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Shared::builder(folder.path().join("cache"));
    (folder, store.near(0).build(Safe).unwrap())
}

/// What a load of `key` that starts now will bring.
fn begin(store: &Shared<Safe>, key: &Key, tags: &[&str]) -> Arc<Entry<Plain>> {
    let Ok(reading) = drive(<_ as Store<Plain>>::get(store, key, &[]), &ThreadPark);
    let policy = Policy::new(Duration::from_secs(60));
    let policy = tags.iter().fold(policy, |policy, tag| policy.tag(tag));
    let meta = policy
        .stamp(SystemClock::shared().now(), Duration::ZERO)
        .unwrap();
    Arc::new(Entry::new(meta, Plain::Int(1), reading.unwrap().fence))
}

fn put(store: &Shared<Safe>, key: &Key, entry: &Arc<Entry<Plain>>) -> Put {
    let Ok(put) = drive(
        store.put(key, Arc::clone(entry), Mode::Replace),
        &ThreadPark,
    );
    put.unwrap()
}

fn read(store: &Shared<Safe>, key: &Key) -> Option<Arc<Entry<Plain>>> {
    let Ok(reading) = drive(<_ as Store<Plain>>::get(store, key, &[]), &ThreadPark);
    reading.unwrap().entry
}

/// A process that is killed between the halves of a clear has not said that it is done; what it
/// leaves is as good as gone all the same.
#[test]
fn half_of_a_clear_makes_everything_invalid() {
    let (_folder, store) = store();
    let [stored, loading] = ["stored", "loading"].map(|name| Key::new(Kind::User, name));
    put(&store, &stored, &begin(&store, &stored, &[]));
    let late = begin(&store, &loading, &[]);
    store.0.forget_everything().unwrap().unwrap();
    assert!(read(&store, &stored).is_none());
    assert_eq!(put(&store, &loading, &late), Put::Fenced);
    assert_eq!(
        put(&store, &stored, &begin(&store, &stored, &[])),
        Put::Stored
    );
    assert!(read(&store, &stored).is_some());
}

/// Whoever used the map first thought that it was an hour earlier, or later.
#[test]
fn processes_for_which_the_wall_differs_agree_about_the_times_of_an_entry() {
    const HOUR: u64 = 3_600_000;
    const SLACK: u64 = HOUR / 10;
    for later in [true, false] {
        let (folder, store) = store();
        let key = Key::new(Kind::User, "k");
        let entry = begin(&store, &key, &["t"]);
        put(&store, &key, &entry);
        assert_eq!(read(&store, &key).unwrap().meta(), entry.meta());
        let map = Arc::clone(&store.0.opened().unwrap().map);
        drop(store);
        let word = map.word(Word::Started);
        let started = word.load(Ordering::SeqCst);
        let theirs = if later {
            started + HOUR
        } else {
            started - HOUR
        };
        word.store(theirs, Ordering::SeqCst);
        let store = Shared::builder(folder.path().join("cache")).build(Safe);
        let store = store.unwrap();
        let moved = read(&store, &key).unwrap().fresh_until().as_millis();
        let here = entry.fresh_until().as_millis();
        let expected = if later { here - HOUR } else { here + HOUR };
        assert!(moved.abs_diff(expected) < SLACK, "{moved} {expected}");
        // What this process stores comes back to it as it was.
        put(&store, &key, &begin(&store, &key, &["t"]));
        let found = read(&store, &key).unwrap();
        assert!(found.fresh_until().as_millis().abs_diff(here) < SLACK);
        assert_eq!(found.fresh_until().since(found.stored_at()).as_secs(), 60);
    }
}

/// Notes purges of these numbers, of keys or of tags.
fn note(store: &Shared<Safe>, numbers: RangeInclusive<u128>, what: fn(u128) -> Purged) {
    let noted = store.0.write(Need::Purge, |writing| {
        let mut state = writing.state()?;
        for number in numbers.clone() {
            state.sequence += 1;
            writing.note(&mut state, what(number))?;
        }
        writing.save(&state)
    });
    noted.unwrap().unwrap();
}

/// What is no longer remembered counts as purged, and records of keys do not push out those of tags.
#[test]
fn purges_that_are_forgotten_count_as_purged() {
    let (_folder, store) = store();
    let [stored, loading] = ["stored", "loading"].map(|name| Key::new(Kind::User, name));
    put(&store, &stored, &begin(&store, &stored, &["t"]));
    let late = begin(&store, &loading, &["t"]);
    note(&store, 1..=70_000, Purged::Key);
    let state = store.0.write(Need::Room, |writing| writing.state());
    let state = state.unwrap().unwrap();
    assert!(state.removed < 65_536 && state.removed_floor > late.sequence());
    assert_eq!(put(&store, &loading, &late), Put::Fenced);
    assert!(read(&store, &stored).is_some(), "no tag was bumped");
    let spot = store.0.layout.spot(&loading).base;
    let removed = begin(&store, &loading, &[]);
    note(&store, spot..=spot, Purged::Key);
    note(&store, 1..=70_000, Purged::Tag);
    assert_eq!(put(&store, &loading, &removed), Put::Fenced);
    assert!(
        read(&store, &stored).is_none(),
        "the tag may have been bumped"
    );
    put(&store, &loading, &begin(&store, &loading, &["t"]));
    assert!(read(&store, &loading).is_some());
    let Ok(bumped) = drive(
        <_ as Store<Plain>>::bump(&store, &[Tag::new("t")]),
        &ThreadPark,
    );
    bumped.unwrap();
    assert!(read(&store, &loading).is_none());
}
