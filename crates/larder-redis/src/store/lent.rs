//! Entries whose life the server alone knows: what stands under them decides how long they are kept.

use std::fmt;
use std::time::Duration;

use larder_core::codec::Codec;
use larder_core::store::{Mode, Reading};
use larder_core::{Entry, Fence, Key, Lifetime, Policy, Result, Tag, Value};

use super::Redis;
use super::write::{Condition, Outcome, Write, contended, restart};
use crate::transport::Transport;

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Redis<C, T> {
    /// Reads keys and the marks of `tags`, all in one trip if no entry carries other tags.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub async fn get_many_tagged<V: Value>(
        &self,
        keys: &[Key],
        tags: &[Tag],
    ) -> Result<Vec<Reading<V>>>
    where
        C: Codec<V>,
    {
        self.0.read(keys, tags).await
    }

    /// Stores a value that has no end of its own; the server forgets it after `life`, unless
    /// [`prolong`](Self::prolong) comes before. With [`Mode::IfAbsent`] a value that is there stays:
    /// the answer is that value, and `None` where this one was stored.
    ///
    /// # Errors
    ///
    /// When the server fails, or the value cannot be written.
    pub async fn lend<V: Value>(
        &self,
        key: &Key,
        value: V,
        (life, mode): (Duration, Mode),
    ) -> Result<Option<V>>
    where
        C: Codec<V>,
    {
        let inner = &self.0;
        let deadline = inner.transport.deadline();
        let policy = Policy::new(Lifetime::Forever);
        let Some(meta) = policy.stamp(inner.clock.now(), Duration::ZERO) else {
            return Ok(None);
        };
        let mut condition = restart(mode);
        let mut entry = Entry::new(meta, value, Fence::default());
        while deadline.left().is_some() {
            entry = entry.under(inner.guess());
            let written = inner.scribe.write(key, &entry)?;
            let write = Write {
                life: Some(millis(life)),
                ..Write::new(key, &entry, written, condition)
            };
            condition = match inner.write(write, deadline).await? {
                Outcome::Stored | Outcome::Superseded => return Ok(None),
                Outcome::Purged => restart(mode),
                Outcome::There(record, raw) | Outcome::Added(record, raw) => {
                    match inner.usable::<V>((key, &raw), record, deadline).await? {
                        Some(entry) => return Ok(Some(entry.value)),
                        None => Condition::Same(raw.identity().to_vec()),
                    }
                }
            };
        }
        Err(contended(key))
    }

    /// Makes keys that were lent live for `life` more at least; `None` is for ever. One that is gone
    /// stays gone.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub async fn prolong(&self, keys: &[Key], life: Option<Duration>) -> Result<()> {
        let inner = &self.0;
        let names: Vec<Vec<u8>> = keys.iter().map(|key| inner.layout.slot(key)).collect();
        let life = life.map_or(0, millis).to_string().into_bytes();
        inner
            .run(
                &inner.scripts.prolong,
                (&names, vec![life]),
                inner.transport.deadline(),
            )
            .await?;
        Ok(())
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}
