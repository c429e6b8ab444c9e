//! What lies in the store underneath: names, lives, and what others have put there.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Keyed, Mode, Pattern, Put, Removal};
use larder_core::{
    Clock, Entry, ErrorKind, Fence, Key, Kind, Lifetime, Meta, Policy, Result, Store, Tag,
    ThreadPark, drive,
};
use larder_testkit::{HandClock, PATIENCE};

use crate::pairs::{Pairs, number, over, takes};

fn try_run<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let Ok(done) = drive(work, &ThreadPark);
    done
}

fn run<T>(work: impl Future<Output = Result<T>>) -> T {
    try_run(work).expect("the store failed")
}

struct World {
    clock: Arc<HandClock>,
    pairs: Pairs,
    store: Keyed<Pairs, Safe>,
}

impl World {
    fn new() -> Self {
        let clock = HandClock::new();
        let pairs = Pairs::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = over(&pairs);
        Self {
            clock,
            pairs,
            store,
        }
    }

    fn entry(&self, life: impl Into<Lifetime>, fence: Fence) -> Arc<Entry<Plain>> {
        let meta = Policy::new(life).stamp(self.clock.now(), Duration::ZERO);
        Arc::new(Entry::new(meta.expect("kept"), number(1), fence))
    }

    fn load(&self, key: &Key, life: impl Into<Lifetime>) -> Put {
        let fence = run(Store::<Plain>::get(&self.store, key, &[])).fence;
        run(self.store.put(key, self.entry(life, fence), Mode::Replace))
    }

    fn has(&self, key: &Key) -> bool {
        run(Store::<Plain>::get(&self.store, key, &[]))
            .entry
            .is_some()
    }
}

/// The same entry with other tags.
fn tagged(entry: &Entry<Plain>, tags: impl Iterator<Item = Tag>) -> Entry<Plain> {
    let meta = Meta {
        tags: tags.collect(),
        ..entry.meta()
    };
    Entry::new(meta, entry.value.clone(), entry.fence())
}

#[test]
fn people_find_their_keys() {
    let world = World::new();
    let key = Key::new(Kind::User, "view//products");
    world.load(&key, Duration::from_secs(60));
    assert!(world.pairs.names().contains(&b"ns_view//products".to_vec()));
    assert_eq!(world.store.name_of(&key), b"ns_view//products");
}

#[test]
fn what_others_put_there_is_no_entry() {
    let world = World::new();
    let (one, two) = (Key::new(Kind::User, "one"), Key::new(Kind::User, "two"));
    for key in [&one, &two] {
        world.load(key, Duration::from_secs(60));
    }
    let other = world.pairs.read(b"ns_two").expect("it was stored");
    let mut cut = other.clone();
    cut.truncate(other.len() - 1);
    for (number, bytes) in [&b"42"[..], b"", &cut, &other].iter().enumerate() {
        world.pairs.write(b"ns_one", bytes);
        assert!(!world.has(&one), "{number}");
    }
    assert_eq!(
        world.store.unreadable(),
        2,
        "the cut one, and that of another key"
    );
    // A store with another secret, and one of another namespace, open none of it.
    let builder = Keyed::<Pairs, Safe>::builder(world.pairs.clone()).names(takes);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let stranger = builder
        .namespace("ns_")
        .secret(Some(b"other"))
        .on_unreadable(move |key, what| tell.lock().unwrap().push((key.clone(), what.to_owned())))
        .build(Safe);
    let stranger = stranger.expect("the settings are right");
    for _ in 0..2 {
        let reading = run(Store::<Plain>::get(&stranger, &two, &[]));
        assert!(reading.entry.is_none());
    }
    assert_eq!(stranger.unreadable(), 2);
    let told = told.lock().unwrap();
    let [(key, what)] = &told[..] else {
        panic!("told once of each kind: {told:?}")
    };
    assert_eq!(key, &two);
    assert!(what.contains("seal"), "{what}");
}

#[test]
fn records_that_are_none_are_replaced() {
    let key = Key::new(Kind::User, "k");
    for name in [
        &b"ns_!"[..],
        b"ns_!gu:k",
        b"ns_!l",
        b"ns_!tut",
        b"ns_!hu:k",
        b"ns_k",
    ] {
        let world = World::new();
        world.pairs.write(name, b"nonsense");
        let tags = [Tag::new("t")];
        let fence = run(Store::<Plain>::get(&world.store, &key, &tags)).fence;
        let entry = tagged(
            &world.entry(Duration::from_secs(60), fence),
            tags.iter().cloned(),
        );
        let put = run(world.store.put(&key, Arc::new(entry), Mode::Replace));
        assert_eq!(put, Put::Stored, "{}", name.escape_ascii());
        assert!(world.has(&key), "{}", name.escape_ascii());
        run(Store::<Plain>::bump(&world.store, &tags));
        assert!(!world.has(&key), "{}", name.escape_ascii());
    }
}

#[test]
fn marks_live_as_long_as_what_is_stored_under_them() {
    let world = World::new();
    let (short, long) = (Key::new(Kind::User, "short"), Key::new(Kind::User, "long"));
    world.load(&short, Duration::from_secs(1));
    world.load(&long, Duration::from_secs(3600));
    world.clock.advance(Duration::from_secs(3599));
    assert!(world.has(&long) && !world.has(&short));
    world.load(&long, Lifetime::Forever);
    world.clock.advance(Duration::from_secs(7200));
    assert!(
        world.has(&long),
        "a mark is prolonged by what is stored under it later"
    );
    // What nobody asks for leaves nothing behind.
    world.clock.advance(Duration::from_secs(86_400));
    let left = world.pairs.names();
    assert!(
        !left.iter().any(|name| name.ends_with(b"short")),
        "{left:?}"
    );
}

#[test]
fn a_load_of_ten_minutes_is_fenced_and_stored() {
    let world = World::new();
    let key = Key::new(Kind::User, "slow");
    let start = || run(Store::<Plain>::get(&world.store, &key, &[])).fence;
    let minute = Duration::from_secs(60);
    let (fence, fenced) = (start(), start());
    world.clock.advance(9 * minute);
    let put = |fence| {
        run(world
            .store
            .put(&key, world.entry(minute, fence), Mode::Replace))
    };
    assert_eq!(put(fence), Put::Stored);
    run(Store::<Plain>::remove(
        &world.store,
        Removal::Keys(std::slice::from_ref(&key)),
    ));
    assert_eq!(put(fenced), Put::Fenced);
    assert!(!world.has(&key));
}

#[test]
fn a_purge_between_the_steps_of_a_swap_holds() {
    for tag in [None, Some(Tag::new("t"))] {
        let mut world = World::new();
        world.pairs.swaps = false;
        world.store = over(&world.pairs);
        let key = |name| Key::assemble(Kind::User, b"page", name);
        let tags: Vec<Tag> = tag.iter().cloned().collect();
        let put = |key: &Key, seconds| {
            let fence = run(Store::<Plain>::get(&world.store, key, &tags)).fence;
            let life = Duration::from_secs(seconds);
            let entry = tagged(&world.entry(life, fence), tags.iter().cloned());
            run(world.store.put(key, Arc::new(entry), Mode::Replace))
        };
        assert_eq!(put(&key(b"other"), 60), Put::Stored);
        let store = world.store.clone();
        world.pairs.between(move || match tag {
            Some(tag) => run(Store::<Plain>::bump(&store, &[tag])),
            None => {
                let gone = [Key::new(Kind::User, "page")];
                run(Store::<Plain>::remove(&store, Removal::Keys(&gone)));
            }
        });
        // This one outlives its marks, so that they have to be prolonged.
        assert_eq!(put(&key(b"long"), 86_400), Put::Fenced, "{tags:?}");
        assert!(!world.has(&key(b"long")), "{tags:?}");
        assert!(!world.has(&key(b"other")), "{tags:?}");
        assert_eq!(put(&key(b"long"), 86_400), Put::Stored, "{tags:?}");
        assert!(world.has(&key(b"long")), "{tags:?}");
    }
}

#[test]
fn threads_that_start_at_once_load_under_one_mark() {
    let mut world = World::new();
    world.pairs.swaps = false;
    world.store = over(&world.pairs);
    let key = Key::new(Kind::User, "k");
    let (send, receive) = std::sync::mpsc::channel();
    let (store, pairs, other) = (world.store.clone(), world.pairs.clone(), key.clone());
    // While the first thread is about to make a mark, another one comes for it.
    world.pairs.between(move || {
        pairs.hold_after(3);
        let looking = std::thread::spawn(move || {
            let fence = run(Store::<Plain>::get(&store, &other, &[])).fence;
            send.send(fence).expect("the test waits for it");
        });
        while pairs.looks() < 3 && !looking.is_finished() {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    });
    let fence = run(Store::<Plain>::get(&world.store, &key, &[])).fence;
    let other = receive.recv_timeout(PATIENCE).expect("it goes on");
    assert_eq!((fence.all, fence.base), (other.all, other.base));
}

#[test]
fn a_base_key_replaces_also_the_variants_under_way() {
    let world = World::new();
    let base = Key::new(Kind::View, "page");
    let variant = |name: u8| Key::assemble(Kind::View, b"page", &[name]);
    world.load(&variant(1), Duration::from_secs(60));
    let fence = run(Store::<Plain>::get(&world.store, &variant(2), &[])).fence;
    let mut entry = (*world.entry(Duration::from_secs(60), Fence::direct(0))).clone();
    entry.value = number(2);
    run(world.store.put(&base, Arc::new(entry), Mode::Replace));
    run(world.store.put(
        &variant(2),
        world.entry(Duration::from_secs(60), fence),
        Mode::Replace,
    ));
    for key in [variant(1), variant(2), base] {
        let found = run(Store::<Plain>::get(&world.store, &key, &[])).entry;
        assert_eq!(
            found.map(|entry| entry.value.clone()),
            Some(number(2)),
            "{key:?}"
        );
    }
}

#[test]
fn a_bump_from_before_the_load_fences_nothing() {
    let world = World::new();
    let (key, tag) = (Key::new(Kind::User, "k"), Tag::new("late"));
    world.load(&key, Duration::from_secs(60));
    run(Store::<Plain>::bump(
        &world.store,
        std::slice::from_ref(&tag),
    ));
    let fence = run(Store::<Plain>::get(&world.store, &key, &[])).fence;
    let entry = tagged(
        &world.entry(Duration::from_secs(60), fence),
        [tag].into_iter(),
    );
    let put = run(world.store.put(&key, Arc::new(entry), Mode::Replace));
    assert_eq!(put, Put::Stored);
    assert!(world.has(&key));
}

#[test]
fn a_store_that_cannot_list_says_so() {
    let mut world = World::new();
    world.pairs.lists = false;
    world.store = over(&world.pairs);
    let pattern = Pattern::parse("k*");
    for what in [
        Removal::Prefix(Kind::User, b"k"),
        Removal::Pattern(Kind::User, &pattern),
    ] {
        let error = try_run(Store::<Plain>::remove(&world.store, what)).expect_err("no list");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("pairs cannot list its keys"),
            "{error}"
        );
    }
}

#[test]
fn removal_gives_the_space_back() {
    let world = World::new();
    let base = Key::new(Kind::View, "page");
    let empty = world.pairs.names().len();
    for variant in 0..20 {
        let variant = Key::assemble(Kind::View, b"page", &[variant]);
        world.load(&variant, Duration::from_secs(60));
    }
    assert!(world.pairs.names().len() > empty + 20);
    run(Store::<Plain>::remove(&world.store, Removal::Keys(&[base])));
    // The mark of the namespace and the log are left.
    assert_eq!(world.pairs.names(), [b"ns_!".to_vec(), b"ns_!l".to_vec()]);
}

#[test]
fn settings_are_checked() {
    let world = World::new();
    let builder = || Keyed::<Pairs, Safe>::builder(world.pairs.clone()).names(takes);
    let long = "n".repeat(60);
    for namespace in ["a b", &long] {
        let error = builder()
            .namespace(namespace)
            .build(Safe)
            .expect_err("no name");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(namespace), "{error}");
    }
    assert!(builder().max_value(0).build(Safe).is_err());
    assert!(builder().secret(Some(b"")).build(Safe).is_err());
}
