//! The suite that every store is run through.

use std::path::Path;
use std::sync::Arc;

use larder_core::Clock;
use larder_core::codec::{Packing, Safe};
use larder_shared::Shared;
use larder_testkit::machine::{counters, texts};

fn open(directory: &Path, namespace: &str, clock: Arc<dyn Clock>) -> Shared<Safe> {
    Shared::builder(directory)
        .namespace(namespace)
        // Sealed, and compressed where that saves anything.
        .packing(Packing::new().secrets(["secret"]).compress(0))
        .clock(clock)
        .build(Safe)
        .expect("the settings are right")
}

mod values {
    use super::{open, texts};

    larder_testkit::store_conformance!(texts(open));
}

mod leases {
    use super::{open, texts};

    larder_testkit::lease_conformance!(texts(open));
}

mod counters {
    use super::{counters, open};

    larder_testkit::store_conformance!(counters(open));
}
