//! The suite that every store is run through: over both clients, one server and two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::Clock;
use larder_core::codec::{Plain, Safe};
use larder_memcached::MemcachedBuilder;
use larder_testkit::conformance::{Runner, Suite};

use crate::server::Server;

/// A builder for an empty store on these servers.
fn builder(servers: &[String], clock: Arc<dyn Clock>) -> MemcachedBuilder {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let namespace = format!("a b\r\n{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    // The suite does not depend on how fast the machine is.
    MemcachedBuilder::new(servers)
        .namespace(namespace)
        .deadline(Duration::from_secs(20))
        .packing(Some(&b"secret"[..]))
        .clock(clock)
}

/// A runtime that every thread of a test uses.
struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(builder.worker_threads(1).enable_all().build().unwrap())
    }
}

impl Runner for Runtime {
    fn run<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.0.enter();
        work()
    }
}

/// A suite over the stores that a method of the builder builds on one server or more; skipped, said
/// aloud, without a server.
macro_rules! suite {
    ($build:ident, $servers:expr, $texts:expr) => {{
        let Some(servers) = $servers else { return };
        Suite::new(
            move |clock| {
                let texts: Vec<String> = $texts(&servers);
                builder(&texts, clock)
                    .$build(Safe)
                    .expect("the settings are right")
            },
            |number| Plain::Int(number.cast_signed()),
        )
        .without_lists()
        .no_counter(Plain::text("no number"))
        .sized(|bytes| Plain::text("x".repeat(bytes)))
    }};
}

fn one(server: &Server) -> Vec<String> {
    vec![server.address()]
}

fn three(servers: &[Server; 3]) -> Vec<String> {
    servers.iter().map(Server::address).collect()
}

fn socket(program: &larder_testkit::Program) -> Vec<String> {
    vec![program.socket().display().to_string()]
}

fn start_three() -> Option<[Server; 3]> {
    Some([Server::start()?, Server::start()?, Server::start()?])
}

mod threads {
    use super::{Plain, Safe, Server, Suite, builder, one};

    larder_testkit::store_conformance!(suite!(build, Server::start(), one));
}

mod servers {
    use super::{Plain, Safe, Suite, builder, start_three, three};

    larder_testkit::store_conformance!(suite!(build, start_three(), three));
    larder_testkit::lease_conformance!(suite!(build, start_three(), three));
}

mod tasks {
    use super::{Plain, Runtime, Safe, Suite, builder, start_three, three};

    larder_testkit::store_conformance!(
        suite!(build_tokio, start_three(), three).runner(Runtime::new())
    );
    larder_testkit::lease_conformance!(
        suite!(build_tokio, start_three(), three).runner(Runtime::new())
    );
}

mod sockets {
    use super::{Plain, Runtime, Safe, Server, Suite, builder, socket};

    larder_testkit::store_conformance!(
        suite!(build_tokio, Server::on_socket(), socket).runner(Runtime::new())
    );
}

/// With a near tier in front, which nobody tells of anything.
mod tiers {
    use std::sync::Arc;

    use larder_core::store::Tiered;

    use super::{Plain, Safe, Suite, builder, start_three, three};

    larder_testkit::store_conformance!({
        let Some(servers) = start_three() else {
            return;
        };
        Suite::new(
            move |clock| {
                let far = builder(&three(&servers), Arc::clone(&clock)).build(Safe);
                let tiers = Tiered::builder(far.expect("the settings are right"));
                let tiers = tiers.clock(clock).build::<Plain>();
                tiers.expect("the settings are right")
            },
            |number| Plain::Int(number.cast_signed()),
        )
        .without_lists()
        .no_counter(Plain::text("no number"))
    });
}
