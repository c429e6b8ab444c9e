//! What is said on the command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use http::header::{HeaderName, HeaderValue};
use http::uri::{Authority, Scheme, Uri};
use larder_stores::{parse_duration, parse_size};
use larder_tower::{CacheLayer, PageCodec};

use crate::failure::Fault;
use crate::origin::{Origin, Patience};
use crate::server::Edge;

/// A caching reverse proxy in front of one origin. What the origin and its clients say in HTTP header
/// fields decides what is stored and for how long (RFC 9111, 9213, 5861).
#[derive(Clone, Debug, Parser)]
#[command(name = "edge")]
pub struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where the origin is: http:// and a host, with a port or without
    #[arg(long, value_name = "URL", value_parser = origin)]
    pub origin: Authority,

    /// Where pages lie: memory://, shared:///directory, file:///directory, redis://host,
    /// memcached://host
    #[arg(long, value_name = "URL", default_value = "memory://?size=256MB")]
    pub store: String,

    /// The Host that the origin is told, in place of what clients say
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub host: Option<HeaderValue>,

    /// A field of requests that the origin does not get: X-Forwarded-Host, where it believes that. May be
    /// said several times
    #[arg(long, value_name = "FIELD")]
    pub drop: Vec<HeaderName>,

    /// How long a connection to the origin may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub connect_timeout: Duration,

    /// How long the origin may take for an answer, and for each piece of one
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub answer_timeout: Duration,

    /// How long a page that is out of date, and says nothing against it, stands in for an origin that
    /// cannot be reached; 0s for never
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = time)]
    pub stale: Duration,

    /// The largest body that is stored
    #[arg(long, value_name = "SIZE", default_value = "8MB", value_parser = size)]
    pub max_body: usize,

    /// How long answers that are on their way may take when the program is told to end
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub grace: Duration,
}

impl Options {
    /// The cache that these options ask for. Needs a runtime.
    ///
    /// # Errors
    ///
    /// When the store cannot be opened; the error names its URL and the cure.
    pub fn edge(&self) -> Result<Edge, Fault> {
        let store = larder_stores::open(&self.store)?
            .namespace("edge")
            .max_value(self.max_body.saturating_add(1 << 20))
            .build_tokio(PageCodec)?;
        let layer = CacheLayer::builder(Duration::ZERO)
            .strict()
            .store(store)
            .target("cdn-cache-control")
            .stale_if_error(self.stale)
            .max_body(self.max_body)
            .build()?;
        let patience = Patience {
            connect: self.connect_timeout,
            answer: self.answer_timeout,
        };
        let origin = Origin::new(self.origin.clone(), patience);
        let edge = Edge::new(&layer, origin).host(self.host.clone());
        Ok(edge.dropping(self.drop.clone()))
    }
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration("time", text).map_err(|error| error.to_string())
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = parse_size("size", text).map_err(|error| error.to_string())?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn origin(text: &str) -> Result<Authority, String> {
    let cure = "say http:// and a host, with a port or without: http://127.0.0.1:8000";
    let uri: Uri = text
        .parse()
        .map_err(|error| format!("it is no URL: {error} ({cure})"))?;
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err("TLS is not spoken here (put the origin on the same machine or in the same network, and say http://)".into());
    }
    let is_bare = uri.path() == "/" && uri.query().is_none();
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(place)) if is_bare && !place.as_str().contains('@') => {
            Ok(place.clone())
        }
        (Some("http"), Some(_)) => Err(format!(
            "it has more than a host: paths of clients go to the origin as they are ({cure})"
        )),
        _ => Err(format!("it is no address of an HTTP server ({cure})")),
    }
}

fn host(text: &str) -> Result<HeaderValue, String> {
    match text.parse::<Authority>() {
        Ok(host) if !host.as_str().contains('@') => {
            HeaderValue::try_from(host.as_str()).map_err(|error| error.to_string())
        }
        _ => Err("it is no host (say a name, with a port or without: shop.example)".into()),
    }
}
