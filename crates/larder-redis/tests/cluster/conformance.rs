//! The suite that every store is run through, over both clients.

use larder_core::codec::{Plain, Safe};
use larder_testkit::conformance::{Runner, Suite};

use crate::server::shared;
use crate::support::builder;

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

/// A suite over the stores that a method of the builder builds; skipped, said aloud, without a server.
macro_rules! suite {
    ($build:ident) => {{
        let Some(cluster) = shared() else { return };
        Suite::new(
            move |clock| {
                builder(cluster, clock)
                    .packing(Some(&b"secret"[..]))
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
    use super::{Plain, Safe, Suite, builder, shared};

    larder_testkit::store_conformance!(suite!(build_cluster));
    larder_testkit::lease_conformance!(suite!(build_cluster));
}

mod tasks {
    use super::{Plain, Runtime, Safe, Suite, builder, shared};

    larder_testkit::store_conformance!(suite!(build_cluster_tokio).runner(Runtime::new()));
    larder_testkit::lease_conformance!(suite!(build_cluster_tokio).runner(Runtime::new()));
}
