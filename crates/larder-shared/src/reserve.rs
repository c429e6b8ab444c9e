//! The room of the environment on the disk, and whether it is written through its map.
//!
//! A page that is written through the map saves the call that copies it into the file, which is most
//! of what a write costs. But a store into a page for which the disk has no block kills the process.
//! So the map is written only where every block was given beforehand, on file systems that write a
//! block again where it lies; elsewhere LMDB writes with calls, which can fail and be answered.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, FsWord};

/// ext2 to ext4, and XFS. Those that copy on writing (Btrfs, ZFS, F2FS, bcachefs) need a new block
/// each time; of an overlay nobody says what lies beneath; and on tmpfs the blocks are memory, which
/// is not to be taken before it is used.
const IN_PLACE: [u64; 2] = [0xef53, 0x5846_5342];

/// Gives the file all its blocks, `size` bytes of them, unless it has them. Whether it has them now
/// and keeps them; without, it is as long as it was. Only for who is alone with the file.
pub(crate) fn reserve(file: &Path, size: u64) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(file)?;
    if !writes_in_place(rustix::fs::fstatfs(&file)?.f_type) {
        return Ok(false);
    }
    let length = file.metadata()?.len();
    if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size).is_ok() {
        return Ok(true);
    }
    // It may have taken the last of the disk before it found that there is not enough.
    file.set_len(length)?;
    Ok(false)
}

/// The number is signed on some machines, and then carries its sign.
fn writes_in_place(magic: FsWord) -> bool {
    IN_PLACE.contains(&(magic as u64 & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::{reserve, writes_in_place};

    #[test]
    fn a_file_has_all_its_blocks_or_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mdb");
        fs::write(&path, "begun").unwrap();
        let kind = rustix::fs::statfs(&path).unwrap().f_type;
        let size = 1 << 20;
        let reserved = reserve(&path, size).unwrap();
        assert_eq!(reserved, writes_in_place(kind));
        let about = fs::metadata(&path).unwrap();
        assert_eq!(about.len(), if reserved { size } else { 5 });
        assert_eq!(about.blocks() * 512 >= size, reserved);
        assert!(fs::read(&path).unwrap().starts_with(b"begun"));
        // More than any disk has.
        assert!(!reserve(&path, 1 << 60).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().len(), about.len());
    }

    #[test]
    fn only_known_file_systems_are_written_through_the_map() {
        assert!(writes_in_place(0xef53));
        assert!(writes_in_place(0x5846_5342));
        // tmpfs, overlay, Btrfs, F2FS, ZFS, of which one sets the highest bit.
        for other in [
            0x0102_1994,
            0x794c_7630,
            0x9123_683e,
            0xf2f5_2010,
            0x2fc1_2fc1,
        ] {
            assert!(!writes_in_place(other));
        }
    }
}
