use larder_http::invalidation::{invalidates, named};

use crate::fields;

fn paths(host: &str, path: &str, answer: &[(&'static str, &str)]) -> Vec<String> {
    let found = named(host.as_bytes(), path.as_bytes(), &fields(answer));
    let text = |one: larder_http::invalidation::Named| match one.query {
        Some(query) => format!("{}?{query}", one.path),
        None => one.path,
    };
    found.into_iter().map(text).collect()
}

fn location(value: &str) -> Vec<String> {
    paths("shop.example", "/posts", &[("location", value)])
}

#[test]
fn methods_that_change_something_and_did() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "FROB", "post", ""] {
        for status in [200, 201, 204, 301, 303, 399] {
            assert!(invalidates(method, status), "{method} {status}");
        }
        for status in [100, 199, 400, 404, 412, 500, 503, 600] {
            assert!(!invalidates(method, status), "{method} {status}");
        }
    }
    for method in [
        "GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "SEARCH", "REPORT",
    ] {
        assert!(!invalidates(method, 200), "{method}");
    }
}

#[test]
fn references_are_resolved_as_uris_are() {
    for (reference, expected) in [
        ("/posts/7", "/posts/7"),
        ("7", "/7"),
        ("posts/./../7", "/7"),
        ("?page=2", "/posts?page=2"),
        ("#top", "/posts"),
        ("", "/posts"),
        ("http://shop.example/x", "/x"),
        ("https://SHOP.example:443/x?y#z", "/x?y"),
        ("//shop.example", "/"),
        ("/a b\"<>", "/a%20b%22%3C%3E"),
        ("/100%", "/100%25"),
        ("/%7e%2f", "/%7e%2f"),
    ] {
        assert_eq!(location(reference), [expected], "{reference}");
    }
    let below = paths("shop.example", "/posts/", &[("location", "7")]);
    assert_eq!(below, ["/posts/7"]);
}

#[test]
fn other_hosts_and_other_schemes_are_left_alone() {
    for reference in [
        "https://elsewhere.example/x",
        "//elsewhere.example/x",
        "http://shop.example:8080/x",
        "http://shop.example.evil/x",
        "ftp://shop.example/x",
        "mailto:a@shop.example",
        "javascript:alert(1)",
        "http://",
        "http://[::1/x",
        "http:///x",
    ] {
        assert_eq!(location(reference), [""; 0], "{reference}");
    }
    let two = [("location", "/a"), ("location", "/b")];
    assert_eq!(paths("shop.example", "/posts", &two), [""; 0]);
}

#[test]
fn both_fields_count_and_the_same_one_once() {
    let answer = [("location", "/a"), ("content-location", "/b")];
    assert_eq!(paths("h", "/posts", &answer), ["/a", "/b"]);
    let answer = [("location", "/a"), ("content-location", "http://h/a")];
    assert_eq!(paths("h", "/posts", &answer), ["/a"]);
}

#[test]
fn ports_are_part_of_the_host_unless_a_scheme_implies_them() {
    let of = |host: &str, to: &str| paths(host, "/", &[("location", to)]);
    assert_eq!(of("h:8000", "http://h:8000/x"), ["/x"]);
    assert_eq!(of("h:8000", "/x"), ["/x"]);
    assert_eq!(of("h:8000", "http://h/x"), [""; 0]);
    assert_eq!(of("h:80", "https://h/x"), ["/x"]);
    assert_eq!(of("[::1]:8000", "http://[::1]:8000/x"), ["/x"]);
}

#[test]
fn a_host_or_a_path_that_is_none_names_nothing_strange() {
    for host in ["a/b", "a?b", "a#b", "u@a", "[::1", "a:b", "a\\b"] {
        assert_eq!(paths(host, "/p", &[("location", "/x")]), [""; 0], "{host}");
    }
    assert_eq!(
        paths("", "/p", &[("location", "http://elsewhere/x")]),
        [""; 0]
    );
    assert_eq!(paths("h", "/a?b#c", &[("location", "")]), ["/a%3Fb%23c"]);
    assert_eq!(paths("h", "no-slash", &[("location", "")]), ["/no-slash"]);
}
