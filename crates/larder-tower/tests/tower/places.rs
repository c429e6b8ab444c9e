//! The stores that a test runs on: the memory of this process, the file and the directory that processes
//! share, and real servers of Redis and memcached; and two tiers.

use std::sync::Arc;

use larder_core::store::Memory;
use larder_core::{AnyStore, Cache};
use larder_testkit::{HandClock, Program, SpyStore};
use larder_tower::{CacheLayer, CacheLayerBuilder, Page, PageCodec};
use tempfile::TempDir;

use crate::site::seconds;

/// A cache in one of the stores, on a clock moved by hand.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) cache: Cache<Page>,
    pub(crate) clock: Arc<HandClock>,
    _room: Room,
}

/// Where the store lies, as long as the test runs.
#[expect(dead_code, reason = "what is in it ends when it is dropped")]
enum Room {
    Here,
    Folder(TempDir),
    Server(Program),
}

impl Place {
    /// The same place, for one who counts what is read from the store.
    pub(crate) fn watched(&mut self) -> SpyStore<AnyStore<Page>> {
        let spy = SpyStore::new(self.cache.store().clone());
        let builder = Cache::builder(AnyStore::new(spy.clone()));
        self.cache = builder.clock(self.clock.clone()).build();
        spy
    }

    /// A layer with a ttl of a minute.
    pub(crate) fn layer(
        &self,
        with: impl FnOnce(CacheLayerBuilder) -> CacheLayerBuilder,
    ) -> CacheLayer {
        let builder = CacheLayer::builder(seconds(60)).cache(self.cache.clone());
        with(builder).build().unwrap()
    }
}

/// Every store, empty. A server that is not installed is left out, and says so; in CI that fails.
pub(crate) fn places() -> Vec<Place> {
    let mut all = vec![memory(), local("shared"), local("file")];
    all.extend([redis(), tiers(), memcached()].into_iter().flatten());
    all
}

fn memory() -> Place {
    let clock = HandClock::new();
    let memory = Memory::builder().clock(clock.clone());
    let store = AnyStore::from(memory.build::<Page>().unwrap());
    let cache = Cache::builder(store).clock(clock.clone()).build();
    Place {
        name: "memory",
        cache,
        clock,
        _room: Room::Here,
    }
}

fn local(name: &'static str) -> Place {
    let room = TempDir::new().unwrap();
    let url = format!("{name}://{}?size=16MB", room.path().display());
    opened(name, &url, Room::Folder(room))
}

/// An empty server of Redis.
pub(crate) fn redis_server() -> Option<(Program, String)> {
    let port = Program::free_port();
    let text = port.to_string();
    let arguments = ["--port", &text, "--bind", "127.0.0.1", "--save", ""];
    let arguments = arguments.map(str::to_owned);
    let server = Program::start("redis-server", &arguments, Some(port))?;
    Some((server, format!("redis://127.0.0.1:{port}/0")))
}

fn redis() -> Option<Place> {
    let (server, url) = redis_server()?;
    Some(opened("redis", &url, Room::Server(server)))
}

/// Redis with a near tier in front.
fn tiers() -> Option<Place> {
    let (server, url) = redis_server()?;
    let url = format!("memory:// + {url}");
    Some(opened("tiers", &url, Room::Server(server)))
}

fn memcached() -> Option<Place> {
    let port = Program::free_port();
    let text = port.to_string();
    let mut arguments = vec!["-l", "127.0.0.1", "-p", &text];
    // As root it has to be told an account to run as.
    if rustix::process::geteuid().is_root() {
        arguments.extend(["-u", "nobody"]);
    }
    let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    let server = Program::start("memcached", &arguments, Some(port))?;
    let url = format!("memcached://127.0.0.1:{port}");
    Some(opened("memcached", &url, Room::Server(server)))
}

/// No test is about slowness: a busy machine is no reason to pass.
fn opened(name: &'static str, url: &str, room: Room) -> Place {
    let clock = HandClock::new();
    let builder = larder_stores::open(url).unwrap().deadline(seconds(20));
    let store = builder.clock(clock.clone()).build_tokio(PageCodec).unwrap();
    Place {
        name,
        cache: Cache::builder(store).clock(clock.clone()).build(),
        clock,
        _room: room,
    }
}
