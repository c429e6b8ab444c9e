//! What lies in the store, for people who look.

use std::time::Duration;

use larder_core::store::Listed;
use larder_core::{Key, Kind, Result, Timestamp};

use super::Inner;
use crate::layout::{ENTRY, Head};

impl<C> Inner<C> {
    /// The base keys of this kind that begin so and under which something valid lies. What cannot be
    /// read is left out.
    pub(super) fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Listed>> {
        let found = self.read(|opened, view, state| {
            let now = self.times_in(opened).now;
            let mut found = Vec::new();
            for record in view.records.prefix_iter(view.txn, &[ENTRY])? {
                let (place, bytes) = record?;
                let head = Head::read(place, bytes);
                let mine = head.filter(|(head, _)| head.namespace == self.layout.namespace);
                let Some((head, envelope)) = mine.filter(|(head, _)| now < head.keep_until) else {
                    continue;
                };
                let Ok(content) = self.envelope.open_any(envelope) else {
                    continue;
                };
                let key = Key::decode(content.key)
                    .filter(|key| key.kind() == kind && key.base().starts_with(prefix));
                if let Some(key) = key
                    && view.is_valid(state, &head, &content)?
                {
                    found.push((key, left(head.keep_until, now)));
                }
            }
            Ok(found)
        })?;
        Ok(Listed::gather(found.unwrap_or_default()))
    }
}

/// How long an entry is kept yet; `None` for one without an end.
fn left(until: u64, now: u64) -> Option<Duration> {
    let ends = until != Timestamp::NEVER.as_millis();
    ends.then(|| Duration::from_millis(until.saturating_sub(now)))
}
