//! Purges that a node has missed: carried out before this process uses it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use larder_core::{Error, Result};
use larder_net::{Deadline, Debt, Medium};

use super::command::Command;
use super::fleet::Fleet;
use super::nodes::AT_ONCE;
use super::slot::slot;

/// Rounds that pay are this far apart.
const PAUSE: Duration = Duration::from_millis(300);

/// The slots that could not be told of what they missed.
#[derive(Default)]
pub(super) struct Indebted {
    slots: BTreeSet<usize>,
    pub(super) error: Option<Error>,
}

impl Indebted {
    pub(super) fn has(&self, name: &[u8]) -> bool {
        !self.slots.is_empty() && self.slots.contains(&part(name))
    }
}

/// Debts are kept by slot.
fn part(name: &[u8]) -> usize {
    usize::from(slot(name))
}

impl<M: Medium> Fleet<M> {
    /// Deletes first what is owed to the slots of these names; no trip where nothing is.
    pub(super) async fn pay_before<N: AsRef<[u8]> + Sync>(
        self: &Arc<Self>,
        names: &[N],
        deadline: Deadline,
    ) -> Indebted {
        if self.debts.are_none() {
            return Indebted::default();
        }
        let slots: BTreeSet<usize> = names.iter().map(|name| part(name.as_ref())).collect();
        self.pay(slots, deadline).await
    }

    /// Deletes what is owed to some slots. Answers those that still have to be told.
    async fn pay(
        self: &Arc<Self>,
        slots: impl IntoIterator<Item = usize>,
        deadline: Deadline,
    ) -> Indebted {
        let mut indebted = Indebted::default();
        let mut owed: Vec<(usize, Debt)> = Vec::new();
        for slot in slots {
            match self.debts.of(slot) {
                Ok(debts) => owed.extend(debts.into_iter().map(|debt| (slot, debt))),
                Err(error) => indebted.note(slot, error),
            }
        }
        for some in owed.chunks(AT_ONCE) {
            let deletions: Vec<Command<'_>> = some
                .iter()
                .map(|(_, (name, _))| Command::delete(name))
                .collect();
            let mut paid: BTreeMap<usize, Vec<Debt>> = BTreeMap::new();
            let answers = self.run(&deletions, deadline).await;
            for ((slot, debt), answered) in some.iter().zip(answers) {
                match answered.and_then(|answered| crate::answer::accepted(&answered.value)) {
                    Ok(()) => paid.entry(*slot).or_default().push(debt.clone()),
                    Err(error) => indebted.note(*slot, error),
                }
            }
            for (slot, debts) in paid {
                if let Err(error) = self.debts.paid(slot, &debts) {
                    indebted.note(slot, error);
                }
            }
        }
        indebted
    }

    /// Deletes names now, or before their slots are used again. Answers whether that is seen to.
    pub(super) async fn owe(self: &Arc<Self>, names: &[Vec<u8>]) -> bool {
        let mut all = true;
        for name in names {
            all &= self.debts.add(part(name), name);
        }
        // The nodes that answer have nothing to be told later.
        self.pay_before(names, self.deadline()).await;
        if !self.debts.are_none() {
            self.pay_later();
        }
        all
    }

    /// Pays in rounds until nothing is owed: other processes read what this one has purged.
    fn pay_later(self: &Arc<Self>) {
        let process = std::process::id();
        if self.paying.swap(process, Ordering::Relaxed) == process {
            return;
        }
        let coming = Coming(Arc::downgrade(self));
        M::later(Instant::now() + PAUSE, Box::pin(coming.pay()));
    }
}

impl Indebted {
    fn note(&mut self, slot: usize, error: Error) {
        self.slots.insert(slot);
        self.error.get_or_insert(error);
    }

    /// Fails for who may not go on because of it.
    pub(super) fn settled(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

/// A round that is to come. Where it is dropped instead, the next purge that misses a node brings another
/// one.
struct Coming<M: Medium>(Weak<Fleet<M>>);

impl<M: Medium> Coming<M> {
    async fn pay(self) {
        let Some(fleet) = self.0.upgrade() else {
            return;
        };
        if let Ok(slots) = fleet.debts.parts() {
            let deadline = Deadline::after(fleet.link.deadline);
            fleet.pay(slots, deadline).await;
        }
        drop(self);
        if !fleet.debts.are_none() {
            fleet.pay_later();
        }
    }
}

impl<M: Medium> Drop for Coming<M> {
    fn drop(&mut self) {
        if let Some(fleet) = self.0.upgrade() {
            fleet.paying.store(0, Ordering::Relaxed);
        }
    }
}
