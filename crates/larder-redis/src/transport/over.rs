//! The transport: requests and answers of one server over a medium.

use std::time::Instant;

use larder_core::Result;
use larder_net::{self as net, Breaker, Client, Deadline, Medium, Work};
use redis::Value;

use super::reply::Replies;
use super::{Link, Request, Transport};

/// The transport for threads: an exchange is over when the call returns. Works in both processes after
/// a fork.
pub type Blocking = Over<net::Threads>;

/// The transport for tasks that run on tokio. A connection lives as long as the runtime that it was
/// made on, and is replaced then.
#[cfg(feature = "tokio")]
pub type Tokio = Over<net::Tasks>;

/// The transport to one server. Cheap to clone; all clones share their connections.
///
/// Every exchange ends by its deadline, whatever the server does: the time for the name, the
/// connection, the greeting, the request and the answer is one. A connection that a request did not
/// leave in order is closed.
#[derive(Clone, Debug)]
pub struct Over<M: Medium> {
    link: Link,
    client: Client<M>,
}

impl<M: Medium> Over<M> {
    /// A transport to the server of `link`. It connects when it is first used.
    pub fn new(link: Link) -> Self {
        let client = Client::new(link.target(), link.greeting());
        Self { link, client }
    }

    /// How many connections were tried since the transport was made.
    pub fn attempts(&self) -> u64 {
        self.client.attempts()
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        self.client.breaker()
    }
}

impl<M: Medium> Transport for Over<M> {
    fn may_wait(&self) -> bool {
        M::MAY_WAIT
    }

    fn may_block(&self) -> bool {
        !M::MAY_WAIT
    }

    fn link(&self) -> &Link {
        &self.link
    }

    fn is_proved(&self) -> bool {
        let breaker = self.client.breaker();
        breaker.is_proved() && !breaker.is_open()
    }

    fn later(&self, at: Instant, work: Work) {
        M::later(at, work);
    }

    async fn exchange(&self, request: &Request, deadline: Deadline) -> Result<Vec<Value>> {
        if request.commands.is_empty() {
            return Ok(Vec::new());
        }
        let packed = request.commands.get_packed_pipeline();
        let sent = net::Request {
            bytes: &packed,
            repeatable: request.repeatable,
        };
        let mut replies = Replies::new(request.commands.len(), self.link.limits());
        self.client.exchange(sent, &mut replies, deadline).await
    }
}
