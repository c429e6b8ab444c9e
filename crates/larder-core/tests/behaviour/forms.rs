//! Forms that lie beside what they are made of.

use std::sync::Arc;

use larder_core::store::{Memory, Mode, Put, Reading, Removal};
use larder_core::{
    Cache, Entry, Error, ErrorKind, Key, KeyWriter, Lookup, Meta, Policy, Result, Store, Tag, Value,
};
use larder_testkit::{FailingStore, HandClock, Operation, SpyStore};

use crate::world::{at_once, key, secs};

const FORM: u8 = b'b';

/// A number, and what its form has; `None` says that there is no form, and nothing that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text(u64, Option<Option<u64>>);

impl Value for Text {
    const FORMS: &'static [u8] = &[FORM];

    fn forms(&self) -> Vec<(u8, Option<Self>)> {
        let form = self.1.map(|form| (FORM, form.map(|of| Self(of, None))));
        form.into_iter().collect()
    }
}

type Faulty = FailingStore<Memory<Text>>;

/// A number that the store does not take.
const REFUSED: u64 = 12;
/// A number that the store cannot be told.
const LOST: u64 = 13;

/// A store that leaves what is there where it does not take what is to replace it.
#[derive(Debug)]
struct Choosy(Faulty);

impl Store<Text> for Choosy {
    fn name(&self) -> &'static str {
        "choosy"
    }

    async fn get(&self, key: &Key, tags: &[Tag]) -> Result<Reading<Text>> {
        self.0.get(key, tags).await
    }

    async fn variants(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<Text>>)>> {
        self.0.variants(base).await
    }

    async fn put(&self, key: &Key, entry: Arc<Entry<Text>>, mode: Mode) -> Result<Put> {
        match entry.value.0 {
            REFUSED => Ok(Put::TooLarge),
            LOST => Err(Error::new(ErrorKind::Store, "it does not arrive")),
            _ => self.0.put(key, entry, mode).await,
        }
    }

    async fn remove(&self, what: Removal<'_>) -> Result<Vec<Key>> {
        self.0.remove(what).await
    }

    async fn bump(&self, tags: &[Tag]) -> Result<()> {
        self.0.bump(tags).await
    }

    async fn count(&self, key: &Key, delta: i64, meta: Meta) -> Result<i64> {
        self.0.count(key, delta, meta).await
    }
}

struct Shelf {
    clock: Arc<HandClock>,
    faults: Faulty,
    cache: Cache<Text, SpyStore<Choosy>>,
    key: Key,
    policy: Policy,
}

impl Shelf {
    fn new() -> Self {
        let clock = HandClock::new();
        let memory = Memory::builder().clock(clock.clone()).build();
        let faults = FailingStore::new(memory.expect("no bound is zero"));
        // A spy stands for a store elsewhere.
        let store = SpyStore::new(Choosy(faults.clone()));
        Self {
            cache: Cache::builder(store).clock(clock.clone()).build(),
            clock,
            faults,
            key: key("text").with_variant(KeyWriter::new().text("page").text("GET")),
            policy: Policy::new(secs(60)),
        }
    }

    fn load(&self, text: Text) {
        let Lookup::Miss(permit) = at_once(self.cache.refresh(&self.key, &self.policy)) else {
            panic!("whoever refreshes leads");
        };
        at_once(permit.store(text, &self.policy));
    }

    fn hand_in(&self, text: Text) {
        at_once(self.cache.put(&self.key, text, &self.policy)).expect("the store takes it");
    }

    fn form(&self) -> Option<u64> {
        let found = at_once(self.cache.form(&self.key, FORM, &self.policy));
        found.expect("the store works").map(|hit| hit.value().0)
    }

    /// The form of a hit, in whatever state that is.
    fn form_of_a_hit(&self) -> Option<u64> {
        let Lookup::Hit(hit) = at_once(self.cache.lookup(&self.key, &self.policy)) else {
            panic!("it is there");
        };
        let form = at_once(self.cache.in_form(&hit, &self.key, FORM));
        form.map(|hit| hit.value().0)
    }
}

#[test]
fn a_form_ends_where_its_value_has_none_any_more() {
    let shelf = Shelf::new();
    let ends: [fn(&Shelf); 3] = [
        |shelf| shelf.load(Text(2, Some(None))),
        |shelf| shelf.hand_in(Text(2, Some(None))),
        // Who hands in a value without a word of its forms says that there are none.
        |shelf| shelf.hand_in(Text(2, None)),
    ];
    for end in ends {
        shelf.load(Text(1, Some(Some(11))));
        assert_eq!((shelf.form(), shelf.form_of_a_hit()), (Some(11), Some(11)));
        end(&shelf);
        assert_eq!((shelf.form(), shelf.form_of_a_hit()), (None, None));
    }
}

#[test]
fn a_form_that_cannot_be_given_up_is_owed() {
    let shelf = Shelf::new();
    shelf.load(Text(1, Some(Some(11))));
    assert_eq!(shelf.form(), Some(11));
    shelf.faults.fail(Operation::Remove);
    shelf.hand_in(Text(2, None));
    shelf.faults.mend_all();
    assert_eq!(shelf.form(), None);
}

#[test]
fn where_a_form_is_not_taken_none_is_left_of_the_earlier_value() {
    let shelf = Shelf::new();
    let replace: [fn(&Shelf, Text); 2] = [Shelf::load, Shelf::hand_in];
    for replace in replace {
        for form in [REFUSED, LOST] {
            shelf.load(Text(1, Some(Some(11))));
            assert_eq!(shelf.form(), Some(11));
            replace(&shelf, Text(2, Some(Some(form))));
            assert_eq!((shelf.form(), shelf.form_of_a_hit()), (None, None));
        }
    }
}

#[test]
fn a_form_of_an_earlier_value_is_none_of_a_later_one() {
    let shelf = Shelf::new();
    shelf.load(Text(1, Some(Some(11))));
    shelf.clock.advance(secs(1));
    // Stored by somebody who knows of no forms.
    shelf.load(Text(2, None));
    assert_eq!((shelf.form(), shelf.form_of_a_hit()), (Some(11), None));
    shelf.clock.advance(secs(59));
    assert_eq!(shelf.form(), None);
}
