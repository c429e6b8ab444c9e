use std::fs;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, EnvOpenOptions};

use super::*;

/// Writes so many transactions into an environment of its own.
fn write(path: &Path, transactions: u64) {
    // SAFETY: nobody else knows of this environment.
    let env = unsafe { EnvOpenOptions::new().map_size(1 << 20).open(path).unwrap() };
    let opened = env.create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
        let records = opener.create_database::<Bytes, Bytes>(txn, None)?;
        heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(records))
    });
    let records = opened.unwrap().unwrap_commit();
    for number in 0..transactions {
        let mut txn = env.write_txn().unwrap();
        let key = number.to_be_bytes();
        records.put(&mut txn, &key, &[7; 3000]).unwrap();
        txn.commit().unwrap();
    }
    env.prepare_for_closing().wait();
}

fn checked(path: &Path, known: RangeInclusive<u64>) -> Checked<Option<Sound>> {
    check(path, &known).unwrap()
}

#[test]
fn an_environment_that_was_never_begun_is_none() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(checked(folder.path(), 0..=0), Ok(None));
    write(folder.path(), 0);
    let sound = checked(folder.path(), 0..=9).unwrap().unwrap();
    assert_eq!(sound.entries, 0);
}

#[test]
fn the_last_transaction_is_one_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 20);
    let sound = checked(folder.path(), 0..=u64::MAX).unwrap().unwrap();
    let last = sound.transaction;
    assert!(last >= 20);
    assert!(checked(folder.path(), last..=last).is_ok());
    let missing = Err(Damage("the last transaction is missing"));
    assert_eq!(checked(folder.path(), last + 1..=last + 9), missing);
    assert_eq!(checked(folder.path(), 0..=last - 1), missing);
}

/// LMDB would take the older state of the two for the newer one.
#[test]
fn an_older_meta_page_that_claims_to_be_newer_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 20);
    let file = folder.path().join("data.mdb");
    let whole = fs::read(&file).unwrap();
    let size = rustix::param::page_size();
    let at = |page: usize| page * size + PAGE_HEAD + 128;
    let older = usize::from(word(&whole, at(0)) > word(&whole, at(1)));
    for more in [1, 2, 3, 4, 1 << 40] {
        let mut bytes = whole.clone();
        let claimed = word(&whole, at(older)) + more;
        bytes[at(older)..][..8].copy_from_slice(&claimed.to_ne_bytes());
        fs::write(&file, bytes).unwrap();
        let found = checked(folder.path(), 0..=u64::MAX);
        // With two more it is what LMDB would have written next, but for what it leads to.
        assert_eq!(found.is_err(), more != 2, "{more}: {found:?}");
    }
}

/// LMDB would write over a page that is in use.
#[test]
fn a_free_page_that_is_in_use_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 20);
    let file = folder.path().join("data.mdb");
    let whole = fs::read(&file).unwrap();
    let size = rustix::param::page_size();
    let page = |number: usize| &whole[number * size..][..size];
    let metas = [0, 1].map(|number| meta(page(number), size).unwrap());
    let (_, _, [free, _]) = if metas[0].0 < metas[1].0 {
        metas[1]
    } else {
        metas[0]
    };
    let lists = nodes(page(free.root as usize)).unwrap();
    let list = lists.iter().find(|list| word(list.rest, 0) > 1).unwrap();
    // The numbers go down; the last of them may be any below the one before it.
    let last = 8 * word(list.rest, 0) as usize;
    let (before, itself) = (word(list.rest, last - 8), word(list.rest, last));
    let at = list.rest.as_ptr() as usize - whole.as_ptr() as usize + last;
    for claimed in 2..before {
        let mut bytes = whole.clone();
        bytes[at..][..8].copy_from_slice(&claimed.to_ne_bytes());
        fs::write(&file, bytes).unwrap();
        let found = checked(folder.path(), 0..=u64::MAX);
        assert_eq!(found.is_ok(), claimed == itself, "{claimed}: {found:?}");
    }
}
