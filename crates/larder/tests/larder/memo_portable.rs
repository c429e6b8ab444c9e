//! Memoized answers in stores outside the process.

use std::path::Path;
use std::sync::LazyLock;

use crate::shop::Calls;
use larder::codec::Codec;
use larder::memo::{Holds, Portable, PortableCache, PortableCodec};
use larder::store::Memory;
use larder::{Cache, Store, Value, memoize};
use serde::{Deserialize, Serialize};

/// A directory of this test program, with a cache for each of its processes.
static PLACE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fn open(place: &Path) -> PortableCache {
    let url = format!("shared://{}?size=16MB&near=0", place.display());
    Cache::new(larder::open(&url).unwrap().build(PortableCodec).unwrap())
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u32,
    name: String,
    price: Option<f64>,
}

/// As many processes as there are calls: each opens the cache anew, so that nothing is left in this one.
fn with<T>(name: &str, call: impl FnOnce(&PortableCache) -> T) -> T {
    call(&open(&PLACE.path().join(name)))
}

#[test]
fn an_answer_is_found_by_another_process() {
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", name = "shop.product", skip(_home), tags = ["product:{id}"], cache = _home)]
    fn product(_home: &PortableCache, id: u32) -> Result<Option<Product>, String> {
        match CALLS.next() {
            1 => Err("down".into()),
            2 => Ok(None),
            call => Ok(Some(Product {
                id,
                name: format!("lamp {call}"),
                price: Some(0.1),
            })),
        }
    }
    let ask = || with("product", |home| product(home, 7));
    assert_eq!((ask(), ask()), (Err("down".into()), Ok(None)));
    let found = ask().unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.price), ("lamp 3", Some(0.1)));
    assert_eq!(ask(), Ok(Some(found)));
    assert_eq!(CALLS.get(), 3);
    assert!(with("product", |home| invalidate_product(home, 7)).unwrap());
    assert_eq!(ask().unwrap().unwrap().name, "lamp 4");
    assert!(with("product", invalidate_product_all).unwrap());
    assert_eq!(ask().unwrap().unwrap().name, "lamp 5");
    let bump =
        |home: &PortableCache| pollster::block_on(home.bump(&[larder::Tag::new("product:7")]));
    with("product", bump).unwrap();
    assert_eq!(ask().unwrap().unwrap().name, "lamp 6");
}

#[test]
fn an_answer_that_cannot_be_read_any_more_is_loaded_anew() {
    mod before {
        use super::{PortableCache, memoize};
        #[memoize(ttl = "1h", name = "shop.order", skip(_home), cache = _home)]
        pub(super) fn order(_home: &PortableCache, id: u32) -> (u32, String) {
            (id, "old".into())
        }
    }
    static CALLS: Calls = Calls::new();
    #[memoize(ttl = "1h", name = "shop.order", skip(_home), cache = _home)]
    fn order(_home: &PortableCache, id: u32) -> Product {
        CALLS.next();
        Product {
            id,
            name: "new".into(),
            price: None,
        }
    }
    assert_eq!(with("order", |home| before::order(home, 1)).1, "old");
    assert_eq!(with("order", |home| order(home, 1)).name, "new");
    assert_eq!(with("order", |home| order(home, 1)).name, "new");
    assert_eq!(CALLS.get(), 1);
}

#[test]
fn the_methods_of_one_type_have_the_same_keys_in_every_program() {
    struct Rates;
    impl Rates {
        #[memoize(ttl = "1h", name = "shop.rate", skip(self))]
        fn rate<T>(&self, from: &str) -> u8 {
            u8::try_from(from.len() + size_of::<T>()).unwrap_or(0)
        }
    }
    let key = Rates::key_of_rate::<String>("EUR");
    assert_eq!(key.base(), b"shop.rate");
    let shown = key.shown_variant();
    assert!(
        shown.contains("Rates") && shown.contains("alloc::string::String"),
        "{shown}"
    );
    assert_ne!(key, Rates::key_of_rate::<&str>("EUR"));
}

#[test]
fn in_this_process_an_answer_is_the_value_itself() {
    static HOME: LazyLock<PortableCache> =
        LazyLock::new(|| Cache::new(Memory::builder().build::<Portable>().unwrap()));
    #[memoize(ttl = "1h", cache = HOME)]
    fn names() -> Vec<String> {
        vec!["x".repeat(10_000)]
    }
    assert_eq!(names(), names());
    let size = HOME.store().size();
    assert_eq!(size.entries, 1);
}

#[test]
fn only_what_the_codec_wrote_is_an_answer() {
    let product = Product {
        id: 7,
        name: "lamp".into(),
        price: None,
    };
    let mut bytes = Vec::new();
    let portable = Portable::hold(product.clone(), 100);
    PortableCodec.encode(&portable, &mut bytes).unwrap();
    let read = |bytes: &[u8]| PortableCodec.decode(bytes).unwrap();
    assert_eq!(Holds::<Product>::held(&read(&bytes)), Some(product.clone()));
    assert_eq!(Holds::<Product>::held(&portable), Some(product));
    assert_eq!(Holds::<String>::held(&portable), None);
    assert_eq!(Holds::<String>::held(&read(&bytes)), None);
    // The bytes go on as they came.
    let mut again = Vec::new();
    PortableCodec.encode(&read(&bytes), &mut again).unwrap();
    assert_eq!(again, bytes);
    assert!(read(&bytes).weight() >= 2 * bytes.len());
    for cut in 0..bytes.len() {
        assert_eq!(Holds::<Product>::held(&read(&bytes[..cut])), None, "{cut}");
    }
    bytes.push(0);
    assert_eq!(Holds::<Product>::held(&read(&bytes)), None);
    // A list in a list in a list, and so on.
    let deep = vec![0x91_u8; 100_000];
    assert_eq!(Holds::<Deep>::held(&read(&deep)), None);
    // A list that says it has four thousand million members.
    assert_eq!(
        Holds::<Vec<u64>>::held(&read(&[0xdd, 0xff, 0xff, 0xff, 0xff])),
        None
    );
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Deep(Vec<Deep>);

#[test]
fn what_serde_cannot_write_is_told_and_not_stored() {
    #[derive(Clone, Debug, PartialEq, Deserialize)]
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it is a secret"))
        }
    }
    let error = PortableCodec
        .encode(&Portable::hold(Refuses, 1), &mut Vec::new())
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("Refuses") && said.contains("it is a secret"),
        "{said}"
    );
    #[memoize(ttl = "1h", skip(home), cache = home)]
    fn secret(home: &PortableCache) -> Refuses {
        let _ = home.store();
        Refuses
    }
    assert_eq!(with("secret", secret), Refuses);
}
