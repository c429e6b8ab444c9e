//! The origin: one place, asked once for each request.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Sleep, sleep, timeout_at};
use tower::Service;

use crate::failure::{Failure, Fault};
use crate::fields;
use crate::interim::Relay;
use crate::sending::{Progress, Sending};

/// How long a client that waits for being told to go on is left without, if the origin says nothing
/// (RFC 9110 section 10.1.1: it would go on by itself).
const CONTINUE_AFTER: Duration = Duration::from_secs(1);

/// How long a connection is kept that nobody uses. Less than servers keep theirs: a request on a
/// connection that the origin closes is lost, for it is not sent twice.
const IDLE: Duration = Duration::from_secs(1);

/// How long to wait for an origin.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the head of the answer after the request was sent, and for each piece of its body.
    pub answer: Duration,
}

/// Asks an origin. A request that fails is not sent again.
#[derive(Clone, Debug)]
pub struct Origin {
    client: Client<HttpConnector, Sending>,
    place: Authority,
    answer: Duration,
}

impl Origin {
    /// The origin at `place`.
    pub fn new(place: Authority, patience: Patience) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience.connect));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .retry_canceled_requests(false)
            .build(connector);
        Self {
            client,
            place,
            answer: patience.answer,
        }
    }

    async fn ask(self, request: Request<Sending>) -> Result<Response<Answer>, Fault> {
        let (mut head, body) = request.into_parts();
        let mut target = Parts::default();
        target.scheme = Some(Scheme::HTTP);
        target.authority = Some(self.place);
        let path = head.uri.path_and_query().cloned();
        target.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        head.uri = Uri::from_parts(target)?;
        head.version = Version::HTTP_11;
        let progress = body.progress();
        let (relay, told) = (head.extensions.remove::<Relay>(), progress.clone());
        let mut request = Request::from_parts(head, body);
        hyper::ext::on_informational(&mut request, move |interim| {
            // hyper's server says this one itself, when the body is read.
            if interim.status() == 100 && told.open() {
                return;
            }
            if let Some(relay) = &relay {
                relay.send(interim.status(), interim.headers());
            }
        });
        progress.begin();
        let answer = tokio::select! {
            answer = patiently(&progress, self.answer, self.client.request(request)) => answer,
            never = goes_on(&progress) => never,
        };
        let answer = answer.ok_or(Failure::Slow)?;
        let mut answer = answer.map_err(|error| match error.is_connect() {
            true => Failure::Away,
            false => Failure::Broken,
        })?;
        let (version, is_upgrade) = (answer.version(), answer.status() == 101);
        let mut kept = fields::end_to_end(answer.headers());
        if is_upgrade {
            fields::upgrade(&mut kept);
        }
        fields::sign(&mut kept, version);
        *answer.headers_mut() = kept;
        *answer.version_mut() = Version::HTTP_11;
        Ok(answer.map(|body| Answer {
            body,
            progress,
            limit: self.answer,
            waits: None,
        }))
    }
}

/// Waits for an answer for as long as something of the request is on its way, and then for `limit`.
async fn patiently<T>(
    progress: &Progress,
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    loop {
        let moved = progress.moved();
        match timeout_at(moved + limit, &mut answer).await {
            Ok(answer) => return Some(answer),
            Err(_) if progress.moved() > moved => {}
            Err(_) => return None,
        }
    }
}

/// Lets a client go on that has waited long enough for the origin to say so.
async fn goes_on<T>(progress: &Progress) -> T {
    if progress.waits() {
        sleep(CONTINUE_AFTER).await;
        progress.open();
    }
    std::future::pending().await
}

impl Service<Request<Sending>> for Origin {
    type Response = Response<Answer>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Sending>) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

/// The body of an answer, which fails if nothing of it comes for too long.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    progress: Progress,
    limit: Duration,
    /// Runs while a piece is waited for, and not while the client takes its time.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Fault::from)));
        }
        let limit = this.limit;
        let waits = this.waits.get_or_insert_with(|| Box::pin(sleep(limit)));
        match waits.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Failure::Slow.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    /// A connection whose request is still waiting to be sent is of no further use.
    fn drop(&mut self) {
        self.progress.shut();
    }
}
