//! The servers as a store of bytes under names.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::{Found, KeyValue, Lease, Look, Taken};
use larder_core::{Clock, Error, ErrorKind, Result};
use larder_net::{Client, Leases, Medium, Threads};

use crate::command::{self, When, end};
use crate::fleet::Fleet;
use crate::leavings::leave;
use crate::lender::{self, Lender};

/// The servers that entries are kept in; `M` is how their clients wait.
///
/// A name lies on the server that its route leads to. While that one does not answer, what it has is
/// absent and cannot be written; no other server takes its place, because what it had missed in the
/// meantime would come back with it.
#[derive(Debug)]
pub struct Servers<M: Medium = Threads> {
    fleet: Arc<Fleet<M>>,
    leases: Leases<Lender<M>>,
}

impl<M: Medium> Servers<M> {
    pub(crate) fn new(fleet: Fleet<M>, clock: Arc<dyn Clock>) -> Self {
        let fleet = Arc::new(fleet);
        let leases = Leases::new(Lender::new(Arc::clone(&fleet), clock));
        Self { fleet, leases }
    }

    /// The clients of the servers, in the order in which these were named.
    pub fn clients(&self) -> &[Client<M>] {
        &self.fleet.clients
    }
}

impl<M: Medium> KeyValue for Servers<M> {
    fn name(&self) -> &'static str {
        "memcached"
    }

    fn may_wait(&self) -> bool {
        M::MAY_WAIT
    }

    fn may_block(&self) -> bool {
        !M::MAY_WAIT
    }

    fn home(&self, route: u32) -> u32 {
        self.fleet.ring.homes()[self.fleet.ring.server(route)]
    }

    fn homes(&self) -> Vec<u32> {
        self.fleet.ring.homes().to_vec()
    }

    fn division(&self) -> Vec<u8> {
        self.fleet.ring.division().to_vec()
    }

    async fn get_many(&self, names: &[Vec<u8>]) -> Result<Vec<Look>> {
        self.fleet.read(names, 0).await
    }

    async fn take_many(&self, names: &[Vec<u8>], taken: Taken) -> Result<Vec<Look>> {
        let found = self.fleet.read(names, taken.now).await?;
        let rest = names.iter().zip(&found).skip(taken.now).take(taken.soon);
        let version = |(name, look): (&Vec<u8>, &Look)| match look {
            Look::Found(found) => Some((name.clone(), found.version)),
            Look::Absent | Look::Away => None,
        };
        let rest: Vec<(Vec<u8>, u64)> = rest.filter_map(version).collect();
        leave(&self.fleet, rest);
        Ok(found)
    }

    async fn set(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<()> {
        match self
            .fleet
            .store(name, &bytes, (end(life), When::Always))
            .await?
        {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::Store,
                "the server did not store what it was to store in any case",
            )),
        }
    }

    async fn add(&self, name: &[u8], bytes: Vec<u8>, life: Option<Duration>) -> Result<bool> {
        self.fleet
            .store(name, &bytes, (end(life), When::Absent))
            .await
    }

    async fn swap(
        &self,
        name: &[u8],
        (old, new): (&Found, Vec<u8>),
        life: Option<Duration>,
    ) -> Result<bool> {
        let mut version = old.version;
        if version == 0 {
            // Whoever wrote the old bytes was not told their version.
            match self.fleet.read(&[name.to_vec()], 0).await?.pop() {
                Some(Look::Found(found)) if found.bytes == old.bytes => version = found.version,
                _ => return Ok(false),
            }
        }
        if version == 0 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "memcached runs with -C, without versions (start it without this option)",
            ));
        }
        self.fleet
            .store(name, &new, (end(life), When::Version(version)))
            .await
    }

    async fn owe(&self, names: &[Vec<u8>]) -> bool {
        self.fleet.owe(names).await
    }

    fn leases(&self) -> bool {
        true
    }

    async fn lease(&self, name: &[u8]) -> Result<Lease> {
        lender::lease(&self.leases, name).await
    }

    async fn delete_many(&self, names: &[Vec<u8>]) -> Result<()> {
        let delete = |bytes: &mut Vec<u8>, at: usize| command::delete(bytes, &names[at]);
        self.fleet.do_quietly(names, delete).await
    }
}
