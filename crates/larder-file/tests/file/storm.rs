//! A storm in a directory that is always full.

use std::path::Path;

use larder_file::{FileBuilder, Unreadables};
use larder_testkit::effort;
use larder_testkit::machine::{self, Task};

use crate::support::{Bench, InFiles, OnDisk, builder, folder};

fn small(directory: &Path) -> FileBuilder {
    builder(directory).threshold(60)
}

pub(crate) fn storm(task: &Task) {
    let work = task.work_on(Bench::of(small(&task.folder.join("cache"))));
    machine::storm::storm(&work);
    // Nothing that anybody did has damaged the files.
    assert_eq!(work.bench.told(), []);
    assert_eq!(work.bench.store.unreadables(), Unreadables::default());
}

#[test]
fn nobody_reads_what_is_older_than_what_was_acknowledged_or_read() {
    let (folder, path) = folder();
    let found = machine::storm::rage::<InFiles>(folder.path(), 16 * effort(), |_| ());
    assert!(found.far > 500, "{found:?}");
    let bench = Bench::of(small(&path));
    bench.put_text("one more", "v");
    let files = bench.files();
    assert!(
        files <= bench.entries() && bench.entries() <= 60,
        "{files} files"
    );
}
