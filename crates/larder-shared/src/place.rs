//! The directory, and the machine that it is on.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use larder_core::{Error, ErrorKind, Result};

/// File systems on which processes do not see one another's maps or locks, by their magic numbers.
const REMOTE: [(u64, &str); 11] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
];

fn wrong(detail: String) -> Error {
    Error::new(ErrorKind::Config, detail)
}

/// Makes the directory if there is none, and says where it really lies.
///
/// # Errors
///
/// [`ErrorKind::Config`] for a directory that cannot be used, naming it and the cure.
pub(crate) fn prepare(directory: &Path) -> Result<PathBuf> {
    let shown = directory.display();
    let mut builder = DirBuilder::new();
    if let Err(error) = builder.recursive(true).mode(0o700).create(directory) {
        let detail = format!(
            "the directory {shown} cannot be made: {error} (give one that this process may write to)"
        );
        return Err(wrong(detail).caused_by(error));
    }
    let real = directory
        .canonicalize()
        .map_err(|error| unusable(directory, error))?;
    let about = real
        .metadata()
        .map_err(|error| unusable(directory, error))?;
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me {
        return Err(wrong(format!(
            "the directory {shown} belongs to user {} and this process runs as user {me} (give \
             every user a directory of its own)",
            about.uid()
        )));
    }
    if about.mode() & 0o022 != 0 {
        return Err(wrong(format!(
            "the directory {shown} has mode {:o}, so that others can write to it (chmod 700 it)",
            about.mode() & 0o777
        )));
    }
    let system = rustix::fs::statfs(&real).map_err(|error| unusable(directory, error.into()))?;
    match remote(system.f_type as u64) {
        Some(name) => Err(wrong(format!(
            "the directory {shown} is on a network file system ({name}), where processes cannot \
             share memory (give a local one, or use Redis)"
        ))),
        None => Ok(real),
    }
}

fn unusable(directory: &Path, error: io::Error) -> Error {
    let shown = directory.display();
    let detail = format!("the directory {shown} cannot be used: {error} (give one that can)");
    wrong(detail).caused_by(error)
}

/// The name of a network file system, by its magic number.
fn remote(magic: u64) -> Option<&'static str> {
    // The number is signed on some machines, and then carries its sign.
    let magic = magic & 0xffff_ffff;
    REMOTE
        .iter()
        .find_map(|&(number, name)| (number == magic).then_some(name))
}

/// Which start of the machine this is; zeros where it does not say.
pub(crate) fn boot() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

/// The namespace in which this process has its number; 0 where the machine does not say.
pub(crate) fn namespace() -> u64 {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let text = link.to_string_lossy();
    let digits = text.trim_start_matches("pid:[").trim_end_matches(']');
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{boot, namespace, remote};

    #[test]
    fn network_file_systems_are_known() {
        assert_eq!(remote(0x6969), Some("NFS"));
        assert_eq!(remote(0xffff_ffff_ff53_4d42), Some("CIFS"));
        // ext4, tmpfs, overlay, btrfs, xfs.
        for local in [0xef53, 0x0102_1994, 0x794c_7630, 0x9123_683e, 0x5846_5342] {
            assert_eq!(remote(local), None);
        }
    }

    #[test]
    fn the_machine_says_which_start_this_is() {
        assert_ne!(boot(), [0; 16]);
        assert_eq!(boot(), boot());
        assert_ne!(namespace(), 0);
    }
}
