//! Several processes on one directory.

use larder_testkit::machine::processes;

use crate::support::InMap;

larder_testkit::machine_tests!(InMap);

#[test]
fn the_sum_of_what_four_processes_count_is_exact() {
    processes::the_sum_of_what_four_processes_count_is_exact::<InMap>(25_000);
}

#[test]
fn stores_on_one_directory_are_one_store_and_namespaces_are_apart() {
    processes::stores_on_one_directory_are_one_store_and_namespaces_are_apart::<InMap>(|builder| {
        builder.namespace("other_")
    });
}
