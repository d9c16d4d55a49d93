//! Records that were set aside because they carry a CUI marking: where each is and what to do, never what it says.

use askama::Template;
use time::OffsetDateTime;

use super::Frame;

#[derive(Clone, Debug, Template)]
#[template(path = "set_aside.html", config = "functions/web/pages/askama.toml")]
pub struct SetAsidePage {
    pub frame: Frame,
    pub clients_href: String,
    /// One per client that has any, and one for what belongs to no client yet.
    pub groups: Vec<SetAsideGroup>,
}

#[derive(Clone, Debug)]
pub struct SetAsideGroup {
    /// The client's name, or that nobody has said whose these are.
    pub client: String,
    /// Newest first.
    pub records: Vec<SetAsideRecord>,
    /// Further ones that are older and not listed.
    pub more: usize,
}

#[derive(Clone, Debug)]
pub struct SetAsideRecord {
    /// As the tool names it: `ticket 918204`.
    pub what: String,
    /// The connection's name.
    pub connection: String,
    /// How it came: by a webhook, or in a whole read.
    pub came: &'static str,
    /// The form of the marking, never the text around it.
    pub marking: &'static str,
    pub at: OffsetDateTime,
}
