//! The mapping page: companies of a vendor that wait for a human to say which client they are.

use askama::Template;
use time::OffsetDateTime;

use super::{Choice, Frame};

#[derive(Clone, Debug, Template)]
#[template(path = "mapping.html", config = "functions/web/pages/askama.toml")]
pub struct MappingPage {
    pub frame: Frame,
    pub waiting: Vec<WaitingCompany>,
    /// Records without a company: nothing to map, and not to be hidden.
    pub nameless: Vec<NamelessLine>,
    /// Of clients that were let go: they can be mapped anew.
    pub left_behind: Vec<LeftBehind>,
    pub mapped: Vec<MappedLine>,
    /// The clients to choose from: value is the client's id.
    pub clients: Vec<Choice>,
    /// Where the forms go: fields `connection`, `company`, `client`, `token`.
    pub action: String,
    pub connections_href: String,
    /// What was just done, or why it was not.
    pub notice: Option<String>,
}

#[derive(Clone, Debug)]
pub struct WaitingCompany {
    /// The connection's name for people, and its id for the form.
    pub connection: String,
    pub connection_id: String,
    /// The vendor's company id, and its name for it when that was read.
    pub company: String,
    pub company_name: Option<String>,
    /// Records that wait, sealed.
    pub records: usize,
    /// Older changes that were let go for newer ones.
    pub let_go: u64,
    pub since: OffsetDateTime,
    pub token: String,
}

/// A company whose client's data keys were destroyed.
#[derive(Clone, Debug)]
pub struct LeftBehind {
    pub connection: String,
    pub connection_id: String,
    pub company: String,
    /// The vendor's name for it; may be empty.
    pub company_name: String,
    pub token: String,
}

/// Records of a connection that wait because no message named their company.
#[derive(Clone, Debug)]
pub struct NamelessLine {
    pub connection: String,
    pub records: usize,
}

#[derive(Clone, Debug)]
pub struct MappedLine {
    pub connection: String,
    pub company: String,
    pub company_name: String,
    pub client: String,
    pub client_href: String,
    pub by: String,
    pub at: OffsetDateTime,
}
