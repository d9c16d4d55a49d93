//! A page that says one thing: what was done, or why there is nothing to do, with the way on.

use askama::Template;

use super::{Frame, Link, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "message.html", config = "functions/web/pages/askama.toml")]
pub struct MessagePage {
    pub frame: Frame,
    pub heading: String,
    pub tag: Option<Tag>,
    /// One sentence.
    pub sentence: String,
    /// What is shown this once, on a line of its own.
    pub to_copy: Option<String>,
    /// The first is the main way on.
    pub links: Vec<Link>,
}
