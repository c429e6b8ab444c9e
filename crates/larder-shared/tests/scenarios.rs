//! What a cache promises, over stores in one directory for each place.

#![cfg(target_os = "linux")]

use larder_shared::Shared;
use larder_testkit::scenarios::{Ground, Numbers};

fn ground() -> Ground<Shared<Numbers>> {
    let directory = tempfile::tempdir().expect("there is room");
    Ground::new(move |clock, place| {
        let place = directory.path().join(place.to_string());
        let store = Shared::builder(place).clock(clock).build(Numbers);
        store.expect("the settings are right")
    })
}

larder_testkit::scenarios!(ground());
larder_testkit::minute_scenarios!(ground());
larder_testkit::process_scenarios!(ground());
