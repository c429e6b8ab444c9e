//! What tells of changes that others make: one channel to each node that serves slots.
//!
//! Copies may be used as long as every one of these nodes tells: the sign of life of the whole is that of
//! the node that gave one longest ago. When another node comes to serve slots, what was told until then is
//! not all, so the channel as a whole counts as lost before anybody reads there.
//!
//! One lock (`telling`) puts signs, losses and new maps in order: who hands on a sign has looked at the map
//! by which everybody reads at that moment, and a node that does not tell is in no map before the loss is
//! said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use larder_core::store::{Meaning, Meanings, Watcher};
use larder_core::{Key, Tag, Timestamp};
use larder_net::{Deadline, Medium, Threads};

use super::fleet::Fleet;
use super::map::{Map, Node};
use crate::news::{Change, Names, News};
use crate::transport::Over;

/// Nodes that do not tell yet are asked something so often at most.
const PAUSE: Duration = Duration::from_millis(500);

/// The channel to one node.
#[derive(Debug)]
pub(super) struct Ear<M: Medium> {
    fleet: Weak<Fleet<M>>,
    pub(super) news: Arc<News>,
    /// Knows where the node is; nothing is asked through it.
    transport: Arc<Over<Threads>>,
    signs: Mutex<Signs>,
}

/// The last signs of life of one node; `None` while it does not tell.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    alive: Option<Timestamp>,
    tick: Option<Timestamp>,
    /// The process to which they were given: a fork leaves the thread behind that hears.
    process: u32,
}

/// The names of a store as the channel needs them.
struct Told(Arc<dyn Meanings>);

impl Names for Told {
    fn prefix(&self) -> Vec<u8> {
        self.0.start()
    }

    fn record(&self) -> Option<Vec<u8>> {
        None
    }

    fn change(&self, name: &[u8]) -> Change {
        match self.0.meaning(name) {
            Meaning::Key(key) => Change::Key(key),
            Meaning::Tag(tag) => Change::Tag(tag),
            Meaning::All => Change::All,
            Meaning::Nothing => Change::Nothing,
        }
    }
}

impl<M: Medium> Fleet<M> {
    /// Tells `watcher` from now on, for as long as it lives; `false` where a node tells nobody.
    pub(super) fn watch(
        self: &Arc<Self>,
        watcher: Weak<dyn Watcher>,
        meanings: &Arc<dyn Meanings>,
    ) -> bool {
        self.watchers.add(watcher);
        let (mut all, mut silent) = (true, Vec::new());
        for node in self.map.load().owners() {
            let ear = match node.ear.load_full() {
                Some(ear) => ear,
                None => self.listen(node, meanings),
            };
            let told = Arc::downgrade(&ear) as Weak<dyn Watcher>;
            let may_tell = ear.news.watch(told, &ear.transport);
            all &= may_tell;
            if may_tell && !node.tells() {
                silent.push(Arc::clone(node));
            }
        }
        if !silent.is_empty() {
            self.wake(silent);
        }
        all
    }

    /// By what all who serve slots tell of changes, as long as they do.
    pub(super) fn told_by(&self) -> Option<&'static str> {
        let map = self.map.load();
        let told = map.owners().iter().map(|node| {
            let ear = node.ear.load_full()?;
            ear.news.told_by()
        });
        told.reduce(|one, other| one.and(other)).flatten()
    }

    /// The channel to a node that has none yet.
    fn listen(self: &Arc<Self>, node: &Node<M>, meanings: &Arc<dyn Meanings>) -> Arc<Ear<M>> {
        let _telling = self.telling();
        node.ear.load_full().unwrap_or_else(|| {
            let ear = Arc::new(Ear {
                fleet: Arc::downgrade(self),
                news: Arc::new(News::new(Told(Arc::clone(meanings)))),
                transport: Arc::new(Over::new(self.link.to(node.place.clone()))),
                signs: Mutex::default(),
            });
            node.ear.store(Some(Arc::clone(&ear)));
            ear
        })
    }

    /// Asks nodes something beside the caller: a channel is opened to who has answered somebody, and a node
    /// may be asked nothing for long.
    fn wake(self: &Arc<Self>, silent: Vec<Arc<Node<M>>>) {
        if !self.is_due(&self.next_wake, PAUSE) {
            return;
        }
        let fleet = Arc::clone(self);
        M::beside(async move {
            for node in silent {
                let deadline = Deadline::after(fleet.link.deadline);
                if fleet.meet(&node, deadline).await.is_err() {
                    // It is asked again after the pause, unless another one has taken over.
                    fleet.ask_soon();
                }
            }
        });
    }

    fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the map. Unless all who serve slots in the new one tell of changes, nobody may use copies
    /// until they do; and nobody reads by it before that is said.
    pub(super) fn learn(&self, change: impl Fn(&Map<M>) -> Map<M>) {
        let _telling = self.telling();
        self.map.rcu(|map| {
            let next = change(map);
            if self.watchers.are_there() && !next.owners().iter().all(|node| node.tells()) {
                self.watchers.lost();
            }
            next
        });
        for node in self.map.load().others() {
            node.ear.store(None);
        }
    }

    /// A slot is moving to this node, which may serve none so far.
    pub(super) fn meets(&self, node: &Arc<Node<M>>) {
        if !self.map.load().serves(node) {
            self.learn(|map| map.met(node));
        }
    }

    /// Hands on what all nodes have said by now, as far as it is said by all of them.
    fn say(&self, sign: fn(&Signs) -> Option<Timestamp>, tell: fn(&dyn Watcher, Timestamp)) {
        let map = self.map.load();
        let said = |node: &Arc<Node<M>>| sign(&node.ear.load_full()?.signs());
        let signs: Option<Vec<Timestamp>> = map.owners().iter().map(said).collect();
        if let Some(first) = signs.and_then(|signs| signs.into_iter().min()) {
            tell(&self.watchers, first);
        }
    }
}

impl<M: Medium> Node<M> {
    /// Whether the node tells of changes.
    fn tells(&self) -> bool {
        let ear = self.ear.load_full();
        ear.is_some_and(|ear| ear.signs().alive.is_some())
    }
}

impl<M: Medium> Ear<M> {
    fn lock(&self) -> MutexGuard<'_, Signs> {
        self.signs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signs(&self) -> Signs {
        let signs = *self.lock();
        match signs.process == std::process::id() {
            true => signs,
            false => Signs::default(),
        }
    }

    /// Notes a sign of life.
    fn sign(&self, note: impl FnOnce(&mut Signs)) {
        let mut signs = self.signs();
        note(&mut signs);
        signs.process = std::process::id();
        *self.lock() = signs;
    }

    /// Tells everybody something, unless nobody is there any more: then the channels end.
    fn each(&self, tell: impl FnOnce(&Fleet<M>)) {
        let Some(fleet) = self.fleet.upgrade() else {
            return;
        };
        if fleet.watchers.are_there() {
            return tell(&fleet);
        }
        for node in fleet.map.load().nodes() {
            node.ear.store(None);
        }
    }
}

impl<M: Medium> Watcher for Ear<M> {
    fn keys(&self, keys: &[Key]) {
        self.each(|fleet| fleet.watchers.keys(keys));
    }

    fn tags(&self, tags: &[Tag]) {
        self.each(|fleet| fleet.watchers.tags(tags));
    }

    fn everything(&self) {
        self.each(|fleet| fleet.watchers.everything());
    }

    fn alive(&self, at: Timestamp) {
        self.each(|fleet| {
            let _telling = fleet.telling();
            self.sign(|signs| signs.alive = Some(at));
            fleet.say(|signs| signs.alive, |watcher, at| watcher.alive(at));
        });
    }

    fn tick(&self, at: Timestamp) {
        self.each(|fleet| {
            let _telling = fleet.telling();
            self.sign(|signs| signs.tick = Some(at));
            fleet.say(|signs| signs.tick, |watcher, at| watcher.tick(at));
        });
    }

    fn lost(&self) {
        self.each(|fleet| {
            let _telling = fleet.telling();
            *self.lock() = Signs::default();
            fleet.watchers.lost();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, Weak};

    use larder_core::store::{Meaning, Meanings, Watcher};
    use larder_core::{Key, Tag, Timestamp};
    use larder_net::{Place, Threads};

    use super::Ear;
    use crate::cluster::fleet::{Fleet, new_node};
    use crate::cluster::map::Map;
    use crate::transport::{Address, Link};

    #[derive(Debug)]
    struct Nameless;

    impl Meanings for Nameless {
        fn start(&self) -> Vec<u8> {
            Vec::new()
        }

        fn meaning(&self, _name: &[u8]) -> Meaning {
            Meaning::Nothing
        }
    }

    /// Notes what it is told.
    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Notes {
        fn note(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }

        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Watcher for Notes {
        fn keys(&self, keys: &[Key]) {
            self.note(format!("keys {keys:?}"));
        }

        fn tags(&self, tags: &[Tag]) {
            self.note(format!("tags {tags:?}"));
        }

        fn everything(&self) {
            self.note("everything");
        }

        fn alive(&self, at: Timestamp) {
            self.note(format!("alive {}", at.as_millis()));
        }

        fn tick(&self, at: Timestamp) {
            self.note(format!("tick {}", at.as_millis()));
        }

        fn lost(&self) {
            self.note("lost");
        }
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_sign_of_life_of_all_is_the_oldest_and_none_without_one_of_each() {
        let address = Address::parse("redis+cluster://127.0.0.1:1").unwrap();
        let fleet = Fleet::<Threads>::new(Link::new(address, 1 << 20).unwrap(), Vec::new());
        let notes = Arc::new(Notes::default());
        let watcher: Weak<Notes> = Arc::downgrade(&notes);
        fleet.watchers.add(watcher);
        let meanings: Arc<dyn Meanings> = Arc::new(Nameless);
        let comes = |port: u16| -> Arc<Ear<Threads>> {
            let place = Place::Tcp {
                host: "127.0.0.1".to_owned(),
                port,
            };
            let node = new_node(&fleet.link, place);
            fleet.meets(&node);
            assert_eq!(notes.take(), ["lost"], "nobody has heard of {port}");
            let ear = fleet.listen(&node, &meanings);
            // A node that is there changes nothing.
            fleet.meets(&node);
            assert!(notes.take().is_empty());
            ear
        };
        let (one, other) = (comes(1), comes(2));
        one.alive(at(10));
        one.tick(at(11));
        assert!(notes.take().is_empty());
        other.alive(at(5));
        other.tick(at(6));
        assert_eq!(notes.take(), ["alive 5", "tick 6"]);
        one.alive(at(20));
        other.alive(at(15));
        assert_eq!(notes.take(), ["alive 5", "alive 15"]);
        other.lost();
        one.alive(at(30));
        one.tick(at(31));
        assert_eq!(notes.take(), ["lost"]);
        other.alive(at(32));
        assert_eq!(notes.take(), ["alive 30"]);
        let third = comes(3);
        one.alive(at(40));
        other.alive(at(41));
        assert!(notes.take().is_empty());
        third.alive(at(39));
        assert_eq!(notes.take(), ["alive 39"]);
        // Who serves nothing any more is not waited for.
        let stays = Arc::clone(&fleet.map.load().owners()[0]);
        fleet.learn(|_| Map::unknown(Vec::new()).met(&stays));
        one.alive(at(50));
        assert_eq!(notes.take(), ["alive 50"]);
    }
}
