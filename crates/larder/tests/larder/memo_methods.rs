//! Memoized methods and generic functions.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::shop::{self, Calls, Shop, advance, cache, until};
use larder::memo::MemoCache;
use larder::{KeyPart, KeyWriter, memoize};

/// A catalogue, one for each language.
#[derive(Clone)]
struct Catalogue {
    language: &'static str,
}

impl KeyPart for Catalogue {
    fn write(&self, key: &mut KeyWriter) {
        key.text(self.language);
    }
}

static NAMES: Calls = Calls::new();
static COUNTS: Calls = Calls::new();
static OPENED: Calls = Calls::new();
static RATES: Calls = Calls::new();

impl Catalogue {
    /// The name of a product.
    #[memoize(ttl = "1h", tags = ["name:{id}"], cache = cache())]
    pub(crate) fn name(&self, id: u32) -> String {
        format!("{} {id} {}", self.language, NAMES.next())
    }

    #[memoize(ttl = "1h", skip(self), cache = cache())]
    fn count(&self) -> usize {
        COUNTS.next()
    }

    /// A function without `self`, and with a `Self`.
    #[memoize(ttl = "1h", cache = cache())]
    fn open(language: &'static str) -> Arc<Self> {
        OPENED.next();
        Arc::new(Self { language })
    }

    #[memoize(ttl = "1m", stale_while_revalidate = "1h", cache = cache())]
    fn rate(&self, currency: &str) -> String {
        format!("{} {currency} {}", self.language, RATES.next())
    }

    #[memoize(ttl = "1h", cache = cache())]
    async fn text(self: &Arc<Self>, id: u32) -> String {
        format!("{} {id} {}", self.language, NAMES.next())
    }
}

#[test]
fn a_method_is_kept_for_what_self_says_of_itself() {
    let (english, german) = (Catalogue { language: "en" }, Catalogue { language: "de" });
    let one = english.name(1);
    assert_eq!(Catalogue { language: "en" }.name(1), one);
    assert_ne!(german.name(1), one);
    assert_ne!(english.name(2), one);
    assert!(english.invalidate_name(1).unwrap());
    assert!(!english.invalidate_name(1).unwrap());
    let two = english.name(1);
    assert_ne!(two, one);
    let german_before = german.name(1);
    shop::shop().bump("name:1");
    assert_ne!(english.name(1), two);
    assert_ne!(german.name(1), german_before);
    assert!(Catalogue::invalidate_name_all().unwrap());
    assert_ne!(german.name(1), german_before);
}

#[test]
fn a_method_without_self_in_its_key_is_one_for_all() {
    let (english, german) = (Catalogue { language: "en" }, Catalogue { language: "de" });
    assert_eq!((english.count(), german.count()), (1, 1));
    assert!(Catalogue::invalidate_count().unwrap());
    assert_eq!(german.count(), 2);
}

#[test]
fn an_associated_function_answers_self() {
    let one = Catalogue::open("en");
    assert!(Arc::ptr_eq(&one, &Catalogue::open("en")));
    assert_eq!(Catalogue::open("de").language, "de");
    assert_eq!(OPENED.get(), 2);
    assert!(Catalogue::invalidate_open("en").unwrap());
    assert!(!Arc::ptr_eq(&one, &Catalogue::open("en")));
}

#[test]
fn a_refresh_takes_along_what_the_call_only_borrows() {
    let currency = String::from("EUR");
    let catalogue = Catalogue { language: "en" };
    assert_eq!(catalogue.rate(&currency), "en EUR 1");
    advance(61);
    assert_eq!(catalogue.rate(&currency), "en EUR 1");
    until(|| catalogue.rate(&currency) == "en EUR 2");
}

#[test]
fn an_asynchronous_method_needs_no_runtime() {
    let catalogue = Arc::new(Catalogue { language: "en" });
    let one = pollster::block_on(catalogue.text(1));
    assert_eq!(pollster::block_on(catalogue.text(1)), one);
    assert!(pollster::block_on(catalogue.invalidate_text(1)).unwrap());
    assert_ne!(pollster::block_on(catalogue.text(1)), one);
    assert!(pollster::block_on(Catalogue::invalidate_text_all()).unwrap());
}

/// Rows of one table.
trait Row: Clone + Send + Sync + 'static {
    const TABLE: &'static str;
    fn of(id: u32) -> Self;
}

#[derive(Clone, Debug, PartialEq)]
struct Lamp(u32);
#[derive(Clone, Debug, PartialEq)]
struct Chair(u32);

impl Row for Lamp {
    const TABLE: &'static str = "lamps";
    fn of(id: u32) -> Self {
        Self(id)
    }
}
impl Row for Chair {
    const TABLE: &'static str = "chairs";
    fn of(id: u32) -> Self {
        Self(id)
    }
}

#[test]
fn each_type_of_a_generic_function_has_answers_of_its_own() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", cache = cache())]
    fn find<T: Row>(id: u32) -> Option<T> {
        CALLS.next();
        Some(T::of(id))
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn table<T, const UPPER: bool>() -> String
    where
        T: Row,
    {
        let name = T::TABLE.to_owned();
        if UPPER { name.to_uppercase() } else { name }
    }
    assert_eq!((find(1), find(1)), (Some(Lamp(1)), Some(Lamp(1))));
    assert_eq!(find(1), Some(Chair(1)));
    assert_eq!(CALLS.get(), 2);
    assert_eq!(
        (table::<Lamp, false>(), table::<Lamp, true>()),
        ("lamps".into(), "LAMPS".into())
    );
    assert_eq!(table::<Chair, false>(), "chairs");
    assert!(invalidate_find::<Lamp>(1).unwrap());
    assert_eq!((find(1), find(1)), (Some(Lamp(1)), Some(Chair(1))));
    assert_eq!(CALLS.get(), 3);
    assert!(invalidate_find_all().unwrap());
    assert_eq!((find(1), find(1)), (Some(Lamp(1)), Some(Chair(1))));
    assert_eq!(CALLS.get(), 5);
}

#[test]
fn types_of_one_name_are_two_types() {
    #[memoize(ttl = "1h", cache = cache())]
    fn size<T>() -> usize {
        size_of::<T>()
    }
    let one = {
        #[expect(dead_code, reason = "only its size is of interest")]
        struct Same(u8);
        size::<Same>()
    };
    let other = {
        #[expect(dead_code, reason = "only its size is of interest")]
        struct Same(u64);
        size::<Same>()
    };
    assert_eq!((one, other), (1, 8));
}

/// A table of rows of one type.
struct Table<T>(PhantomData<T>);

impl<T: Row> Table<T> {
    #[memoize(ttl = "1h", skip(self), cache = cache())]
    fn title(&self) -> String {
        T::TABLE.to_uppercase()
    }

    #[memoize(ttl = "1h", in_impl = true, cache = cache())]
    fn first(id: u32) -> T {
        T::of(id)
    }
}

#[test]
fn the_parameters_of_an_impl_are_part_of_the_key() {
    let (lamps, chairs) = (Table::<Lamp>(PhantomData), Table::<Chair>(PhantomData));
    assert_eq!(
        (lamps.title(), chairs.title()),
        ("LAMPS".into(), "CHAIRS".into())
    );
    assert_eq!(
        (Table::<Lamp>::first(1), Table::<Chair>::first(1)),
        (Lamp(1), Chair(1))
    );
}

/// What has its own cache, as a part of an application may have.
struct Prices {
    cache: MemoCache,
    calls: Calls,
}

impl Prices {
    #[memoize(ttl = "1h", skip(self), key(of = (of.0, &of.1)), cache = self.cache)]
    fn price(&self, of: (u32, String, Vec<u8>)) -> usize {
        drop(of);
        self.calls.next()
    }
}

#[test]
fn a_part_of_an_argument_stands_for_it_and_the_cache_may_come_from_self() {
    let open = || Prices {
        cache: Shop::open().cache,
        calls: Calls::new(),
    };
    let of = |number, note: u8| (number, "EUR".to_owned(), vec![note]);
    let (one, other) = (open(), open());
    assert_eq!(
        (
            one.price(of(1, 1)),
            one.price(of(1, 2)),
            one.price(of(2, 1))
        ),
        (1, 1, 2)
    );
    assert_eq!(other.price(of(2, 1)), 1);
    assert!(one.invalidate_price(of(1, 3)).unwrap());
    assert_eq!((one.price(of(1, 1)), other.price(of(2, 1))), (3, 1));
    assert!(one.invalidate_price_all().unwrap());
    assert!(!one.invalidate_price_all().unwrap());
}

/// A default method of a trait, for whoever implements it.
trait Greets: KeyPart + Sized {
    fn name(&self) -> String;

    #[memoize(ttl = "1h", cache = cache())]
    fn greeting(&self, calls: u8) -> String {
        format!("hello {} {calls}", self.name())
    }
}

impl Greets for String {
    fn name(&self) -> String {
        self.clone()
    }
}
impl Greets for &str {
    fn name(&self) -> String {
        self.to_uppercase()
    }
}

#[test]
fn the_types_that_share_a_method_do_not_meet() {
    assert_eq!("a".to_owned().greeting(1), "hello a 1");
    assert_eq!("a".greeting(1), "hello A 1");
    assert!("a".invalidate_greeting(1).unwrap());
    assert!("a".to_owned().invalidate_greeting(1).unwrap());
}
