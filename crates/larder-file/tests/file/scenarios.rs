//! What a cache promises, over stores in one directory for each place.

use larder_core::codec::Safe;
use larder_file::Files;
use larder_testkit::machine;
use larder_testkit::scenarios::{Ground, Numbers};

use crate::support::patient;

fn ground() -> Ground<Files<Numbers>> {
    machine::ground(|place, clock| patient(place).clock(clock).build(Numbers).unwrap())
}

larder_testkit::scenarios!(ground());
larder_testkit::process_scenarios!(ground());

larder_testkit::head_scenarios!(machine::pages(|place, clock| {
    patient(place).clock(clock).build(Safe).unwrap()
}));
