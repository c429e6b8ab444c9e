//! One page behind a socket, for the rows over HTTP: with the layer, and without.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::Response;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use larder_tower::CacheLayer;
use tokio::net::TcpListener;
use tower::util::MapRequest;
use tower::{Layer, Service, ServiceExt};

/// The validator of the page, for those who ask on a condition.
pub const ETAG: &str = "\"page-2\"";

/// The page of all rows over HTTP: a kilobyte, with a validator of its own and a lifetime that caches
/// in front of it can go by.
fn site() -> Router {
    let page: &'static str = "x".repeat(1024).leak();
    let headers = [
        ("content-type", "text/html"),
        ("etag", ETAG),
        ("cache-control", "max-age=60"),
    ];
    Router::new().route("/products", get(move || async move { (headers, page) }))
}

/// Answers on this port until the process is stopped.
pub fn serve(kind: &str, port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let layer = CacheLayer::builder(Duration::from_secs(60))
        .build()
        .expect("a layer with the default store");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("a free port");
        match kind {
            "handler" => answer(listener, site()).await,
            "larder" => answer(listener, layer.layer(site())).await,
            _ => panic!("no server is called {kind} (handler, larder)"),
        }
    });
}

async fn answer<S, B>(listener: TcpListener, site: S)
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let (socket, _) = listener.accept().await.expect("a connection");
        socket.set_nodelay(true).expect("an option of the socket");
        let of_hyper = |request: axum::http::Request<hyper::body::Incoming>| {
            request.map(axum::body::Body::new)
        };
        let site: MapRequest<_, _> = site.clone().map_request(of_hyper);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(socket), TowerToHyperService::new(site));
        tokio::spawn(async move { drop(connection.await) });
    }
}
