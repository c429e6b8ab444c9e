//! Files that are not what was written to them.

use std::fs;
use std::path::Path;

use larder_core::codec::Unreadable;
use larder_core::store::Put;
use larder_shared::{Replaced, SharedEvent};
use larder_testkit::effort;
use larder_testkit::machine::damage::Contents;

use crate::support::{Bench, Numbers, builder, folder, key, until_nobody_is_there};

const CONTENTS: Contents = Contents {
    keys: 120,
    text: |which| format!("{which} ").repeat(1 + (which as usize * 37) % 2500),
};

/// Fills a store of which every third key was bumped, every seventh removed.
fn fill(path: &Path, contents: Contents) {
    let bench = Bench::at(path);
    contents.fill(&bench, |which| {
        bench.remove(&key(which.to_string()));
    });
    drop(bench);
    cut_what_is_unused(&path.join("store-1/data.mdb"));
}

/// Takes off the room that nothing was written to yet: damage there would show nothing.
fn cut_what_is_unused(file: &Path) {
    let bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(used.next_multiple_of(4096) as u64).unwrap();
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for folder in ["", "store-1"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}

/// Damages one file of a filled store in many ways, one after the other; how often the environment
/// was kept, how often it was replaced, and how often something was found.
fn each(file: &str, ways: impl Iterator<Item = Way>) -> [usize; 3] {
    let (_whole, whole) = folder();
    fill(&whole, CONTENTS);
    each_of(&whole, file, ways)
}

/// As [`each`], of a store that is filled already.
fn each_of(whole: &Path, file: &str, ways: impl Iterator<Item = Way>) -> [usize; 3] {
    let (_folder, path) = folder();
    let mut counts = [0; 3];
    for (what, damage) in ways {
        copy(whole, &path);
        let mut bytes = fs::read(path.join(file)).unwrap();
        damage(&mut bytes);
        fs::write(path.join(file), &bytes).unwrap();
        let bench = Bench::at(&path);
        let found = CONTENTS.look(&bench, &what);
        assert_eq!(bench.put_text("new", "value"), Put::Stored, "{what}");
        assert_eq!(bench.get_text("new").as_deref(), Some("value"), "{what}");
        bench.bump("tag 1");
        assert!(CONTENTS.look(&bench, &what) <= found, "{what}");
        let replaced = bench
            .told()
            .iter()
            .any(|event| matches!(event, SharedEvent::Replaced(Replaced::Damaged(_))));
        counts[usize::from(replaced)] += 1;
        counts[2] += usize::from(found > 0);
    }
    counts
}

type Way = (String, Box<dyn Fn(&mut Vec<u8>)>);

fn flip(at: usize, bits: u8) -> Way {
    let flip = move |bytes: &mut Vec<u8>| {
        let at = at % bytes.len();
        bytes[at] ^= bits;
    };
    (format!("byte {at} ^ {bits}"), Box::new(flip))
}

#[test]
fn a_flipped_byte_is_a_miss_and_never_a_wrong_value() {
    let mut numbers = Numbers(7);
    // The meta pages, then the heads of pages, then anywhere.
    let meta = (0..2 * 150)
        .step_by(5)
        .map(|at| (at % 150) + 4096 * (at / 150));
    let heads = (0..80).map(|page: usize| 4096 * (2 + page) + (page * 5) % 24);
    let anywhere: Vec<usize> = (0..160).map(|_| numbers.below(1 << 30) as usize).collect();
    let places = meta.chain(heads).chain(anywhere);
    let bits: Vec<u8> = (0..8).map(|bit| 1 << bit).collect();
    let ways = places
        .enumerate()
        .map(|(number, at)| flip(at, bits[number % 8]));
    let [kept, replaced, found] = each("store-1/data.mdb", ways);
    assert!(
        kept > 50 && replaced > 30 && found > 50,
        "{kept} {replaced} {found}"
    );
}

/// All of them where there is time for it, else some of them.
#[test]
fn no_byte_of_the_environment_is_trusted() {
    let (_whole, whole) = folder();
    let few = Contents {
        keys: 12,
        ..CONTENTS
    };
    fill(&whole, few);
    let length = fs::metadata(whole.join("store-1/data.mdb")).unwrap().len() as usize;
    let step = (199 / effort() as usize).max(1);
    let places = (0..length).step_by(step);
    let ways = places.map(|at| flip(at, 1 << (at % 8)));
    let [kept, replaced, found] = each_of(&whole, "store-1/data.mdb", ways);
    println!("of {length} bytes: {kept} kept, {replaced} replaced, {found} with something left");
    assert_eq!(kept + replaced, length.div_ceil(step));
    assert!(found > 10, "{found} of {kept}");
}

#[test]
fn a_file_that_is_cut_short_or_filled_with_something_else_is_replaced() {
    let cuts = [0, 1, 15, 4095, 4096, 8191, 8192, 12_288, 50_000, 100_001];
    let cut = cuts.map(|length| -> Way {
        let cut = move |bytes: &mut Vec<u8>| bytes.truncate(length);
        (format!("cut at {length}"), Box::new(cut))
    });
    let fill = [0_u8, 0xff, 0x42].map(|byte| -> Way {
        let fill = move |bytes: &mut Vec<u8>| bytes.fill(byte);
        (format!("filled with {byte}"), Box::new(fill))
    });
    let shift: [Way; 1] = [(
        "pages in each other's places".to_owned(),
        Box::new(|bytes: &mut Vec<u8>| bytes[2 * 4096..].rotate_left(4096)),
    )];
    let ways = cut.into_iter().chain(fill).chain(shift);
    let [kept, replaced, found] = each("store-1/data.mdb", ways);
    // A file of no length is an environment that was never begun.
    assert_eq!((kept, replaced, found), (1, 13, 0));
}

#[test]
fn damage_to_the_map_beside_it_is_harmless() {
    let header = (0..56).map(|at| flip(at, 0x20));
    let words = (64..160).step_by(7).map(|at| flip(at, 0x08));
    let rest = [5000, 400_000, 600_000].map(|at| flip(at, 0xff));
    let cut = [0, 55, 56, 4096, 700_000].map(|length| -> Way {
        let cut = move |bytes: &mut Vec<u8>| bytes.truncate(length);
        (format!("cut at {length}"), Box::new(cut))
    });
    each("coherence.map", header.chain(words).chain(rest).chain(cut));
}

#[test]
fn a_damaged_lock_file_of_the_environment_is_made_anew() {
    let ways = [0, 1, 3, 100].map(|part| -> Way {
        let fill = move |bytes: &mut Vec<u8>| {
            let from = bytes.len() * part / 128;
            bytes[from..].fill(0x5a);
        };
        (format!("filled from part {part}"), Box::new(fill))
    });
    let [kept, replaced, found] = each("store-1/lock.mdb", ways.into_iter());
    assert_eq!((kept, replaced, found), (4, 0, 4));
}

#[test]
fn one_damaged_environment_is_kept_for_whoever_wants_to_know() {
    let (_folder, path) = folder();
    for epoch in 1..4 {
        Bench::at(&path).put_text("k", "v");
        until_nobody_is_there(&path);
        let data = path.join(format!("store-{epoch}/data.mdb"));
        fs::write(&data, format!("garbage {epoch}").repeat(2000)).unwrap();
        let bench = Bench::at(&path);
        assert_eq!(bench.get_text("k"), None);
        assert_eq!(bench.told().len(), 1);
        let aside = fs::read(path.join("set-aside/data.mdb")).unwrap();
        assert!(aside.starts_with(format!("garbage {epoch}").as_bytes()));
    }
    let stores = fs::read_dir(&path).unwrap();
    let names = stores.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    assert_eq!(names, ["coherence.map", "locks", "set-aside", "store-4"]);
}

#[test]
fn who_has_another_secret_is_told_so_once_for_each_key() {
    let (_folder, path) = folder();
    let at = |secret| Bench::of(builder(&path).secret(Some(secret)));
    let (one, other) = (at(b"one"), at(b"other"));
    for name in ["a", "b"] {
        assert_eq!(one.put_text(name, "sealed"), Put::Stored);
    }
    for _ in 0..2 {
        assert_eq!(other.get_text("a"), None);
        assert_eq!(other.get_text("b"), None);
    }
    assert_eq!(
        other.told(),
        ["a", "b"].map(|name| SharedEvent::Unreadable(key(name), Unreadable::WrongSeal))
    );
    assert_eq!(other.store.unreadables().wrong_seal, 4);
    assert_eq!(one.told(), []);
    assert_eq!(one.get_text("a").as_deref(), Some("sealed"));
}
