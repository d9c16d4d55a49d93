//! `assay package`: what is installed, as a folder ([`stage`]) and as the one file that Azure takes ([`zip`]).
//!
//! The host loads `function.json` only from folders directly beside `host.json`, while our sources keep them under
//! `functions/triggers`: here they become flat. Those files are in the program, so the package is made of one file and can
//! hold nothing that somebody left in a folder. Beside them lies what the program is made of ([`bill`]). What is made is read
//! again and looked at ([`check`]) before anybody gets it. `infra/package` builds the program that this packages.

pub mod bill;
mod check;
mod elf;
mod secrets;
mod stage;
mod zip;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use self::bill::BillError;
pub use self::{
    bill::Bill,
    check::{Checked, Fault, check},
    elf::{Glibc, NEWEST_GLIBC},
    stage::stage,
    zip::zipped,
};
use crate::triggers::check::{DEFINITIONS, HOST_JSON};

/// `defaultExecutablePath` of `host.json`: the host sets the execute bit on this file only, where it does at all.
pub const EXECUTABLE: &str = "assay";

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{} is not empty and not an app folder of Assay; name an empty or a new folder", .0.display())]
    Foreign(PathBuf),
    #[error(
        "this build has the demo in it, with which anybody signs in as anybody; build one without it (infra/package does) and package that, or give --demo for a folder to try on this machine"
    )]
    HasDemo,
    #[error("a package for Azure never has the demo in it: leave out --demo, or give --stage alone")]
    DemoInZip,
    #[error("the package would not start in Azure: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unfit { faults: Vec<Fault> },
    #[error(transparent)]
    Bill(#[from] BillError),
    #[error("{} cannot be written", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What is asked for: a folder, a zip, or both.
pub struct Package<'p> {
    pub stage: Option<&'p Path>,
    pub zip: Option<Zip<'p>>,
    pub executable: &'p Path,
    /// Whether the program may have the demo's sign-in in it.
    pub demo: bool,
}

/// The one file, and who knows what the program is made of.
#[derive(Clone, Copy)]
pub struct Zip<'p> {
    pub file: &'p Path,
    /// Where the program was built.
    pub checkout: &'p Path,
    /// The folder of the zig that linked it.
    pub zig: &'p Path,
}

/// Makes it; what was found of the zip, where one was asked for.
pub fn package(Package { stage: folder, zip, executable, demo }: Package<'_>) -> Result<Option<Checked>, PackageError> {
    if demo && zip.is_some() {
        return Err(PackageError::DemoInZip);
    }
    if cfg!(feature = "demo") && !demo {
        return Err(PackageError::HasDemo);
    }
    if let Some(folder) = folder {
        stage(folder, executable)?;
    }
    zip.map(|zip| write(zip, executable)).transpose()
}

/// The zip beside its name first, so that what stands there before is whole until the new one is, and is fit.
fn write(Zip { file, checkout, zig }: Zip<'_>, executable: &Path) -> Result<Checked, PackageError> {
    let program = fs::read(executable).map_err(at(executable))?;
    let bytes = zipped(&program, &Bill::of(&program, checkout, zig)?).map_err(at(file))?;
    let checked = check(&bytes).map_err(|faults| PackageError::Unfit { faults })?;
    let new = file.with_extension("new");
    fs::write(&new, &bytes).map_err(at(&new))?;
    fs::rename(&new, file).map_err(at(file))?;
    Ok(checked)
}

/// Every file but the program, by its path in the package: `host.json` first.
fn texts() -> impl Iterator<Item = (String, &'static str)> {
    let definitions = DEFINITIONS.iter().map(|(name, definition)| (format!("{name}/function.json"), *definition));
    [("host.json".to_owned(), HOST_JSON)].into_iter().chain(definitions)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    |source| PackageError::Io { path, source }
}
