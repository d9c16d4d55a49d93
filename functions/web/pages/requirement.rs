//! One requirement of one client: its objectives in words, what is suggested, what is decided, and the evidence.

use askama::Template;
use time::OffsetDateTime;

use super::{Choice, EvidenceCard, FieldError, Frame, Link, PostForm, Standing, Tag};

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
pub struct FindingView {
    pub result: Tag,
    /// The person's name.
    pub by: String,
    pub at: OffsetDateTime,
    /// Why, in the words of who proposed it; may be empty, as the comment may.
    pub reason: String,
    pub comment: String,
    /// The decided proposal.
    pub proposal: Option<Link>,
    /// Proposes to take the finding back; that is a decision of its own.
    pub roll_back: Option<PostForm>,
}

/// An engineer's own proposal: fields `objective`, `found`, `title`, `place`, `sha256`, `approved_on` (YYYY-MM-DD), `why`.
#[derive(Clone, Debug)]
pub struct ProposeForm {
    pub action: String,
    pub token: String,
    /// Objectives that nobody has an open proposal about.
    pub objectives: Vec<Choice>,
    /// What can be found of an objective here.
    pub answers: Vec<Choice>,
    /// What was typed, when the form comes back with errors.
    pub objective: String,
    pub found: String,
    pub title: String,
    pub place: String,
    pub sha256: String,
    pub approved_on: String,
    pub why: String,
    pub errors: Vec<FieldError>,
}

impl ProposeForm {
    pub fn empty(action: String, token: String, objectives: Vec<Choice>, answers: Vec<Choice>) -> Self {
        Self {
            action,
            token,
            objectives,
            answers,
            objective: String::new(),
            found: String::new(),
            title: String::new(),
            place: String::new(),
            sha256: String::new(),
            approved_on: String::new(),
            why: String::new(),
            errors: Vec::new(),
        }
    }

    fn text_fields(&self) -> [TextField<'_>; 4] {
        let field = |name, label, hint, kind, value| TextField { name, label, hint, kind, value };
        [
            field("title", "Document", "Its name and version: Access request policy, version 3", "text", &*self.title),
            field("place", "Where it is kept", "So that an assessor finds it: a link, or a folder in words", "text", &*self.place),
            field("sha256", "SHA-256 of the file", "64 characters, from certutil -hashfile or sha256sum", "text", &*self.sha256),
            field("approved_on", "Approved on", "The day it was approved; a draft is never evidence", "date", &*self.approved_on),
        ]
    }

    fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|e| e.field == field).map(|e| e.message.as_str())
    }
}

struct TextField<'a> {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    kind: &'static str,
    value: &'a str,
}
