//! What the attribute writes beside a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{File, Item, ItemFn, parse2};

use crate::expand::memoize;

#[test]
fn an_answer_may_have_lifetimes_that_last() {
    for function in [
        "fn f() -> &'static str {}",
        "fn f() -> Cow<'static, str> {}",
        "fn f() -> Arc<dyn Fn(&str) -> u8> {}",
    ] {
        let function = function.parse::<TokenStream>().unwrap();
        assert!(memoize(quote!(ttl = "1m"), function).is_ok());
    }
}

/// The functions that begin so.
fn functions(options: TokenStream, function: TokenStream, start: &str) -> Vec<ItemFn> {
    let file: File = parse2(memoize(options, function).unwrap()).unwrap();
    let functions = file.items.into_iter().filter_map(|item| match item {
        Item::Fn(function) => Some(function),
        _ => None,
    });
    functions
        .filter(|function| function.sig.ident.to_string().starts_with(start))
        .collect()
}

fn signatures(functions: &[ItemFn]) -> Vec<String> {
    let functions = functions.iter();
    functions
        .map(|ItemFn { vis, sig, .. }| quote!(#vis #sig).to_string())
        .collect()
}

#[test]
fn the_companions_are_as_visible_and_as_asynchronous_as_the_function() {
    let price = quote!(
        pub(crate) async fn price(database: &Database, id: u32) -> u32 {
            id
        }
    );
    let options = quote!(ttl = "1m", skip(database));
    let companions = functions(options.clone(), price.clone(), "invalidate");
    assert_eq!(
        signatures(&companions),
        [
            "pub (crate) async fn invalidate_price (id : u32) -> :: larder :: Result < bool >",
            "pub (crate) async fn invalidate_price_all () -> :: larder :: Result < bool >",
        ]
    );
    let key = functions(options.clone(), price.clone(), "key_of");
    let expected = "pub (crate) fn key_of_price (id : u32) -> :: larder :: Key";
    assert_eq!(signatures(&key), [expected]);
    // The cache is taken from an argument, so whoever forgets has to give it too.
    let options = quote!(ttl = "1m", skip(database), cache = database.cache);
    let companions = functions(options, price.clone(), "invalidate");
    let signatures = signatures(&companions);
    assert!(
        signatures[0].contains("(database : & Database , id : u32)"),
        "{signatures:?}"
    );
    assert!(
        signatures[1].contains("(database : & Database)"),
        "{signatures:?}"
    );
    let alone = quote!(ttl = "1m", skip(database), invalidate = false);
    assert!(functions(alone, price, "invalidate").is_empty());
}

#[test]
fn what_is_under_a_condition_is_so_with_all_that_stands_beside_it() {
    let function = quote!(
        #[cfg(unix)]
        #[expect(dead_code)]
        fn f() {}
    );
    for function in functions(quote!(ttl = "1m"), function, "") {
        let attributes = &function.attrs;
        assert!(
            attributes.iter().any(|one| one.path().is_ident("cfg")),
            "{}",
            function.sig.ident
        );
        assert!(!attributes.iter().any(|one| one.path().is_ident("expect")));
    }
}
