//! Listing what lies in the store underneath, for people who look.

use std::collections::BTreeMap;

use super::{Inner, KeyValue};
use crate::error::Result;
use crate::key::{Key, Kind};
use crate::store::Listed;

impl<K: KeyValue, C> Inner<K, C> {
    /// The base keys of this kind that begin so, where names tell them and can be listed.
    pub(super) async fn list(&self, kind: Kind, start: &[u8]) -> Result<Option<Vec<Listed>>> {
        if self.names.bases_behind_tag(kind, start).is_none() {
            return Ok(None);
        }
        let (before, _) = self.names.around_tag();
        let mut keys: BTreeMap<Vec<u8>, Key> = BTreeMap::new();
        for behind in self.names.slots_behind_tag(kind, start) {
            let Some(names) = self.pairs.list((before, &behind)).await? else {
                return Ok(None);
            };
            for name in names {
                let key = self.names.base_of_slot(&name);
                let key = key.filter(|key| key.kind() == kind && key.base().starts_with(start));
                keys.extend(key.map(|key| (name, key)));
            }
        }
        let (names, keys): (Vec<Vec<u8>>, Vec<Key>) = keys.into_iter().unzip();
        let lives = self.pairs.lives(&names).await?;
        let there = keys.into_iter().zip(lives);
        let there = there.filter_map(|(key, life)| life.map(|left| (key, left)));
        Ok(Some(Listed::gather(there)))
    }
}
