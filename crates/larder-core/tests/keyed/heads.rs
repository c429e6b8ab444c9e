//! Heads, where a name is all that a store knows.

use std::sync::Arc;

use larder_core::Clock;
use larder_testkit::scenarios::Pages;

use crate::pairs::{Pairs, over};

larder_testkit::head_scenarios!(Pages::new(|clock| {
    over(&Pairs::new(clock as Arc<dyn Clock>))
}));
