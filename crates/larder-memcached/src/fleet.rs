//! The servers together: what one of them has, it alone is asked for.

use std::time::Duration;

use larder_core::store::Look;
use larder_core::{Error, ErrorKind, Result};
use larder_net::{Begun, Client, Deadline, Debts, Medium, Reader, Request};

use crate::command::{self, When};
use crate::leavings::Leavings;
use crate::reply::{Limits, Outcome, Quiet, Stored, Values};
use crate::ring::Ring;

/// How many names go to a server at once. A request is read by the server while it may be stuck with
/// its answers, so it has to fit into the buffers between the two.
const AT_ONCE: usize = 400;

/// The clients of all servers, and which of them has what.
#[derive(Debug)]
pub(crate) struct Fleet<M: Medium> {
    pub(crate) clients: Vec<Client<M>>,
    pub(crate) ring: Ring,
    /// What removals have left behind.
    pub(crate) leavings: Leavings,
    /// What each server is to be told before anything else.
    debts: Debts,
    deadline: Duration,
    limits: Limits,
}

/// The names that go to one server, by their places in the list.
pub(crate) type Part = (usize, Vec<usize>);

impl<M: Medium> Fleet<M> {
    pub(crate) fn new(
        clients: Vec<Client<M>>,
        ring: Ring,
        deadline: Duration,
        most: usize,
    ) -> Self {
        const ROOM: usize = 256 << 20;
        Self {
            debts: Debts::default(),
            clients,
            leavings: Leavings::default(),
            ring,
            deadline,
            limits: Limits {
                value: most,
                total: ROOM.max(most.saturating_mul(4)),
            },
        }
    }

    fn server(&self, name: &[u8]) -> usize {
        let route = name
            .get(..8)
            .and_then(|route| std::str::from_utf8(route).ok());
        let route = route.and_then(|route| u32::from_str_radix(route, 16).ok());
        // All names of a store begin with a route; others would be no server's in particular.
        self.ring.server(route.unwrap_or(0))
    }

    /// The names, in pieces that a server takes at once.
    pub(crate) fn parts(&self, names: &[Vec<u8>]) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let server = self.server(name);
            let open = |part: &&mut Part| part.0 == server && part.1.len() < AT_ONCE;
            match parts.iter_mut().rev().find(open) {
                Some(part) => part.1.push(at),
                None => parts.push((server, vec![at])),
            }
        }
        parts
    }

    /// Carries out one exchange for each part, and hands its answer over. The requests to different
    /// servers are all on their way before the first answer is waited for.
    pub(crate) async fn exchange<R: Reader>(
        &self,
        parts: Vec<Part>,
        ask: impl Fn(&[usize]) -> (Vec<u8>, R),
        mut answered: impl FnMut(Vec<usize>, Result<R::Answer>),
    ) {
        let deadline = Deadline::of_operation(self.deadline);
        let mut waiting = parts;
        while !waiting.is_empty() {
            let mut underway: Vec<Underway<M, R>> = Vec::new();
            let mut later = Vec::new();
            for (server, places) in waiting {
                // A connection carries one request at a time.
                if underway.iter().any(|under| under.server == server) {
                    later.push((server, places));
                    continue;
                }
                let (bytes, reader) = ask(&places);
                let begun = self.begin(server, repeatable(&bytes), deadline).await;
                underway.push(Underway {
                    server,
                    places,
                    bytes,
                    reader,
                    begun,
                });
            }
            for mut under in underway {
                let answer = match under.begun {
                    Ok(begun) => {
                        let exchange = (begun, repeatable(&under.bytes));
                        let client = &self.clients[under.server];
                        client.finish(exchange, &mut under.reader, deadline).await
                    }
                    Err(error) => Err(error),
                };
                answered(under.places, answer);
            }
            waiting = later;
        }
    }

    /// Sends a request, once the server has been told what it is to be told first.
    async fn begin(
        &self,
        server: usize,
        request: Request<'_>,
        deadline: Deadline,
    ) -> Result<Begun<M>> {
        let client = &self.clients[server];
        loop {
            let names = self.debts.of(server)?;
            if names.is_empty() {
                break;
            }
            for some in names.chunks(AT_ONCE) {
                let mut bytes = Vec::with_capacity(some.len() * 48 + 8);
                for (name, _) in some {
                    command::delete(&mut bytes, name);
                }
                bytes.extend_from_slice(command::NOTHING_ELSE);
                let begun = client.begin(repeatable(&bytes), deadline).await?;
                let exchange = (begun, repeatable(&bytes));
                client
                    .finish(exchange, &mut Quiet::default(), deadline)
                    .await?;
                self.debts.paid(server, some)?;
            }
        }
        client.begin(request, deadline).await
    }

    /// Deletes names now, or before the servers that have them are used again. Answers whether that is
    /// seen to: by the cache where there is one server, of which everything waits.
    pub(crate) async fn owe(&self, names: &[Vec<u8>]) -> bool {
        if self.clients.len() == 1 {
            return false;
        }
        let mut all = true;
        for name in names {
            all &= self.debts.add(self.server(name), name);
        }
        // The servers that answer have nothing to be told later.
        let nothing = |_: &mut Vec<u8>, _| {};
        let _ = self.do_quietly(names, nothing).await;
        all
    }

    /// Reads names, of which it deletes the first `taken`.
    pub(crate) async fn read(&self, names: &[Vec<u8>], taken: usize) -> Result<Vec<Look>> {
        let ask = |places: &[usize]| {
            let some: Vec<&[u8]> = places.iter().map(|&at| names[at].as_slice()).collect();
            let mut bytes = Vec::with_capacity(some.len() * 48 + 8);
            command::read(&mut bytes, &some);
            let deleted = || places.iter().filter(|&&at| at < taken);
            for &at in deleted() {
                command::delete(&mut bytes, &names[at]);
            }
            let more = deleted().next().is_some();
            if more {
                bytes.extend_from_slice(command::NOTHING_ELSE);
            }
            (bytes, Values::new(some, more, self.limits))
        };
        let mut found = vec![Look::Away; names.len()];
        let mut first = Err(None);
        self.exchange(self.parts(names), ask, |places, answer| match answer {
            Ok(Ok(values)) => {
                first = Ok(());
                for (at, value) in places.into_iter().zip(values) {
                    found[at] = value;
                }
            }
            Ok(Err(refusal)) => note(&mut first, Error::new(ErrorKind::Store, refusal)),
            Err(error) => note(&mut first, error),
        })
        .await;
        match first {
            Err(Some(error)) => Err(error),
            _ => Ok(found),
        }
    }

    /// Deletes names where exactly the bytes of these versions are.
    pub(crate) async fn delete_versions(&self, versions: &[(Vec<u8>, u64)]) -> Result<()> {
        let names: Vec<Vec<u8>> = versions.iter().map(|(name, _)| name.clone()).collect();
        let delete = |bytes: &mut Vec<u8>, at: usize| {
            command::delete_version(bytes, &names[at], versions[at].1);
        };
        self.do_quietly(&names, delete).await
    }

    /// Says something about each of these names to which there is no answer.
    pub(crate) async fn do_quietly(
        &self,
        names: &[Vec<u8>],
        say: impl Fn(&mut Vec<u8>, usize),
    ) -> Result<()> {
        let ask = |places: &[usize]| {
            let mut bytes = Vec::with_capacity(places.len() * 64 + 8);
            places.iter().for_each(|&at| say(&mut bytes, at));
            bytes.extend_from_slice(command::NOTHING_ELSE);
            (bytes, Quiet::default())
        };
        let mut first = Ok(());
        let answered = |_, answer: Result<()>| {
            if first.is_ok() {
                first = answer;
            }
        };
        self.exchange(self.parts(names), ask, answered).await;
        first
    }

    /// Stores bytes, with an end as [`command::end`] has it. Answers whether the server took them.
    pub(crate) async fn store(
        &self,
        name: &[u8],
        bytes: &[u8],
        (end, when): (u64, When),
    ) -> Result<bool> {
        let deadline = Deadline::of_operation(self.deadline);
        let server = self.server(name);
        let client = &self.clients[server];
        let line = command::store(name, bytes, (end, when));
        // A second time it might undo what somebody else has done in between.
        let request = Request {
            bytes: &line,
            repeatable: false,
        };
        let begun = self.begin(server, request, deadline).await?;
        match client
            .finish((begun, request), &mut Stored, deadline)
            .await?
        {
            Outcome::Stored => Ok(true),
            Outcome::Kept => Ok(false),
            Outcome::Refused(refusal) => Err(refused(refusal, bytes.len())),
        }
    }
}

/// A request on its way to a server.
struct Underway<M: Medium, R> {
    server: usize,
    places: Vec<usize>,
    bytes: Vec<u8>,
    reader: R,
    begun: Result<Begun<M>>,
}

/// Reading twice does no harm, nor does deleting twice: what a purge deletes is to be gone.
const fn repeatable(bytes: &[u8]) -> Request<'_> {
    Request {
        bytes,
        repeatable: true,
    }
}

/// The first failure, unless something succeeded.
fn note(first: &mut Result<(), Option<Error>>, error: Error) {
    if matches!(first, Err(None)) {
        *first = Err(Some(error));
    }
}

fn refused(refusal: String, length: usize) -> Error {
    if refusal.contains("too large") {
        let detail = format!("{length} bytes ({refusal}; its option -I says how much it takes)");
        return Error::new(ErrorKind::TooLarge, detail);
    }
    Error::new(ErrorKind::Store, refusal)
}
