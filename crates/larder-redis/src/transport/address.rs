//! Where a server is, and how to log in: read from a URL.

use std::fmt;
use std::path::PathBuf;

use larder_core::{Error, ErrorKind, Result};
use larder_net::Place;
use percent_encoding::percent_decode_str;
use url::Url;

/// The forms that a URL may have, for error messages.
const FORMS: &str = "use redis://[user:password@]host[:port][/db] or unix:///path/to/socket[?db=0]";

/// A server's address, its credentials and the number of its database.
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
pub struct Address {
    /// How the server is reached.
    pub place: Place,
    /// The name to log in with; the server's `default` user when there is none.
    pub user: Option<String>,
    /// The password; without one nobody logs in.
    pub password: Option<String>,
    /// The number of the database.
    pub db: u32,
}

impl Address {
    /// The port of a URL that names none.
    pub const PORT: u16 = 6379;

    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], naming what is wrong with the URL and the forms it may have. The
    /// password is in no message.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|error| wrong("", &format!("is no URL: {error}")))?;
        let shown = without_password(&url);
        let refuse = |detail: String| wrong(&shown, &detail);
        let place = match url.scheme() {
            "redis" => tcp(&url).ok_or_else(|| refuse("names no host".into()))?,
            "unix" | "redis+unix" => unix(&url).map_err(refuse)?,
            "rediss" => {
                return Err(refuse(
                    "asks for TLS, which this version cannot speak".into(),
                ));
            }
            other => {
                return Err(refuse(format!(
                    "has the scheme {other}, which is not known"
                )));
            }
        };
        let mut db = match (&place, url.path().trim_matches('/')) {
            (Place::Unix(_), _) | (_, "") => None,
            (Place::Tcp { .. }, path) => Some(path.to_owned()),
        };
        let mut password = url.password().map(decode);
        let mut user = Some(decode(url.username())).filter(|user| !user.is_empty());
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => db = Some(value.into_owned()),
                "password" | "pass" => password = Some(value.into_owned()),
                "username" | "user" => user = Some(value.into_owned()),
                other => {
                    return Err(refuse(format!(
                        "has the option {other}, which is not known"
                    )));
                }
            }
        }
        let number = |text: String| {
            text.parse()
                .map_err(|_| refuse(format!("has the database {text}, which is no number")))
        };
        let db = db.map_or(Ok(0), number)?;
        Ok(Self {
            place,
            user,
            password: password.filter(|word| !word.is_empty()),
            db,
        })
    }
}

fn tcp(url: &Url) -> Option<Place> {
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port().unwrap_or(Address::PORT);
    Some(Place::Tcp {
        host: decode(host),
        port,
    })
}

fn unix(url: &Url) -> Result<Place, String> {
    if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
        return Err(format!(
            "names the host {host}; a socket's path begins with a third slash"
        ));
    }
    match url.path() {
        "" | "/" => Err("names no path".into()),
        path => Ok(Place::Unix(PathBuf::from(decode(path)))),
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The URL as it may be shown: neither a password nor a query, which may hold one.
fn without_password(url: &Url) -> String {
    let mut shown = url.clone();
    // Both calls fail only for URLs that cannot hold a password.
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

fn wrong(shown: &str, detail: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("redis url {shown:?} {detail} ({FORMS})"),
    )
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
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => {
                write!(f, "redis://[{host}]:{port}/{}", self.db)
            }
            Place::Tcp { host, port } => write!(f, "redis://{host}:{port}/{}", self.db),
            Place::Unix(path) => write!(f, "unix://{}?db={}", path.display(), self.db),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use larder_core::ErrorKind;

    use larder_net::Place;

    use super::Address;

    #[test]
    fn urls_say_place_credentials_and_database() {
        let address = Address::parse("redis://me:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!(
            address.place,
            Place::Tcp {
                host: "::1".into(),
                port: 7000
            }
        );
        assert_eq!(address.user.as_deref(), Some("me"));
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert_eq!(address.db, 3);
        assert_eq!(address.to_string(), "redis://[::1]:7000/3");

        let address = Address::parse("unix:///run/my%20redis.sock?db=1&password=x").unwrap();
        assert_eq!(address.place, Place::Unix("/run/my redis.sock".into()));
        assert_eq!((address.db, address.password.as_deref()), (1, Some("x")));
        assert_eq!(
            Address::parse("redis+unix:///s").unwrap().place,
            Address::parse("unix:///s?db=0").unwrap().place
        );
        let plain = Address::parse("redis://localhost").unwrap();
        assert_eq!(
            plain.place,
            Place::Tcp {
                host: "localhost".into(),
                port: 6379
            }
        );
        assert_eq!((plain.db, plain.user, plain.password), (0, None, None));
    }

    #[test]
    fn wrong_urls_name_the_cure_and_never_the_password() {
        let urls = [
            "localhost:6379",
            "http://:hunter2@host/0",
            "redis://:hunter2@host/zero",
            "redis://:hunter2@host/-1",
            "redis://:hunter2@host/0?colour=red",
            "redis://:hunter2@host/0?password=hunter2&db=x",
            "rediss://:hunter2@host",
            "unix://:hunter2@host/path",
            "unix:///",
            "redis://",
            "",
        ];
        for url in urls {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            let text = error.to_string();
            assert!(text.contains("redis://[user:password@]host"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
