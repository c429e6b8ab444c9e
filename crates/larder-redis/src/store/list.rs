//! Listing what lies in the server, for people who look.

use std::fmt;
use std::time::Duration;

use larder_core::store::Listed;
use larder_core::{Key, Kind, Result};
use redis::{Pipeline, Value as Answer};

use super::Inner;
use crate::answer;
use crate::layout::Named;
use crate::transport::{Request, Transport};

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    /// The base keys of this kind that begin so, and how long the server keeps what lies there.
    pub(super) async fn list(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Listed>> {
        let others = self.longer_namespaces().await?;
        let mut listed = Vec::new();
        let mut scan = self.scan(self.layout.patterns(kind, prefix));
        while let Some(names) = scan.next().await? {
            let mut found = Vec::new();
            for name in names {
                if let Named::Base(key) = self.layout.read(&name)
                    && key.kind() == kind
                    && key.base().starts_with(prefix)
                    && !others.iter().any(|other| name.starts_with(other))
                {
                    found.push((name, key));
                }
            }
            listed.extend(self.lives(found).await?);
        }
        Ok(Listed::gather(listed))
    }

    /// How long the server keeps what has these names; what is no entry is left out.
    async fn lives(&self, names: Vec<(Vec<u8>, Key)>) -> Result<Vec<(Key, Option<Duration>)>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut commands = Pipeline::with_capacity(2 * names.len());
        for (name, key) in &names {
            commands.cmd("PTTL").arg(name);
            if *name == self.layout.family(key) {
                commands.cmd("HKEYS").arg(name);
            } else {
                commands.cmd("EXISTS").arg(name);
            }
        }
        let request = Request {
            commands,
            repeatable: true,
        };
        let mut answers = self
            .ask(&request, self.transport.deadline())
            .await?
            .into_iter();
        let mut lives = Vec::with_capacity(names.len());
        for (_, key) in names {
            let mut next = || answers.next().unwrap_or(Answer::Nil);
            let (left, there) = (next(), next());
            answer::accepted(&left)?;
            if let Answer::Int(left) = left
                && has_entry(there)?
            {
                lives.push((key, u64::try_from(left).ok().map(Duration::from_millis)));
            }
        }
        Ok(lives)
    }
}

/// Whether there is a slot, or a family in which there are more than marks.
fn has_entry(there: Answer) -> Result<bool> {
    if let Answer::Int(there) = there {
        return Ok(there > 0);
    }
    for field in answer::array(there)? {
        if answer::bytes(field)?.is_some_and(|field| field.starts_with(b"v")) {
            return Ok(true);
        }
    }
    Ok(false)
}
