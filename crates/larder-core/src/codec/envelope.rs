//! The envelope: how an entry lies in a store outside the process.

use std::fmt;
use std::time::Duration;

use super::seal::Ending;
use super::wire::{Input, put_number, put_sized};
use super::{Codec, Packing, Unreadable, compress};
use crate::entry::{Entry, Fence, Meta};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::tag::{Tag, Tags};
use crate::time::Timestamp;
use crate::value::Value;

/// What every envelope begins with. The first byte occurs in no text, opens no pickle and no
/// compressed stream.
pub(super) const MAGIC: [u8; 4] = [0xf5, b'L', b'R', b'D'];
/// The version of the format; any change of the bytes makes it another one.
pub(super) const VERSION: u8 = 2;
/// The flag of an envelope that ends with a seal.
const SEALED: u8 = 1;
/// The flag of an envelope whose payload is compressed.
const PACKED: u8 = 2;
/// The flag of an envelope that holds the head of a value. The other flags are zero.
const HEAD_ONLY: u8 = 4;
/// Where the flags stand.
const FLAGS: usize = 5;
/// Where the length of the whole envelope stands.
const LENGTH: std::ops::Range<usize> = 7..11;
/// The most tags, and the most generations of tags, that an entry has.
const MOST_TAGS: usize = 4096;

/// Puts entries into envelopes and takes them out again.
///
/// With a secret, every envelope is sealed, and no other one is opened: whoever can write to the
/// store but does not know the secret can make an entry disappear, or put an older one back, and
/// nothing else. Without a secret, a checksum finds accidents. [`Packing`] says more.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Entry, Fence, Key, Kind, Policy, Timestamp};
/// use larder_core::codec::{Envelope, Packing, Plain, Safe};
///
/// let packing = Packing::new().secrets(["a long random secret"]);
/// let envelope = Envelope::new("flask_cache_", packing)?;
/// let key = Key::new(Kind::User, "greeting");
/// let meta = Policy::new(Duration::from_secs(60)).stamp(Timestamp::from_millis(0), Duration::ZERO);
/// let entry = Entry::new(meta.unwrap(), Plain::text("hello"), Fence::default());
///
/// let bytes = envelope.seal_entry(&key, &entry, &Safe)?;
/// let opened = envelope.open(&key, &bytes).unwrap();
/// assert!(opened.sealed);
/// assert_eq!(opened.into_entry(&Safe)?.value, Plain::text("hello"));
/// # Ok::<(), larder_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Envelope {
    ending: Ending,
    /// Payloads longer than this are compressed.
    compress: Option<usize>,
    /// The longest payload that is compressed, or made of a compressed one.
    largest: usize,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("sealed", &self.seals())
            .finish_non_exhaustive()
    }
}

/// What stands in an envelope around the payload.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The key under which the entry is stored.
    pub key: &'a Key,
    /// The times and tags of the entry.
    pub meta: &'a Meta,
    /// The generations that the value was loaded under. Its order stays in the process.
    pub fence: &'a Fence,
    /// The number of the codec that wrote the payload.
    pub codec: u8,
}

/// What was in an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The bytes of the whole key, as [`Key::as_bytes`] gives them.
    pub key: &'a [u8],
    /// The times and tags of the entry.
    pub meta: Meta,
    /// The generations that the value was loaded under.
    pub fence: Fence,
    /// The number of the codec that wrote the payload.
    pub codec: u8,
    /// Whether the envelope was sealed with a secret of ours. A payload that can run code when it is
    /// decoded, such as a pickle, is refused unless this holds.
    pub sealed: bool,
    /// What the codec wrote; compressed, if `packed` says so.
    pub payload: &'a [u8],
    /// Whether the payload is compressed. [`into_entry`](Self::into_entry) unpacks it.
    pub packed: bool,
    /// The longest payload, in bytes, that is made of a compressed one.
    pub largest: usize,
}

impl Envelope {
    /// An envelope for the entries of `namespace`. A `packing` that is an `Option<&[u8]>` is one
    /// secret or none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a secret is empty, or there are more than 16.
    pub fn new(namespace: impl AsRef<[u8]>, packing: impl Into<Packing>) -> Result<Self> {
        let packing = packing.into();
        Ok(Self {
            ending: Ending::new(namespace.as_ref(), &packing)?,
            compress: packing.threshold(),
            largest: packing.largest_payload(),
        })
    }

    /// Whether there is a secret, and hence a seal on every entry that is written or accepted.
    pub const fn seals(&self) -> bool {
        self.ending.is_seal()
    }

    /// The bytes of an entry whose payload is at hand.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] for more than 4,096 tags, or an envelope of 4 GiB or more.
    pub fn seal(&self, head: &Head<'_>, payload: &[u8]) -> Result<Vec<u8>> {
        let mut out = self.begin(head, payload.len())?;
        let start = out.len();
        out.extend_from_slice(payload);
        self.end(out, start)
    }

    /// The bytes of an entry, encoded in their place.
    ///
    /// # Errors
    ///
    /// Those of the codec, and those of [`seal`](Self::seal).
    pub fn seal_entry<V: Value>(
        &self,
        key: &Key,
        entry: &Entry<V>,
        codec: &impl Codec<V>,
    ) -> Result<Vec<u8>> {
        let head = Head {
            key,
            meta: &entry.meta(),
            fence: &entry.fence(),
            codec: codec.id(),
        };
        let mut out = self.begin(&head, entry.value.weight())?;
        let start = out.len();
        codec.encode(&entry.value, &mut out)?;
        self.end(out, start)
    }

    fn begin(&self, head: &Head<'_>, payload: usize) -> Result<Vec<u8>> {
        let tags = head.meta.tags.len().max(head.fence.tags.len());
        if tags > MOST_TAGS {
            let detail = format!("an entry has {tags} tags (at most {MOST_TAGS} can be stored)");
            return Err(Error::new(ErrorKind::Codec, detail));
        }
        let mut out = Vec::with_capacity(128 + head.key.as_bytes().len() + payload);
        out.extend_from_slice(&MAGIC);
        let is_head = if head.meta.is_head { HEAD_ONLY } else { 0 };
        let flags = u8::from(self.seals()) | is_head;
        out.extend_from_slice(&[VERSION, flags, head.codec]);
        out.extend_from_slice(&[0; 4]);
        put_meta(&mut out, head.meta);
        put_fence(&mut out, head.fence);
        put_sized(&mut out, head.key.as_bytes());
        Ok(out)
    }

    /// Ends an envelope whose payload begins at `start`.
    fn end(&self, mut out: Vec<u8>, start: usize) -> Result<Vec<u8>> {
        let payload = out.len() - start;
        // A payload that is too large stays as it is, for the store to see and refuse.
        if self.compress.is_some_and(|above| payload > above)
            && payload <= self.largest
            && let Some(packed) = compress::pack(&out[start..])
        {
            out.truncate(start);
            out.extend_from_slice(&packed);
            out[FLAGS] |= PACKED;
        }
        let length = out.len() + self.ending.len();
        let Ok(length) = u32::try_from(length) else {
            let detail = format!(
                "an entry takes {length} bytes (at most {} can be stored)",
                u32::MAX
            );
            return Err(Error::new(ErrorKind::Codec, detail));
        };
        out[LENGTH].copy_from_slice(&length.to_be_bytes());
        self.ending.append(&mut out);
        Ok(out)
    }

    /// What is in the envelope `bytes`, if it is an entry of `key`.
    ///
    /// # Errors
    ///
    /// The reason, for anything else. It is a miss, never an error for the user.
    pub fn open<'a>(&self, key: &Key, bytes: &'a [u8]) -> Result<Opened<'a>, Unreadable> {
        let opened = self.open_any(bytes)?;
        if opened.key == key.as_bytes() {
            Ok(opened)
        } else {
            Err(Unreadable::OtherKey)
        }
    }

    /// What is in the envelope `bytes`, whatever its key: for those who walk through a store.
    ///
    /// # Errors
    ///
    /// The reason, for bytes that are no whole, undamaged envelope of this namespace.
    pub fn open_any<'a>(&self, bytes: &'a [u8]) -> Result<Opened<'a>, Unreadable> {
        let (flags, codec, content) = self.check(bytes)?;
        let mut input = Input::new(content);
        let parts = |input: &mut Input<'a>| {
            let meta = meta(input)?;
            let fence = fence(input)?;
            let key = input.sized()?;
            Some((meta, fence, key))
        };
        let (mut meta, fence, key) = parts(&mut input).ok_or(Unreadable::Damaged)?;
        meta.is_head = flags & HEAD_ONLY != 0;
        Ok(Opened {
            key,
            meta,
            fence,
            codec,
            sealed: self.seals(),
            payload: input.rest(),
            packed: flags & PACKED != 0,
            largest: self.largest,
        })
    }

    /// The flags, the codec, and what lies between the fixed part and the
    /// ending, which fits.
    fn check<'a>(&self, bytes: &'a [u8]) -> Result<(u8, u8, &'a [u8]), Unreadable> {
        let Some(rest) = bytes.strip_prefix(&MAGIC) else {
            let cut = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return Err(if cut {
                Unreadable::Truncated
            } else {
                Unreadable::Foreign
            });
        };
        let mut input = Input::new(rest);
        let version = input.byte().ok_or(Unreadable::Truncated)?;
        if version != VERSION {
            return Err(Unreadable::OtherVersion);
        }
        let [flags, codec] = input.array().ok_or(Unreadable::Truncated)?;
        let length = u32::from_be_bytes(input.array().ok_or(Unreadable::Truncated)?) as usize;
        if flags & !(SEALED | PACKED | HEAD_ONLY) != 0 || length < bytes.len() {
            return Err(Unreadable::Damaged);
        } else if length > bytes.len() {
            return Err(Unreadable::Truncated);
        }
        match (flags & SEALED != 0, self.seals()) {
            (true, false) => return Err(Unreadable::WrongSeal),
            (false, true) => return Err(Unreadable::Unsealed),
            _ => {}
        }
        let end = bytes
            .len()
            .checked_sub(self.ending.len())
            .filter(|&end| end >= LENGTH.end);
        let (content, ending) = bytes.split_at(end.ok_or(Unreadable::Damaged)?);
        if self.ending.fits(content, ending) {
            Ok((flags, codec, &content[LENGTH.end..]))
        } else if self.seals() {
            Err(Unreadable::WrongSeal)
        } else {
            Err(Unreadable::Damaged)
        }
    }
}

impl Opened<'_> {
    /// The entry, its payload unpacked and decoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] when another codec wrote the payload, when it is compressed and cannot be
    /// unpacked within bounds, or at all without the feature `zstd`; and what the codec finds.
    pub fn into_entry<V>(self, codec: &impl Codec<V>) -> Result<Entry<V>> {
        if self.codec != codec.id() {
            let (found, known) = (self.codec, codec.id());
            let detail = format!("codec {found} wrote the payload, and only {known} is known here");
            return Err(Error::new(ErrorKind::Codec, detail));
        }
        let value = if self.packed {
            codec.decode(&compress::unpack(self.payload, self.largest)?)
        } else {
            codec.decode(self.payload)
        };
        Ok(Entry::new(self.meta, value?, self.fence))
    }
}

fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    // A reader relies on the order of the times, so a meta that breaks it is written as the nearest
    // one that keeps it.
    let fresh_until = meta.fresh_until.max(meta.stored_at);
    let stale_until = meta.stale_until.max(fresh_until);
    let spare_until = meta.spare_until.max(stale_until);
    put_number(out, meta.stored_at.as_millis());
    put_after(out, meta.stored_at, fresh_until);
    put_after(out, fresh_until, stale_until);
    put_after(out, stale_until, spare_until);
    put_after(out, spare_until, meta.keep_until.max(spare_until));
    put_number(out, meta.retry_at.as_millis());
    put_number(out, u64::try_from(meta.cost.as_nanos()).unwrap_or(u64::MAX));
    put_number(out, meta.tags.len() as u64);
    for tag in meta.tags.iter() {
        put_sized(out, tag.as_bytes());
    }
}

/// A point in time by its distance from one that is not later: 0 for never, else one more than the
/// milliseconds between them.
fn put_after(out: &mut Vec<u8>, earlier: Timestamp, later: Timestamp) {
    let code = match later {
        Timestamp::NEVER => 0,
        _ => later.as_millis() - earlier.as_millis() + 1,
    };
    put_number(out, code);
}

fn after(input: &mut Input<'_>, earlier: Timestamp) -> Option<Timestamp> {
    match input.number()? {
        0 => Some(Timestamp::NEVER),
        code => {
            let millis = earlier.as_millis().checked_add(code - 1)?;
            (millis != u64::MAX).then_some(Timestamp::from_millis(millis))
        }
    }
}

fn meta(input: &mut Input<'_>) -> Option<Meta> {
    let stored_at = Timestamp::from_millis(input.number()?);
    let fresh_until = after(input, stored_at)?;
    let stale_until = after(input, fresh_until)?;
    let spare_until = after(input, stale_until)?;
    let keep_until = after(input, spare_until)?;
    let retry_at = Timestamp::from_millis(input.number()?);
    let cost = Duration::from_nanos(input.number()?);
    let count = input.size().filter(|&count| count <= MOST_TAGS)?;
    let tags: Option<Tags> = (0..count)
        .map(|_| input.sized().map(Tag::from_bytes))
        .collect();
    Some(Meta {
        stored_at,
        fresh_until,
        stale_until,
        spare_until,
        keep_until,
        retry_at,
        cost,
        tags: tags?,
        is_head: false,
    })
}

fn put_fence(out: &mut Vec<u8>, fence: &Fence) {
    put_number(out, fence.all);
    put_number(out, fence.base);
    put_number(out, fence.sequence);
    put_number(out, fence.tags.len() as u64);
    for &generation in &fence.tags {
        put_number(out, generation);
    }
}

fn fence(input: &mut Input<'_>) -> Option<Fence> {
    let (all, base, sequence) = (input.number()?, input.number()?, input.number()?);
    let count = input.size().filter(|&count| count <= MOST_TAGS)?;
    let tags: Option<Vec<u64>> = (0..count).map(|_| input.number()).collect();
    Some(Fence {
        all,
        base,
        sequence,
        order: 0,
        tags: tags?,
    })
}
