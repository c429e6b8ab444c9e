//! Where servers are, and how to log in: what a URL says.

use std::fmt;

use larder_core::{Error, Result};
use larder_net::{Place, TlsSettings};

use super::url;

/// Where servers are, the credentials for them and the number of the database.
///
/// | URL | what it names |
/// |---|---|
/// | `redis://[user:password@]host[:port][/db]` | one server |
/// | `unix:///path/to/socket[?db=0]`, `redis+unix://` | one server on this machine |
/// | `redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db]` | the server that these sentinels call the master |
/// | `redis+cluster://[user:password@]host[:port][,host[:port]…]` | a cluster, by some of its nodes |
///
/// `rediss://`, `rediss+sentinel://` and `rediss+cluster://`, or the option `tls=yes`, ask for TLS, to
/// sentinels as well. Options behind a `?`:
///
/// | option | what it says |
/// |---|---|
/// | `db`, `username` (`user`), `password` (`pass`) | as in front of the host, and behind it |
/// | `sentinel_user`, `sentinel_password` | how to log in to sentinels; unless told otherwise nobody does |
/// | `ca` (`ssl_ca_certs`) | a PEM file of those who may vouch for the server, instead of the system's |
/// | `cert` and `key` (`ssl_certfile`, `ssl_keyfile`) | PEM files by which the server knows who connects |
/// | `verify` (`ssl_cert_reqs`) | `no` (`none`) trusts whoever answers. Default: `yes` |
///
/// ```
/// use larder_redis::Address;
///
/// let address: Address = "redis://:secret@cache.example:6380/2".parse()?;
/// assert_eq!(address.to_string(), "redis://cache.example:6380/2");
/// assert!("redis://cache.example/two".parse::<Address>().is_err());
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// How the servers are found.
    pub servers: Servers,
    /// The name to log in with; the server's `default` user when there is none.
    pub user: Option<String>,
    /// The password; without one nobody logs in.
    pub password: Option<String>,
    /// The number of the database.
    pub db: u32,
    /// How connections are encrypted; `None` for not at all.
    pub tls: Option<TlsSettings>,
}

/// How servers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Servers {
    /// One server.
    One(Place),
    /// The server that is the master now, as sentinels tell.
    Sentinels(Sentinels),
    /// The nodes of a cluster that are asked for all others.
    Cluster(Vec<Place>),
}

/// Those who know where a master is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sentinels {
    /// Where they are.
    pub places: Vec<Place>,
    /// What they call the master.
    pub master: String,
    /// The name to log in to them with.
    pub user: Option<String>,
    /// The password for it; without one nobody logs in.
    pub password: Option<String>,
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sentinels({}/{})", listed(&self.places), self.master)
    }
}

impl Address {
    /// The port of a server that names none.
    pub const PORT: u16 = 6379;
    /// The port of a sentinel that names none.
    pub const SENTINEL_PORT: u16 = 26379;

    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](larder_core::ErrorKind::Config), naming what is wrong with the URL and the
    /// forms it may have. The password is in no message.
    pub fn parse(text: &str) -> Result<Self> {
        url::read(text)
    }

    fn scheme(&self) -> &'static str {
        match (&self.servers, self.tls.is_some()) {
            (Servers::One(Place::Unix(_)), _) => "unix",
            (Servers::One(Place::Tcp { .. }), false) => "redis",
            (Servers::One(Place::Tcp { .. }), true) => "rediss",
            (Servers::Sentinels(_), false) => "redis+sentinel",
            (Servers::Sentinels(_), true) => "rediss+sentinel",
            (Servers::Cluster(_), false) => "redis+cluster",
            (Servers::Cluster(_), true) => "rediss+cluster",
        }
    }
}

impl std::str::FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// The address without credentials, for logs.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, db) = (self.scheme(), self.db);
        match &self.servers {
            Servers::One(Place::Unix(path)) => write!(f, "{scheme}://{}?db={db}", path.display()),
            Servers::One(place) => write!(f, "{scheme}://{place}/{db}"),
            Servers::Sentinels(sentinels) => {
                let Sentinels { places, master, .. } = sentinels;
                write!(f, "{scheme}://{}/{master}/{db}", listed(places))
            }
            Servers::Cluster(places) => write!(f, "{scheme}://{}", listed(places)),
        }
    }
}

fn listed(places: &[Place]) -> String {
    let texts: Vec<String> = places.iter().map(ToString::to_string).collect();
    texts.join(",")
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
