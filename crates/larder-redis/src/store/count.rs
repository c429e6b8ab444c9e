//! Counting: one trip for a counter that is a bare number, which the server adds to by itself.

use std::fmt;

use larder_core::codec::Codec;
use larder_core::{Entry, Error, ErrorKind, Key, Meta, Result, Value};
use larder_net::Deadline;

use super::Inner;
use super::write::{Condition, Outcome, Write, contended};
use crate::found::{Raw, Written, counts};
use crate::layout::Record;
use crate::transport::Transport;

/// What to write next: this count under these times, if the condition holds.
struct Plan {
    count: i64,
    meta: Meta,
    condition: Condition,
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    pub(super) async fn count<V: Value>(&self, key: &Key, delta: i64, meta: &Meta) -> Result<i64>
    where
        C: Codec<V>,
    {
        let deadline = self.transport.deadline();
        let start = || Plan {
            count: delta,
            meta: meta.clone(),
            condition: if counts(key) {
                Condition::AddTo(delta)
            } else {
                Condition::Absent
            },
        };
        let mut plan = start();
        while deadline.left().is_some() {
            let Plan {
                count,
                meta,
                condition,
            } = plan;
            let fence = self.guess();
            let value = V::from_count(count).ok_or_else(|| not_a_counter(key))?;
            let entry = Entry::new(meta, value, fence);
            let written = self.write_number(key, count, &entry)?;
            let write = Write::new(key, &entry, written, condition);
            plan = match self.write(write, deadline).await? {
                Outcome::Stored => return Ok(count),
                // A count is no load.
                Outcome::Superseded => start(),
                Outcome::Purged => start(),
                Outcome::Added(record, raw) => {
                    match self.sum::<V>((key, &raw), record, deadline).await? {
                        Some(sum) => return Ok(sum),
                        // It had expired, or been purged: it starts anew, unless somebody else has
                        // been faster, whose counter has another note.
                        None => Plan {
                            condition: same(&raw),
                            ..start()
                        },
                    }
                }
                Outcome::There(record, raw) => {
                    match self.usable::<V>((key, &raw), record, deadline).await? {
                        Some(entry) if !raw.is_bare() => Plan {
                            count: count_of(key, &entry)?
                                .checked_add(delta)
                                .ok_or_else(|| not_a_counter(key))?,
                            meta: entry.meta(),
                            condition: same(&raw),
                        },
                        // A bare number is added to by the server.
                        Some(_) => start(),
                        None => Plan {
                            condition: same(&raw),
                            ..start()
                        },
                    }
                }
            };
        }
        Err(contended(key))
    }

    fn write_number<V: Value>(&self, key: &Key, count: i64, entry: &Entry<V>) -> Result<Written>
    where
        C: Codec<V>,
    {
        if counts(key) {
            self.scribe
                .write_count(key, count, &entry.meta(), &entry.fence())
        } else {
            self.scribe.write(key, entry)
        }
    }

    /// The sum that the server made, if the counter was one that may be used.
    async fn sum<V: Value>(
        &self,
        (key, raw): (&Key, &Raw),
        record: Record,
        deadline: Deadline,
    ) -> Result<Option<i64>>
    where
        C: Codec<V>,
    {
        let entry = self.usable::<V>((key, raw), record, deadline).await?;
        entry.map(|entry| count_of(key, &entry)).transpose()
    }
}

fn same(raw: &Raw) -> Condition {
    Condition::Same(raw.identity().to_vec())
}

fn count_of<V: Value>(key: &Key, entry: &Entry<V>) -> Result<i64> {
    entry.value.as_count().ok_or_else(|| not_a_counter(key))
}

fn not_a_counter(key: &Key) -> Error {
    Error::new(
        ErrorKind::NotACounter,
        format!("the value of {key} is no integer of 64 bits, or would not be one any more"),
    )
}
