//! Lays out the app folder that the host reads: `host.json`, `<function>/function.json` and the executable. For `func start`
//! and the stand-in host.
//!
//! It never writes into a folder that is not an app folder of ours.

use std::{fs, io, path::Path};

use super::{EXECUTABLE, PackageError, at, texts};
use crate::triggers::check::DEFINITIONS;

/// Lays out the app folder in `dir`, which is new, empty, or one that an earlier run laid out. Same input, same folder:
/// files of this release are replaced, functions that it no longer has are removed, anything else is left alone.
pub fn stage(dir: &Path, executable: &Path) -> Result<(), PackageError> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    if !is_empty(dir)? && !is_ours(dir) {
        return Err(PackageError::Foreign(dir.to_owned()));
    }
    remove_old_functions(dir)?;
    // host.json first, so that an interrupted run leaves a folder that the next one takes for ours.
    for (name, text) in texts() {
        let path = dir.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        put(&path, text)?;
    }
    put_executable(&dir.join(EXECUTABLE), executable)
}

fn is_empty(dir: &Path) -> Result<bool, PackageError> {
    Ok(fs::read_dir(dir).map_err(at(dir))?.next().is_none())
}

fn is_ours(dir: &Path) -> bool {
    let host: Option<serde_json::Value> = fs::read(dir.join("host.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    host.as_ref().and_then(|h| h.pointer("/customHandler/description/defaultExecutablePath")) == Some(&EXECUTABLE.into())
}

fn remove_old_functions(dir: &Path) -> Result<(), PackageError> {
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let definition = path.join("function.json");
        let known = DEFINITIONS.iter().any(|(name, _)| path.file_name().is_some_and(|n| n == *name));
        if !known && definition.is_file() {
            fs::remove_file(&definition).map_err(at(&definition))?;
            // Stays when somebody keeps more there; without function.json the host does not look at it.
            let _ = fs::remove_dir(&path);
        }
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<(), PackageError> {
    if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    fs::write(path, text).map_err(at(path))
}

/// By a rename: the file that is replaced may be running.
fn put_executable(to: &Path, from: &Path) -> Result<(), PackageError> {
    if is_same(to, from) {
        return Ok(());
    }
    let new = to.with_extension("new");
    fs::copy(from, &new).map_err(at(&new))?;
    make_executable(&new).map_err(at(&new))?;
    fs::rename(&new, to).map_err(at(to))
}

/// As long, not older, and executable: a copy of that very file, or the file itself.
fn is_same(there: &Path, source: &Path) -> bool {
    let (Ok(there), Ok(source)) = (fs::metadata(there), fs::metadata(source)) else { return false };
    let not_older = there.modified().ok().zip(source.modified().ok()).is_some_and(|(a, b)| a >= b);
    there.len() == source.len() && not_older && is_executable(&there)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o777 == 0o755
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn is_executable(_metadata: &fs::Metadata) -> bool {
    true
}
