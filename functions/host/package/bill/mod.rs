//! What the program is linked from: a bill of materials (CycloneDX 1.6) and the licences of everything in it.
//!
//! Only a checkout can tell, so it is asked ([`cargo`]): for the very features and platform of this program, and only if its
//! `Cargo.lock` is the one that this program was built from. Nothing in it is of the day or of the machine: the same
//! program and the same crates give the same bytes. It must not leave anything out: a crate whose licence text is not found
//! fails the package by its name.

mod cargo;
mod licenses;
mod lock;
mod sbom;
mod toolchain;

use std::{
    io,
    path::{Path, PathBuf},
};

pub(super) use self::sbom::check;
use crate::tenancy::seal::sha256;

/// Beside the functions, in a folder of which the host takes no notice.
pub const SBOM: &str = "legal/sbom.cdx.json";
pub const LICENSES: &str = "legal/THIRD-PARTY-LICENSES.txt";
pub const RUST_LIBRARY: &str = "legal/RUST-LIBRARY-COPYRIGHT.html";
pub const OWN_LICENSE: &str = "legal/LICENSE";

#[derive(Debug, thiserror::Error)]
pub enum BillError {
    #[error(
        "{} is not the Cargo.lock that this program was built from; package it in the checkout that it was built in, or build it anew", .0.display()
    )]
    OtherLock(PathBuf),
    #[error("{command} in {} failed: {problem}", folder.display())]
    Command { command: String, folder: PathBuf, problem: String },
    #[error("{what} of {name} is not there; name it in functions/host/package/bill after you looked at it")]
    Unnamed { name: String, what: &'static str },
    #[error("{} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The files that go beside the program, by their path in the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub files: Vec<(&'static str, String)>,
}

/// Something that is in the program, or made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    name: String,
    version: String,
    /// A package URL (purl), which is its name in the bill too.
    purl: String,
    license: License,
    /// SHA-256 of what the registry gave, lower-case hex.
    checksum: Option<String>,
    repository: Option<String>,
    /// Not in the program: a macro or a build script, or what those are made of.
    only_builds: bool,
    /// The texts, as its makers ship them.
    texts: Vec<String>,
    /// The purls of what it uses.
    uses: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum License {
    /// An SPDX expression.
    Spdx(String),
    /// What SPDX has no name for.
    Named(&'static str),
}

impl Bill {
    /// Of this program, which was built in `checkout` and linked by the zig in `zig`.
    pub fn of(program: &[u8], checkout: &Path, zig: &Path) -> Result<Self, BillError> {
        let cargo::Crates { mut parts, mut direct } = cargo::crates(checkout)?;
        let rust_library = toolchain::rust_library(checkout)?;
        let toolchain = [rust_library.part].into_iter().chain(toolchain::linked_by_zig(zig)?);
        for part in toolchain {
            direct.push(part.purl.clone());
            parts.push(part);
        }
        parts.sort();
        let files = vec![
            (OWN_LICENSE, include_str!("../../../../LICENSE").to_owned()),
            (RUST_LIBRARY, rust_library.notices),
            (LICENSES, licenses::written(&parts)),
            (SBOM, sbom::written(&parts, &direct, &sha256(program))),
        ];
        Ok(Self { files })
    }
}
