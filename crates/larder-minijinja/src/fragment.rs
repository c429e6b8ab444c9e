//! What is kept of a fragment, in this process and as bytes.

use std::fmt;

use larder_core::codec::{Codec, Plain, Safe};
use larder_core::{Error, ErrorKind, Result, Value};

/// The text that a fragment was rendered to. It is never escaped again: what had to be escaped was when
/// it was rendered. Cloning it copies nothing.
///
/// ```
/// use larder_minijinja::Fragment;
///
/// assert_eq!(Fragment::from("<b>7</b>".to_owned()).text(), "<b>7</b>");
/// ```
#[derive(Clone)]
pub struct Fragment(minijinja::Value);

impl Fragment {
    /// What a block was rendered to, as the template engine has it.
    pub(crate) fn rendered(text: &minijinja::Value) -> Self {
        Self(text.clone())
    }

    /// As the template engine takes it.
    pub(crate) fn value(&self) -> &minijinja::Value {
        &self.0
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.0.as_str().unwrap_or_default()
    }
}

impl From<String> for Fragment {
    fn from(text: String) -> Self {
        Self(minijinja::Value::from_safe_string(text))
    }
}

impl Value for Fragment {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.text().len()
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fragment").field(&self.text()).finish()
    }
}

/// Writes a [`Fragment`] as the engine writes plain data, for the stores outside the process: as text
/// that is markup already, which `docs/FORMAT.md` gives byte for byte.
///
/// ```
/// use larder_core::{AnyStore, Cache};
/// use larder_file::Files;
/// use larder_minijinja::{Fragment, FragmentCodec};
///
/// # let directory = tempfile::tempdir().unwrap();
/// let files = Files::builder(directory.path()).build(FragmentCodec)?;
/// let cache: Cache<Fragment> = Cache::new(AnyStore::new(files));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FragmentCodec;

impl Codec<Fragment> for FragmentCodec {
    fn id(&self) -> u8 {
        Safe::ID
    }

    fn encode(&self, fragment: &Fragment, out: &mut Vec<u8>) -> Result<()> {
        Safe.encode(&Plain::Markup(fragment.text().into()), out)
    }

    fn decode(&self, payload: &[u8]) -> Result<Fragment> {
        match Safe.decode(payload)? {
            Plain::Markup(text) => Ok(Fragment::from(text.to_string())),
            _ => Err(Error::new(ErrorKind::Codec, "the entry is no fragment")),
        }
    }
}
