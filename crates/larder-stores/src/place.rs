//! What a URL says of each store.

use std::path::PathBuf;
use std::time::Duration;

use larder_core::Result;

use crate::url::Parts;

/// The schemes that are known.
pub(crate) const SCHEMES: [&str; 14] = [
    "memory",
    "shared",
    "file",
    "memcached",
    "memcacheds",
    "redis",
    "rediss",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
    "unix",
    "redis+unix",
    "null",
];

/// What the URL of a Redis says of its servers; `larder-redis` reads it.
const REDIS: [&str; 18] = [
    "db",
    "username",
    "user",
    "password",
    "pass",
    "sentinel_user",
    "sentinel_username",
    "sentinel_password",
    "tls",
    "ssl",
    "ca",
    "ssl_ca_certs",
    "cert",
    "ssl_certfile",
    "key",
    "ssl_keyfile",
    "verify",
    "ssl_cert_reqs",
];

/// The forms that a URL may have, for errors.
pub(crate) const FORMS: &str = "use one like memory://?size=256MB, \
    shared:///directory?size=256MB, file:///directory, redis://host:6379/0, \
    memcached://host:11211,other:11211, null://, or memory:// + another one";

/// A store and its own settings; what is `None` has the store's default.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Memory {
        size: Option<usize>,
        entries: Option<usize>,
    },
    Null,
    Shared {
        directory: PathBuf,
        size: Option<u64>,
        near: Option<usize>,
    },
    File {
        directory: PathBuf,
        size: Option<u64>,
        threshold: Option<usize>,
        mode: Option<u32>,
    },
    Redis {
        url: String,
        deadline: Option<Duration>,
        is_cluster: bool,
    },
    Memcached {
        url: String,
        deadline: Option<Duration>,
    },
}

impl Place {
    pub(crate) fn read(parts: &Parts<'_>) -> Result<Self> {
        match parts.scheme() {
            "memory" => {
                parts.without_place()?;
                crate::tiers::refuse_alone(parts)?;
                parts.check_options(&["size", "entries"])?;
                Ok(Self::Memory {
                    size: parts.room("size")?,
                    entries: parts.count("entries")?,
                })
            }
            "shared" => {
                let directory = parts.directory()?;
                parts.check_options(&["size", "near", "compress"])?;
                Ok(Self::Shared {
                    directory,
                    size: parts.size("size")?,
                    near: parts.room("near")?,
                })
            }
            "file" => {
                let directory = parts.directory()?;
                parts.check_options(&["size", "threshold", "mode", "compress"])?;
                Ok(Self::File {
                    directory,
                    size: parts.size("size")?,
                    threshold: parts.count("threshold")?,
                    mode: parts.mode("mode")?,
                })
            }
            "memcached" | "memcacheds" => {
                parts.check_options(&["deadline", "compress", "weights"])?;
                Ok(Self::Memcached {
                    url: parts.servers(),
                    deadline: parts.duration("deadline")?,
                })
            }
            "null" => {
                parts.without_place()?;
                parts.check_options(&[])?;
                Ok(Self::Null)
            }
            _ => {
                let ours = ["deadline", "compress"];
                parts.check_options(&[&ours[..], &REDIS].concat())?;
                Ok(Self::Redis {
                    url: parts.without(&ours),
                    deadline: parts.duration("deadline")?,
                    is_cluster: parts.scheme().ends_with("+cluster"),
                })
            }
        }
    }

    pub(crate) fn store(&self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Null => "null",
            Self::Shared { .. } => "shared",
            Self::File { .. } => "file",
            Self::Redis { .. } => "redis",
            Self::Memcached { .. } => "memcached",
        }
    }
}
