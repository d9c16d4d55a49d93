//! The clients page: where each client stands, what waits, whether its tools answer.

use askama::Template;
use time::{Date, OffsetDateTime};

use super::{Frame, Link, PostForm, Readings, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "clients.html", config = "functions/web/pages/askama.toml")]
pub struct ClientsPage {
    pub frame: Frame,
    /// Only clients this person has a grant for.
    pub clients: Vec<ClientRow>,
    /// Clients whose records cannot be read now; the others are shown all the same.
    pub unreadable: Vec<UnreadableClient>,
    /// What this person has for clients whose pages they do not open.
    pub limited: Vec<LimitedRole>,
    /// Clients of which the owner sees only who may do what; empty for everybody else.
    pub without_grant: Vec<Link>,
    /// Proposals of these clients that wait for anybody.
    pub waiting: usize,
    /// Companies of a vendor that are not mapped yet; 0 hides the line.
    pub unmapped: usize,
    /// Messages that could not be processed; 0 hides the line.
    pub dead_letters: usize,
    /// Logs with an alarm, each leading to its page: whose, and what.
    pub alarms: Vec<(Link, String)>,
    /// When the logs were last looked after; `None` for whom they are not, and before the first time.
    pub logs_looked: Option<OffsetDateTime>,
    /// That was so long ago that it has to be said aloud.
    pub logs_late: bool,
    pub logs_href: String,
    /// Records of these clients that carry a CUI marking and nobody has seen to; 0 hides the line.
    pub set_aside: usize,
    /// Those that a person has seen to.
    pub seen_to: usize,
    pub set_aside_href: String,
    /// `None` for whom the tools are not.
    pub unmapped_href: Option<String>,
    /// Whom a newcomer asks for a grant.
    pub owners: Vec<String>,
    /// Only for the owner.
    pub add_href: Option<String>,
    /// Who can sign in; only for the owner, where people are let in.
    pub people_href: Option<String>,
    /// The review of access; only for the owner.
    pub access: Option<AccessReviewLink>,
    /// For an owner, while nothing can be approved: where the setup is, and the titles of what is missing.
    pub setup: Option<(String, Vec<&'static str>)>,
    /// What was just done.
    pub notice: Option<String>,
    pub dead_letters_href: String,
}

#[derive(Clone, Debug)]
pub struct ClientRow {
    pub name: String,
    pub href: String,
    pub readings: Readings,
    /// Requirements MET, of 110.
    pub met: usize,
    /// Open proposals.
    pub waiting: usize,
    pub newest_evidence: Option<OffsetDateTime>,
    /// One per connection that serves this client: its health in a word, with the way on when something is wrong.
    pub connections: Vec<(Tag, Option<Link>)>,
}

#[derive(Clone, Debug)]
pub struct AccessReviewLink {
    pub href: String,
    /// What it is due for, such as `2 clients and who can sign in`.
    pub due_for: Option<String>,
}

/// An assessor, training manager or learner of a client: what there is for them, and until when.
#[derive(Clone, Debug)]
pub struct LimitedRole {
    pub client: String,
    /// `Assessor`, or several with commas between them.
    pub roles: String,
    pub last_day: Option<Date>,
    /// What they find here, a sentence each.
    pub words: Vec<&'static str>,
    /// A copy of the client's log to verify, without its content; only for an assessor.
    pub copy: Option<PostForm>,
}

#[derive(Clone, Debug)]
pub struct UnreadableClient {
    pub name: String,
    /// Why, and what to do.
    pub why: String,
    /// Where to do it.
    pub link: Option<Link>,
}
