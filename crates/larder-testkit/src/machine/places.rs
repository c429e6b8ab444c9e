//! Where the stores of the suite and of the scenarios lie.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder_core::codec::Plain;
use larder_core::{Clock, Store};

use crate::HandClock;
use crate::conformance::Suite;
use crate::scenarios::{Ground, Pages};

/// Empty stores in one directory, each in a namespace of its own.
fn namespaces<S>(open: impl Fn(&Path, &str, Arc<dyn Clock>) -> S) -> impl Fn(Arc<dyn Clock>) -> S {
    let (folder, path) = super::folder();
    let number = AtomicU64::new(0);
    move |clock| {
        let _kept = &folder;
        let namespace = format!("{}_", number.fetch_add(1, Ordering::Relaxed));
        open(&path, &namespace, clock)
    }
}

/// A suite over texts, in stores that `open` opens in a directory and a namespace.
pub fn texts<S: Store<Plain>>(
    open: impl Fn(&Path, &str, Arc<dyn Clock>) -> S + Send + Sync + 'static,
) -> Suite<Plain, S> {
    Suite::new(namespaces(open), |number| {
        Plain::text(format!("value {number}"))
    })
    .sized(|bytes| Plain::text("x".repeat(bytes)))
}

/// A suite over numbers, in stores that `open` opens in a directory and a namespace.
pub fn counters<S: Store<Plain>>(
    open: impl Fn(&Path, &str, Arc<dyn Clock>) -> S + Send + Sync + 'static,
) -> Suite<Plain, S> {
    Suite::new(namespaces(open), |number| Plain::Int(number.cast_signed()))
        .no_counter(Plain::text("no number"))
}

/// A ground of stores that `open` opens in one directory for each place.
pub fn ground<S: Store<u64>>(
    open: impl Fn(&Path, Arc<HandClock>) -> S + Send + Sync + 'static,
) -> Ground<S> {
    let (folder, _) = super::folder();
    Ground::new(move |clock, place| open(&folder.path().join(place.to_string()), clock))
}

/// Stores of pages that `open` opens, each in a directory of its own.
pub fn pages<S: Store<Plain>>(open: impl Fn(&Path, Arc<HandClock>) -> S + 'static) -> Pages<S> {
    let (folder, _) = super::folder();
    let place = AtomicU64::new(0);
    Pages::new(move |clock| {
        let place = place.fetch_add(1, Ordering::Relaxed);
        open(&folder.path().join(place.to_string()), clock)
    })
}
