//! What is kept of an answer, and in which cache.

use std::sync::{Arc, Barrier, LazyLock};
use std::thread;

use crate::shop::{Calls, Shop, advance, cache, caches_of_all, shop, until};
use larder::{Store, memoize};

type Maybe<T> = Option<T>;
type Loaded<T> = std::result::Result<T, String>;

#[test]
fn nothing_is_not_kept_whatever_it_is_called() {
    static CALLS: Calls = Calls::new();
    fn odd(number: usize) -> Option<usize> {
        (CALLS.next() % 2 == 1).then_some(number)
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn plain(number: usize) -> Option<usize> {
        odd(number)
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn aliased(number: usize) -> Maybe<usize> {
        odd(number)
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn inside(number: usize) -> Loaded<Maybe<usize>> {
        Ok(odd(number))
    }
    #[memoize(ttl = "1h", store_none = true, cache = cache())]
    fn kept(number: usize) -> Maybe<usize> {
        odd(number)
    }
    for call in [plain, aliased, |number| inside(number).unwrap()] {
        CALLS.next();
        assert_eq!([call(1), call(1), call(1)], [None, Some(1), Some(1)]);
        CALLS.next();
    }
    CALLS.next();
    assert_eq!([kept(1), kept(1)], [None, None]);
}

#[test]
fn an_alias_of_a_result_shares_its_error_and_hides_it_behind_something_stale() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1m", stale_if_error = "1d", cache = cache())]
    fn feed() -> Loaded<usize> {
        match CALLS.next() {
            2 => Ok(2),
            call => Err(format!("call {call}")),
        }
    }
    assert_eq!(feed(), Err("call 1".to_owned()));
    assert_eq!(feed(), Ok(2));
    advance(61);
    assert_eq!(feed(), Ok(2));
    assert_eq!(CALLS.get(), 3);
}

#[test]
fn t1_3_who_waited_for_nothing_gets_nothing() {
    static CALLS: Calls = Calls::new();
    static OPEN: Barrier = Barrier::new(2);
    static SHARED: LazyLock<Shop> = LazyLock::new(Shop::open);
    #[memoize(ttl = "1h", cache = SHARED.cache)]
    fn slow() -> Option<usize> {
        if CALLS.next() > 1 {
            return Some(2);
        }
        OPEN.wait();
        None
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(slow)).collect();
        SHARED.clock.await_alarms(7);
        OPEN.wait();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), None);
        }
    });
    assert_eq!((slow(), CALLS.get()), (Some(2), 2));
}

#[test]
fn what_is_no_more_is_not_given_again() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1m", stale_while_revalidate = "1h", cache = cache())]
    fn product(id: u32) -> Option<u32> {
        (CALLS.next() == 1).then_some(id)
    }
    assert_eq!(product(7), Some(7));
    advance(61);
    assert_eq!(product(7), Some(7));
    until(|| product(7).is_none());
}

#[test]
fn tags_are_texts_or_whatever_can_be_shown() {
    static CALLS: Calls = Calls::new();
    struct Order {
        id: u32,
    }
    #[memoize(ttl = "1h", key(order = order.id), tags = ["orders", format!("order:{}", order.id), order.id], cache = cache())]
    fn total(order: &Order) -> usize {
        let _ = order.id;
        CALLS.next()
    }
    let (one, other) = (Order { id: 1 }, Order { id: 2 });
    assert_eq!((total(&one), total(&other)), (1, 2));
    shop().bump("order:1");
    assert_eq!((total(&one), total(&other)), (3, 2));
    shop().bump("2");
    assert_eq!((total(&one), total(&other)), (3, 4));
    shop().bump("orders");
    assert_eq!((total(&one), total(&other)), (5, 6));
}

#[test]
fn attributes_visibility_and_references_are_those_of_the_function() {
    mod inner {
        use super::{Calls, cache, memoize};
        static CALLS: Calls = Calls::new();

        /// Documented.
        #[memoize(ttl = "1h", skip(_unused), cache = cache())]
        #[must_use]
        #[expect(
            unused_variables,
            reason = "it is expected of the body, and of nothing else"
        )]
        pub(super) fn longest<'a>(one: &'a str, other: &'a str, _unused: &mut u8) -> String {
            let unused = one;
            CALLS.next();
            std::cmp::max_by_key(one, other, |text| text.len()).to_owned()
        }

        #[cfg(any())]
        #[memoize(ttl = "1h")]
        fn absent() {}
    }
    let text = String::from("longer");
    assert_eq!(inner::longest("a", &text, &mut 0), "longer");
    assert!(inner::invalidate_longest("a", &text).unwrap());
    let key = inner::key_of_longest("a", &text);
    assert_ne!(key, inner::key_of_longest("b", &text));
    assert_eq!(key.base_key(), inner::key_of_longest("b", &text).base_key());
}

#[test]
fn functions_of_one_name_share_their_answers() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", name = "shop.price", cache = cache())]
    fn price(id: usize) -> usize {
        id + CALLS.next()
    }
    let other = {
        #[memoize(ttl = "1h", name = "shop.price", cache = cache())]
        fn price(id: usize) -> usize {
            id
        }
        price as fn(usize) -> usize
    };
    assert_eq!((price(1), other(1)), (2, 2));
    assert_eq!(key_of_price(1).base(), b"shop.price");
}

#[test]
fn answers_of_another_type_under_one_name_are_loaded_anew() {
    #[memoize(ttl = "1h", name = "shop.same", cache = cache())]
    fn number() -> u32 {
        1
    }
    #[memoize(ttl = "1h", name = "shop.same", cache = cache())]
    fn text() -> String {
        "one".into()
    }
    assert_eq!((number(), text(), number()), (1, "one".to_owned(), 1));
}

#[test]
fn a_cache_may_be_one_of_a_name_or_of_one_function() -> larder::Result<()> {
    static CALLS: Calls = Calls::new();
    let _alone = caches_of_all();
    #[memoize(ttl = "1h", tags = ["named"], cache = "prices")]
    fn named(number: usize) -> usize {
        CALLS.next() + number
    }
    #[memoize(ttl = "1h", tags = ["named"], max_entries = 2, max_bytes = 100_000)]
    fn own(number: usize) -> usize {
        CALLS.next() + number
    }
    assert_eq!((named(0), named(0), own(0), own(0)), (1, 1, 2, 2));
    assert_eq!(larder::memo::named("prices").store().size().entries, 1);
    larder::memo::bump(["named"])?;
    assert_eq!((named(0), own(0)), (3, 4));
    let _: usize = (0..100).map(own).sum();
    let calls = CALLS.get();
    let _: usize = (0..100).map(own).sum();
    assert!(CALLS.get() >= calls + 90, "a bound is kept");
    let late = larder::memo::set_named("prices", cache().clone()).unwrap_err();
    assert_eq!(late.kind(), larder::ErrorKind::Config);
    assert!(late.to_string().contains("`prices`"), "{late}");
    larder::memo::set_named("rates", cache().clone())?;
    #[memoize(ttl = "1h", cache = "rates")]
    fn rate() -> usize {
        CALLS.next()
    }
    assert_eq!(rate(), rate());
    assert!(shop().events.count("stored") >= 1);
    Ok(())
}

#[test]
fn a_large_answer_may_lie_behind_an_arc() {
    #[memoize(ttl = "1h", cache = cache())]
    fn large() -> Arc<[u64]> {
        vec![1; 1000].into()
    }
    assert!(Arc::ptr_eq(&large(), &large()));
}
