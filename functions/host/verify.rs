//! `assay verify`: copies of logs, checked with what the auditor got another way than the copy.
//!
//! A key or a kept checkpoint that lies in what it shall verify is refused, however the path to it is spelled: whoever can
//! change the copy can change it too, and would be told that all is well. Words go through `say`; nothing here prints.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

use crate::audit::{
    self, Known, LogFault, VerifyError,
    tlog::{VerifierKey, note::KeyError},
};

pub struct Verification<'a> {
    /// Folders of an export, a record's `.tlog-proof` with its file beside it, or files of an earlier release.
    pub paths: &'a [PathBuf],
    /// Verifier keys as text, or files with one a line.
    pub keys: &'a [String],
    /// The same of witnesses that must have cosigned.
    pub witnesses: &'a [String],
    /// A file with a checkpoint that was kept.
    pub seen: Option<&'a Path>,
}

#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{given} is neither a verifier key nor a file with some")]
    NoKey { given: String, source: io::Error },
    #[error("{given} holds something else than verifier keys, one a line: \u{201c}{line}\u{201d}")]
    Key { given: String, line: String, source: KeyError },
    #[error("there is nothing at {}", .0.display())]
    Nothing(PathBuf),
    #[error("one of the keys is {0}")]
    Kind(&'static str),
    #[error("{0} lies in what it shall verify: whoever can change the log can change it too. Take the {1} from another place")]
    Inside(String, &'static str),
    #[error(transparent)]
    Folder(#[from] LogFault),
    #[error(transparent)]
    File(#[from] VerifyError),
    #[error(
        "{} is a file of an earlier release, which no key signed and no checkpoint goes with: verify it without --key, --witness and --seen, and compare the head that is said then with one that you have from elsewhere",
        .0.display()
    )]
    Unsigned(PathBuf),
    #[error("{broken} of {of} do not hold")]
    Some { broken: usize, of: usize },
}

/// Each by itself: one that does not hold hides none of the others.
pub fn run(verification: &Verification<'_>, say: impl Fn(&str)) -> Result<(), VerificationError> {
    let Verification { paths, keys, witnesses, seen } = verification;
    let mut known = Vec::new();
    for key in *keys {
        known.extend(verifier_keys(key, paths)?);
    }
    if known.iter().any(VerifierKey::is_witness) {
        return Err(VerificationError::Kind("a witness's key: give it by --witness"));
    }
    for key in *witnesses {
        let of_witnesses = verifier_keys(key, paths)?;
        if !of_witnesses.iter().all(VerifierKey::is_witness) {
            return Err(VerificationError::Kind("no witness's key: give the log's own by --key"));
        }
        known.extend(of_witnesses);
    }
    let seen = seen.map(|path| kept_checkpoint(path, paths)).transpose()?;
    let mut broken = 0;
    for path in *paths {
        if paths.len() > 1 {
            say(&format!("{}:", path.display()));
        }
        match one(path, Known { keys: &known, seen: seen.as_deref() }) {
            Ok(report) => say(&report),
            Err(error) if paths.len() == 1 => return Err(error),
            Err(error) => {
                broken += 1;
                say(&with_causes(&error));
            }
        }
    }
    if broken == 0 { Ok(()) } else { Err(VerificationError::Some { broken, of: paths.len() }) }
}

fn one(path: &Path, known: Known<'_>) -> Result<String, VerificationError> {
    if !path.exists() {
        return Err(VerificationError::Nothing(path.to_owned()));
    }
    if path.is_dir() {
        return Ok(audit::verify_folder(path, known)?.to_string());
    }
    if path.extension().is_some_and(|extension| extension == "tlog-proof") {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(|source| VerificationError::Read { path, source });
        let (proof, opened) = (read(path.to_owned())?, read(path.with_extension("json"))?);
        return Ok(audit::verify_record(&proof, &opened, known)?.to_string());
    }
    if !known.keys.is_empty() || known.seen.is_some() {
        return Err(VerificationError::Unsigned(path.to_owned()));
    }
    Ok(audit::verify_file(path)?.to_string())
}

fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A key, or the keys of a file, a line each; what begins with `#` is left out, and what stands behind a key, such as the
/// fingerprint that a page shows beside it.
pub fn verifier_keys(given: &str, paths: &[PathBuf]) -> Result<Vec<VerifierKey>, VerificationError> {
    let parse = |line: &str| {
        let key = line.split_whitespace().next().unwrap_or_default();
        key.parse().map_err(|source| VerificationError::Key { given: given.to_owned(), line: line.to_owned(), source })
    };
    let path = Path::new(given);
    if given.contains('+') && !path.exists() {
        return Ok(vec![parse(given)?]);
    }
    let none = |source| VerificationError::NoKey { given: given.to_owned(), source };
    if lies_in_any(path, paths).map_err(none)? {
        return Err(VerificationError::Inside(given.to_owned(), "keys"));
    }
    let text = fs::read_to_string(path).map_err(none)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(parse).collect()
}

fn kept_checkpoint(path: &Path, paths: &[PathBuf]) -> Result<Vec<u8>, VerificationError> {
    let unread = |source| VerificationError::Read { path: path.to_owned(), source };
    if lies_in_any(path, paths).map_err(unread)? {
        return Err(VerificationError::Inside(path.display().to_string(), "checkpoint that was kept"));
    }
    fs::read(path).map_err(unread)
}

/// Whether the file, or a link on the way to it, belongs to one of the paths. What is not there is an error.
fn lies_in_any(file: &Path, paths: &[PathBuf]) -> io::Result<bool> {
    let (given, real) = (plain(&std::path::absolute(file)?), fs::canonicalize(file)?);
    // A link that lies in the folder was put there by who made it, wherever it leads.
    let ways: Vec<PathBuf> = given.ancestors().filter_map(|way| in_its_folder(way).ok()).chain([real]).collect();
    let folders = paths.iter().filter_map(|path| fs::canonicalize(path).ok());
    Ok(folders.into_iter().any(|folder| ways.iter().any(|way| way.starts_with(&folder))))
}

/// The path with its links followed, but for the last name.
fn in_its_folder(way: &Path) -> io::Result<PathBuf> {
    Ok(fs::canonicalize(way.parent().unwrap_or(way))?.join(way.file_name().unwrap_or(OsStr::new(""))))
}

/// Without `..`: whoever goes into the folder and out again does not take anything from it.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn whatever_way_leads_through_the_folder_lies_in_it_and_no_other() {
        use std::os::unix::fs::symlink;
        let place = tempfile::tempdir().expect("a folder");
        let (export, outside) = (place.path().join("export"), place.path().join("kept"));
        for folder in [&export, &outside, &export.join("tile")] {
            fs::create_dir(folder).expect("made");
        }
        for file in [export.join("checkpoint"), outside.join("checkpoint"), place.path().join("export-checkpoint")] {
            fs::write(file, "text").expect("written");
        }
        symlink(export.join("checkpoint"), outside.join("leads-in")).expect("a link");
        symlink(outside.join("checkpoint"), export.join("leads-out")).expect("a link");
        symlink(&outside, export.join("folder-out")).expect("a link");
        symlink(&export, place.path().join("alias")).expect("a link");
        let export = [export];
        let lies = |file: &str| lies_in_any(&place.path().join(file), &export).expect("it is there");
        for inside in [
            "export/checkpoint",
            "export/tile/../checkpoint",
            "kept/leads-in",
            "export/leads-out",
            "export/folder-out/checkpoint",
            "alias/checkpoint",
        ] {
            assert!(lies(inside), "{inside}");
        }
        for other in ["kept/checkpoint", "export/../kept/checkpoint", "export-checkpoint"] {
            assert!(!lies(other), "{other}");
        }
        assert!(lies_in_any(&place.path().join("nowhere"), &export).is_err());
        let aliased = [place.path().join("alias")];
        assert!(lies_in_any(&place.path().join("export/checkpoint"), &aliased).expect("it is there"));
    }
}
