//! Answers that may leave the process.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::{Arc, OnceLock};

use larder_core::codec::Codec;
use larder_core::{Cache, Error, ErrorKind, Result, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Holds;

/// How deep answers may nest to be read, so that no bytes exhaust the stack of who decodes them.
const DEPTH: usize = 128;

/// A cache of memoized answers over any store, also one outside the process or a tier before it.
///
/// ```
/// use std::sync::LazyLock;
/// use larder::memo::{PortableCache, PortableCodec};
/// use larder::memoize;
///
/// static ANSWERS: LazyLock<PortableCache> = LazyLock::new(|| {
///     let url = std::env::var("CACHE_URL").unwrap_or_else(|_| "memory://".to_owned());
///     let store = larder::open(&url).and_then(|store| store.namespace("shop_").build(PortableCodec));
///     larder::Cache::new(store.expect("CACHE_URL names a store"))
/// });
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Product {
///     name: String,
/// }
///
/// #[memoize(ttl = "5m", name = "shop.product", cache = ANSWERS)]
/// fn product(id: u32) -> Product {
///     Product { name: format!("lamp {id}") }
/// }
///
/// assert_eq!(product(7).name, product(7).name);
/// ```
pub type PortableCache = Cache<Portable>;

/// An answer of any type that serde can write and read. In a store of this process it is the value
/// itself; what comes from elsewhere is decoded when it is first asked for.
#[derive(Clone)]
pub struct Portable(Arc<Inner>);

enum Inner {
    Value {
        value: Box<dyn Any + Send + Sync>,
        type_name: &'static str,
        weight: usize,
        encode: fn(&dyn Any, &mut Vec<u8>) -> Result<()>,
    },
    Bytes {
        bytes: Box<[u8]>,
        /// `None` inside: the bytes are none of the type that was asked for.
        value: OnceLock<Option<Box<dyn Any + Send + Sync>>>,
    },
}

impl<T> Holds<T> for Portable
where
    T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    fn hold(value: T, weight: usize) -> Self {
        Self(Arc::new(Inner::Value {
            value: Box::new(value),
            type_name: type_name::<T>(),
            weight,
            encode: encode::<T>,
        }))
    }

    fn held(&self) -> Option<T> {
        let value = match &*self.0 {
            Inner::Value { value, .. } => value,
            Inner::Bytes { bytes, value } => {
                let decoded = value.get_or_init(|| Some(Box::new(decode::<T>(bytes)?)));
                decoded.as_ref()?
            }
        };
        value.downcast_ref().cloned()
    }
}

/// Writes a value with the names of its fields, so that a type that has changed since is noticed.
fn encode<T: Serialize + 'static>(value: &dyn Any, out: &mut Vec<u8>) -> Result<()> {
    let wrong = |why: &dyn fmt::Display| {
        let detail = format!(
            "an answer of type {} cannot be written: {why} (change its `Serialize`, or use a cache of \
             this process)",
            type_name::<T>()
        );
        Error::new(ErrorKind::Codec, detail)
    };
    let value = value.downcast_ref::<T>();
    let value = value.ok_or_else(|| wrong(&"it is of another type"))?;
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    let written = value.serialize(&mut serializer);
    written.map_err(|error| wrong(&error))
}

/// The value of these bytes, if they are all of one.
fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    let mut deserializer = rmp_serde::Deserializer::new(&mut bytes);
    deserializer.set_max_depth(DEPTH);
    let value = T::deserialize(&mut deserializer).ok()?;
    bytes.is_empty().then_some(value)
}

impl Value for Portable {
    fn weight(&self) -> usize {
        let around = size_of::<Self>() + size_of::<Inner>() + 2 * size_of::<usize>();
        around
            + match &*self.0 {
                Inner::Value { weight, .. } => *weight,
                // The value that is made of them takes about as much again.
                Inner::Bytes { bytes, .. } => 2 * bytes.len(),
            }
    }
}

/// Writes answers as MessagePack, by serde. Structs carry the names of their fields: an answer whose
/// type has changed is loaded anew where it cannot be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortableCodec;

impl PortableCodec {
    /// The number of this codec in the envelope.
    pub const ID: u8 = 2;
}

impl Codec<Portable> for PortableCodec {
    fn id(&self) -> u8 {
        Self::ID
    }

    fn encode(&self, value: &Portable, out: &mut Vec<u8>) -> Result<()> {
        match &*value.0 {
            Inner::Value { value, encode, .. } => encode(&**value, out),
            Inner::Bytes { bytes, .. } => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn decode(&self, payload: &[u8]) -> Result<Portable> {
        Ok(Portable(Arc::new(Inner::Bytes {
            bytes: payload.into(),
            value: OnceLock::new(),
        })))
    }
}

impl fmt::Debug for Portable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Value { type_name, .. } => write!(f, "Portable({type_name})"),
            Inner::Bytes { bytes, .. } => write!(f, "Portable({} bytes)", bytes.len()),
        }
    }
}
