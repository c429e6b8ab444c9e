use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::Mode;
use larder_core::{
    Clock, Entry, Fence, Key, Kind, Policy, Store, SystemClock, Tag, ThreadPark, drive,
};

use super::Shared;
use super::writing::Need;
use crate::layout::{Head, Purged};

fn store() -> (tempfile::TempDir, Shared<Safe>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Shared::builder(folder.path().join("cache")).build(Safe);
    (folder, store.unwrap())
}

/// Once for a writer that is killed behind its commit, once for who has read in between.
#[test]
fn the_words_move_before_the_commit_and_after_it() {
    let (_folder, store) = store();
    let coherence = store.coherence().unwrap();
    let key = Key::new(Kind::User, "k");
    let spot = store.0.layout.spot(&key);
    let head = Head {
        keep_until: u64::MAX,
        sequence: 1,
        namespace: 0,
        process: 0,
        order: 0,
    };
    for all in [false, true] {
        let before = coherence.read(&key);
        let within = store.0.write(Need::Room, |writing| {
            if all {
                let state = writing.state()?;
                writing.save(&state)?;
                writing.moves_all();
            } else {
                writing.insert(spot, &head, b"envelope")?;
            }
            Ok(coherence.read(&key))
        });
        let within = within.unwrap().unwrap();
        assert_ne!(within, before);
        assert!(!coherence.holds(&key, within));
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
    let run = |key: &Key, tag: &str| {
        let Ok(reading) = drive(<_ as Store<Plain>>::get(&store, key, &[]), &ThreadPark);
        let meta = Policy::new(Duration::from_secs(60))
            .tag(tag)
            .stamp(SystemClock::shared().now(), Duration::ZERO)
            .unwrap();
        let fence: Fence = reading.unwrap().fence;
        Arc::new(Entry::new(meta, Plain::Int(1), fence))
    };
    let put = |key: &Key, entry: &Arc<Entry<Plain>>| {
        let Ok(put) = drive(
            store.put(key, Arc::clone(entry), Mode::Replace),
            &ThreadPark,
        );
        put.unwrap()
    };
    let is_there = |key: &Key| {
        let Ok(reading) = drive(<_ as Store<Plain>>::get(&store, key, &[]), &ThreadPark);
        reading.unwrap().entry.is_some()
    };
    let [stored, loading] = ["stored", "loading"].map(|name| Key::new(Kind::User, name));
    put(&stored, &run(&stored, "t"));
    let late = run(&loading, "t");
    note(&store, 1..=70_000, Purged::Key);
    let state = store.0.write(Need::Room, |writing| writing.state());
    let state = state.unwrap().unwrap();
    assert!(state.removed < 65_536 && state.removed_floor > late.fence.sequence);
    assert_eq!(put(&loading, &late), larder_core::store::Put::Fenced);
    assert!(is_there(&stored), "no tag was bumped");
    note(&store, 1..=70_000, Purged::Tag);
    assert!(!is_there(&stored), "the tag may have been bumped");
    put(&loading, &run(&loading, "t"));
    assert!(is_there(&loading));
    let Ok(bumped) = drive(
        <_ as Store<Plain>>::bump(&store, &[Tag::new("t")]),
        &ThreadPark,
    );
    bumped.unwrap();
    assert!(!is_there(&loading));
}
