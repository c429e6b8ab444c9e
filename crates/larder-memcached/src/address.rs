//! Where the servers are, and how to log in.

use larder_core::{Error, ErrorKind, Result};
use larder_net::Place;
use percent_encoding::percent_decode_str;

/// The forms that a server's text may have, for error messages.
const FORMS: &str = "use host[:port], /path/to/socket or \
                     memcached://[user:password@]host[:port][,host[:port]…][?weights=1,2]";

/// The port of a server that names none.
const PORT: u16 = 11211;

/// The user and the password of a server that asks for them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What one text says: servers, and perhaps a login and weights.
#[derive(Clone, Default)]
pub(crate) struct Addresses {
    pub(crate) places: Vec<Place>,
    pub(crate) login: Option<Login>,
    pub(crate) weights: Option<Vec<u32>>,
}

impl Addresses {
    /// Reads a server's text or a URL. The password is in no message.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let path = text.strip_prefix("unix:").unwrap_or(text);
            return Ok(Self {
                places: vec![place(path).map_err(|detail| wrong(text, &detail))?],
                ..Self::default()
            });
        };
        let shown = without_login(scheme, rest);
        let refuse = |detail: &str| wrong(&shown, detail);
        match scheme {
            "memcached" | "memcache" | "unix" => {}
            "memcacheds" => {
                return Err(refuse("asks for TLS, which this version cannot speak"));
            }
            _ => return Err(refuse("has a scheme that is not known")),
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, hosts) = match rest.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, rest),
        };
        let mut addresses = Self {
            login: login.map(read_login).transpose().map_err(refuse)?,
            ..Self::default()
        };
        for host in hosts.trim_end_matches('/').split(',') {
            let place = place(&decode(host)).map_err(|detail| refuse(&detail))?;
            addresses.places.push(place);
        }
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "weights" => addresses.weights = Some(read_weights(value).map_err(refuse)?),
                _ => {
                    return Err(refuse(&format!(
                        "has the option {name}, which is not known"
                    )));
                }
            }
        }
        Ok(addresses)
    }
}

fn read_login(text: &str) -> Result<Login, &'static str> {
    let (user, password) = text
        .split_once(':')
        .ok_or("names a user without a password")?;
    let (user, password) = (decode(user), decode(password));
    Ok(Login { user, password })
}

fn read_weights(text: &str) -> Result<Vec<u32>, &'static str> {
    let weights: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    weights.map_err(|_| "has weights that are no whole numbers")
}

/// One server.
fn place(text: &str) -> Result<Place, String> {
    if text.starts_with('/') {
        return Ok(Place::Unix(text.into()));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        // An address of colons without brackets has no port.
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !"/@?#,".contains(c);
    if host.is_empty() || !host.chars().all(is_name) {
        return Err("names no host".into());
    }
    let number = |port: &str| {
        let number: Option<u16> = port.parse().ok();
        number
            .filter(|number| *number != 0)
            .ok_or_else(|| format!("has the port {port:?}, which is none"))
    };
    let port = port.map_or(Ok(PORT), number)?;
    let host = host.to_owned();
    Ok(Place::Tcp { host, port })
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The URL as it may be shown: neither a login nor options.
fn without_login(scheme: &str, rest: &str) -> String {
    let rest = rest.split('?').next().unwrap_or_default();
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    format!("{scheme}://{hosts}")
}

fn wrong(shown: &str, detail: &str) -> Error {
    let detail = format!("memcached server {shown:?} {detail} ({FORMS})");
    Error::new(ErrorKind::Config, detail)
}

#[cfg(test)]
mod tests {
    use larder_core::ErrorKind;
    use larder_net::Place;

    use super::Addresses;

    fn shown(text: &str) -> Vec<String> {
        let places = Addresses::parse(text).unwrap().places;
        places.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_are_named_in_many_ways() {
        assert_eq!(shown("cache.example"), ["cache.example:11211"]);
        assert_eq!(shown("10.0.0.1:7"), ["10.0.0.1:7"]);
        assert_eq!(shown("[::1]:7"), ["[::1]:7"]);
        assert_eq!(shown("::1"), ["[::1]:11211"]);
        assert_eq!(
            shown("memcached://a,b:2,[::1]:3/"),
            ["a:11211", "b:2", "[::1]:3"]
        );
        for text in ["/run/m.sock", "unix:/run/m.sock", "unix:///run/m.sock"] {
            let places = Addresses::parse(text).unwrap().places;
            assert_eq!(places, [Place::Unix("/run/m.sock".into())], "{text}");
        }
        assert_eq!(
            shown("memcached:///a%20b.sock,/c.sock"),
            ["/a b.sock", "/c.sock"]
        );
        let all = Addresses::parse("memcached://me:p%40s:s@a,b?weights=2,1").unwrap();
        let login = all.login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("me", "p@s:s")
        );
        assert_eq!((all.places.len(), all.weights), (2, Some(vec![2, 1])));
    }

    #[test]
    fn wrong_servers_name_the_cure_and_never_the_password() {
        let texts = [
            "",
            ":11211",
            "host:port",
            "host:0",
            "host:70000",
            "a b",
            "redis://:hunter2@host",
            "memcacheds://me:hunter2@host",
            "memcached://me:hunter2@host:x",
            "memcached://me:hunter2@a,,b",
            "memcached://hunter2@host",
            "memcached://me:hunter2@host?colour=hunter2",
            "memcached://me:hunter2@host?weights=one",
            "memcached://",
        ];
        for text in texts {
            let error = Addresses::parse(text)
                .err()
                .unwrap_or_else(|| panic!("{text}"));
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            let said = error.to_string();
            assert!(said.contains("memcached://[user:password@]host"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
