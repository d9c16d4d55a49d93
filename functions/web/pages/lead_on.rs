//! The way to where people sign in: a page that leads on by itself, because Chromium holds a form's `form-action` against
//! every redirect that follows on it, and what another host redirects to is not ours to know.

use askama::Template;

use super::Frame;

#[derive(Clone, Debug, Template)]
#[template(path = "lead_on.html", config = "functions/web/pages/askama.toml")]
pub struct LeadOnPage {
    pub frame: Frame,
    /// At the authority that configuration chose.
    pub to: String,
}
