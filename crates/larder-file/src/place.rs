//! The directory: whose it is, and on what it lies.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use larder_core::{Error, ErrorKind, Result};
use rustix::fs::CWD;

use crate::names::{ENTRIES, LEASES, ROOT, TEMP};
use crate::sys;

/// File systems of other machines, by their magic numbers.
#[cfg(target_os = "linux")]
const REMOTE: [u64; 11] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x0102_1997, // 9P
    0x6573_5546, // FUSE
    0x5346_414f, // AFS
    0x7375_7245, // Coda
    0x00c3_6400, // Ceph
    0x0bd0_0bd0, // Lustre
    0x4750_4653, // GPFS
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
    let unusable = |error: io::Error| {
        let detail = format!(
            "the directory {shown} cannot be used: {error} (give one that this process may write to)"
        );
        wrong(detail).caused_by(error)
    };
    make(directory).map_err(unusable)?;
    let about = fs::symlink_metadata(directory).map_err(unusable)?;
    if about.is_symlink() {
        return Err(wrong(format!(
            "the directory {shown} is a symbolic link, which somebody could turn round (give the \
             path that it leads to)"
        )));
    }
    if !about.is_dir() {
        return Err(wrong(format!(
            "{shown} is no directory (give one, or a path that is free)"
        )));
    }
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me {
        return Err(wrong(format!(
            "the directory {shown} belongs to user {} and this process runs as user {me} (give \
             every user a directory of its own)",
            about.uid()
        )));
    }
    if about.mode() & 0o002 != 0 {
        return Err(wrong(format!(
            "the directory {shown} has mode {:o}, so that everybody can write to it (chmod 700 it)",
            about.mode() & 0o7777
        )));
    }
    directory.canonicalize().map_err(unusable)
}

fn make(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    match builder.recursive(true).mode(0o700).create(directory) {
        // What is there instead is told apart later.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Opens the folder that everything lies in, and makes what is missing of it.
pub(crate) fn root(directory: &Path) -> io::Result<OwnedFd> {
    let path = directory.join(ROOT);
    let path = path.as_os_str().as_encoded_bytes();
    let root = match sys::open_folder(CWD, path) {
        Ok(root) => root,
        Err(rustix::io::Errno::NOENT) => {
            make(directory)?;
            sys::make_folder(CWD, path)?;
            sys::open_folder(CWD, path)?
        }
        Err(error) => return Err(error.into()),
    };
    let about = rustix::fs::fstat(&root)?;
    if about.st_uid != rustix::process::geteuid().as_raw() || about.st_mode & 0o022 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{ROOT} in the directory is not this user's own (remove it)"),
        ));
    }
    Ok(root)
}

/// Makes what lies in the root. Where nothing can be written, it may be there already.
pub(crate) fn furnish(root: impl AsFd) -> io::Result<()> {
    for folder in [ENTRIES, TEMP, LEASES] {
        sys::make_folder(root.as_fd(), folder.as_bytes())?;
    }
    Ok(())
}

/// Whether the directory is on another machine, as far as the system says.
#[cfg(target_os = "linux")]
pub(crate) fn is_remote(directory: &Path) -> bool {
    // The number is signed on some machines, and then carries its sign.
    rustix::fs::statfs(directory)
        .is_ok_and(|about| REMOTE.contains(&(about.f_type as u64 & 0xffff_ffff)))
}

#[cfg(target_vendor = "apple")]
pub(crate) fn is_remote(directory: &Path) -> bool {
    /// `MNT_LOCAL` of the system's headers.
    const LOCAL: u32 = 0x1000;
    rustix::fs::statfs(directory).is_ok_and(|about| about.f_flags & LOCAL == 0)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(crate) fn is_remote(_directory: &Path) -> bool {
    false
}
