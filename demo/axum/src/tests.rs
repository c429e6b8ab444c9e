//! What the demo promises, over the real catalogue.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::database::{Database, ensure};
use crate::site;

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
async fn pages_are_kept_and_a_write_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("catalogue.sqlite3");
    std::fs::copy(ensure().unwrap(), &copy).unwrap();
    let app = site::app(Database::open(copy)).unwrap();
    let anyone = Visitor {
        app: &app,
        cookie: "",
    };
    let (one, other) = (
        Visitor {
            app: &app,
            cookie: "user=1",
        },
        Visitor {
            app: &app,
            cookie: "user=1308",
        },
    );

    for path in [
        "/category/1",
        "/category/1?page=2",
        "/product/1",
        "/search?q=lamp",
        "/trending",
    ] {
        let (cold, made) = one.get(path).await;
        assert_eq!(cold, "Larder; fwd=miss; stored", "{path}");
        let (warm, again) = anyone.get(path).await;
        assert!(warm.starts_with("Larder; hit; ttl="), "{path}: {warm}");
        assert_eq!(made, again);
    }
    assert_eq!(
        anyone.get("/category/1?page=9999").await.0,
        r#"Larder; fwd=miss; detail="status: 404""#
    );

    // A write is seen at once on its own page and in the lists; other products stay.
    anyone.get("/product/40000").await;
    anyone
        .post("/product/1/edit", "name=A+%3Cnew%3E+name&price=12.50")
        .await;
    let (_, page) = anyone.get("/product/1").await;
    assert!(page.contains("<h1>A &lt;new&gt; name</h1>") && page.contains("12.50 €"));
    assert_eq!(
        anyone.get("/search?q=lamp").await.0,
        "Larder; fwd=miss; stored"
    );
    let (cart, page) = Visitor {
        app: &app,
        cookie: "cart=1.2_",
    }
    .get("/cart")
    .await;
    assert!(page.contains("25.00 €") && cart.is_empty());

    // A purge by tag reaches every page of one category.
    anyone.get("/category/2").await;
    anyone.post("/purge", "tag=category:1").await;
    assert_eq!(
        anyone.get("/category/1?page=2").await.0,
        "Larder; fwd=miss; stored"
    );
    assert!(anyone.get("/category/2").await.0.starts_with("Larder; hit"));

    // Orders are cached for each user; nobody gets those of another, nor of nobody.
    let (_, mine) = one.get("/orders").await;
    assert!(one.get("/orders").await.0.starts_with("Larder; hit"));
    let (cold, theirs) = other.get("/orders").await;
    assert_eq!(cold, "Larder; fwd=miss; stored");
    assert_ne!(mine, theirs);
    assert!(!anyone.get("/orders").await.0.contains("hit"));

    // A profile is dropped when it is saved.
    assert!(!one.get("/profile").await.1.contains("Utrecht-on-Sea"));
    one.post("/profile", "city=Utrecht-on-Sea&about=me").await;
    assert!(one.get("/profile").await.1.contains("Utrecht-on-Sea"));
    assert!(one.get("/stats").await.1.contains("profile_of()"));
}
