//! The one stylesheet: embedded, served under a name that carries its hash, kept by browsers for a year.

use std::sync::LazyLock;

use super::{Reply, pages::paths, security};
use crate::tenancy::seal::sha256;

const STYLESHEET: &str = include_str!("assay.css");

// A constant of the build: the name changes exactly when the text does.
static NAME: LazyLock<String> = LazyLock::new(|| format!("assay-{}.css", &sha256(STYLESHEET.as_bytes())[..8]));

/// What pages link to: `/api/portal/assets/assay-0a1b2c3d.css`.
pub fn stylesheet_path() -> String {
    format!("{}assets/{}", paths::BASE, *NAME)
}

/// The asset of this name; `None` for any other, an older hash included, so that a cache never keeps the wrong text.
pub fn serve(name: &str) -> Option<Reply> {
    (name == *NAME).then(|| {
        security::guard(Reply::new(200, "text/css; charset=utf-8", STYLESHEET)).with("cache-control", "public, max-age=31536000, immutable")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stylesheet_is_served_under_its_hashed_name_only() {
        let name = stylesheet_path().rsplit('/').next().unwrap_or_default().to_owned();
        let reply = serve(&name).expect("its own name");
        assert_eq!(reply.header("content-type"), Some("text/css; charset=utf-8"));
        assert!(reply.header("cache-control").is_some_and(|value| value.contains("immutable")));
        assert!(serve("assay-00000000.css").is_none());
        assert!(serve("../assay.css").is_none());
    }

    #[test]
    fn the_stylesheet_asks_nothing_of_other_hosts_and_is_small() {
        assert!(!STYLESHEET.contains("url(") && !STYLESHEET.contains("@import"));
        assert!(STYLESHEET.len() < 24 * 1024);
    }
}
