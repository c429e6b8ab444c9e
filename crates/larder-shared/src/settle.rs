//! What the first process of all does with what lies in the directory: keep it, or set it aside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::check::{self, Sound};
use crate::environment::Settings;
use crate::event::{Replaced, SharedEvent};
use crate::map::{self, Header, Look, Map, VERSION, Word};
use crate::place;
use crate::reserve::reserve;

/// Where environments are that were set aside; one is kept.
const ASIDE: &str = "set-aside";
const STORE: &str = "store-";

/// The directory of the environment of this epoch.
pub(crate) fn store(directory: &Path, epoch: u64) -> PathBuf {
    directory.join(format!("{STORE}{epoch}"))
}

/// The header of a map that is made or taken over by this process.
pub(crate) fn header(size: u64) -> Header {
    Header {
        version: VERSION,
        page: u32::try_from(rustix::param::page_size()).unwrap_or(u32::MAX),
        boot: place::boot(),
        namespace: place::namespace(),
        size,
    }
}

/// Its file.
pub(crate) fn data(directory: &Path, epoch: u64) -> PathBuf {
    store(directory, epoch).join("data.mdb")
}

enum Verdict {
    Fresh,
    Keep(u64, Sound),
    Replace(Replaced),
}

/// Makes the directory ready, alone with it.
pub(crate) fn settle(settings: &Settings, notes: &mut Vec<SharedEvent>) -> io::Result<()> {
    let directory = &settings.directory;
    let epochs = epochs(directory)?;
    let latest = epochs.iter().copied().max();
    match judge(settings, latest.is_some())? {
        Verdict::Fresh => begin(settings, latest.map_or(1, |latest| latest + 1))?,
        Verdict::Keep(epoch, sound) => keep(settings, epoch, sound)?,
        Verdict::Replace(why) => {
            if let Some(epoch) = latest {
                set_aside(directory, epoch)?;
            }
            begin(settings, latest.map_or(1, |latest| latest + 1))?;
            notes.push(SharedEvent::Replaced(why));
        }
    }
    Ok(())
}

fn judge(settings: &Settings, any: bool) -> io::Result<Verdict> {
    let directory = &settings.directory;
    let damaged = |what: &str| Ok(Verdict::Replace(Replaced::Damaged(what.to_owned())));
    let found = match map::look(directory)? {
        Look::Absent if any => return damaged("coherence.map is missing"),
        Look::Absent => return Ok(Verdict::Fresh),
        Look::Damaged => return damaged("coherence.map is not what was written"),
        Look::There(found) => found,
    };
    let mine = header(settings.size);
    if found.version != mine.version {
        return Ok(Verdict::Replace(Replaced::OtherVersion(found.version)));
    }
    if found.boot != mine.boot {
        return Ok(Verdict::Replace(Replaced::Rebooted));
    }
    if found.page != mine.page {
        return damaged("the pages of the machine have another size");
    }
    let map = Map::open(directory)?;
    let word = |word| map.word(word).load(Ordering::Acquire);
    let epoch = word(Word::Epoch);
    let known = word(Word::Committed)..=word(Word::Begun);
    Ok(match check::check(&store(directory, epoch), &known)? {
        Err(damage) => Verdict::Replace(Replaced::Damaged(damage.0.to_owned())),
        Ok(Some(sound)) if sound.reach > settings.size => Verdict::Replace(Replaced::Shrunk),
        Ok(sound) => Verdict::Keep(epoch, sound.unwrap_or_default()),
    })
}

fn begin(settings: &Settings, epoch: u64) -> io::Result<()> {
    Map::prepare(&settings.directory, &header(settings.size), true)?;
    let map = Map::open(&settings.directory)?;
    map.word(Word::Epoch).store(epoch, Ordering::Release);
    sweep(&settings.directory, epoch)
}

fn keep(settings: &Settings, epoch: u64, sound: Sound) -> io::Result<()> {
    Map::prepare(&settings.directory, &header(settings.size), false)?;
    let map = Map::open(&settings.directory)?;
    let set = |word, value| map.word(word).store(value, Ordering::Release);
    set(Word::Entries, sound.entries);
    set(Word::Bytes, sound.bytes);
    set(Word::Committed, sound.transaction);
    set(Word::Begun, sound.transaction);
    // A file of no length is still to be begun.
    let reserved = sound.reach > 0 && reserve(&data(&settings.directory, epoch), settings.size)?;
    set(Word::Reserved, if reserved { epoch } else { 0 });
    // Nobody uses it, and it may hold the traces of processes that died.
    match fs::remove_file(store(&settings.directory, epoch).join("lock.mdb")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sweep(&settings.directory, epoch)
}

/// The epochs of the environments in the directory.
fn epochs(directory: &Path) -> io::Result<Vec<u64>> {
    let mut epochs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(STORE));
        epochs.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(epochs)
}

/// Removes the environments of other epochs.
fn sweep(directory: &Path, current: u64) -> io::Result<()> {
    for epoch in epochs(directory)? {
        if epoch != current {
            fs::remove_dir_all(store(directory, epoch))?;
        }
    }
    Ok(())
}

/// Keeps an environment for those who want to know what became of it, in place of an earlier one.
pub(crate) fn set_aside(directory: &Path, epoch: u64) -> io::Result<()> {
    let aside = directory.join(ASIDE);
    match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(store(directory, epoch), aside)
}
