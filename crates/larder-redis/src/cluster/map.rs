//! Which node has which slots, as far as this process has heard.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use larder_net::{Client, Medium, Place};
use redis::Value;

use super::hear::Ear;
use super::life::Life;
use super::slot::SLOTS;

/// A node of the Cluster, at its place.
#[derive(Debug)]
pub(super) struct Node<M: Medium> {
    pub(super) place: Place,
    pub(super) client: Client<M>,
    /// The number of the life that answered last; 0 before one has.
    life: AtomicU64,
    /// The number of the node itself, for nodes that do not name their life; 0 while nobody has said.
    id: AtomicU64,
    /// The channel on which it tells of changes, where somebody wants to know.
    pub(super) ear: ArcSwapOption<Ear<M>>,
}

impl<M: Medium> Node<M> {
    pub(super) fn new(place: Place, client: Client<M>) -> Self {
        Self {
            place,
            client,
            life: AtomicU64::new(0),
            id: AtomicU64::new(0),
            ear: ArcSwapOption::empty(),
        }
    }

    /// The life that answered last.
    pub(super) fn life(&self) -> Option<Life> {
        Life::from_number(self.life.load(Ordering::Relaxed))
    }

    pub(super) fn answered(&self, life: Life) {
        if let Some(ear) = &*self.ear.load() {
            ear.news.answered();
        }
        if self.life() != Some(life) {
            self.life.store(life.number(), Ordering::Relaxed);
        }
    }

    /// What stands for its life where the node does not name it, because its access rules forbid the
    /// question: then a restart goes unnoticed, and a replica that takes over does not.
    pub(super) fn unnamed_life(&self) -> Option<Life> {
        Life::from_number(self.id.load(Ordering::Relaxed))
    }
}

/// The nodes, and whose each slot is.
#[derive(Debug)]
pub(super) struct Map<M: Medium> {
    /// Those that the program has named.
    seeds: Vec<Arc<Node<M>>>,
    /// All that are known, replicas included.
    nodes: HashMap<Place, Arc<Node<M>>>,
    /// The masters, by whom the slots are served.
    owners: Vec<Arc<Node<M>>>,
    /// For each slot its place among the owners, or [`NOBODY`]; empty before anybody was asked.
    slots: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

/// What a node tells of the Cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    masters: Vec<Served>,
    replicas: Vec<Place>,
}

/// A node that serves slots.
#[derive(Debug, PartialEq, Eq)]
struct Served {
    place: Place,
    id: Vec<u8>,
    slots: Vec<(u16, u16)>,
}

impl<M: Medium> Map<M> {
    /// The map of who knows nothing but some places.
    pub(super) fn unknown(seeds: Vec<Arc<Node<M>>>) -> Self {
        let nodes = seeds.iter().cloned();
        Self {
            nodes: nodes.map(|node| (node.place.clone(), node)).collect(),
            seeds,
            owners: Vec::new(),
            slots: Vec::new(),
        }
    }

    pub(super) fn is_known(&self) -> bool {
        !self.slots.is_empty()
    }

    pub(super) fn node(&self, place: &Place) -> Option<&Arc<Node<M>>> {
        self.nodes.get(place)
    }

    /// All nodes, those that serve slots first.
    pub(super) fn nodes(&self) -> Vec<Arc<Node<M>>> {
        self.owners.iter().chain(self.others()).cloned().collect()
    }

    /// The nodes that serve no slot.
    pub(super) fn others(&self) -> impl Iterator<Item = &Arc<Node<M>>> {
        self.nodes.values().filter(|node| !self.serves(node))
    }

    /// Whether a node serves slots, or takes over some at this moment.
    pub(super) fn serves(&self, node: &Arc<Node<M>>) -> bool {
        self.owners.iter().any(|owner| Arc::ptr_eq(owner, node))
    }

    /// The nodes that serve slots.
    pub(super) fn owners(&self) -> &[Arc<Node<M>>] {
        &self.owners
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Node<M>>> {
        let owner = *self.slots.get(usize::from(slot))?;
        self.owners.get(usize::from(owner))
    }

    /// The map as somebody has just told it.
    pub(super) fn told(&self, told: &Told, make: impl Fn(&Place) -> Arc<Node<M>>) -> Self {
        let mut map = Self::unknown(self.seeds.clone());
        map.slots = vec![NOBODY; SLOTS];
        let mut enter = |place: &Place| {
            let known = self.nodes.get(place);
            let node = known.cloned().unwrap_or_else(|| make(place));
            Arc::clone(map.nodes.entry(place.clone()).or_insert(node))
        };
        told.replicas.iter().for_each(|place| drop(enter(place)));
        for served in &told.masters {
            let node = enter(&served.place);
            let id = Life::named(&served.id).number();
            node.id.store(id, Ordering::Relaxed);
            let owner = u16::try_from(map.owners.len()).unwrap_or(NOBODY);
            map.owners.push(node);
            for &(first, last) in &served.slots {
                let last = usize::from(last).min(SLOTS - 1);
                map.slots[usize::from(first).min(last)..=last].fill(owner);
            }
        }
        map
    }

    /// The map in which this slot is at this place: what a node has said that was asked in vain.
    pub(super) fn moved(&self, slot: u16, node: &Arc<Node<M>>) -> Self {
        let mut map = self.met(node);
        let at = map.owners.iter().position(|owner| Arc::ptr_eq(owner, node));
        let at = at.and_then(|at| u16::try_from(at).ok()).unwrap_or(NOBODY);
        if let Some(owner) = map.slots.get_mut(usize::from(slot)) {
            *owner = at;
        }
        map
    }

    /// The map in which this node is among those that serve slots: one is moving there.
    pub(super) fn met(&self, node: &Arc<Node<M>>) -> Self {
        let mut map = Self {
            seeds: self.seeds.clone(),
            nodes: self.nodes.clone(),
            owners: self.owners.clone(),
            slots: self.slots.clone(),
        };
        map.nodes.insert(node.place.clone(), Arc::clone(node));
        if !map.serves(node) {
            map.owners.push(Arc::clone(node));
        }
        map
    }
}

/// The nodes in the answer to `CLUSTER SLOTS`, which the node at `asked` gave; `None` where it is none,
/// or where nobody serves anything.
pub(super) fn read_slots(answer: &Value, asked: &Place) -> Option<Told> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut told = Told::default();
    for range in ranges {
        let Value::Array(range) = range else {
            return None;
        };
        let [Value::Int(first), Value::Int(last), master, replicas @ ..] = range.as_slice() else {
            return None;
        };
        let slots = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
        let (place, id) = read_node(master, asked)?;
        let mut masters = told.masters.iter_mut();
        match masters.find(|served| served.place == place) {
            Some(served) => served.slots.push(slots),
            None => told.masters.push(Served {
                place,
                id,
                slots: vec![slots],
            }),
        }
        let replicas = replicas.iter().filter_map(|node| read_node(node, asked));
        told.replicas.extend(replicas.map(|(place, _)| place));
    }
    (!told.masters.is_empty()).then_some(told)
}

fn read_node(node: &Value, asked: &Place) -> Option<(Place, Vec<u8>)> {
    let Value::Array(node) = node else {
        return None;
    };
    let (host, port, rest) = match node.as_slice() {
        [host, Value::Int(port), rest @ ..] => (host, u16::try_from(*port).ok()?, rest),
        _ => return None,
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        // A node that does not know what it is called is where it was asked.
        Value::Nil => "",
        _ => return None,
    };
    let id = match rest.first() {
        Some(Value::BulkString(id)) => id.clone(),
        _ => format!("{host}:{port}").into_bytes(),
    };
    Some((at(host, port, asked), id))
}

/// The place that a node names; without a host, or with a `?` for it, it is that of the node asked.
fn at(host: &str, port: u16, asked: &Place) -> Place {
    let host = match (host, asked) {
        ("" | "?", Place::Tcp { host, .. }) => host,
        ("" | "?", Place::Unix(_)) => "localhost",
        (host, _) => host,
    };
    Place::Tcp {
        host: host.to_owned(),
        port,
    }
}

/// The slot and the place in `3999 127.0.0.1:6381`, as a node at `asked` says it.
pub(super) fn read_redirection(details: &str, asked: &Place) -> Option<(u16, Place)> {
    let (slot, place) = details.split_once(' ')?;
    let (host, port) = place.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((slot.parse().ok()?, at(host, port.parse().ok()?, asked)))
}

#[cfg(test)]
mod tests {
    use larder_net::Place;
    use redis::Value;

    use super::{read_redirection, read_slots};

    fn place(host: &str, port: u16) -> Place {
        Place::Tcp {
            host: host.into(),
            port,
        }
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![
            host,
            Value::Int(port),
            text("id"),
            Value::Array(vec![]),
        ]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn nodes_say_what_they_serve() {
        let asked = place("seed", 1);
        let answer = Value::Array(vec![
            range(0, 5, text("10.0.0.1"), 7),
            range(6, 6, text(""), 8),
            range(7, 9, text("10.0.0.1"), 7),
            range(10, 16383, Value::Nil, 9),
        ]);
        let told = read_slots(&answer, &asked).expect("it is one");
        let places: Vec<&Place> = told.masters.iter().map(|served| &served.place).collect();
        let expected = [&place("10.0.0.1", 7), &place("seed", 8), &place("seed", 9)];
        assert_eq!(places, expected);
        assert_eq!(told.masters[0].slots, [(0, 5), (7, 9)]);
        for wrong in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(-1, 5, text("h"), 7)]),
            Value::Array(vec![range(0, 5, text("h"), 70_000)]),
            Value::Array(vec![range(0, 5, Value::Int(3), 7)]),
        ] {
            assert_eq!(read_slots(&wrong, &asked), None, "{wrong:?}");
        }
    }

    #[test]
    fn redirections_name_a_slot_and_a_place() {
        let asked = place("seed", 1);
        let read = |details| read_redirection(details, &asked);
        assert_eq!(read("3999 10.0.0.1:7"), Some((3999, place("10.0.0.1", 7))));
        assert_eq!(read("0 :7"), Some((0, place("seed", 7))));
        assert_eq!(read("0 ::1:7"), Some((0, place("::1", 7))));
        for wrong in ["", "x host:7", "1 host", "1 host:x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
