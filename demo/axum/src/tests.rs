//! What the demo promises, over the real catalogue.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::database::{Database, ensure};
use crate::site;

const STORED: &str = "Larder; fwd=miss; stored";

struct Visitor<'a> {
    app: &'a Router,
    cookie: &'static str,
}

impl Visitor<'_> {
    /// What the cache did, and the page.
    async fn ask(&self, request: axum::http::request::Builder, form: &str) -> (String, String) {
        let kind = "application/x-www-form-urlencoded";
        let request = request.header(header::CONTENT_TYPE, kind);
        let request = match self.cookie {
            "" => request,
            cookie => request.header(header::COOKIE, cookie),
        };
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let answer = self.app.clone().oneshot(request).await.unwrap();
        let status = answer.headers().get("cache-status");
        let status = status
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        let page = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(page.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.ask(Request::get(path), "").await
    }

    async fn post(&self, path: &str, form: &str) {
        self.ask(Request::post(path), form).await;
    }
}

/// The functions of a process have one cache, so there is one site and one test.
#[tokio::test]
async fn the_site_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("catalogue.sqlite3");
    std::fs::copy(ensure().unwrap(), &copy).unwrap();
    let app = site::app(Database::open(copy)).unwrap();
    let visitor = |cookie| Visitor { app: &app, cookie };
    let (anyone, one, other) = (visitor(""), visitor("user=1"), visitor("user=1308"));
    pages_are_kept_for_everyone(&anyone, &one).await;
    a_write_is_seen_at_once(&anyone, &visitor("cart=1.2_")).await;
    a_purge_reaches_every_page_of_a_category(&anyone).await;
    orders_are_kept_for_each_user(&anyone, &one, &other).await;
    a_profile_is_dropped_when_it_is_saved(&one).await;
}

async fn pages_are_kept_for_everyone(anyone: &Visitor<'_>, one: &Visitor<'_>) {
    for path in [
        "/category/1",
        "/category/1?page=2",
        "/product/1",
        "/search?q=lamp",
        "/trending",
    ] {
        let (cold, made) = one.get(path).await;
        assert_eq!(cold, STORED, "{path}");
        let (warm, again) = anyone.get(path).await;
        assert!(warm.starts_with("Larder; hit; ttl="), "{path}: {warm}");
        assert_eq!(made, again);
    }
    let missing = anyone.get("/category/1?page=9999").await.0;
    assert_eq!(missing, r#"Larder; fwd=miss; detail="status: 404""#);
}

async fn a_write_is_seen_at_once(anyone: &Visitor<'_>, buyer: &Visitor<'_>) {
    anyone
        .post("/product/1/edit", "name=A+%3Cnew%3E+name&price=12.50")
        .await;
    let (_, page) = anyone.get("/product/1").await;
    assert!(page.contains("<h1>A &lt;new&gt; name</h1>") && page.contains("12.50 €"));
    assert_eq!(anyone.get("/search?q=lamp").await.0, STORED);
    let (cart, page) = buyer.get("/cart").await;
    assert!(page.contains("25.00 €") && cart.is_empty());
}

async fn a_purge_reaches_every_page_of_a_category(anyone: &Visitor<'_>) {
    for path in ["/category/1", "/category/1?page=2", "/category/2"] {
        anyone.get(path).await;
    }
    anyone.post("/purge", "tag=category:1").await;
    assert_eq!(anyone.get("/category/1").await.0, STORED);
    assert_eq!(anyone.get("/category/1?page=2").await.0, STORED);
    assert!(anyone.get("/category/2").await.0.starts_with("Larder; hit"));
}

async fn orders_are_kept_for_each_user(
    anyone: &Visitor<'_>,
    one: &Visitor<'_>,
    other: &Visitor<'_>,
) {
    let (_, mine) = one.get("/orders").await;
    assert!(one.get("/orders").await.0.starts_with("Larder; hit"));
    let (cold, theirs) = other.get("/orders").await;
    assert_eq!(cold, STORED);
    assert_ne!(mine, theirs);
    assert!(!anyone.get("/orders").await.0.contains("hit"));
}

async fn a_profile_is_dropped_when_it_is_saved(one: &Visitor<'_>) {
    assert!(!one.get("/profile").await.1.contains("Utrecht-on-Sea"));
    one.post("/profile", "city=Utrecht-on-Sea&about=me").await;
    assert!(one.get("/profile").await.1.contains("Utrecht-on-Sea"));
    assert!(one.get("/stats").await.1.contains("profile_of()"));
}
