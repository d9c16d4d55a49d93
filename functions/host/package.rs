//! Lays out the app folder that the host reads: `host.json`, `<function>/function.json` and the executable.
//!
//! The host loads `function.json` only from folders directly beside `host.json`, while our sources keep them under
//! `functions/triggers`: this is where they become flat. The files are in the binary, so an installed one can do it.
//! It never writes into a folder that is not an app folder of ours.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::triggers::check::{DEFINITIONS, HOST_JSON};

/// `defaultExecutablePath` of `host.json`: the host sets the execute bit on this file only, where it does at all.
pub const EXECUTABLE: &str = "assay";

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{} is not empty and not an app folder of Assay; name an empty or a new folder", .0.display())]
    Foreign(PathBuf),
    #[error(
        "this build has the demo in it, with which anybody signs in as anybody; build one without it (cargo build --profile dist --no-default-features) and package that, or give --demo for a folder to try on this machine"
    )]
    HasDemo,
    #[error("{} cannot be written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// [`stage`] for an installation: a program with the demo's sign-in in it goes along only when that is asked for.
pub fn package(dir: &Path, executable: &Path, demo: bool) -> Result<(), PackageError> {
    if cfg!(feature = "demo") && !demo {
        return Err(PackageError::HasDemo);
    }
    stage(dir, executable)
}

/// Lays out the app folder in `dir`, which is new, empty, or one that an earlier run laid out. Same input, same folder:
/// files of this release are replaced, functions that it no longer has are removed, anything else is left alone.
pub fn stage(dir: &Path, executable: &Path) -> Result<(), PackageError> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    if !is_empty(dir)? && !is_ours(dir) {
        return Err(PackageError::Foreign(dir.to_owned()));
    }
    // First, so that an interrupted run leaves a folder that the next one takes for ours.
    put(&dir.join("host.json"), HOST_JSON)?;
    remove_old_functions(dir)?;
    for (name, definition) in DEFINITIONS {
        let folder = dir.join(name);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        put(&folder.join("function.json"), definition)?;
    }
    put_executable(&dir.join(EXECUTABLE), executable)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    |source| PackageError::Io { path, source }
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
