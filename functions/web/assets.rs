//! The stylesheet and the one script: embedded, served under names that carry their hashes, kept by browsers for a year.

use std::sync::LazyLock;

use super::{Reply, pages::paths, security};
use crate::tenancy::seal::sha256;

const STYLESHEET: &str = include_str!("assay.css");

// A constant of the build: the name changes exactly when the text does.
static NAME: LazyLock<String> = LazyLock::new(|| format!("assay-{}.css", &sha256(STYLESHEET.as_bytes())[..8]));

/// Checks an entry of the audit log in the browser; only that page asks for it.
const CHECK: &str = include_str!("check.js");

static CHECK_NAME: LazyLock<String> = LazyLock::new(|| format!("check-{}.js", &sha256(CHECK.as_bytes())[..8]));

/// The script of an entry's page: `/api/portal/assets/check-0a1b2c3d.js`.
pub fn check_path() -> String {
    format!("{}assets/{}", paths::BASE, *CHECK_NAME)
}

/// What pages link to: `/api/portal/assets/assay-0a1b2c3d.css`.
pub fn stylesheet_path() -> String {
    format!("{}assets/{}", paths::BASE, *NAME)
}

/// The asset of this name; `None` for any other, an older hash included, so that a cache never keeps the wrong text.
pub fn serve(name: &str) -> Option<Reply> {
    let (content_type, text) = match name {
        name if name == *NAME => ("text/css; charset=utf-8", STYLESHEET),
        name if name == *CHECK_NAME => ("text/javascript; charset=utf-8", CHECK),
        _ => return None,
    };
    Some(security::guard(Reply::new(200, content_type, text)).with("cache-control", "public, max-age=31536000, immutable"))
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
        let script = serve(check_path().rsplit('/').next().unwrap_or_default()).expect("its own name");
        assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert!(serve("../assay.css").is_none());
    }

    #[test]
    fn the_stylesheet_asks_nothing_of_other_hosts_and_is_small() {
        assert!(!STYLESHEET.contains("url(") && !STYLESHEET.contains("@import"));
        assert!(STYLESHEET.len() < 24 * 1024);
    }
}
