//! The Cluster as a store of bytes under names.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use larder_core::store::{BUCKETS, Found, KeyValue, Lease, Look, Meanings, Taken, Watcher};
use larder_core::{Clock, Result};
use larder_net::{Client, Deadline, Leases, Medium, Place, Threads};
use redis::Value;

use super::command::Command;
use super::fleet::Fleet;
use super::lender::{self, Lender};
use crate::transport::Link;

/// The nodes that entries are kept in; `M` is how their clients wait.
///
/// A name lies on the node that has its slot. While that one does not answer, what it has is absent and
/// cannot be written; a replica that takes over is found by asking the others.
#[derive(Debug)]
pub struct Nodes<M: Medium = Threads> {
    pub(super) fleet: Arc<Fleet<M>>,
    leases: Option<Leases<Lender<M>>>,
}

/// How many names go into one trip where nobody has counted them.
pub(super) const AT_ONCE: usize = 1000;

impl<M: Medium> Nodes<M> {
    pub(super) fn new(
        (link, seeds): (Link, Vec<Place>),
        clock: Arc<dyn Clock>,
        leases: bool,
    ) -> Self {
        let fleet = Fleet::new(link, seeds);
        let lend = || Leases::new(Lender::new(Arc::clone(&fleet), clock));
        let leases = leases.then(lend);
        Self { fleet, leases }
    }

    /// The clients of all nodes that are known at this moment, those that serve slots first.
    pub fn clients(&self) -> Vec<Client<M>> {
        let nodes = self.fleet.map.load().nodes();
        nodes.iter().map(|node| node.client.clone()).collect()
    }

    /// How often a node was asked who serves what.
    pub fn times_asked(&self) -> u64 {
        self.fleet.asked.load(Ordering::Relaxed)
    }
}

impl<M: Medium> KeyValue for Nodes<M> {
    fn name(&self) -> &'static str {
        "redis cluster"
    }

    fn may_wait(&self) -> bool {
        M::MAY_WAIT
    }

    fn may_block(&self) -> bool {
        !M::MAY_WAIT
    }

    fn home(&self, route: u32) -> u32 {
        route
    }

    fn homes(&self) -> Vec<u32> {
        (0..BUCKETS).collect()
    }

    async fn get_many(&self, names: &[Vec<u8>]) -> Result<Vec<Look>> {
        self.fleet.read(names, 0).await
    }

    async fn take_many(&self, names: &[Vec<u8>], taken: Taken) -> Result<Vec<Look>> {
        self.fleet.read(names, taken.now + taken.soon).await
    }

    async fn set(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<()> {
        let set = Command::set(name, &bytes, life);
        self.fleet.change(name, set).await.map(drop)
    }

    async fn add(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<bool> {
        let added = self.fleet.change(name, Command::add(name, &bytes, life));
        Ok(added.await?.value == Value::Nil)
    }

    async fn swap(
        &self,
        name: &[u8],
        (old, new): (&Found, Vec<u8>),
        life: Option<Duration>,
    ) -> Result<bool> {
        let swap = Command::swap(name, (&old.bytes, &new), life);
        Ok(self.fleet.change(name, swap).await?.value == Value::Int(1))
    }

    async fn delete_many(&self, names: &[Vec<u8>]) -> Result<()> {
        let deletions = names.iter().map(|name| Command::delete(name));
        let deadline = self.fleet.deadline();
        self.fleet.do_each(deletions, deadline).await.map(drop)
    }

    async fn owe(&self, names: &[Vec<u8>]) -> bool {
        self.fleet.owe(names).await
    }

    fn leases(&self) -> bool {
        self.leases.is_some()
    }

    async fn lease(&self, name: &[u8]) -> Result<Lease> {
        match &self.leases {
            Some(leases) => lender::lease(leases, name).await,
            None => Ok(Lease::Alone),
        }
    }

    fn watch(&self, watcher: Weak<dyn Watcher>, meanings: Arc<dyn Meanings>) -> bool {
        self.fleet.watch(watcher, &meanings)
    }

    fn told_by(&self) -> Option<&'static str> {
        self.fleet.told_by()
    }

    async fn list(&self, around_tag: (&[u8], &[u8])) -> Result<Option<Vec<Vec<u8>>>> {
        let mut names = Vec::new();
        let mut scan = self.fleet.scan(around_tag).await?;
        while let Some(some) = scan.next().await? {
            names.extend(some);
        }
        Ok(Some(names))
    }

    async fn lives(&self, names: &[Vec<u8>]) -> Result<Vec<Option<Option<Duration>>>> {
        let mut lives = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            let asked = some.iter().map(|name| Command::left(name));
            let deadline = Deadline::after(self.fleet.link.deadline);
            let answers = self.fleet.do_each(asked, deadline).await?;
            lives.extend(answers.into_iter().map(|answer| match answer.value {
                Value::Int(left) if left >= -1 => {
                    Some(u64::try_from(left).ok().map(Duration::from_millis))
                }
                _ => None,
            }));
        }
        Ok(lives)
    }

    async fn reclaim(&self, around_tag: (&[u8], &[u8]), only: fn(&[u8]) -> bool) {
        // What is not deleted ends in its time.
        let _ = self.fleet.reclaim(around_tag, only).await;
    }
}
