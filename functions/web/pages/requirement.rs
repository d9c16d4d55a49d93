//! One requirement of one client: its objectives in words, what is suggested, what is decided, and the evidence.

use askama::Template;
use time::OffsetDateTime;

use super::{EvidenceCard, FieldKind, Frame, Link, ProposeForm, Standing, Tag};

#[derive(Clone, Debug, Template)]
#[template(path = "requirement.html", config = "functions/web/pages/askama.toml")]
pub struct RequirementPage {
    pub frame: Frame,
    pub client: String,
    pub client_href: String,
    /// `AC.L2-3.1.1`
    pub id: String,
    pub title: String,
    pub statement: String,
    pub family: String,
    /// `5 points`, `3 or 5 points`, `no points: without it there is no score`.
    pub weight: String,
    /// Whether it may stand on a POA&M, in words.
    pub poam: String,
    pub standing: Standing,
    /// Why it stands there.
    pub why: String,
    pub objectives: Vec<ObjectiveView>,
    /// Only for an engineer of this client.
    pub propose: Option<ProposeForm>,
    pub previous: Option<Link>,
    pub next: Option<Link>,
}

#[derive(Clone, Debug)]
pub struct ObjectiveView {
    /// `AC.L2-3.1.1[a]`
    pub id: String,
    /// `a`; also the fragment of its address, as `objective-a`.
    pub letter: String,
    /// In our own words.
    pub text: String,
    pub standing: Standing,
    /// What a rule or the analyst thinks. Never shown as a finding.
    pub suggestion: Option<SuggestionView>,
    /// What a named human decided.
    pub finding: Option<FindingView>,
    /// The answer to the last proposal, when it was no.
    pub rejection: Option<RejectionView>,
    /// The proposal that waits.
    pub open_proposal: Option<Link>,
    pub evidence: Vec<EvidenceCard>,
}

#[derive(Clone, Debug)]
pub struct SuggestionView {
    /// `supported in part`, `contradicted`, `not enough`.
    pub result: Tag,
    /// `by rule`, `by AI`.
    pub by: String,
    pub at: OffsetDateTime,
    pub reasons: Vec<String>,
    pub limits: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct RejectionView {
    /// The person's name.
    pub by: String,
    pub at: OffsetDateTime,
    pub comment: String,
    /// What was asked.
    pub proposal: Link,
}

#[derive(Clone, Debug)]
pub struct FindingView {
    pub result: Tag,
    /// The person's name.
    pub by: String,
    pub at: OffsetDateTime,
    /// Why, in the words of who proposed it; may be empty, as the comment may.
    pub reason: String,
    pub comment: String,
    /// It was taken back in between: by whom it stands again, and since when.
    pub restored: Option<(String, OffsetDateTime)>,
    /// The decided proposal.
    pub proposal: Option<Link>,
    /// Where an engineer can ask to take it back, or where that waits for an approver.
    pub roll_back: Option<Link>,
}
