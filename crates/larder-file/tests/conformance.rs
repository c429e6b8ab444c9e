//! The suite that every store is run through.

#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use larder_core::Clock;
use larder_core::codec::{Packing, Plain, Safe};
use larder_file::Files;
use larder_testkit::conformance::Suite;

/// Empty stores in one directory, each in a namespace of its own.
fn stores() -> impl Fn(Arc<dyn Clock>) -> Files<Safe> {
    let directory = tempfile::tempdir().expect("there is room");
    let number = AtomicUsize::new(0);
    move |clock| {
        let namespace = format!("{}_", number.fetch_add(1, Ordering::Relaxed));
        Files::builder(directory.path().join("cache"))
            .namespace(namespace)
            // Sealed, and compressed where that saves anything.
            .packing(Packing::new().secrets(["secret"]).compress(0))
            .clock(clock)
            .build(Safe)
            .expect("the settings are right")
    }
}

mod values {
    use super::{Plain, Suite, stores};

    larder_testkit::store_conformance!(
        Suite::new(stores(), |number| Plain::text(format!("value {number}")))
            .sized(|bytes| Plain::text("x".repeat(bytes)))
    );
}

mod leases {
    use super::{Plain, Suite, stores};

    larder_testkit::lease_conformance!(Suite::new(stores(), |number| Plain::text(format!(
        "value {number}"
    ))));
}

mod counters {
    use super::{Plain, Suite, stores};

    larder_testkit::store_conformance!(
        Suite::new(stores(), |number| Plain::Int(number.cast_signed()))
            .no_counter(Plain::text("no number"))
    );
}
