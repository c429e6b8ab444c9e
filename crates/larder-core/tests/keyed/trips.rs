//! How many trips operations take.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Keyed, Mode, Reading, Removal};
use larder_core::{Clock, Entry, Fence, Key, Kind, Policy, Result, Store, Tag, ThreadPark, drive};
use larder_testkit::HandClock;

use crate::pairs::{Pairs, number, over};

fn run<T>(work: impl Future<Output = Result<T>>) -> T {
    let Ok(done) = drive(work, &ThreadPark);
    done.expect("the store failed")
}

struct World {
    clock: Arc<HandClock>,
    pairs: Pairs,
    store: Keyed<Pairs, Safe>,
    key: Key,
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
            key: Key::new(Kind::User, "k"),
        }
    }

    /// The trips that some work takes.
    fn trips<T>(&self, work: impl Future<Output = Result<T>>) -> usize {
        self.pairs.trips();
        run(work);
        self.pairs.trips()
    }

    async fn read(&self, tags: &[Tag]) -> Result<Reading<Plain>> {
        self.store.get(&self.key, tags).await
    }

    async fn put(&self, tags: &[Tag], fence: Fence, mode: Mode) -> Result<()> {
        let policy = Policy::new(Duration::from_secs(300));
        let mut meta = policy
            .stamp(self.clock.now(), Duration::ZERO)
            .expect("kept");
        meta.tags = tags.iter().cloned().collect();
        let entry = Arc::new(Entry::new(meta, number(1), fence));
        self.store.put(&self.key, entry, mode).await.map(drop)
    }

    async fn remove(&self, what: Removal<'_>) -> Result<()> {
        Store::<Plain>::remove(&self.store, what).await.map(drop)
    }
}

#[test]
fn loads_take_few_trips() {
    let world = World::new();
    let tags: Vec<Tag> = (0..5).map(|number| Tag::new(number.to_string())).collect();
    let fence = run(world.read(&tags)).fence;
    assert_eq!(
        world.trips(world.read(&tags)),
        1,
        "a miss whose marks are there"
    );
    let put = world.put(&tags, fence, Mode::Replace);
    assert_eq!(world.trips(put), 2, "a put");
    assert_eq!(
        world.trips(world.read(&tags)),
        1,
        "a hit whose tags are known"
    );
    // T5.9: five tags that the reader does not name take one trip more.
    assert_eq!(
        world.trips(world.read(&[])),
        2,
        "a hit whose tags are not known"
    );
    let bump = Store::<Plain>::bump(&world.store, &tags);
    assert_eq!(world.trips(bump), 3, "a bump");
}

#[test]
fn direct_use_takes_few_trips() {
    let world = World::new();
    run(world.read(&[]));
    let direct = |mode| world.put(&[], Fence::direct(0), mode);
    assert_eq!(
        world.trips(direct(Mode::Replace)),
        2,
        "a write without a load"
    );
    assert_eq!(world.trips(world.read(&[])), 1, "a hit");
    assert_eq!(
        world.trips(direct(Mode::IfAbsent)),
        1,
        "an add that finds something"
    );
    let keys = [world.key.clone(), world.key.clone()];
    let many = Store::<Plain>::get_many(&world.store, &keys);
    assert_eq!(world.trips(many), 1, "many at once");

    let remove = || world.remove(Removal::Keys(&keys));
    assert_eq!(world.trips(remove()), 2, "a removal");
    assert_eq!(world.trips(remove()), 1, "a removal of nothing");
    assert_eq!(world.trips(world.remove(Removal::All)), 1, "clearing");
    let names = world.pairs.names();
    let other = Key::new(Kind::User, "other");
    assert_eq!(
        world.trips(Store::<Plain>::peek(&world.store, &other)),
        1,
        "a look"
    );
    assert_eq!(world.pairs.names(), names, "a look leaves nothing behind");
}
