//! How the tests open a store, and what their worker processes do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder_core::Clock;
use larder_core::codec::Safe;
use larder_file::{FileBuilder, FileEvent, Files};
use larder_testkit::PATIENCE;
use larder_testkit::machine::{FileWords, Opening, Task};

pub(crate) use larder_testkit::machine::{Numbers, Worker, folder, key, variant};

/// A store of files.
pub(crate) struct InFiles;

pub(crate) type Bench = larder_testkit::machine::Bench<InFiles>;
pub(crate) type Board = larder_testkit::machine::Board<FileWords>;
pub(crate) type Work = larder_testkit::machine::Work<InFiles>;

impl Opening for InFiles {
    type Store = Files<Safe>;
    type Builder = FileBuilder;
    type Event = FileEvent;
    type Words = FileWords;

    fn builder(directory: &Path) -> FileBuilder {
        patient(directory).namespace("test_")
    }

    fn build(
        builder: FileBuilder,
        clock: Arc<dyn Clock>,
        observer: impl Fn(&FileEvent) + Send + Sync + 'static,
    ) -> Files<Safe> {
        builder.clock(clock).observer(observer).build(Safe).unwrap()
    }
}

pub(crate) fn builder(directory: &Path) -> FileBuilder {
    InFiles::builder(directory)
}

/// A disk that others write to may keep a writer in its turn for seconds.
pub(crate) fn patient(directory: &Path) -> FileBuilder {
    Files::builder(directory).lock_timeout(PATIENCE)
}

/// What lies on the disk.
pub(crate) trait OnDisk {
    fn entry_files(&self) -> Vec<PathBuf>;

    /// The file of a key, which is looked for by what is in it.
    fn file(&self, name: &str) -> PathBuf {
        let key = key(name);
        let mut files = self.entry_files();
        files.retain(|file| {
            let bytes = std::fs::read(file).unwrap();
            let whole = bytes.windows(key.as_bytes().len());
            whole.into_iter().any(|part| part == key.as_bytes())
        });
        assert_eq!(files.len(), 1, "{name}: {files:?}");
        files.remove(0)
    }

    /// How many files of entries there are.
    fn files(&self) -> u64 {
        self.entry_files().len() as u64
    }

    /// What they take on the disk, in whole blocks.
    fn disk(&self) -> u64 {
        let files = self.entry_files();
        let lengths = files.iter().map(|file| file.metadata().unwrap().len());
        lengths.map(|length| length.next_multiple_of(4096)).sum()
    }
}

impl OnDisk for Bench {
    fn entry_files(&self) -> Vec<PathBuf> {
        let file = self.store.file_of(&key("any"));
        let entries = file.ancestors().nth(2).unwrap();
        assert!(entries.ends_with("larder-1/entries"), "{entries:?}");
        let mut files = Vec::new();
        for folder in std::fs::read_dir(entries).unwrap() {
            let folder = folder.unwrap().path();
            if folder.is_dir() {
                let items = std::fs::read_dir(folder).unwrap();
                files.extend(
                    items
                        .map(|item| item.unwrap().path())
                        .filter(|file| file.is_file()),
                );
            }
        }
        files
    }
}

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn worker() {
    let task = Task::given();
    match task.role.as_str() {
        "lead" => super::leases::lead(&task.work()),
        "overwrite" => super::kills::overwrite(&task.work()),
        "storm" => super::storm::storm(&task),
        _ => task.carry_out::<InFiles>(),
    }
}
