//! Connections of clients, and how they end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use larder_tower::{CacheBody, CacheLayer, CacheService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::{Layer, ServiceExt};

use crate::failure::Fault;
use crate::interim::{Relay, Wire, before};
use crate::origin::{Answer, Origin};
use crate::own;
use crate::request::{self, Changes};
use crate::sending::Sending;
use crate::tunnel;

type Body = Either<CacheBody<Answer>, Full<Bytes>>;

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How long to wait where the system has no room for another connection.
const CROWDED: Duration = Duration::from_millis(50);

/// A cache in front of an origin.
#[derive(Clone, Debug)]
pub struct Edge {
    service: CacheService<Origin>,
    changes: Changes,
}

impl Edge {
    /// A cache by this layer, which is one in the strict mode, in front of `origin`.
    pub fn new(layer: &CacheLayer, origin: Origin) -> Self {
        Self {
            service: layer.layer(origin),
            changes: Changes::default(),
        }
    }

    /// Tells the origin this `Host`, whatever clients say. Default: what clients say.
    #[must_use]
    pub fn host(mut self, host: Option<HeaderValue>) -> Self {
        self.changes.host = host;
        self
    }

    /// Keeps these fields of requests from the origin. Default: none.
    #[must_use]
    pub fn dropping(mut self, fields: Vec<HeaderName>) -> Self {
        self.changes.dropped = fields;
        self
    }

    /// The final answer to a request; `relay` gets those before it.
    async fn answer(&self, request: Request<Incoming>, relay: Relay) -> (Response<Body>, Upgrade) {
        let (mut head, body) = request.into_parts();
        let client = head.extensions.remove::<OnUpgrade>();
        let body = Sending::new(body, &head.headers);
        if let Err(status) = request::prepare(&mut head, &self.changes) {
            return (own::refusal(status).map(Either::Right), None);
        }
        let client = client.filter(|_| request::upgrades(&head));
        if head.version == http::Version::HTTP_11 {
            head.extensions.insert(relay);
        }
        let method = head.method.clone();
        let request = Request::from_parts(head, body);
        let mut answer = match self.service.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(fault) => {
                let answer = own::without_origin(&method, &fault);
                return (answer.map(Either::Right), None);
            }
        };
        let is_upgrade = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let origin = answer.extensions_mut().remove::<OnUpgrade>();
        let upgrade = client.zip(origin).filter(|_| is_upgrade);
        if answer.status().canonical_reason().is_none() {
            // hyper would make one up for a status that it does not know.
            let phrases = answer.extensions_mut();
            phrases.get_or_insert_with(|| ReasonPhrase::from_static(b""));
        }
        (answer.map(Either::Left), upgrade)
    }
}

/// Both sides of a connection that will be no longer HTTP.
type Upgrade = Option<(OnUpgrade, OnUpgrade)>;

async fn connection(edge: Edge, socket: TcpStream, mut stopping: watch::Receiver<()>) {
    let wire = Wire::new(TokioIo::new(socket));
    let (queue, stops) = (wire.queue(), stopping.clone());
    let serve = service_fn(move |request: Request<Incoming>| {
        let (edge, queue, stops) = (edge.clone(), queue.clone(), stops.clone());
        async move {
            let (relay, relayed) = Relay::new();
            let (answer, upgrade) = before(&queue, relayed, edge.answer(request, relay)).await;
            if let Some((client, origin)) = upgrade {
                tunnel::open(client, origin, stops);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .half_close(true)
            .serve_connection(wire, serve)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = &mut served => ended,
        _ = stopping.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    // A client that goes away, and one that sends no HTTP, is none of our business.
    drop(ended);
}

/// Serves clients until `stop` is ready; then takes no more connections, and waits for the answers that
/// are on their way, for `grace` at most.
///
/// # Errors
///
/// When the listener is of no further use.
pub async fn serve(
    edge: Edge,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> Result<(), Fault> {
    let (stopped, stopping) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, _)) => {
                // Without it an answer in two pieces waits for the client's acknowledgement.
                drop(socket.set_nodelay(true));
                tokio::spawn(connection(edge.clone(), socket, stopping.clone()));
            }
            Err(error) if is_of_one_connection(&error) => {}
            // No room for another one; those that are there will end.
            Err(_) => sleep(CROWDED).await,
        }
    }
    drop((listener, stopping));
    stopped.send_replace(());
    // Nobody is left who could be waited for longer.
    drop(timeout(grace, stopped.closed()).await);
    Ok(())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
