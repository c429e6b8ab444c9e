//! How the URL of an address is read.

use std::path::PathBuf;

use larder_core::{Error, ErrorKind, Result};
use larder_net::{Place, TlsSettings};
use percent_encoding::percent_decode_str;
use url::Url;

use super::address::{Address, Sentinels, Servers};

/// The forms that a URL may have, for error messages.
const FORMS: &str = "use redis://[user:password@]host[:port][/db], unix:///path/to/socket[?db=0], \
    redis+sentinel://host[:port][,…]/master[/db] or redis+cluster://host[:port][,…]; rediss for TLS";

/// What a scheme stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Tcp,
    Unix,
    Sentinel,
    Cluster,
}

/// A URL in its parts.
struct Parts<'a> {
    form: Form,
    encrypted: bool,
    hosts: Vec<&'a str>,
    /// The URL with the first of its hosts alone.
    url: Url,
}

pub(super) fn read(text: &str) -> Result<Address> {
    let parts = parts(text)?;
    let shown = without_credentials(text);
    parts.address().map_err(|detail| wrong(&shown, &detail))
}

fn parts(text: &str) -> Result<Parts<'_>> {
    let shown = without_credentials(text);
    let no_url = |error: &dyn std::fmt::Display| wrong(&shown, &format!("is no URL: {error}"));
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(no_url(&"there is no :// in it"));
    };
    let (form, encrypted) = match scheme {
        "redis" => (Form::Tcp, false),
        "rediss" => (Form::Tcp, true),
        "unix" | "redis+unix" => (Form::Unix, false),
        "redis+sentinel" => (Form::Sentinel, false),
        "rediss+sentinel" => (Form::Sentinel, true),
        "redis+cluster" => (Form::Cluster, false),
        "rediss+cluster" => (Form::Cluster, true),
        other => {
            let detail = format!("has the scheme {other}, which is not known");
            return Err(wrong(&shown, &detail));
        }
    };
    if matches!(form, Form::Tcp | Form::Unix) {
        let url = Url::parse(text).map_err(|error| no_url(&error))?;
        return Ok(Parts {
            form,
            encrypted,
            hosts: Vec::new(),
            url,
        });
    }
    // Several hosts are no URL, but each of them in the place of all is.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, more) = rest.split_at(end);
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, _)) if has_several_logins(login) => {
            let detail = "names a login more than once; it stands before the first host, for all \
                of them, with %40 for an @ in it";
            return Err(wrong(&format!("{scheme}://…"), detail));
        }
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
    let one = format!("{scheme}://{login}{}{more}", hosts[0]);
    let url = Url::parse(&one).map_err(|error| no_url(&error))?;
    Ok(Parts {
        form,
        encrypted,
        hosts,
        url,
    })
}

/// Whether what stands before the last `@` is more than one login: one before each host, by habit.
fn has_several_logins(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(_, behind)| behind.contains(','))
}

/// What the options of a URL say.
#[derive(Default)]
struct Options {
    db: Option<String>,
    user: Option<String>,
    password: Option<String>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    encrypted: Option<bool>,
    tls: TlsSettings,
    /// An option that only TLS has a use for.
    of_tls: Option<String>,
}

impl Options {
    fn read(url: &Url) -> Result<Self, String> {
        let mut options = Self::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            let file = || Some(PathBuf::from(&value));
            match &*name {
                "db" => options.db = Some(value),
                "password" | "pass" => options.password = Some(value),
                "username" | "user" => options.user = Some(value),
                "sentinel_user" | "sentinel_username" => options.sentinel_user = Some(value),
                "sentinel_password" => options.sentinel_password = Some(value),
                "tls" | "ssl" => options.encrypted = Some(switch(&name, &value)?),
                "ca" | "ssl_ca_certs" => options.tls.ca = file(),
                "cert" | "ssl_certfile" => options.tls.cert = file(),
                "key" | "ssl_keyfile" => options.tls.key = file(),
                "verify" | "ssl_cert_reqs" => options.tls.verify = switch(&name, &value)?,
                other => return Err(format!("has the option {other}, which is not known")),
            }
            if matches!(&*name, "ca" | "cert" | "key" | "verify") || name.starts_with("ssl_") {
                options.of_tls = Some(name.into_owned());
            }
        }
        Ok(options)
    }
}

/// Yes or no, in the words of people and of redis-py.
fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "required" | "optional" => Ok(true),
        "no" | "false" | "off" | "0" | "none" => Ok(false),
        _ => Err(format!("has {name}={value}, which is neither yes nor no")),
    }
}

impl Parts<'_> {
    fn address(&self) -> Result<Address, String> {
        let options = Options::read(&self.url)?;
        let (path, db) = self.path()?;
        let is_sentinel = self.form == Form::Sentinel;
        if !is_sentinel && (options.sentinel_user.is_some() || options.sentinel_password.is_some())
        {
            return Err("logs in to sentinels and names none".into());
        }
        let servers = match self.form {
            Form::Tcp => Servers::One(place(&self.url, Address::PORT)?),
            Form::Unix => Servers::One(unix(&self.url)?),
            Form::Sentinel => Servers::Sentinels(Sentinels {
                places: self.places(Address::SENTINEL_PORT)?,
                master: path
                    .filter(|master| !master.is_empty())
                    .ok_or("names no master; its name stands behind the hosts: /mymaster")?,
                user: filled(options.sentinel_user),
                password: filled(options.sentinel_password),
            }),
            Form::Cluster => Servers::Cluster(self.places(Address::PORT)?),
        };
        let encrypted = options.encrypted.unwrap_or(self.encrypted);
        match (&options.of_tls, &servers) {
            (Some(name), _) if !encrypted => {
                return Err(format!("has the option {name} without TLS; use rediss://"));
            }
            (_, Servers::One(Place::Unix(_))) if encrypted => {
                return Err("asks for TLS on a unix socket, which has none".into());
            }
            _ => {}
        }
        let db = options.db.or(db).map_or(Ok(0), |text| {
            text.parse()
                .map_err(|_| format!("has the database {text}, which is no number"))
        })?;
        if db != 0 && self.form == Form::Cluster {
            return Err(format!(
                "has the database {db}; a cluster has no other than 0"
            ));
        }
        let user = filled(Some(decode(self.url.username())));
        Ok(Address {
            servers,
            user: filled(options.user).or(user),
            password: filled(options.password.or_else(|| self.url.password().map(decode))),
            db,
            tls: encrypted.then_some(options.tls),
        })
    }

    /// The name of a master and the number of the database, as the path says them.
    fn path(&self) -> Result<(Option<String>, Option<String>), String> {
        let path = self.url.path().trim_matches('/');
        let number = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self.form {
            Form::Unix => Ok((None, None)),
            Form::Tcp | Form::Cluster => Ok((None, number(path))),
            Form::Sentinel => {
                // An empty name is no slash too many: what follows it is not the master's.
                let path = self.url.path();
                let path = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                Ok((Some(decode(master)), number(db)))
            }
        }
    }

    /// The hosts, which are at least one.
    fn places(&self, port: u16) -> Result<Vec<Place>, String> {
        let read = |host: &&str| {
            let url = Url::parse(&format!("redis://{host}"));
            let url = url.map_err(|error| format!("names {host}, which is no host: {error}"))?;
            match url.path() {
                "" => place(&url, port),
                _ => Err(format!("names {host}, which is no host")),
            }
        };
        self.hosts.iter().map(read).collect()
    }
}

fn place(url: &Url, port: u16) -> Result<Place, String> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or("names no host")?;
    if host.contains(',') {
        return Err("names several hosts; sentinels and clusters have schemes of their own".into());
    }
    let port = url.port().unwrap_or(port);
    if port == 0 {
        return Err("names the port 0, which is none".into());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = decode(host);
    Ok(Place::Tcp { host, port })
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

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The URL as it may be shown: without credentials and without a query, which may hold some.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return String::new();
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, options) = rest.split_at(end);
    // Where the credentials end is not certain once one of these signs stands in them as it is.
    if options.contains('@') {
        return format!("{scheme}://…");
    }
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    format!("{scheme}://{place}")
}

fn wrong(shown: &str, detail: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("redis url {shown:?} {detail} ({FORMS})"),
    )
}

#[cfg(test)]
mod tests {
    use larder_core::ErrorKind;
    use larder_net::{Place, TlsSettings};

    use super::super::address::{Address, Servers};

    fn tcp(host: &str, port: u16) -> Place {
        let host = host.into();
        Place::Tcp { host, port }
    }

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn one(address: &Address) -> &Place {
        match &address.servers {
            Servers::One(place) => place,
            _ => panic!("{address} is more than one server"),
        }
    }

    #[test]
    fn urls_say_place_credentials_and_database() {
        let address = read("redis://me:p%40ss@[::1]:7000/3");
        assert_eq!(one(&address), &tcp("::1", 7000));
        assert_eq!(address.user.as_deref(), Some("me"));
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert_eq!(address.db, 3);
        assert_eq!(address.to_string(), "redis://[::1]:7000/3");

        let address = read("unix:///run/my%20redis.sock?db=1&password=x");
        assert_eq!(one(&address), &Place::Unix("/run/my redis.sock".into()));
        assert_eq!((address.db, address.password.as_deref()), (1, Some("x")));
        assert_eq!(one(&read("redis+unix:///s")), one(&read("unix:///s?db=0")));
        let plain = read("redis://localhost");
        assert_eq!(one(&plain), &tcp("localhost", 6379));
        assert_eq!((plain.db, plain.user, plain.password), (0, None, None));
        assert_eq!(plain.tls, None);
    }

    #[test]
    fn tls_has_the_names_of_redis_py_as_well() {
        let expected = TlsSettings {
            ca: Some("/ca.pem".into()),
            cert: Some("/c.pem".into()),
            key: Some("/k.pem".into()),
            verify: false,
        };
        let short = "rediss://host:1/2?ca=/ca.pem&cert=/c.pem&key=/k.pem&verify=no";
        let long = "rediss://host:1/2?ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem\
                    &ssl_keyfile=%2Fk.pem&ssl_cert_reqs=none";
        for url in [short, long] {
            assert_eq!(read(url).tls, Some(expected.clone()), "{url}");
        }
        assert_eq!(read(short).to_string(), "rediss://host:1/2");
        let verified = Some(TlsSettings::default());
        for url in [
            "rediss://host",
            "redis://host?tls=yes",
            "rediss://h?ssl_cert_reqs=required",
        ] {
            assert_eq!(read(url).tls, verified, "{url}");
        }
    }

    #[test]
    fn sentinels_and_clusters_have_several_hosts() {
        let url = "redis+sentinel://me:p,w@a:1,[::1]:2,c/my%20master/4\
                   ?sentinel_user=s&sentinel_password=t";
        let address = read(url);
        let Servers::Sentinels(sentinels) = &address.servers else {
            panic!("{address}");
        };
        assert_eq!(
            sentinels.places,
            [tcp("a", 1), tcp("::1", 2), tcp("c", 26379)]
        );
        assert_eq!(sentinels.master, "my master");
        assert_eq!(sentinels.user.as_deref(), Some("s"));
        assert_eq!(sentinels.password.as_deref(), Some("t"));
        assert_eq!(address.password.as_deref(), Some("p,w"));
        assert_eq!(address.db, 4);
        assert_eq!(
            address.to_string(),
            "redis+sentinel://a:1,[::1]:2,c:26379/my master/4"
        );
        assert!(read("rediss+sentinel://a/m").tls.is_some());

        let address = read("redis+cluster://:secret@a,b:7001/0");
        assert!(matches!(
            &address.servers,
            Servers::Cluster(places) if *places == [tcp("a", 6379), tcp("b", 7001)]
        ));
        assert_eq!(address.to_string(), "redis+cluster://a:6379,b:7001");
        assert!(read("rediss+cluster://a").tls.is_some());
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
            "redis://:hunter2@host?ca=/ca.pem",
            "redis://:hunter2@host?sentinel_password=hunter2",
            "redis://host?password=hunter2@&db=x",
            "rediss://:hunter2@host?verify=perhaps",
            "unix://:hunter2@host/path",
            "unix:///",
            "unix:///s?password=hunter2&tls=yes",
            "redis://",
            "redis+sentinel://:hunter2@host",
            "redis+sentinel://:hunter2@host,/m",
            "redis+sentinel://:hunter2@host:x/m",
            "redis+sentinel://:hunter2@host/m/x",
            "redis+sentinel://:hunter2@host//0",
            "redis+sentinel://:hunter2@a:1,:hunter2@b:2/m",
            "redis+cluster://u:hunter2@a,u:hunter2@b",
            "redis://:hunter2@a,b",
            "redis://:hunter2@a:0",
            "redis+cluster://:hunter2@a,b/1",
            "redis+cluster://:hunter2@",
            "",
        ];
        for url in urls {
            let error = Address::parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            let text = error.to_string();
            assert!(text.contains("redis://[user:password@]host"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
