//! The suite that every store is run through, over both transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::Clock;
use larder_core::codec::{Packing, Plain, Safe};
use larder_redis::{Redis, RedisBuilder};
use larder_testkit::conformance::{Runner, Suite};

use crate::server::Server;

/// A builder for an empty store on `server`.
fn builder(server: &Server, clock: Arc<dyn Clock>) -> RedisBuilder {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let namespace = format!("{}_", NUMBER.fetch_add(1, Ordering::Relaxed));
    // The suite does not depend on how fast the machine is.
    Redis::builder(server.url())
        .namespace(namespace)
        .deadline(Duration::from_secs(20))
        // Sealed, and compressed where that saves anything.
        .packing(Packing::new().secrets(["secret"]).compress(0))
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

/// A suite over the stores that a method of the builder builds; skipped, said aloud, without a
/// server.
macro_rules! suite {
    ($build:ident) => {{
        let Some(server) = Server::start() else {
            return;
        };
        Suite::new(
            move |clock| {
                builder(&server, clock)
                    .$build(Safe)
                    .expect("the settings are right")
            },
            |number| Plain::Int(number.cast_signed()),
        )
        .no_counter(Plain::text("no number"))
        .sized(|bytes| Plain::text("x".repeat(bytes)))
    }};
}

mod threads {
    use super::{Plain, Safe, Server, Suite, builder};

    larder_testkit::store_conformance!(suite!(build));
    larder_testkit::lease_conformance!(suite!(build));
}

mod tasks {
    use super::{Plain, Runtime, Safe, Server, Suite, builder};

    larder_testkit::store_conformance!(suite!(build_tokio).runner(Runtime::new()));
    larder_testkit::lease_conformance!(suite!(build_tokio).runner(Runtime::new()));
}

/// The same with values that are no numbers, which lie in envelopes.
mod envelopes {
    use super::{Plain, Safe, Server, Suite, builder};

    larder_testkit::store_conformance!({
        let Some(server) = Server::start() else {
            return;
        };
        Suite::new(
            move |clock| {
                builder(&server, clock)
                    .build(Safe)
                    .expect("the settings are right")
            },
            |number| Plain::text(format!("value {number}")),
        )
    });
}

/// The same with a near tier in front, which the server tells of changes.
mod tiers {
    use std::sync::Arc;

    use larder_core::store::Tiered;

    use super::{Plain, Runtime, Safe, Server, Suite, builder};

    macro_rules! tiers {
        ($build:ident) => {{
            let Some(server) = Server::start() else {
                return;
            };
            Suite::new(
                move |clock| {
                    let far = builder(&server, Arc::clone(&clock)).$build(Safe);
                    let tiers = Tiered::builder(far.expect("the settings are right"));
                    let tiers = tiers.clock(clock).build::<Plain>();
                    tiers.expect("the settings are right")
                },
                |number| Plain::Int(number.cast_signed()),
            )
            .no_counter(Plain::text("no number"))
        }};
    }

    mod threads {
        use super::*;

        larder_testkit::store_conformance!(tiers!(build));
        larder_testkit::lease_conformance!(tiers!(build));
    }

    mod tasks {
        use super::*;

        larder_testkit::store_conformance!(tiers!(build_tokio).runner(Runtime::new()));
    }
}
