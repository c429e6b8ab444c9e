//! How this process learns which node has which slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_core::{Error, ErrorKind, Result};
use larder_net::{Deadline, Medium, Place};

use super::command::plain;
use super::fleet::{Fleet, new_node, request};
use super::map::{Node, Told, read_slots};
use crate::answer;
use crate::transport::Replies;

/// The map is asked for so often at most.
const PAUSE: Duration = Duration::from_millis(200);

impl<M: Medium> Fleet<M> {
    /// Makes sure that somebody was asked once.
    pub(super) async fn known(self: &Arc<Self>, deadline: Deadline) -> Result<()> {
        if self.map.load().is_known() {
            return Ok(());
        }
        self.ask(deadline).await
    }

    /// Asks anew beside the caller, unless somebody has done so a moment ago.
    pub(super) fn ask_soon(self: &Arc<Self>) {
        if self.is_due(&self.next_ask, PAUSE) {
            let fleet = Arc::clone(self);
            M::beside(async move {
                // Whoever needs the map next asks again.
                let _ = fleet.ask(Deadline::after(fleet.link.deadline)).await;
            });
        }
    }

    /// Whether something may be done again that is done once in a while; then it is for this caller.
    pub(super) fn is_due(&self, next: &AtomicU64, pause: Duration) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (now, due) = (millis(self.start.elapsed()), next.load(Ordering::Relaxed));
        let after = now.saturating_add(millis(pause));
        let order = Ordering::Relaxed;
        now >= due && next.compare_exchange(due, after, order, order).is_ok()
    }

    /// Asks one node after another until one knows.
    async fn ask(&self, deadline: Deadline) -> Result<()> {
        let mut nodes = self.map.load().nodes();
        // Those that have failed come last.
        nodes.sort_by_key(|node| node.client.breaker().is_open());
        let (mut first, mut left) = (None, nodes.len());
        for node in nodes {
            left -= 1;
            // One that is frozen is to leave some time for the others.
            let within = match deadline.left() {
                Some(span) if left > 0 => deadline.within(span / 2),
                _ => deadline,
            };
            match self.ask_node(&node, within).await {
                Ok(told) => {
                    let make = |place: &Place| new_node(&self.link, place.clone());
                    self.learn(|map| map.told(&told, make));
                    return Ok(());
                }
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        let nobody = || Error::new(ErrorKind::Unavailable, "the Cluster has no node");
        Err(first.unwrap_or_else(nobody))
    }

    async fn ask_node(&self, node: &Node<M>, deadline: Deadline) -> Result<Told> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::new();
        plain(&mut bytes, &[b"CLUSTER", b"SLOTS"]);
        let mut replies = Replies::new(1, self.link.limits());
        let request = request(&bytes, true);
        let values = node
            .client
            .exchange(request, &mut replies, deadline)
            .await?;
        let answered = values.into_iter().next().unwrap_or(redis::Value::Nil);
        answer::accepted(&answered)?;
        read_slots(&answered, &node.place).ok_or_else(|| {
            let detail = format!("{} knows of no node that serves a slot", node.place);
            Error::new(ErrorKind::Unavailable, detail)
        })
    }
}
