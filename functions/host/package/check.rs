//! Whether a package would start: it is read as Azure reads it, by its central directory, and compared with what it must hold.
//!
//! It says everything that is wrong at once, and what to do about it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{Cursor, Read as _},
};

use zip::ZipArchive;

use super::{
    EXECUTABLE, NEWEST_GLIBC,
    bill::{self, LICENSES, OWN_LICENSE, RUST_LIBRARY, SBOM},
    elf::{self, Glibc},
    secrets, texts,
    zip::{EXECUTABLE_MODE, FILE_MODE},
};
use crate::{
    tenancy::seal::sha256,
    triggers::check::{HOST_JSON, check_host_json},
};

/// Larger than any build of ours, far below what Azure takes (Flex Consumption and Partner Center: 1 GB).
const MOST_BYTES: usize = 100_000_000;

/// What a package that is fit is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub bytes: usize,
    /// The newest C library that it asks for.
    pub glibc: Option<Glibc>,
    /// Of the zip, lower-case hex.
    pub sha256: String,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let library = self.glibc.map_or_else(|| "no C library".to_owned(), |glibc| format!("glibc {glibc} or newer"));
        write!(f, "{} bytes; asks for {library}; SHA-256 {}", self.bytes, self.sha256)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it is no zip file")]
    NoZip,
    #[error("it has {0} bytes, and at most {MOST_BYTES} are taken")]
    TooLarge(usize),
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} does not belong there")]
    Foreign(String),
    #[error("{name} cannot be unpacked ({problem})")]
    Broken { name: String, problem: String },
    #[error("{0} is not what this release has")]
    Changed(String),
    #[error("{name} has the mode {mode:o} and not {wanted:o}, so the host could not start it")]
    Mode { name: String, mode: u32, wanted: u32 },
    #[error("the program: {0}")]
    Program(String),
    #[error(
        "the program asks for glibc {asked}, and the host may have {NEWEST_GLIBC} only: link it for that (README, \u{201c}Package\u{201d})"
    )]
    TooNew { asked: Glibc },
    #[error("the program wants {0}, which the host may not have: link it in")]
    Library(String),
    #[error("what it is made of ({SBOM}): {0}")]
    Bill(String),
    #[error("{name} holds what looks like {looks_like}; take it out, and make it useless where it was valid")]
    Secret { name: String, looks_like: &'static str },
    #[error("functions, routes and host.json: {0}")]
    Table(String),
}

/// Everything that keeps it from starting.
pub fn check(bytes: &[u8]) -> Result<Checked, Vec<Fault>> {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else { return Err(vec![Fault::NoZip]) };
    let mut faults: Vec<Fault> = check_host_json(HOST_JSON).into_iter().map(Fault::Table).collect();
    if bytes.len() > MOST_BYTES {
        faults.push(Fault::TooLarge(bytes.len()));
    }
    let legal = [LICENSES, OWN_LICENSE, RUST_LIBRARY, SBOM].map(str::to_owned);
    let wanted: BTreeSet<String> = texts().map(|(name, _)| name).chain(legal).chain([EXECUTABLE.to_owned()]).collect();
    let there: BTreeSet<String> = archive.file_names().map(|name| name.map_or_else(|error| error.to_string(), Cow::into_owned)).collect();
    faults.extend(wanted.difference(&there).cloned().map(Fault::Missing));
    faults.extend(there.difference(&wanted).cloned().map(Fault::Foreign));
    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for name in wanted.intersection(&there) {
        match unpacked(&mut archive, name) {
            Ok((content, mode)) => {
                faults.extend(wrong_mode(name, mode));
                files.insert(name, content);
            }
            Err(problem) => faults.push(Fault::Broken { name: name.clone(), problem }),
        }
    }
    for (name, content) in &files {
        faults.extend(secrets::seen(content).map(|looks_like| Fault::Secret { name: (*name).to_owned(), looks_like }));
    }
    let is_changed = |name: &str, text: &str| files.get(name).is_some_and(|content| content != text.as_bytes());
    faults.extend(texts().filter(|(name, text)| is_changed(name, text)).map(|(name, _)| Fault::Changed(name)));
    let mut glibc = None;
    if let Some(program) = files.get(EXECUTABLE) {
        match elf::asks(program) {
            Ok(asks) => {
                glibc = asks.glibc;
                faults.extend(asks.libraries.into_iter().map(Fault::Library));
            }
            Err(why) => faults.push(Fault::Program(why)),
        }
        if let (Some(sbom), Some(licenses)) = (files.get(SBOM), files.get(LICENSES)) {
            faults.extend(bill::check(sbom, &String::from_utf8_lossy(licenses), program).map(Fault::Bill));
        }
    }
    faults.extend(glibc.filter(|asked| *asked > NEWEST_GLIBC).map(|asked| Fault::TooNew { asked }));
    if faults.is_empty() { Ok(Checked { bytes: bytes.len(), glibc, sha256: sha256(bytes) }) } else { Err(faults) }
}

/// A file's content and its mode; where the directory does not say "made on Unix", one that is never ours.
fn unpacked(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<(Vec<u8>, u32), String> {
    let mut file = archive.by_name(name).map_err(|error| error.to_string())?;
    let mode = file.unix_mode().unwrap_or_default() & 0o7777;
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|error| error.to_string())?;
    Ok((content, mode))
}

fn wrong_mode(name: &str, mode: u32) -> Option<Fault> {
    let wanted = if name == EXECUTABLE { EXECUTABLE_MODE } else { FILE_MODE };
    (mode != wanted).then(|| Fault::Mode { name: name.to_owned(), mode, wanted })
}
