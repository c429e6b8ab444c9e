//! The suite that every store is run through, over two processes.

use crate::support::InMap;

larder_testkit::store_conformance!(larder_testkit::machine::pair::<InMap>());
