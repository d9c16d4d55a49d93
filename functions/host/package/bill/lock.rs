//! The `Cargo.lock` that this program was built from: which crates, and the hashes of what the registry gave.

use std::{collections::BTreeMap, fs, path::Path};

use super::BillError;

const LOCK: &str = include_str!("../../../../Cargo.lock");

/// SHA-256 by name and version, after a look that the checkout has the same file.
pub(super) fn checksums(checkout: &Path) -> Result<BTreeMap<(&'static str, &'static str), &'static str>, BillError> {
    let path = checkout.join("Cargo.lock");
    let there = fs::read_to_string(&path).map_err(|source| BillError::Read { path: path.clone(), source })?;
    if there != LOCK {
        return Err(BillError::OtherLock(path));
    }
    // Cargo writes it, always in this form: one `key = "value"` a line, blocks by `[[package]]`.
    let crates = LOCK.split("[[package]]").skip(1).filter_map(|block| {
        let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    Ok(crates.collect())
}
