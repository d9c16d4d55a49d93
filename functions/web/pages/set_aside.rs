//! Records that were set aside because they carry a CUI marking: where each is and what to do, never what it says.

use askama::Template;
use time::OffsetDateTime;

use super::{Frame, PostForm};

#[derive(Clone, Debug, Template)]
#[template(path = "set_aside.html", config = "functions/web/pages/askama.toml")]
pub struct SetAsidePage {
    pub frame: Frame,
    pub clients_href: String,
    /// One per client that has any, and one for what belongs to no client yet.
    pub groups: Vec<SetAsideGroup>,
    /// Connections with how many of their records cannot be read.
    pub unreadable: Vec<(String, usize)>,
    pub notice: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub struct SetAsideGroup {
    /// The client's name, or that nobody has said whose these are.
    pub client: String,
    /// Those that nobody has seen to first, newest first.
    pub records: Vec<SetAsideRecord>,
    /// Further ones that are not listed.
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
    /// Where there never was a copy of ours.
    pub no_copy: &'static str,
    /// The form of the marking, never the text around it.
    pub marking: &'static str,
    pub at: OffsetDateTime,
    /// Sealed copies of its messages in our store.
    pub copies: usize,
    /// Who destroyed our copies last, and when. Without it and without copies, none was ever kept.
    pub destroyed: Option<(String, OffsetDateTime)>,
    /// `None` for who may not, and when there is nothing to destroy.
    pub destroy: Option<PostForm>,
    /// Who has seen to it, and when.
    pub seen: Option<(String, OffsetDateTime)>,
    /// `None` for who may not, and when it is done.
    pub see_to: Option<PostForm>,
}
