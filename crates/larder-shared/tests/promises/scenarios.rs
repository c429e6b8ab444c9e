//! What a cache promises, over stores in one directory for each place.

use larder_core::codec::Safe;
use larder_shared::Shared;
use larder_testkit::machine;
use larder_testkit::scenarios::{Ground, Numbers};

fn ground() -> Ground<Shared<Numbers>> {
    machine::ground(|place, clock| Shared::builder(place).clock(clock).build(Numbers).unwrap())
}

larder_testkit::scenarios!(ground());
larder_testkit::minute_scenarios!(ground());
larder_testkit::process_scenarios!(ground());

larder_testkit::head_scenarios!(machine::pages(|place, clock| {
    Shared::builder(place).clock(clock).build(Safe).unwrap()
}));
