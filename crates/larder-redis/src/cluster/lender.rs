//! Who may load a key, among all processes: a record of its own, which goes away by itself.

use std::sync::Arc;
use std::time::Instant;

use larder_core::store::{Lease, Look};
use larder_core::{Clock, Error, ErrorKind, Result, Timestamp};
use larder_net::{ALONE, Deadline, Ended, LEASE, Leases, Medium, Record, Work};

use super::command::Command;
use super::fleet::Fleet;
use crate::answer;

/// How often somebody asks whose lease ends whenever it is looked at.
const ATTEMPTS: usize = 10;

/// What the nodes do for leases.
#[derive(Debug)]
pub(super) struct Lender<M: Medium> {
    fleet: Arc<Fleet<M>>,
    clock: Arc<dyn Clock>,
}

impl<M: Medium> Lender<M> {
    pub(super) const fn new(fleet: Arc<Fleet<M>>, clock: Arc<dyn Clock>) -> Self {
        Self { fleet, clock }
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.fleet.link.deadline)
    }
}

impl<M: Medium> larder_net::Lender for Lender<M> {
    async fn renew(&self, records: &[Record]) -> Result<()> {
        let renewals = records.iter();
        let renewals = renewals.map(|record| Command::renew(&record.name, &record.token));
        self.fleet
            .do_each(renewals, self.deadline())
            .await
            .map(drop)
    }

    async fn give_up(&self, ended: &[Ended]) -> Result<()> {
        let texts = ended
            .iter()
            .map(|ended| ended.alone.map(Record::text_alone));
        let texts: Vec<Option<Vec<u8>>> = texts.collect();
        let changes = ended
            .iter()
            .zip(&texts)
            .map(|(Ended { record, .. }, text)| match text {
                Some(text) => Command::swap(&record.name, (&record.token, text), Some(ALONE)),
                None => Command::give_up(&record.name, &record.token),
            });
        self.fleet.do_each(changes, self.deadline()).await.map(drop)
    }

    async fn left(&self, record: &Record) -> Result<Option<std::time::Duration>> {
        let found = self
            .fleet
            .read(std::slice::from_ref(&record.name), 0)
            .await?;
        // How much of its life is left nobody needs to know who looks this often.
        let holds = |look: &Look| matches!(look, Look::Found(found) if found.bytes == record.token);
        Ok(found.iter().any(holds).then_some(LEASE))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn later(&self, at: Instant, work: Work) {
        M::later(at, work);
    }
}

/// Asks for the lease that lies under this name.
pub(super) async fn lease<M: Medium>(leases: &Leases<Lender<M>>, name: &[u8]) -> Result<Lease> {
    let lender = leases.lender();
    let now = lender.clock.now();
    let former = leases.former(name);
    let alone = former.as_ref().and_then(|former| former.alone);
    if alone.is_some_and(|until| now < until) {
        return Ok(Lease::Alone);
    }
    let record = Record::with_token(name)?;
    let lead = || Ok(Lease::Lead(leases.hold(record.clone(), true)));
    for _ in 0..ATTEMPTS {
        let added = Command::add(name, &record.token, Some(LEASE));
        let answered = lender.fleet.change(name, added).await?;
        let there = answer::bytes(answered.value)?;
        let Some(there) = there.and_then(|there| answered.life.own(there)) else {
            return lead();
        };
        let is_former = former
            .as_ref()
            .is_some_and(|former| former.record.token == there);
        match Record::read_alone(&there) {
            Some(until) if now < until => return Ok(Lease::Alone),
            // The minute is over, by the clock of the cache; or this process has just given it up.
            Some(_) => {}
            None if is_former => {}
            None => {
                let (name, token) = (name.to_vec(), there);
                return Ok(Lease::Follow(leases.follow(Record { name, token })));
            }
        }
        let swap = Command::swap(name, (&there, &record.token), Some(LEASE));
        if lender.fleet.change(name, swap).await?.value == redis::Value::Int(1) {
            return lead();
        }
    }
    let detail = "a lease was taken and given up again and again while it was being asked for";
    Err(Error::new(ErrorKind::Timeout, detail))
}
