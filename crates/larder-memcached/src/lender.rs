//! Who may load a key, among all processes: a record of its own, which goes away by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder_core::store::{Found, Lease, Look};
use larder_core::{Clock, Error, ErrorKind, Result, Timestamp};
use larder_net::{ALONE, Ended, LEASE, Leases, Medium, Record, Work};

use crate::command::{self, When};
use crate::fleet::Fleet;

/// How often somebody asks whose lease ends whenever it is looked at.
const ATTEMPTS: usize = 10;

/// What the servers do for leases.
#[derive(Debug)]
pub(crate) struct Lender<M: Medium> {
    fleet: Arc<Fleet<M>>,
    clock: Arc<dyn Clock>,
}

/// What is to become of a record that still has its token.
enum Change {
    Renew,
    Remove,
    Alone(Timestamp),
}

impl<M: Medium> Lender<M> {
    pub(crate) const fn new(fleet: Arc<Fleet<M>>, clock: Arc<dyn Clock>) -> Self {
        Self { fleet, clock }
    }

    /// What stands under the name, if the server answers.
    async fn found(&self, name: &[u8]) -> Result<Option<Found>> {
        match self.fleet.read(&[name.to_vec()], 0).await?.pop() {
            Some(Look::Found(found)) => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// Changes the records that still have their tokens: by version, so that what another holder has
    /// written meanwhile stays.
    async fn change(&self, changes: Vec<(Record, Change)>) -> Result<()> {
        let names: Vec<Vec<u8>> = changes
            .iter()
            .map(|(record, _)| record.name.clone())
            .collect();
        let found = self.fleet.read(&names, 0).await?;
        let say = |bytes: &mut Vec<u8>, at: usize| {
            let (record, change) = &changes[at];
            if let Look::Found(found) = &found[at]
                && found.bytes == record.token
            {
                write(bytes, (record, change), found.version);
            }
        };
        self.fleet.do_quietly(&names, say).await
    }
}

fn write(bytes: &mut Vec<u8>, (record, change): (&Record, &Change), version: u64) {
    let name = &record.name;
    let mut put = |what: &[u8], life: Duration| {
        command::replace_version(bytes, name, what, (version, life.as_secs()));
    };
    match change {
        Change::Renew => put(&record.token, LEASE),
        Change::Alone(until) => put(&Record::text_alone(*until), ALONE),
        Change::Remove => command::delete_version(bytes, name, version),
    }
}

impl<M: Medium> larder_net::Lender for Lender<M> {
    async fn renew(&self, records: &[Record]) -> Result<()> {
        let changes = records.iter().map(|record| (record.clone(), Change::Renew));
        self.change(changes.collect()).await
    }

    async fn give_up(&self, ended: &[Ended]) -> Result<()> {
        let change = |ended: &Ended| {
            let change = ended.alone.map_or(Change::Remove, Change::Alone);
            (ended.record.clone(), change)
        };
        self.change(ended.iter().map(change).collect()).await
    }

    async fn left(&self, record: &Record) -> Result<Option<Duration>> {
        let found = self.found(&record.name).await?;
        // How much of its life is left nobody needs to know who looks this often.
        Ok(found
            .filter(|found| found.bytes == record.token)
            .map(|_| LEASE))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn later(&self, at: Instant, work: Work) {
        M::later(at, work);
    }
}

/// Asks for the lease that lies under this name.
pub(crate) async fn lease<M: Medium>(leases: &Leases<Lender<M>>, name: &[u8]) -> Result<Lease> {
    let lender = larder_net::Leases::lender(leases);
    let now = lender.clock.now();
    let former = leases.former(name);
    let alone = former.as_ref().and_then(|former| former.alone);
    if alone.is_some_and(|until| now < until) {
        return Ok(Lease::Alone);
    }
    let record = Record::with_token(name)?;
    let mut when = When::Absent;
    for _ in 0..ATTEMPTS {
        let new = (LEASE.as_secs(), when);
        if lender.fleet.store(name, &record.token, new).await? {
            return Ok(Lease::Lead(leases.hold(record, true)));
        }
        let Some(found) = lender.found(name).await? else {
            // It has just ended.
            when = When::Absent;
            continue;
        };
        let is_former = former
            .as_ref()
            .is_some_and(|former| former.record.token == found.bytes);
        match Record::read_alone(&found.bytes) {
            Some(until) if now < until => return Ok(Lease::Alone),
            // The minute is over, by the clock of the cache; or this process has just given it up.
            Some(_) => when = When::Version(found.version),
            None if is_former => when = When::Version(found.version),
            None => {
                let (name, token) = (name.to_vec(), found.bytes);
                return Ok(Lease::Follow(leases.follow(Record { name, token })));
            }
        }
    }
    let detail = "a lease was taken and given up again and again while it was being asked for";
    Err(Error::new(ErrorKind::Timeout, detail))
}
