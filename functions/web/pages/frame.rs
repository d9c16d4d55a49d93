//! What every page has around it: who is signed in, where they are, how much waits, the time by which "ago" is said.

use time::{Date, OffsetDateTime};

use super::{Ago, Deadline, Hash, day, paths};
use crate::{
    config::{Config, DataBoundary},
    web::assets,
};

/// Field of every page that extends `layout.html`.
#[derive(Clone, Debug)]
pub struct Frame {
    pub now: OffsetDateTime,
    /// The part of the navigation that is marked as the present one.
    pub section: Section,
    /// `None`: a page for anybody, without navigation.
    pub person: Option<SignedIn>,
    /// Proposals that this person may decide.
    pub waiting: usize,
    /// People who ask to be let in; `None` when it is not this person who answers.
    pub asking: Option<usize>,
    /// Demo sign-in: every page says so.
    pub demo: bool,
    /// Which data may lie here, where somebody said it: the footer of every page has it.
    pub boundary: Option<DataBoundary>,
}

#[derive(Clone, Debug)]
pub struct SignedIn {
    pub name: String,
    /// What they are, in a word or two: `Approver`, `Engineer, approver`.
    pub roles: String,
    /// Tools, mapping and dead letters are theirs too.
    pub operates: bool,
    /// The installation is theirs: they set it up.
    pub owns: bool,
    /// Anti-forgery token of the sign-out form.
    pub sign_out_token: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    None,
    Clients,
    Approvals,
    Analytics,
    Connections,
    Audit,
    People,
    Setup,
}

/// A part of the navigation.
pub(super) struct NavItem {
    pub(super) label: &'static str,
    pub(super) href: String,
    pub(super) here: bool,
    /// What waits there for this person; 0 is not shown.
    pub(super) waiting: usize,
}

impl Frame {
    pub fn new(config: &Config, now: OffsetDateTime, section: Section, person: Option<SignedIn>, waiting: usize) -> Self {
        Self { now, section, person, waiting, asking: None, demo: config.is_demo(), boundary: config.boundary }
    }

    /// A page for a browser that is not signed in.
    pub fn anonymous(config: &Config, now: OffsetDateTime) -> Self {
        Self::new(config, now, Section::None, None, 0)
    }

    /// `38 minutes ago`, with the exact time one hover away.
    pub fn ago(&self, at: &OffsetDateTime) -> Ago {
        Ago { at: *at, now: self.now }
    }

    /// `in 4 days, Tue 1 Dec 2026 17:00 UTC`.
    pub fn deadline(&self, at: &OffsetDateTime) -> Deadline {
        Deadline { at: *at, now: self.now }
    }

    /// What this person may open.
    pub(super) fn nav(&self) -> Vec<NavItem> {
        let item = |section, label, href, waiting| NavItem { label, href, here: self.section == section, waiting };
        let operates = self.person.as_ref().is_some_and(|person| person.operates);
        let owns = self.person.as_ref().is_some_and(|person| person.owns);
        [
            Some(item(Section::Clients, "Clients", paths::clients(), 0)),
            Some(item(Section::Approvals, "Approvals", paths::inbox(), self.waiting)),
            Some(item(Section::Analytics, "Analytics", paths::analytics(), 0)),
            operates.then(|| item(Section::Connections, "Connections", paths::connections(), 0)),
            self.asking.map(|asking| item(Section::People, "People", paths::team(), asking)),
            Some(item(Section::Audit, "Audit trail", paths::audit(), 0)),
            owns.then(|| item(Section::Setup, "Setup", paths::setup(), 0)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What templates ask of their frame although no field is needed: a template calls methods, and passes references.
#[expect(clippy::unused_self, clippy::trivially_copy_pass_by_ref, reason = "the form templates can call")]
impl Frame {
    pub(super) fn day(&self, date: &Date) -> String {
        day(*date)
    }

    pub(super) fn hash(&self, hash: &str) -> Hash {
        Hash(hash.to_owned())
    }

    /// `2026-03-01 09:30:00 UTC`.
    pub(super) fn exact(&self, at: &OffsetDateTime) -> String {
        let at = at.to_offset(time::UtcOffset::UTC);
        let (date, (hour, minute, second)) = (at.date(), at.to_hms());
        format!("{date} {hour:02}:{minute:02}:{second:02} UTC")
    }

    /// The setting's word, and what it means.
    pub(super) fn data_boundary(&self) -> Option<(&'static str, &'static str)> {
        let means = match self.boundary? {
            DataBoundary::CommercialNoCui => {
                "No Controlled Unclassified Information (CUI) may lie in this installation. What carries a CUI marking is held back, and our copy of it destroyed at once."
            }
            DataBoundary::GovCui => {
                "Azure Government. What carries a marking of Controlled Unclassified Information (CUI) is held back; our copy of it stays, sealed, until a person has it destroyed."
            }
        };
        Some((self.boundary?.name(), means))
    }

    pub(super) fn no_cui_stays(&self) -> bool {
        self.boundary == Some(DataBoundary::CommercialNoCui)
    }

    pub(super) fn home(&self) -> String {
        paths::clients()
    }

    pub(super) fn sign_out(&self) -> String {
        paths::sign_out()
    }

    pub(super) fn audit_events(&self) -> String {
        paths::audit_events()
    }

    pub(super) fn stylesheet(&self) -> String {
        assets::stylesheet_path()
    }

    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
