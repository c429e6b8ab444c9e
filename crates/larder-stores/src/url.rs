//! The grammar of the URLs that name stores.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use larder_core::{Error, Result};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::place::{FORMS, Place, SCHEMES};
use crate::said::{meant, shown, wrong};
use crate::tiers::{self, NearPlace};
use crate::units::{parse_duration, parse_size};

/// A URL that names a store, read and checked. Printing it shows neither credentials nor options.
///
/// ```
/// use larder_stores::StoreUrl;
///
/// let url: StoreUrl = "redis://:secret@cache.example:6380/2?deadline=200ms".parse()?;
/// assert_eq!(url.to_string(), "redis://cache.example:6380/2");
/// assert_eq!(url.store(), "redis");
/// assert!("redis://cache.example?deadlin=200ms".parse::<StoreUrl>().is_err());
///
/// let tiers: StoreUrl = "memory://?size=64MB&ttl=5s + redis://cache.example".parse()?;
/// assert_eq!(tiers.to_string(), "memory:// + redis://cache.example");
/// assert_eq!(tiers.store(), "redis");
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    shown: String,
    /// What stands in front of the store.
    pub(crate) near: Option<NearPlace>,
    pub(crate) place: Place,
    /// The size from which on values are compressed.
    pub(crate) compress: Option<usize>,
}

impl StoreUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](larder_core::ErrorKind::Config), naming what is wrong with it and the
    /// cure. A password is in no message.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((near, far)) = tiers::split(text)? else {
            return Self::single(text);
        };
        let near_place = NearPlace::read(&Parts::of(near)?)?;
        let url = Self::single(far)?;
        tiers::check_far(far, &url.place)?;
        Ok(Self {
            shown: format!("{} + {}", shown(near), url.shown),
            near: Some(near_place),
            ..url
        })
    }

    fn single(text: &str) -> Result<Self> {
        let parts = Parts::of(text)?;
        let place = Place::read(&parts)?;
        Ok(Self {
            shown: shown(text),
            near: None,
            place,
            compress: parts.room("compress")?,
        })
    }

    /// The name of the store: `memory`, `shared`, `file`, `redis`, `memcached` or
    /// `null`; of two tiers, that of the far one.
    pub fn store(&self) -> &'static str {
        self.place.store()
    }
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({})", self.shown)
    }
}

/// The scheme and the options of a URL that may name several hosts.
fn several_hosts(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let several = matches!(
        scheme,
        "memcached"
            | "memcacheds"
            | "redis+sentinel"
            | "rediss+sentinel"
            | "redis+cluster"
            | "rediss+cluster"
    );
    several.then(|| (scheme, rest.split_once('?').map_or("", |(_, query)| query)))
}

/// A URL in its parts, for the scheme to judge them.
pub(crate) struct Parts<'a> {
    text: &'a str,
    url: Url,
    options: Vec<(String, String)>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self> {
        // Several hosts are no URL; the store reads them itself.
        let one_host =
            several_hosts(text).map(|(scheme, query)| format!("{scheme}://servers?{query}"));
        let url = Url::parse(one_host.as_deref().unwrap_or(text)).map_err(|error| {
            let detail = format!("is no URL: {error}");
            wrong(text, detail, FORMS).caused_by(error)
        })?;
        if !SCHEMES.contains(&url.scheme()) {
            let detail = format!("has the scheme {}, which is not known", url.scheme());
            let cure = match meant(url.scheme(), &SCHEMES) {
                Some(scheme) => format!("did you mean {scheme}?"),
                None => FORMS.to_owned(),
            };
            return Err(wrong(text, detail, cure));
        }
        if !text[url.scheme().len()..].starts_with("://") {
            let detail = format!("has no // behind {}:", url.scheme());
            return Err(wrong(text, detail, FORMS));
        }
        if url.fragment().is_some() {
            return Err(wrong(
                text,
                "has a # in it, behind which nothing is read",
                "write %23 for it",
            ));
        }
        let options = url.query_pairs().into_owned().collect();
        Ok(Self { text, url, options })
    }

    pub(crate) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// An error about this URL.
    pub(crate) fn wrong(&self, detail: impl AsRef<str>, cure: impl AsRef<str>) -> Error {
        wrong(self.text, detail, cure)
    }

    /// Refuses options that are not among `known`, and those that are given twice.
    pub(crate) fn check_options(&self, known: &[&str]) -> Result<()> {
        for (at, (name, _)) in self.options.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let detail = format!("has the option {name}, which is not known");
                let cure = match meant(name, known) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None if known.is_empty() => "leave it out".to_owned(),
                    None => format!("it takes {}", known.join(", ")),
                };
                return Err(self.wrong(detail, cure));
            }
            if self.options[..at].iter().any(|(other, _)| other == name) {
                let detail = format!("has the option {name} more than once");
                return Err(self.wrong(detail, "give it once"));
            }
        }
        Ok(())
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mut options = self.options.iter();
        let found = options.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The servers of the URL, with the options that are theirs.
    pub(crate) fn servers(&self) -> String {
        let place = self.text.split(['?', '#']).next().unwrap_or_default();
        match self.option("weights") {
            Some(weights) => format!("{place}?weights={weights}"),
            None => place.to_owned(),
        }
    }

    /// An option that is the mode of files, in octal digits.
    pub(crate) fn mode(&self, name: &str) -> Result<Option<u32>> {
        self.read(name, |name, text| {
            u32::from_str_radix(text, 8).map_err(|_| {
                let detail = format!("has {name}={text:?}, which is no mode");
                self.wrong(detail, "use octal digits, 600 for example")
            })
        })
    }

    /// An option that is a number of bytes.
    pub(crate) fn size(&self, name: &str) -> Result<Option<u64>> {
        self.read(name, parse_size)
    }

    /// As [`size`](Self::size), as this machine counts.
    pub(crate) fn room(&self, name: &str) -> Result<Option<usize>> {
        let size = self.size(name)?;
        Ok(size.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)))
    }

    /// An option that is a span of time.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<std::time::Duration>> {
        self.read(name, parse_duration)
    }

    /// An option that is a number of things.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>> {
        self.read(name, |name, text| {
            text.parse().map_err(|_| {
                let detail = format!("has {name}={text:?}, which is no number");
                self.wrong(detail, "use a whole number, from 1 upwards")
            })
        })
    }

    fn read<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str, &str) -> Result<T>,
    ) -> Result<Option<T>> {
        self.option(name).map(|text| parse(name, text)).transpose()
    }

    /// Nothing but the scheme and options: the store has no place.
    pub(crate) fn without_place(&self) -> Result<()> {
        let bare = self.url.host_str().unwrap_or_default().is_empty()
            && matches!(self.url.path(), "" | "/")
            && self.without_credentials().is_ok();
        if bare {
            return Ok(());
        }
        let scheme = self.scheme();
        Err(self.wrong(
            "names a place, and the store has none",
            format!("use {scheme}:// and options, if any"),
        ))
    }

    /// The absolute path that the URL names.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let scheme = self.scheme();
        let cure = format!("use {scheme}:///path/to/a/directory, with three slashes");
        self.without_credentials()?;
        if let Some(host) = self.url.host_str().filter(|host| !host.is_empty()) {
            return Err(self.wrong(
                format!("names the host {host}, and a directory has none"),
                cure,
            ));
        }
        let path = percent_decode_str(self.url.path()).decode_utf8();
        match path {
            Ok(path) if path.trim_matches('/').is_empty() => {
                Err(self.wrong("names no directory", cure))
            }
            Ok(path) if !path.contains('\0') => Ok(PathBuf::from(path.into_owned())),
            _ => Err(self.wrong("names a directory that no text names", cure)),
        }
    }

    fn without_credentials(&self) -> Result<()> {
        if self.url.username().is_empty() && self.url.password().is_none() {
            return Ok(());
        }
        Err(self.wrong(
            "has a user or a password, which this store does not ask for",
            "leave them out",
        ))
    }

    /// The URL as it was, but without these options.
    pub(crate) fn without(&self, taken: &[&str]) -> String {
        let left = self.options.iter();
        let left = left.filter(|(name, _)| !taken.contains(&name.as_str()));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(left).finish();
        let place = self.text.split('?').next().unwrap_or_default();
        match query.as_str() {
            "" => place.to_owned(),
            query => format!("{place}?{query}"),
        }
    }
}
