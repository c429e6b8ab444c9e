//! Stores that evict what they like (T5.5): marks that are gone make entries invalid, never valid.

use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::Plain;
use larder_core::store::{Mode, Removal};
use larder_core::{
    Clock, Entry, Fence, Key, KeyWriter, Kind, Policy, Result, Store, Tag, ThreadPark, drive,
};
use larder_testkit::HandClock;

use crate::pairs::{Pairs, number, over};

type Keyed = larder_core::store::Keyed<Pairs, larder_core::codec::Safe>;

fn run<T>(work: impl Future<Output = Result<T>>) -> T {
    let Ok(done) = drive(work, &ThreadPark);
    done.expect("the store failed")
}

fn fence(store: &Keyed, key: &Key, tags: &[Tag]) -> Fence {
    run(Store::<Plain>::get(store, key, tags)).fence
}

fn put(store: &Keyed, key: &Key, value: u64, (tags, fence): (&[Tag], Fence), clock: &HandClock) {
    let policy = Policy::new(Duration::from_secs(3600));
    let mut meta = policy.stamp(clock.now(), Duration::ZERO).expect("kept");
    meta.tags = tags.iter().cloned().collect();
    let entry = Arc::new(Entry::new(meta, number(value), fence));
    run(store.put(key, entry, Mode::Replace));
}

fn get(store: &Keyed, key: &Key) -> Option<Plain> {
    let found = run(Store::<Plain>::get(store, key, &[])).entry;
    found.map(|entry| entry.value.clone())
}

fn world() -> (Arc<HandClock>, Pairs, Keyed) {
    let clock = HandClock::new();
    let pairs = Pairs::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = over(&pairs);
    (clock, pairs, store)
}

#[test]
fn t5_5_an_evicted_mark_makes_entries_invalid() {
    let key = Key::new(Kind::User, "k");
    let tags = [Tag::new("a"), Tag::new("b")];
    let marks: [&[u8]; 4] = [b"ns_!", b"ns_!gu:k", b"ns_!tua", b"ns_!tub"];
    for mark in marks {
        let (clock, pairs, store) = world();
        let seen = fence(&store, &key, &tags);
        put(&store, &key, 1, (&tags, seen), &clock);
        assert_eq!(get(&store, &key), Some(number(1)));
        assert_eq!(
            pairs.evict(|name| name == mark),
            1,
            "{}",
            mark.escape_ascii()
        );
        assert_eq!(get(&store, &key), None, "{}", mark.escape_ascii());
        // Whoever reads makes a new mark, under which nothing old is valid.
        fence(&store, &key, &tags);
        assert_eq!(get(&store, &key), None, "{}", mark.escape_ascii());
    }
}

#[test]
fn t5_5_a_purge_holds_when_its_records_are_evicted() {
    let key = Key::new(Kind::User, "k");
    let (known, late) = (Tag::new("known"), Tag::new("late"));
    let both = [known.clone(), late.clone()];
    type Purge = fn(&Keyed);
    let purges: [Purge; 4] = [
        |store| {
            drop(run(Store::<Plain>::remove(
                store,
                Removal::Keys(&[Key::new(Kind::User, "k")]),
            )))
        },
        |store| drop(run(Store::<Plain>::remove(store, Removal::All))),
        |store| run(Store::<Plain>::bump(store, &[Tag::new("known")])),
        |store| run(Store::<Plain>::bump(store, &[Tag::new("late")])),
    ];
    for (number, purge) in purges.into_iter().enumerate() {
        let (clock, pairs, store) = world();
        let seen = fence(&store, &key, std::slice::from_ref(&known));
        purge(&store);
        pairs.evict(|_| true);
        put(&store, &key, 1, (&both, seen.clone()), &clock);
        assert_eq!(get(&store, &key), None, "purge {number}");
        // Others have made all marks anew: what was seen before is not seen again.
        let _ = fence(&store, &key, &both);
        put(&store, &key, 1, (&both, seen), &clock);
        assert_eq!(get(&store, &key), None, "purge {number}");
    }
}

/// A generator of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// What a key's next load brings, and from when on something older must not be read.
#[derive(Default)]
struct Origin {
    state: u64,
    purged_at: u64,
}

/// One load under way: which key, what it found, its tags and its fence.
struct Load {
    which: usize,
    found: u64,
    tags: Vec<Tag>,
    fence: Fence,
}

#[test]
fn t5_5_random_evictions_resurrect_nothing() {
    let found: usize = (1..60).map(|seed| History::new(seed).run()).sum();
    assert!(found > 1000, "hardly anything was ever found: {found}");
}

const KEYS: usize = 5;

struct History {
    clock: Arc<HandClock>,
    pairs: Pairs,
    store: Keyed,
    numbers: Numbers,
    origins: [Origin; KEYS],
    loads: Vec<Load>,
    reads: usize,
}

/// The last two keys are variants of one base key.
fn key(which: usize) -> Key {
    let mut variant = KeyWriter::new();
    match which {
        3.. => Key::new(Kind::View, "family").with_variant(variant.int(which as i64)),
        _ => Key::new(Kind::User, format!("k{which}")),
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let (clock, pairs, store) = world();
        Self {
            clock,
            pairs,
            store,
            numbers: Numbers(0x9e37_79b9_7f4a_7c15 ^ seed),
            origins: Default::default(),
            loads: Vec::new(),
            reads: 0,
        }
    }

    /// How many reads found something.
    fn run(mut self) -> usize {
        for _ in 0..800 {
            let which = self.numbers.below(KEYS as u64) as usize;
            match self.numbers.below(24) {
                0..6 => self.begin(which),
                6..13 => self.end(),
                13..20 => self.look(which),
                20 | 21 => self.purge(which),
                22 => {
                    let mut numbers = Numbers(self.numbers.below(1 << 20) + 1);
                    self.pairs.evict(|_| numbers.below(8) == 0);
                }
                _ => self.clock.advance(Duration::from_secs(20)),
            }
        }
        self.reads
    }

    fn begin(&mut self, which: usize) {
        let tags = vec![Tag::new(format!("t{}", which % 2))];
        let asked = if self.numbers.below(3) == 0 {
            &[][..]
        } else {
            &tags[..]
        };
        let fence = fence(&self.store, &key(which), asked);
        let found = self.origins[which].state;
        self.loads.push(Load {
            which,
            found,
            tags,
            fence,
        });
    }

    fn end(&mut self) {
        if self.loads.is_empty() {
            return;
        }
        let at = self.numbers.below(self.loads.len() as u64) as usize;
        let Load {
            which,
            found,
            tags,
            fence,
        } = self.loads.swap_remove(at);
        put(&self.store, &key(which), found, (&tags, fence), &self.clock);
    }

    fn look(&mut self, which: usize) {
        let Some(Plain::Int(found)) = get(&self.store, &key(which)) else {
            return;
        };
        self.reads += 1;
        let found = found.cast_unsigned();
        assert!(
            found >= self.origins[which].purged_at,
            "{which}: {found} was loaded before the purge at {}",
            self.origins[which].purged_at
        );
    }

    fn purge(&mut self, which: usize) {
        let concerned: Vec<usize> = match self.numbers.below(8) {
            0 => (0..KEYS).collect(),
            1..4 => (0..KEYS).filter(|other| other % 2 == which % 2).collect(),
            _ if which >= 3 => (3..KEYS).collect(),
            _ => vec![which],
        };
        for &each in &concerned {
            self.origins[each].state += 1;
        }
        if concerned.len() == KEYS {
            run(Store::<Plain>::remove(&self.store, Removal::All));
        } else if concerned.len() == 1 || which >= 3 && concerned[0] == 3 && concerned.len() == 2 {
            let keys = [key(which).base_key()];
            run(Store::<Plain>::remove(&self.store, Removal::Keys(&keys)));
        } else {
            let tag = Tag::new(format!("t{}", which % 2));
            run(Store::<Plain>::bump(&self.store, &[tag]));
        }
        for each in concerned {
            self.origins[each].purged_at = self.origins[each].state;
        }
    }
}
