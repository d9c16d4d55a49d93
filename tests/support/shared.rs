//! Cases and data that lie beside the repository, in `../shared`.

use std::path::{Path, PathBuf};

/// The folder named by `variable`, or `default` in `../shared`. `None`, said aloud, where that is not there; where
/// `CI_DEMANDS_SHARED` is set that is a failure.
#[expect(clippy::disallowed_methods, reason = "tests take their folders from the environment")]
pub fn dir(variable: &str, default: &str) -> Option<PathBuf> {
    if let Ok(named) = std::env::var(variable) {
        let path = PathBuf::from(named);
        assert!(path.exists(), "{variable} names {}, which is not there", path.display());
        return Some(path);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(default);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI_DEMANDS_SHARED").is_err(), "{} is not there, and CI_DEMANDS_SHARED is set", path.display());
    println!("skipped: ../shared not there");
    None
}

/// A file that whoever runs the tests names.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so")]
pub fn file(variable: &str) -> Option<PathBuf> {
    std::env::var(variable).ok().map(PathBuf::from)
}

/// Whether what is generated is to be written anew.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says so")]
pub fn writes() -> bool {
    std::env::var("ASSAY_WRITE").is_ok()
}
