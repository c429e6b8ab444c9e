//! The nodes together: what is said to each of them, and where else it is said when it was the wrong one.

use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::vec::IntoIter;

use arc_swap::ArcSwap;
use larder_core::{Error, ErrorKind, Result};
use larder_net::{Begun, Client, Deadline, Debts, Medium, Place, Request};
use redis::{ServerError, Value};

use super::command::{Command, plain};
use super::life::{ASK, Life};
use super::map::{Map, Node, read_redirection};
use crate::news::Watchers;
use crate::transport::{Link, Replies};

/// How often a command is sent on from node to node.
const REDIRECTIONS: usize = 8;

/// The nodes of the Cluster.
#[derive(Debug)]
pub(super) struct Fleet<M: Medium> {
    pub(super) link: Link,
    pub(super) map: ArcSwap<Map<M>>,
    /// When the map may be asked for again, in milliseconds since `start`.
    pub(super) next_ask: AtomicU64,
    /// When nodes may be asked again that do not tell of changes.
    pub(super) next_wake: AtomicU64,
    pub(super) start: Instant,
    /// How often the map was asked for.
    pub(super) asked: AtomicU64,
    /// What each bucket is to be rid of before it is read or written.
    pub(super) debts: Debts,
    /// The process of which a round is to come that pays them.
    pub(super) paying: AtomicU32,
    /// Those who want to be told of changes.
    pub(super) watchers: Watchers,
    /// Held while one of them is told a sign of life or a loss, and while the map is exchanged.
    pub(super) telling: Mutex<()>,
}

/// What a node answered to a command.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) value: Value,
    /// The life that answered.
    pub(super) life: Life,
}

/// A command that has not been answered yet.
struct Open<M: Medium> {
    /// Its place in the list.
    at: usize,
    /// The node that takes it while its slot moves there.
    asking: Option<Arc<Node<M>>>,
    /// Whether its script goes along.
    in_full: bool,
}

/// The commands for one node.
struct Batch<M: Medium> {
    node: Arc<Node<M>>,
    open: Vec<Open<M>>,
    repeatable: bool,
    /// The life that its stamps are those of.
    life: Life,
    bytes: Vec<u8>,
    begun: Option<Result<Begun<M>>>,
}

/// What an answer means.
enum Meaning<M: Medium> {
    Answered(Result<Answer>),
    /// It has to be sent once more.
    Again(Open<M>),
}

impl<M: Medium> Fleet<M> {
    pub(super) fn new(link: Link, seeds: Vec<Place>) -> Arc<Self> {
        let seeds: Vec<_> = seeds
            .into_iter()
            .map(|place| new_node(&link, place))
            .collect();
        Arc::new(Self {
            link,
            map: ArcSwap::from_pointee(Map::unknown(seeds)),
            next_ask: AtomicU64::new(0),
            next_wake: AtomicU64::new(0),
            start: Instant::now(),
            asked: AtomicU64::new(0),
            debts: Debts::default(),
            paying: AtomicU32::new(0),
            watchers: Watchers::default(),
            telling: Mutex::default(),
        })
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::of_operation(self.link.deadline)
    }

    /// Carries out commands, each at the node that has its slot: one trip to each of these, all at once.
    /// The answers come in the order of the commands.
    pub(super) async fn run(
        self: &Arc<Self>,
        commands: &[Command<'_>],
        deadline: Deadline,
    ) -> Vec<Result<Answer>> {
        let mut answers: Vec<Option<Result<Answer>>> = commands.iter().map(|_| None).collect();
        if let Err(error) = self.known(deadline).await {
            return commands.iter().map(|_| Err(again(&error))).collect();
        }
        let mut open: Vec<Open<M>> = (0..commands.len())
            .map(|at| Open {
                at,
                asking: None,
                in_full: false,
            })
            .collect();
        for _ in 0..REDIRECTIONS {
            if open.is_empty() {
                break;
            }
            let (batches, homeless) = self.batches(commands, std::mem::take(&mut open));
            for at in homeless {
                self.ask_soon();
                answers[at] = Some(Err(nobody(commands[at].slot)));
            }
            for (at, meaning) in self.exchange(commands, batches, deadline).await {
                match meaning {
                    Meaning::Answered(answer) => answers[at] = Some(answer),
                    Meaning::Again(again) => open.push(again),
                }
            }
        }
        let lost = || {
            Error::new(
                ErrorKind::Store,
                "the nodes send a command from one to another",
            )
        };
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(lost())))
            .collect()
    }

    /// The commands for each node, and those whose slots nobody serves.
    fn batches(&self, commands: &[Command<'_>], open: Vec<Open<M>>) -> (Vec<Batch<M>>, Vec<usize>) {
        let map = self.map.load();
        let (mut batches, mut homeless): (Vec<Batch<M>>, _) = (Vec::new(), Vec::new());
        for one in open {
            let command = &commands[one.at];
            let node = one.asking.as_ref().or_else(|| map.owner(command.slot));
            let Some(node) = node.cloned() else {
                homeless.push(one.at);
                continue;
            };
            match batches
                .iter_mut()
                .find(|batch| Arc::ptr_eq(&batch.node, &node))
            {
                Some(batch) => {
                    batch.repeatable &= command.repeatable;
                    batch.open.push(one);
                }
                None => batches.push(Batch {
                    node,
                    open: vec![one],
                    repeatable: command.repeatable,
                    life: Life::NONE,
                    bytes: Vec::new(),
                    begun: None,
                }),
            }
        }
        // Who has to be connected to first may use up the time of the others.
        batches.sort_by_key(|batch| !batch.node.client.breaker().is_proved());
        (batches, homeless)
    }

    /// One exchange with each node. All requests are on their way before the first answer is waited for.
    async fn exchange(
        self: &Arc<Self>,
        commands: &[Command<'_>],
        mut batches: Vec<Batch<M>>,
        deadline: Deadline,
    ) -> Vec<(usize, Meaning<M>)> {
        for batch in &mut batches {
            batch.begun = Some(self.begin(commands, batch, deadline).await);
        }
        let mut meanings = Vec::new();
        for mut batch in batches {
            let mut replies = Replies::new(batch.replies(), self.link.limits());
            let answered = match batch.begun.take() {
                Some(Ok(begun)) => {
                    let exchange = (begun, request(&batch.bytes, batch.repeatable));
                    let client = &batch.node.client;
                    client.finish(exchange, &mut replies, deadline).await
                }
                Some(Err(error)) => Err(error),
                None => continue,
            };
            match answered.and_then(|values| self.alive(&batch.node, values)) {
                Ok(alive) => meanings.extend(self.understand(commands, batch, alive)),
                Err(error) => {
                    self.ask_soon();
                    let failed = batch.open.into_iter().map(|one| {
                        let at = one.at;
                        (at, self.failed(commands, &batch.node, one, &error))
                    });
                    meanings.extend(failed);
                }
            }
        }
        meanings
    }

    async fn begin(
        &self,
        commands: &[Command<'_>],
        batch: &mut Batch<M>,
        deadline: Deadline,
    ) -> Result<Begun<M>> {
        let is_stamped = |one: &Open<M>| commands[one.at].is_stamped();
        batch.life = match batch.node.life() {
            Some(life) => life,
            None if batch.open.iter().any(is_stamped) => self.meet(&batch.node, deadline).await?,
            // It is written nowhere.
            None => Life::NONE,
        };
        plain(&mut batch.bytes, &ASK);
        for one in &batch.open {
            if one.asking.is_some() {
                plain(&mut batch.bytes, &[b"ASKING"]);
            }
            commands[one.at].write(&mut batch.bytes, batch.life, one.in_full);
        }
        let request = request(&batch.bytes, batch.repeatable);
        batch.node.client.begin(request, deadline).await
    }

    /// Asks a node which life it is in.
    pub(super) async fn meet(&self, node: &Node<M>, deadline: Deadline) -> Result<Life> {
        let mut bytes = Vec::new();
        plain(&mut bytes, &ASK);
        let mut replies = Replies::new(1, self.link.limits());
        let request = request(&bytes, true);
        let values = node
            .client
            .exchange(request, &mut replies, deadline)
            .await?;
        self.alive(node, values).map(|(life, _)| life)
    }

    /// The life that has answered, and the answers behind it.
    pub(super) fn alive(
        &self,
        node: &Node<M>,
        values: Vec<Value>,
    ) -> Result<(Life, IntoIter<Value>)> {
        let mut values = values.into_iter();
        let life = match values.next() {
            Some(Value::ServerError(_)) => node.unnamed_life(),
            Some(told) => Life::read(&told),
            None => None,
        };
        let Some(life) = life else {
            let detail = format!("{} does not say which server it is", node.place);
            return Err(Error::new(ErrorKind::Store, detail));
        };
        node.answered(life);
        Ok((life, values))
    }

    fn understand(
        self: &Arc<Self>,
        commands: &[Command<'_>],
        batch: Batch<M>,
        (life, mut values): (Life, IntoIter<Value>),
    ) -> Vec<(usize, Meaning<M>)> {
        let mut meanings = Vec::with_capacity(batch.open.len());
        for one in batch.open {
            let (at, command) = (one.at, &commands[one.at]);
            if one.asking.is_some() {
                values.next();
            }
            let value = values.next().unwrap_or(Value::Nil);
            let refused = match &value {
                Value::ServerError(error) => self.refused(&batch.node, (command.slot, &one), error),
                _ => None,
            };
            let meaning = match refused {
                Some(meaning) => meaning,
                // What was written with the stamp of another life is not there: a mark that fences a load
                // has to be written once more.
                None if command.is_stamped() && life != batch.life => Meaning::Again(one),
                None => Meaning::Answered(Ok(Answer { value, life })),
            };
            meanings.push((at, meaning));
        }
        meanings
    }

    /// What a refusal means, unless that is for the caller to say.
    fn refused(
        self: &Arc<Self>,
        node: &Node<M>,
        (slot, open): (u16, &Open<M>),
        error: &ServerError,
    ) -> Option<Meaning<M>> {
        let redirected = || read_redirection(error.details()?, &node.place);
        let again = |asking, in_full| {
            let at = open.at;
            Some(Meaning::Again(Open {
                at,
                asking,
                in_full,
            }))
        };
        match error.code() {
            "MOVED" => {
                let (_, place) = redirected()?;
                self.move_slot(slot, &place);
                self.ask_soon();
                again(None, open.in_full)
            }
            "ASK" => {
                let (_, place) = redirected()?;
                let to = self.node_at(&place);
                self.meets(&to);
                again(Some(to), open.in_full)
            }
            "NOSCRIPT" if !open.in_full => again(open.asking.clone(), true),
            "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "READONLY" => {
                self.ask_soon();
                let detail = format!("{} cannot serve its slots now: {error}", node.place);
                let error = Error::new(ErrorKind::Unavailable, detail);
                Some(Meaning::Answered(Err(error)))
            }
            _ => None,
        }
    }

    /// What becomes of a command whose node does not answer: another one may have its slot by now.
    fn failed(
        &self,
        commands: &[Command<'_>],
        node: &Arc<Node<M>>,
        open: Open<M>,
        error: &Error,
    ) -> Meaning<M> {
        let command = &commands[open.at];
        let map = self.map.load();
        let owner = map.owner(command.slot);
        let is_elsewhere = owner.is_some_and(|owner| !Arc::ptr_eq(owner, node));
        let was_heard = error.kind() != ErrorKind::Unavailable;
        if is_elsewhere && open.asking.is_none() && (command.repeatable || !was_heard) {
            return Meaning::Again(open);
        }
        Meaning::Answered(Err(again(error)))
    }

    /// The node at a place.
    pub(super) fn node_at(&self, place: &Place) -> Arc<Node<M>> {
        let known = self.map.load().node(place).cloned();
        known.unwrap_or_else(|| new_node(&self.link, place.clone()))
    }

    fn move_slot(&self, slot: u16, place: &Place) {
        let node = self.node_at(place);
        self.learn(|map| map.moved(slot, &node));
    }
}

impl<M: Medium> Batch<M> {
    fn replies(&self) -> usize {
        let each = |one: &Open<M>| 1 + usize::from(one.asking.is_some());
        1 + self.open.iter().map(each).sum::<usize>()
    }
}

pub(super) fn new_node<M: Medium>(link: &Link, place: Place) -> Arc<Node<M>> {
    let client = Client::new(link.target_at(place.clone()), link.greeting());
    Arc::new(Node::new(place, client))
}

pub(super) const fn request(bytes: &[u8], repeatable: bool) -> Request<'_> {
    Request { bytes, repeatable }
}

/// The same error for one more of those whom it concerns.
pub(super) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.detail())
}

fn nobody(slot: u16) -> Error {
    let detail = format!("no node of the Cluster serves slot {slot}");
    Error::new(ErrorKind::Unavailable, detail)
}
