//! Walking through the names on every node, and giving back room.

use std::sync::Arc;

use larder_core::{Error, ErrorKind, Result};
use larder_net::{Begun, Deadline, Medium};
use redis::Value;

use super::command::{Command, plain};
use super::fleet::{Fleet, request};
use super::life::ASK;
use super::map::Node;
use super::nodes::AT_ONCE;
use crate::answer;
use crate::transport::Replies;

/// How long a tag is, braces included.
const TAG: usize = 5;

/// A walk through all names of a form, on all nodes side by side. A name may come more than once.
///
/// What moves to another node during the walk, or lies on one that takes over, is missed: it is of
/// another life there, so nobody reads it any more.
pub(super) struct Scan<'a, M: Medium> {
    fleet: &'a Arc<Fleet<M>>,
    pattern: Vec<u8>,
    /// The nodes that are not at their end, and how far they are.
    open: Vec<(Arc<Node<M>>, Vec<u8>)>,
}

/// A step at a node that is on its way.
type Step<M> = (Arc<Node<M>>, Vec<u8>, Result<Begun<M>>);

impl<M: Medium> Scan<'_, M> {
    /// The next names, perhaps none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        // Each trip has a deadline of its own: the walk is as long as the Cluster is large.
        let deadline = Deadline::after(self.fleet.link.deadline);
        let count = AT_ONCE.to_string();
        let mut underway: Vec<Step<M>> = Vec::new();
        for (node, cursor) in self.open.drain(..) {
            let mut bytes = Vec::new();
            plain(&mut bytes, &ASK);
            let pattern = [&b"MATCH"[..], &self.pattern, b"COUNT", count.as_bytes()];
            plain(
                &mut bytes,
                &[&[b"SCAN", cursor.as_slice()], &pattern[..]].concat(),
            );
            let begun = node.client.begin(request(&bytes, true), deadline).await;
            underway.push((node, bytes, begun));
        }
        let mut names = Vec::new();
        for (node, bytes, begun) in underway {
            let mut replies = Replies::new(2, self.fleet.link.limits());
            let exchange = (begun?, request(&bytes, true));
            let answered = node.client.finish(exchange, &mut replies, deadline).await?;
            let (_, mut values) = self.fleet.alive(&node, answered)?;
            let (cursor, found) = read(values.next().unwrap_or(Value::Nil))?;
            names.extend(found);
            if cursor != b"0" {
                self.open.push((node, cursor));
            }
        }
        Ok(Some(names))
    }
}

/// The cursor and the names in an answer.
fn read(value: Value) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut parts = answer::array(value)?.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let cursor = answer::bytes(next())?.ok_or_else(|| answer::unexpected("no cursor"))?;
    let mut names = Vec::new();
    for name in answer::array(next())? {
        names.extend(answer::bytes(name)?);
    }
    Ok((cursor, names))
}

impl<M: Medium> Fleet<M> {
    /// A walk through the names that begin and go on so, with a tag between the two.
    pub(super) async fn scan(
        self: &Arc<Self>,
        (before, behind): (&[u8], &[u8]),
    ) -> Result<Scan<'_, M>> {
        self.known(self.deadline()).await?;
        let mut pattern = Vec::with_capacity(before.len() + behind.len() + TAG + 1);
        literal(&mut pattern, before);
        pattern.extend_from_slice(b"{???}");
        literal(&mut pattern, behind);
        pattern.push(b'*');
        let owners = self.map.load().owners().to_vec();
        if owners.is_empty() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the Cluster has no node",
            ));
        }
        let begin = |node| (node, b"0".to_vec());
        Ok(Scan {
            fleet: self,
            pattern,
            open: owners.into_iter().map(begin).collect(),
        })
    }

    /// Deletes the names of this form whose last bytes say that they may go.
    pub(super) async fn reclaim(
        self: &Arc<Self>,
        around_tag: (&[u8], &[u8]),
        only: fn(&[u8]) -> bool,
    ) -> Result<()> {
        let front = around_tag.0.len() + TAG + around_tag.1.len();
        let mut scan = self.scan(around_tag).await?;
        while let Some(mut names) = scan.next().await? {
            names.retain(|name| name.get(front..).is_some_and(only));
            for some in names.chunks(AT_ONCE) {
                let deletions = some.iter().map(|name| Command::delete(name));
                let deadline = Deadline::after(self.link.deadline);
                self.do_each(deletions, deadline).await?;
            }
        }
        Ok(())
    }
}

/// Takes the meaning away from what the server understands in patterns.
fn literal(pattern: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
}
