use http::HeaderName;
use larder_http::Vary;

use crate::fields;

fn read(value: &str) -> Vary {
    Vary::read(&fields(&[("vary", value)]))
}

#[test]
fn names_come_sorted_and_once() {
    let none = Vary::On(vec![]);
    assert_eq!(Vary::read(&fields(&[])), none);
    assert_eq!(read(" , ,"), none);
    let two = fields(&[("vary", "Cookie,ACCEPT"), ("vary", "accept , cookie")]);
    assert_eq!(Vary::read(&two).value().unwrap(), "accept, cookie");
}

#[test]
fn what_cannot_be_read_is_everything() {
    for value in ["*", "accept, *", "a b", "@", "\"accept\"", "accept;q=1"] {
        assert_eq!(read(value), Vary::Everything, "{value}");
    }
    assert_eq!(read("*").value().unwrap(), "*");
    assert_eq!(read("*").and([http::header::ACCEPT]), Vary::Everything);
}

#[test]
fn names_are_bounded() {
    let names = |count: usize| {
        (0..count)
            .map(|n| format!("x-{n}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert!(matches!(read(&names(64)), Vary::On(names) if names.len() == 64));
    assert_eq!(read(&names(65)), Vary::Everything);
    // One name a thousand times is one name.
    assert!(matches!(read(&"accept,".repeat(1000)), Vary::On(names) if names.len() == 1));
}

#[test]
fn the_headers_of_the_key_join_those_of_the_answer() {
    let key = ["accept", "x-a"].map(HeaderName::from_static);
    let vary = read("accept, zebra").and(key);
    assert_eq!(vary.value().unwrap(), "accept, x-a, zebra");
}
