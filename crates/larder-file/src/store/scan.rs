//! Walking through the directory: for those who look, and for what happens once in a while.

use std::sync::Arc;

use larder_core::codec::{Codec, Opened};
use larder_core::store::Listed;
use larder_core::{Entry, Key, Kind, Result, Timestamp, Value};
use rustix::io::Errno;

use super::read::Basis;
use super::{Inner, failed};
use crate::log::Trouble;
use crate::names::{Spot, folder};
use crate::sys;
use crate::view::View;

impl<C> Inner<C> {
    /// The places of all files that have the name of an entry, in all namespaces.
    pub(super) fn spots(&self, view: &View) -> Result<Vec<Spot>, Errno> {
        let mut spots = Vec::new();
        for number in 0..=u8::MAX {
            spots.append(&mut self.spots_in(view, number)?);
        }
        Ok(spots)
    }

    /// Those in one of the folders.
    pub(super) fn spots_in(&self, view: &View, number: u8) -> Result<Vec<Spot>, Errno> {
        let names = sys::list(&view.root, folder(number).as_bytes())?;
        let spots = names.iter().filter_map(|name| Spot::read(number, name));
        Ok(spots.collect())
    }

    /// The places of a base key and its variants.
    pub(super) fn family(&self, view: &View, base: Spot) -> Result<Vec<Spot>, Errno> {
        let mut spots = self.spots_in(view, base.folder())?;
        spots.retain(|spot| spot.base == base.base);
        Ok(spots)
    }

    /// Shows every valid entry of this namespace to `see`.
    pub(super) fn each_valid(
        &self,
        basis: Basis<'_>,
        spots: impl IntoIterator<Item = Spot>,
        mut see: impl FnMut(Spot, Key, &Opened<'_>),
    ) -> Result<(), Trouble> {
        for spot in spots {
            let Some(raw) = self.raw(basis.view, spot)? else {
                continue;
            };
            let Some((content, _)) = self.valid(basis, &raw)? else {
                continue;
            };
            if let Some(key) =
                Key::decode(content.key).filter(|key| self.parts.names.spot(key) == spot)
            {
                see(spot, key, &content);
            }
        }
        Ok(())
    }

    pub(super) fn variants<V: Value>(&self, base: &Key) -> Result<Vec<(Key, Arc<Entry<V>>)>>
    where
        C: Codec<V>,
    {
        let (view, sequence) = self.look().map_err(failed)?;
        let spots = self.family(&view, self.parts.names.spot(base));
        let spots = spots.map_err(|error| failed(error.into()))?;
        let basis = self.basis(&view, sequence);
        let mut entries = Vec::new();
        for spot in spots {
            let Some(raw) = self.raw(&view, spot).map_err(troubled)? else {
                continue;
            };
            let entry = self.entry(basis, (None, &raw));
            let key = raw.key(&self.parts.envelope);
            entries.extend(key.zip(entry.map_err(troubled)?.map(Arc::new)));
        }
        entries.retain(|(key, _)| key.base_bytes() == base.as_bytes());
        Ok(entries)
    }

    pub(super) fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Listed>> {
        let (view, sequence) = self.look().map_err(failed)?;
        let spots = self.spots(&view).map_err(|error| failed(error.into()))?;
        let basis = self.basis(&view, sequence);
        let now = Timestamp::from_millis(basis.now);
        let mut found = Vec::new();
        self.each_valid(basis, spots, |_, key, content| {
            let until = content.meta.keep_until;
            if key.kind() == kind && key.base().starts_with(prefix) && now < until {
                let left = (until != Timestamp::NEVER).then(|| until.since(now));
                found.push((key, left));
            }
        })
        .map_err(troubled)?;
        Ok(Listed::gather(found))
    }
}

/// The error of a look that did not end well.
pub(super) fn troubled(trouble: Trouble) -> larder_core::Error {
    match trouble {
        Trouble::Failed(error) => failed(error),
        Trouble::Damaged(what) => failed(std::io::Error::other(what)),
        Trouble::Gone | Trouble::Inherited => {
            failed(std::io::Error::other("it was replaced in between"))
        }
    }
}
