//! Heads: pages without their bodies, beside pages that do not lie in this process.

use std::fmt;
use std::sync::Arc;

use larder_core::codec::{Page, Plain};
use larder_core::store::Removal;
use larder_core::{Cache, Key, KeyWriter, Lookup, Permit, Policy, Store, Stored, Tag};

use super::world::{at_once, key, secs};
use crate::{HandClock, SpyStore};

/// Makes the stores of pages that these scenarios run on, empty ones.
pub struct Pages<S>(Box<dyn Fn(Arc<HandClock>) -> S>);

impl<S: Store<Plain>> Pages<S> {
    /// The stores that `make` makes, which go by the clock.
    pub fn new(make: impl Fn(Arc<HandClock>) -> S + 'static) -> Self {
        Self(Box::new(make))
    }

    fn shop(&self) -> Shop<S> {
        let clock = HandClock::new();
        let spy = SpyStore::new((self.0)(Arc::clone(&clock)));
        let mut variant = KeyWriter::new();
        variant.text("page").text("GET");
        Shop {
            cache: Cache::builder(spy.clone()).clock(clock.clone()).build(),
            clock,
            spy,
            key: key("page").with_variant(&variant),
            policy: Policy::new(secs(60)).tag("t"),
        }
    }
}

impl<S> fmt::Debug for Pages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").finish_non_exhaustive()
    }
}

/// A cache of pages, and a spy who looks what is read.
struct Shop<S: Store<Plain>> {
    clock: Arc<HandClock>,
    spy: SpyStore<S>,
    cache: Cache<Plain, SpyStore<S>>,
    key: Key,
    policy: Policy,
}

/// Too large to be read for its headers, and so small that it has no head of its own.
const LARGE: usize = 50_000;
const SMALL: usize = 500;

fn page(etag: &str, body: usize) -> Plain {
    let header = |name: &str, value: String| (name.as_bytes().to_vec(), value.into_bytes());
    let headers = vec![
        header("etag", etag.to_owned()),
        header("content-length", body.to_string()),
    ];
    let body = vec![b'x'; body].into();
    Plain::Page(Arc::new(Page {
        status: 200,
        headers,
        body,
    }))
}

impl<S: Store<Plain>> Shop<S> {
    fn lead(&self) -> Permit<Plain, SpyStore<S>> {
        match at_once(self.cache.lookup(&self.key, &self.policy)) {
            Lookup::Miss(permit) => permit,
            other => panic!("expected a miss, got {other:?}"),
        }
    }

    fn store(&self, permit: Permit<Plain, SpyStore<S>>, value: Plain) -> Stored {
        at_once(permit.store(value, &self.policy))
    }

    fn load(&self, value: Plain) {
        assert_eq!(self.store(self.lead(), value), Stored::Stored);
    }

    /// The validator of what is there, by the head or else the whole page, and whether it was the head.
    fn head(&self) -> Option<(String, bool)> {
        let hit = at_once(self.cache.head(&self.key, &self.policy)).expect("the store works")?;
        let Plain::Page(page) = hit.value() else {
            panic!("it is a page");
        };
        let etag = String::from_utf8(page.headers[0].1.clone()).expect("it is text");
        assert_eq!(hit.entry.is_head(), page.body.is_empty());
        Some((etag, hit.entry.is_head()))
    }

    fn etag(&self) -> Option<String> {
        self.head().map(|(etag, _)| etag)
    }

    fn value(&self) -> Option<Plain> {
        at_once(self.cache.get(&self.key)).expect("the store works")
    }
}

/// Who asks for the head of a large page reads no body, in one read.
pub fn who_needs_a_head_only_reads_no_body<S: Store<Plain>>(pages: &Pages<S>) {
    let shop = pages.shop();
    shop.load(page("1", LARGE));
    shop.clock.advance(secs(7));
    shop.spy.take_bytes();
    shop.spy.take_reads();
    let hit = at_once(shop.cache.head(&shop.key, &shop.policy)).expect("the store works");
    let hit = hit.expect("it is fresh");
    assert!(shop.spy.take_bytes() < 1000);
    assert_eq!(shop.spy.take_reads(), 1);
    assert_eq!((hit.age(), hit.seconds_left()), (secs(7), Some(53)));
    let Plain::Page(head) = hit.value() else {
        panic!("it is a page");
    };
    let length = (b"content-length".to_vec(), LARGE.to_string().into_bytes());
    assert_eq!((head.status, &head.headers[1]), (200, &length));
    assert_eq!(shop.value(), Some(page("1", LARGE)));
    // It is nothing that people see.
    let variants = at_once(shop.cache.variants(&shop.key.base_key())).expect("the store works");
    let keys: Vec<Key> = variants.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, std::slice::from_ref(&shop.key));
}

/// A head ends with the times of its page, and a page that is prolonged has one again.
pub fn a_head_ends_with_its_page<S: Store<Plain>>(pages: &Pages<S>) {
    let shop = pages.shop();
    shop.load(page("1", LARGE));
    shop.clock.advance(secs(30));
    let longer = Policy::new(secs(100));
    assert!(at_once(shop.cache.prolong(&shop.key, &longer)).expect("the store works"));
    shop.clock.advance(secs(99));
    assert_eq!(shop.head(), Some(("1".to_owned(), true)));
    shop.clock.advance(secs(1));
    assert_eq!(shop.head(), None);
    assert_eq!(shop.value(), None);
}

/// Whatever purges a page purges its head.
pub fn whatever_purges_a_page_purges_its_head<S: Store<Plain>>(pages: &Pages<S>) {
    for way in ["key", "base", "tag", "all"] {
        let shop = pages.shop();
        shop.load(page("1", LARGE));
        assert!(shop.head().is_some_and(|(_, is_head)| is_head));
        let base = shop.key.base_key();
        let done = match way {
            "key" => at_once(shop.cache.remove_many(std::slice::from_ref(&shop.key))),
            "base" => at_once(shop.cache.remove_many(std::slice::from_ref(&base))),
            "tag" => at_once(shop.cache.bump(&[Tag::new("t")])).map(|()| vec![base.clone()]),
            _ => at_once(shop.cache.purge(Removal::All)).map(|_| vec![base.clone()]),
        };
        let gone = if way == "key" { &shop.key } else { &base };
        let done = done.expect("the store works");
        assert_eq!(done, std::slice::from_ref(gone), "{way}");
        assert_eq!(shop.head(), None, "{way}");
        // What was loaded before a purge leaves no head behind either.
        let permit = shop.lead();
        at_once(shop.cache.remove(&shop.key)).expect("the store works");
        assert_eq!(
            shop.store(permit, page("2", LARGE)),
            Stored::Fenced,
            "{way}"
        );
        assert_eq!(shop.head(), None, "{way}");
    }
}

/// A head is never that of a page which another one has replaced, however large they are.
pub fn a_page_that_replaces_another_replaces_its_head<S: Store<Plain>>(pages: &Pages<S>) {
    let shop = pages.shop();
    let refresh = |value| {
        let Lookup::Miss(permit) = at_once(shop.cache.refresh(&shop.key, &shop.policy)) else {
            panic!("expected a permit");
        };
        assert_eq!(shop.store(permit, value), Stored::Stored);
    };
    shop.load(page("1", LARGE));
    refresh(page("2", LARGE));
    assert_eq!(shop.head(), Some(("2".to_owned(), true)));
    refresh(page("3", SMALL));
    assert_eq!(shop.etag().as_deref(), Some("3"));
    refresh(page("4", LARGE));
    at_once(shop.cache.put(&shop.key, page("5", SMALL), &shop.policy)).expect("the store works");
    assert_eq!(shop.etag().as_deref(), Some("5"));
}

/// A small page that takes the place of one whose time was over needs no head.
pub fn a_small_page_is_read_as_it_is<S: Store<Plain>>(pages: &Pages<S>) {
    let mut shop = pages.shop();
    shop.policy = shop.policy.clone().revalidate_for(secs(60));
    shop.load(page("1", LARGE));
    shop.clock.advance(secs(60));
    shop.load(page("2", SMALL));
    assert_eq!(shop.head(), Some(("2".to_owned(), false)));
}

/// A small page that is loaded where nothing was known to be replaces what head there was.
pub fn a_page_that_was_evicted_leaves_no_head_for_another<S: Store<Plain>>(pages: &Pages<S>) {
    let shop = pages.shop();
    shop.load(page("1", LARGE));
    // As if it had been evicted: the store alone forgets it, and its head stays.
    let gone = Removal::Keys(std::slice::from_ref(&shop.key));
    at_once(shop.spy.inner().remove(gone)).expect("the store works");
    assert_eq!(shop.head(), Some(("1".to_owned(), true)));
    shop.load(page("2", SMALL));
    assert_eq!(shop.etag().as_deref(), Some("2"));
}

/// What the base key has is no head of its variants.
pub fn what_serves_every_variant_is_nobodys_head<S: Store<Plain>>(pages: &Pages<S>) {
    let shop = pages.shop();
    let base = shop.key.base_key();
    at_once(shop.cache.put(&base, page("base", LARGE), &shop.policy)).expect("the store works");
    assert_eq!(shop.head(), Some(("base".to_owned(), false)));
    let Lookup::Miss(permit) = at_once(shop.cache.refresh(&shop.key, &shop.policy)) else {
        panic!("expected a permit");
    };
    let own = Plain::text("own".repeat(LARGE));
    assert_eq!(shop.store(permit, own.clone()), Stored::Stored);
    let found = at_once(shop.cache.head(&shop.key, &shop.policy)).expect("the store works");
    assert_eq!(found.map(|hit| hit.value().clone()), Some(own));
    // What is stored for all of them takes the place of their heads too.
    at_once(shop.cache.put(&shop.key, page("own", LARGE), &shop.policy)).expect("the store works");
    assert_eq!(shop.head(), Some(("own".to_owned(), true)));
    at_once(shop.cache.put(&base, page("all", SMALL), &shop.policy)).expect("the store works");
    assert_eq!(shop.head(), Some(("all".to_owned(), false)));
}

/// Makes one `#[test]` of each scenario about heads. The expression is a [`Pages`]; it is evaluated
/// anew in each test.
#[macro_export]
macro_rules! head_scenarios {
    ($pages:expr) => {
        $crate::scenarios!(@each $pages;
            who_needs_a_head_only_reads_no_body
            a_head_ends_with_its_page
            whatever_purges_a_page_purges_its_head
            a_page_that_replaces_another_replaces_its_head
            a_small_page_is_read_as_it_is
            a_page_that_was_evicted_leaves_no_head_for_another
            what_serves_every_variant_is_nobodys_head
        );
    };
}
