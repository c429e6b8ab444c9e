//! How a store is put together, and what is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use larder_core::ErrorKind;
use larder_core::codec::Safe;
use larder_file::FileBuilder;

use crate::support::{Bench, OnDisk, builder, folder};

#[track_caller]
fn refused(builder: FileBuilder, words: &[&str]) {
    let error = builder.build(Safe).expect_err("the setting is wrong");
    assert_eq!(error.kind(), ErrorKind::Config);
    for word in words {
        assert!(
            error.detail().contains(word),
            "{error} says nothing of {word}"
        );
    }
}

#[test]
fn a_wrong_setting_is_an_error_that_names_the_value_and_the_cure() {
    let (_folder, path) = folder();
    refused(builder(&path).size(1000), &["size is 1000", "256 MiB"]);
    refused(builder(&path).mode(0o4600), &["mode is 4600", "give 600"]);
    refused(builder(&path).mode(0o400), &["mode is 400"]);
    refused(
        builder(&path).namespace(""),
        &["namespace is empty", "flask_cache_"],
    );
    refused(builder(&path).max_value(0), &["max_value is 0", "1 GiB"]);
    refused(builder(&path).secret(Some(b"")), &["secret is empty"]);
    assert!(
        !path.exists(),
        "nothing is made for a store that is not built"
    );
}

#[test]
fn a_directory_that_others_could_use_is_refused() {
    let (folder, path) = folder();
    let shown = path.display().to_string();
    fs::write(&path, "a file").unwrap();
    refused(builder(&path), &[&shown, "no directory"]);
    fs::remove_file(&path).unwrap();

    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, &path).unwrap();
    refused(
        builder(&path),
        &[&shown, "symbolic link", "path that it leads to"],
    );
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    refused(builder(&path), &[&shown, "mode 777", "chmod 700"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    builder(&path).build(Safe).unwrap();

    let below = Path::new("/dev/null/cache");
    refused(builder(below), &["/dev/null/cache", "cannot be used"]);
}

#[test]
fn a_directory_of_another_user_is_refused() {
    let (_folder, path) = folder();
    fs::create_dir(&path).unwrap();
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        eprintln!("SKIPPED: only the superuser can give a directory away");
        return;
    }
    refused(
        builder(&path),
        &["belongs to user 65534", "directory of its own"],
    );
}

#[test]
fn what_is_made_is_its_owners_alone() {
    let (_folder, path) = folder();
    Bench::at(&path).put_text("k", "v");
    let mut folders = vec![path.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(
            folder.metadata().unwrap().mode() & 0o777,
            0o700,
            "{folder:?}"
        );
        for item in fs::read_dir(&folder).unwrap() {
            let item = item.unwrap();
            if item.file_type().unwrap().is_dir() {
                folders.push(item.path());
            } else {
                let mode = item.metadata().unwrap().mode() & 0o777;
                assert_eq!(mode, 0o600, "{:?}", item.path());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "only {files} files");
}

#[test]
fn entries_have_the_mode_that_was_asked_for() {
    let (_folder, path) = folder();
    let bench = Bench::of(builder(&path).mode(0o640));
    bench.put_text("k", "v");
    let file = bench.file("k");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
    assert_eq!(bench.count(&crate::support::key("n"), 1), 1);
    assert_eq!(bench.file("n").metadata().unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_folder_of_ours_that_others_can_write_to_is_no_longer_used() {
    let (_folder, path) = folder();
    Bench::at(&path).put_text("k", "v");
    let root = path.join("larder-1");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).unwrap();
    let bench = Bench::at(&path);
    let error = bench.try_get("k").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.detail().contains("not this user's own"), "{error}");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bench.get_text("k").as_deref(), Some("v"));
}
