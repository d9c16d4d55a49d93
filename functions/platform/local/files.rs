//! Files that are there whole or not at all, also after a power cut.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

/// Writes `scratch` (same file system), makes it durable and renames it to `path`, readable by this account only.
pub(super) fn write_durably(scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(scratch)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(scratch, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows has no handle for this and writes names through.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
