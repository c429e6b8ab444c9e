//! Writing many entries: one trip for all of them, as far as they go through at once.

use std::fmt;
use std::sync::Arc;

use larder_core::codec::Codec;
use larder_core::store::{Mode, Put};
use larder_core::{Entry, Key, Result, Value};
use larder_net::{Deadline, Record};
use redis::Pipeline;

use super::Inner;
use super::write::{Call, Condition, Outcome, Write};
use crate::answer;
use crate::scripts::{Called, is_unknown};
use crate::transport::{Request, Transport};

/// So many bytes go out in one trip; each entry at least does.
const AT_ONCE: usize = 4 << 20;

/// Calls that go out together: each with the place of its entry and the lease that it ends.
struct Batch {
    commands: Pipeline,
    places: Vec<(usize, Record)>,
    bytes: usize,
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    /// Writes entries, whatever is there. What does not go through at once, because somebody else has
    /// purged, the script is unknown, or the entry is too large, is written by itself.
    pub(super) async fn put_many<V: Value>(
        &self,
        entries: &[(Key, Arc<Entry<V>>)],
    ) -> Result<Vec<Put>>
    where
        C: Codec<V>,
    {
        let mut puts: Vec<Option<Put>> = vec![None; entries.len()];
        let mut next = 0;
        while next < entries.len() {
            let batch = self.batch(entries, &mut next)?;
            self.put_batch(batch, &mut puts, self.transport.deadline())
                .await?;
        }
        let mut all = Vec::with_capacity(entries.len());
        for ((key, entry), put) in entries.iter().zip(puts) {
            all.push(match put {
                Some(put) => put,
                None => self.put(key, entry, Mode::Replace).await?,
            });
        }
        Ok(all)
    }

    /// The calls for the entries from `next` on that fit into one trip.
    fn batch<V: Value>(&self, entries: &[(Key, Arc<Entry<V>>)], next: &mut usize) -> Result<Batch>
    where
        C: Codec<V>,
    {
        let mut batch = Batch {
            commands: Pipeline::with_capacity(entries.len() - *next),
            places: Vec::with_capacity(entries.len() - *next),
            bytes: 0,
        };
        while let Some((key, entry)) = entries.get(*next) {
            if batch.bytes > AT_ONCE {
                break;
            }
            let place = *next;
            *next += 1;
            let order = entry.order();
            if entry.value.weight() > self.max_value || !self.orders.claim(key, order) {
                continue;
            }
            let current = self.current(entry);
            let entry = current.as_ref().unwrap_or(entry);
            let written = self.scribe.write(key, entry)?;
            if written.value.len() > self.max_value {
                continue;
            }
            batch.bytes += written.value.len();
            let write = Write::new(key, entry, written, Condition::None);
            let Call {
                keys,
                arguments,
                lease,
            } = self.call(write);
            let arguments = self.arguments(arguments);
            let script = &self.scripts.put;
            let call = script.command(Called::ByDigest, &keys, &arguments);
            batch.commands.add_command(call);
            batch.places.push((place, lease));
        }
        Ok(batch)
    }

    async fn put_batch(
        &self,
        batch: Batch,
        puts: &mut [Option<Put>],
        deadline: Deadline,
    ) -> Result<()> {
        if batch.places.is_empty() {
            return Ok(());
        }
        let request = Request {
            commands: batch.commands,
            repeatable: false,
        };
        let answers = self.ask(&request, deadline).await?;
        for (answer, (place, lease)) in answers.into_iter().zip(batch.places) {
            if is_unknown(std::slice::from_ref(&answer)) {
                continue;
            }
            answer::accepted(&answer)?;
            puts[place] = match self.landed(answer, &lease)? {
                Outcome::Stored => Some(Put::Stored),
                Outcome::Superseded => Some(Put::Superseded),
                Outcome::Purged | Outcome::There(..) | Outcome::Added(..) => None,
            };
        }
        Ok(())
    }
}
