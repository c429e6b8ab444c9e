//! Memoized functions, synchronous ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;

use crate::shop::{Calls, Shop, advance, cache, caches_of_all, shop, until};
use larder::{Error, KeyPart, KeyWriter, memoize};

#[test]
fn an_answer_is_kept_for_its_ttl_and_for_its_arguments() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "2m", cache = cache())]
    fn double(number: u32) -> u32 {
        CALLS.next();
        number * 2
    }
    assert_eq!((double(2), double(2), double(3)), (4, 4, 6));
    assert_eq!(CALLS.get(), 2);
    advance(119);
    double(2);
    assert_eq!(CALLS.get(), 2);
    advance(1);
    double(2);
    assert_eq!(CALLS.get(), 3);
}

#[test]
fn arguments_of_every_kind_make_keys() {
    static CALLS: Calls = Calls::new();
    struct Span(u8, u8);
    impl KeyPart for Span {
        fn write(&self, key: &mut KeyWriter) {
            (self.0, self.1).write(key.object("Span"));
        }
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn all(text: &str, mut list: Vec<Option<bool>>, pair: (f64, char), span: &Span) -> usize {
        list.push(None);
        let _ = (text, list, pair, span);
        CALLS.next()
    }
    let one = all("a", vec![None], (1.0, 'x'), &Span(1, 2));
    assert_eq!(all("a", vec![None], (1.0, 'x'), &Span(1, 2)), one);
    for other in [
        all("b", vec![None], (1.0, 'x'), &Span(1, 2)),
        all("a", vec![], (1.0, 'x'), &Span(1, 2)),
        all("a", vec![None], (1.5, 'x'), &Span(1, 2)),
        all("a", vec![None], (1.0, 'y'), &Span(1, 2)),
        all("a", vec![None], (1.0, 'x'), &Span(2, 1)),
    ] {
        assert_ne!(other, one);
    }
}

#[test]
fn no_arguments_make_a_key_too() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "forever", cache = cache())]
    fn nothing() {
        CALLS.next();
    }
    nothing();
    nothing();
    assert!(invalidate_nothing().unwrap());
    assert!(!invalidate_nothing_all().unwrap());
    nothing();
    assert_eq!(CALLS.get(), 2);
}

#[test]
fn functions_of_one_name_do_not_meet() {
    fn one(number: u8) -> u8 {
        #[memoize(ttl = "1h", cache = cache())]
        fn same(number: u8) -> u8 {
            number + 1
        }
        same(number)
    }
    fn other(number: u8) -> u8 {
        #[memoize(ttl = "1h", cache = cache())]
        fn same(number: u8) -> u8 {
            number + 2
        }
        same(number)
    }
    assert_eq!((one(1), other(1), one(1), other(1)), (2, 3, 2, 3));
}

#[test]
fn skipped_arguments_are_no_part_of_the_key() {
    static CALLS: Calls = Calls::new();
    struct Database;
    #[memoize(ttl = "1h", skip(database), cache = cache())]
    fn load(database: &Database, id: u32) -> u32 {
        let _: &Database = database;
        CALLS.next();
        id
    }
    load(&Database, 1);
    load(&Database, 1);
    assert_eq!(CALLS.get(), 1);
    assert!(invalidate_load(1).unwrap());
    load(&Database, 1);
    assert_eq!(CALLS.get(), 2);
}

#[test]
fn one_call_is_forgotten_or_all_of_them() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", cache = cache())]
    fn square(number: u64) -> u64 {
        CALLS.next();
        number * number
    }
    square(1);
    square(2);
    assert!(invalidate_square(1).unwrap());
    assert!(!invalidate_square(1).unwrap());
    square(1);
    square(2);
    assert_eq!(CALLS.get(), 3);
    assert!(invalidate_square_all().unwrap());
    square(1);
    square(2);
    assert_eq!(CALLS.get(), 5);
}

#[test]
fn tags_name_arguments() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", tags = ["memo", "memo:{shop}:{id}"], cache = cache())]
    fn price(shop: &str, id: u32) -> usize {
        let _ = (shop, id);
        CALLS.next()
    }
    let (one, other) = (price("a", 1), price("a", 2));
    shop().bump("memo:a:1");
    assert_ne!(price("a", 1), one);
    assert_eq!(price("a", 2), other);
    shop().bump("memo");
    assert_ne!(price("a", 2), other);
}

#[test]
fn a_failure_is_not_kept() {
    static CALLS: Calls = Calls::new();
    type Aliased<T> = Result<T, String>;
    #[memoize(ttl = "1h", cache = cache())]
    fn plain(number: usize) -> Result<usize, String> {
        match CALLS.next() {
            call if call < number => Err(format!("call {call}")),
            call => Ok(call),
        }
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn aliased(fail: bool) -> Aliased<usize> {
        match CALLS.next() {
            call if fail => Err(format!("call {call}")),
            call => Ok(call),
        }
    }
    #[memoize(ttl = "1h", store_errors = true, cache = cache())]
    fn kept() -> Result<usize, String> {
        Err(format!("call {}", CALLS.next()))
    }
    assert_eq!(plain(3), Err("call 1".to_owned()));
    assert_eq!(plain(3), Err("call 2".to_owned()));
    assert_eq!((plain(3), plain(3)), (Ok(3), Ok(3)));
    assert_ne!(aliased(true), aliased(true));
    assert_eq!(aliased(false), aliased(false));
    assert_eq!(kept(), kept());
}

#[test]
fn an_error_need_not_be_cloned() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", cache = cache())]
    fn read(path: &str) -> std::io::Result<usize> {
        match CALLS.next() {
            1 => Err(std::io::Error::other(path.to_owned())),
            call => Ok(call),
        }
    }
    assert_eq!(read("a").unwrap_err().to_string(), "a");
    assert_eq!((read("a").unwrap(), read("a").unwrap()), (2, 2));
}

#[test]
fn t1_1_many_threads_cause_one_call() {
    static CALLS: Calls = Calls::new();
    static OPEN: Barrier = Barrier::new(2);
    static SHARED: LazyLock<Shop> = LazyLock::new(Shop::open);
    #[memoize(ttl = "1h", cache = &SHARED.cache)]
    fn slow(number: u32) -> u32 {
        CALLS.next();
        OPEN.wait();
        number
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| slow(7))).collect();
        // Whoever waits for somebody else's load has set an alarm.
        SHARED.clock.await_alarms(15);
        OPEN.wait();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 7);
        }
    });
    assert_eq!(CALLS.get(), 1);
    assert_eq!(SHARED.events.count("collapsed"), 15);
}

#[test]
fn t1_3_an_error_goes_to_everyone_who_waited() {
    static CALLS: Calls = Calls::new();
    static OPEN: Barrier = Barrier::new(2);
    static SHARED: LazyLock<Shop> = LazyLock::new(Shop::open);
    #[memoize(ttl = "1h", cache = &SHARED.cache)]
    fn slow() -> Result<usize, String> {
        let call = CALLS.next();
        if call > 1 {
            return Ok(call);
        }
        OPEN.wait();
        Err("down".to_owned())
    }
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(slow)).collect();
        SHARED.clock.await_alarms(7);
        OPEN.wait();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Err("down".to_owned()));
        }
    });
    assert_eq!((slow(), CALLS.get()), (Ok(2), 2));
}

#[test]
fn a_function_that_calls_itself_does_not_wait_for_itself() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", cache = cache())]
    fn fibonacci(number: u64) -> u64 {
        CALLS.next();
        match number {
            0 | 1 => number,
            _ => fibonacci(number - 1) + fibonacci(number - 2),
        }
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn same(number: u64) -> u64 {
        static DEPTH: AtomicUsize = AtomicUsize::new(0);
        match DEPTH.fetch_add(1, Ordering::SeqCst) {
            0 => same(number) + 1,
            _ => number,
        }
    }
    assert_eq!(fibonacci(80), 23_416_728_348_467_685);
    assert_eq!(CALLS.get(), 81);
    assert_eq!(same(1), 2);
}

#[test]
fn a_stale_answer_is_given_while_it_is_refreshed() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1m", stale_while_revalidate = "1h", cache = cache())]
    fn rate(from: String) -> usize {
        drop(from);
        CALLS.next()
    }
    assert_eq!(rate("a".to_owned()), 1);
    advance(61);
    assert_eq!(rate("a".to_owned()), 1);
    until(|| rate("a".to_owned()) == 2);
    assert_eq!(CALLS.get(), 2);
}

#[test]
fn a_stale_answer_stands_in_for_an_error() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1m", stale_if_error = "1d", cache = cache())]
    fn feed(name: &str) -> Result<usize, String> {
        match CALLS.next() {
            1 => Ok(1),
            call => Err(format!("{name}: call {call}")),
        }
    }
    assert_eq!(feed("a"), Ok(1));
    advance(61);
    assert_eq!((feed("a"), feed("a")), (Ok(1), Ok(1)));
    assert_eq!(CALLS.get(), 2, "nothing is tried again for the throttle");
    advance(86_400);
    assert_eq!(feed("a"), Err("a: call 3".to_owned()));
}

#[test]
fn an_answer_weighs_what_it_says_of_itself() {
    struct Opaque([u8; 64]);
    #[memoize(ttl = "1h", cache = cache())]
    fn text(length: usize) -> String {
        "x".repeat(length)
    }
    #[memoize(ttl = "1h", cache = cache())]
    fn opaque() -> std::sync::Arc<Opaque> {
        Opaque([0; 64]).into()
    }
    let bytes = || larder::Store::size(cache().store()).bytes;
    let before = bytes();
    text(10_000);
    assert!((10_000..11_000).contains(&(bytes() - before)));
    let before = bytes();
    assert_eq!(opaque().0[0], 0);
    assert!((64..1000).contains(&(bytes() - before)));
}

#[test]
fn without_a_cache_of_its_own_a_function_uses_the_common_one() -> Result<(), Error> {
    static CALLS: Calls = Calls::new();
    let _alone = caches_of_all();
    #[memoize(ttl = "1h", tags = ["common"])]
    fn common(number: u8) -> u8 {
        CALLS.next();
        number
    }
    common(1);
    common(1);
    assert_eq!(CALLS.get(), 1);
    larder::memo::bump(["common"])?;
    common(1);
    larder::memo::clear()?;
    common(1);
    assert_eq!(CALLS.get(), 3);
    let late = larder::memo::set_cache(cache().clone()).unwrap_err();
    assert_eq!(late.kind(), larder::ErrorKind::Config);
    Ok(())
}
