//! Walking through the names in the server, and removing by what they begin with.

use std::collections::BTreeSet;
use std::fmt;

use larder_core::codec::Codec;
use larder_core::store::Token;
use larder_core::{Key, Kind, Pattern, Result, Value};
use redis::{Pipeline, Value as Answer};

use super::Inner;
use crate::answer;
use crate::layout::Named;
use crate::transport::{Request, Transport};

/// How many names the server looks at in one trip, and how many keys are removed in one.
const STEP: usize = 1000;
const REMOVED_AT_ONCE: usize = 100;

/// A walk through all names that match one of some patterns. A name may come more than once.
pub(super) struct Scan<'a, C, T> {
    store: &'a Inner<C, T>,
    /// The patterns that are not at their end, and how far they are.
    open: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Scan<'_, C, T> {
    /// The next names, perhaps none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let mut commands = Pipeline::with_capacity(self.open.len());
        for (pattern, cursor) in &self.open {
            let scan = commands.cmd("SCAN").arg(cursor);
            scan.arg("MATCH").arg(pattern).arg("COUNT").arg(STEP);
        }
        let request = Request {
            commands,
            repeatable: true,
        };
        // Each trip has a deadline of its own: the walk is as long as the server is large.
        let answers = self
            .store
            .ask(&request, self.store.transport.deadline())
            .await?;
        let (mut names, mut open) = (Vec::new(), Vec::new());
        for ((pattern, _), answer) in self.open.drain(..).zip(answers) {
            let mut parts = answer::array(answer)?.into_iter();
            let mut next = || parts.next().unwrap_or(Answer::Nil);
            let cursor = answer::bytes(next())?.ok_or_else(|| answer::unexpected("no cursor"))?;
            for name in answer::array(next())? {
                names.extend(answer::bytes(name)?);
            }
            if cursor != b"0" {
                open.push((pattern, cursor));
            }
        }
        self.open = open;
        Ok(Some(names))
    }
}

impl<C: fmt::Debug + Send + Sync + 'static, T: Transport> Inner<C, T> {
    pub(super) fn scan(&self, patterns: Vec<Vec<u8>>) -> Scan<'_, C, T> {
        let open = patterns
            .into_iter()
            .map(|pattern| (pattern, b"0".to_vec()))
            .collect();
        Scan { store: self, open }
    }

    pub(super) async fn remove_prefix<V: Value>(
        &self,
        kind: Kind,
        prefix: &[u8],
    ) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        self.fence_loads().await?;
        let matches = |key: &Key| key.kind() == kind && key.base().starts_with(prefix);
        self.remove_where::<V>(self.layout.patterns(kind, prefix), matches)
            .await
    }

    pub(super) async fn remove_pattern<V: Value>(
        &self,
        kind: Kind,
        pattern: &Pattern,
    ) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        // A key of exactly the pattern's text goes too, whatever the pattern means.
        let exact = Key::new(kind, pattern.text());
        let mut removed;
        match pattern.tokens() {
            [] => removed = self.remove_keys::<V>(&[exact]).await?,
            [Token::Text(text)] => {
                let keys = BTreeSet::from([exact, Key::new(kind, text)]);
                removed = self.remove_keys::<V>(&Vec::from_iter(keys)).await?;
            }
            [first, ..] => {
                // The server gets the beginning only, and the rest is matched here: what `?` stands
                // for differs, and some patterns take a server long.
                let head = if let Token::Text(text) = first {
                    text.as_slice()
                } else {
                    b""
                };
                self.fence_loads().await?;
                removed = self.remove_keys::<V>(std::slice::from_ref(&exact)).await?;
                let matches =
                    |key: &Key| key.kind() == kind && *key != exact && pattern.matches(key.base());
                let patterns = self.layout.patterns(kind, head);
                removed.extend(self.remove_where::<V>(patterns, matches).await?);
            }
        }
        Ok(removed)
    }

    /// Fences the loads of keys that are not stored yet: they have no name that a walk could find.
    async fn fence_loads(&self) -> Result<()> {
        let keys = [self.layout.record()];
        let deadline = self.transport.deadline();
        self.run_for_record(&self.scripts.fence, (&keys, Vec::new()), deadline)
            .await?;
        Ok(())
    }

    async fn remove_where<V: Value>(
        &self,
        patterns: Vec<Vec<u8>>,
        matches: impl Fn(&Key) -> bool,
    ) -> Result<Vec<Key>>
    where
        C: Codec<V>,
    {
        let (mut seen, mut removed) = (BTreeSet::new(), Vec::new());
        let mut scan = self.scan(patterns);
        while let Some(names) = scan.next().await? {
            let mut keys = Vec::new();
            for name in names {
                if let Named::Base(key) = self.layout.read(&name)
                    && matches(&key)
                    && seen.insert(key.clone())
                {
                    keys.push(key);
                }
            }
            for some in keys.chunks(REMOVED_AT_ONCE) {
                removed.extend(self.remove_keys::<V>(some).await?);
            }
        }
        Ok(removed)
    }
}
