//! Two processes as one store.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use larder_core::codec::Plain;

use super::{Opening, Worker, cache, folder};
use crate::conformance::Suite;
use crate::{Pair, serve};

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// A suite over two processes: every other operation is carried out by a worker that has the same
/// directory open.
pub fn pair<O: Opening>() -> Suite<Plain, Pair<O::Store>> {
    let suite = Suite::new(
        |clock| {
            let (folder, path) = folder();
            let listener = UnixListener::bind(socket(folder.path())).unwrap();
            let worker = Worker::start("serve", folder.path(), 0);
            let (there, _) = listener.accept().unwrap();
            let here = O::build(O::builder(&path), clock.clone(), |_| ());
            // The worker ends before its folder goes.
            Pair::new(here, there, clock, (worker, folder))
        },
        |number| Plain::Int(number.cast_signed()),
    );
    suite
        .no_counter(Plain::text("no number"))
        .sized(|bytes| Plain::text("x".repeat(bytes)))
        .effort(100)
}

/// The other process.
pub(super) fn other<O: Opening>(folder: &Path) {
    let stream = UnixStream::connect(socket(folder)).unwrap();
    let store = O::builder(&cache(folder));
    serve(stream, |clock| O::build(store, clock, |_| ()));
}
