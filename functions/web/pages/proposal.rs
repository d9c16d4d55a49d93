//! The decision page, the one that matters most: one question, exactly what changes, why, and two buttons.

use askama::Template;
use time::OffsetDateTime;

use super::{DryRun, EvidenceCard, Field, FieldError, FieldKind, Frame, Link, Tag, TimelineEntry, day};

#[derive(Clone, Debug, Template)]
#[template(path = "proposal.html", config = "functions/web/pages/askama.toml")]
pub struct ProposalPage {
    pub frame: Frame,
    pub client: String,
    /// The kind of action in words: `Mark an objective as MET`.
    pub kind: String,
    /// As a sentence: `Mark AC.L2-3.1.1[a] as MET for Harbor Precision?`
    pub question: String,
    /// The subject in words, such as what the objective says.
    pub explanation: String,
    /// The requirement's page, where it is about an objective; NIST says nothing of anything else.
    pub subject: Option<Link>,
    /// A person's name, or `Assay, by rule`.
    pub asked_by: String,
    pub asked_at: OffsetDateTime,
    /// What changes of an objective as of now, while it is open; `None` where its records cannot be read.
    pub today: Option<(Side, Side)>,
    /// For another policy, while it is open.
    pub dry_run: Option<DryRun>,
    /// What changes, in the words of the day it was asked, which the hash covers.
    pub before: Side,
    pub after: Side,
    /// Why now, one sentence each.
    pub reasons: Vec<String>,
    /// Newest first.
    pub evidence: Vec<EvidenceCard>,
    /// What the evidence as a whole does not show.
    pub limits: Vec<String>,
    pub on_approve: String,
    pub on_reject: String,
    pub decide_by: OffsetDateTime,
    /// Names of the others who may decide, without the reader.
    pub others: Vec<String>,
    pub level: LevelMark,
    pub quorum: Quorum,
    /// Of the exact action, lower-case hex.
    pub hash: String,
    pub version: u32,
    /// The exact bytes that will run.
    pub action: String,
    pub history: Vec<TimelineEntry>,
    pub state: ProposalState,
    /// Only for an engineer of this client, while what it made stands.
    pub take_back: Option<TakeBackForm>,
    /// Whether the reader may approve alone, in an emergency (`decision` = `alone`): how many characters the reason has at
    /// least, and how old the sign-in may be in minutes.
    pub alone: Option<(usize, u32)>,
    /// Where it takes a fresh sign-in to approve it or to record it.
    pub sign_in: Option<FreshSignIn>,
    /// After the fact, for who may look at it.
    pub review: Option<ReviewForm>,
    /// Why nobody can do the review that is due, as a sentence.
    pub nobody_reviews: Option<&'static str>,
    /// What only a person does (L3): for who may record that they did, or say no.
    pub done: Option<DoneForm>,
    /// Only for who asked, until it has run.
    pub withdraw: Option<WithdrawForm>,
    /// The next item that waits for this person.
    pub next: Option<Link>,
    pub inbox_href: String,
}

/// How old the sign-in may be.
#[derive(Clone, Debug)]
pub struct FreshSignIn {
    pub minutes: u32,
    /// Where the reader proves again who they are, if theirs is older; filled by who knows the session.
    pub prove: Option<String>,
}

/// The gate level, with what it means.
#[derive(Clone, Debug)]
pub struct LevelMark {
    /// `L2`
    pub word: String,
    pub meaning: String,
}

/// How many approvals it takes, and who gave theirs to the version that is shown.
#[derive(Clone, Debug)]
pub struct Quorum {
    pub needed: usize,
    /// Name (`Priya Nair for Sam Okafor`) and time.
    pub given: Vec<(String, OffsetDateTime)>,
    /// Groups that still want an approval of their own.
    pub groups_wanted: Vec<String>,
}

impl Quorum {
    /// Whether one approval by anybody is all it takes.
    fn is_simple(&self) -> bool {
        self.needed <= 1 && self.groups_wanted.is_empty()
    }
}

/// Fields `token`.
#[derive(Clone, Debug)]
pub struct WithdrawForm {
    pub action: String,
    pub token: String,
}

/// One side of what changes.
#[derive(Clone, Debug)]
pub struct Side {
    pub tag: Option<Tag>,
    pub text: String,
}

impl Side {
    pub fn of(text: String) -> Self {
        Self { tag: None, text }
    }
}

/// What the reader can do, or why not.
#[derive(Clone, Debug)]
pub enum ProposalState {
    /// The reader decides.
    Open(Box<DecisionForm>),
    /// Open, and the reader may not decide: `You asked for this, so another person decides.`
    NotYours {
        why: String,
    },
    /// Somebody decided.
    Decided {
        approved: bool,
        /// The reader did.
        by_you: bool,
        by: String,
        at: OffsetDateTime,
        comment: String,
        /// The reader's own answer came too late and was not kept.
        too_late: bool,
        run: Run,
        /// The audit entry.
        entry: Option<Link>,
    },
    Expired {
        at: OffsetDateTime,
    },
    /// Its level let it run, or lets it.
    ByLevel {
        /// What the level means.
        why: String,
        run: Run,
        entry: Option<Link>,
    },
    /// It no longer stands; `by` is the proposal that stands in its place.
    Closed {
        /// `Superseded`, `Withdrawn`.
        word: String,
        at: OffsetDateTime,
        /// As a sentence.
        why: String,
        by: Option<Link>,
    },
}

/// What became of an approved action.
#[derive(Clone, Debug)]
pub enum Run {
    /// Rejected: nothing ran.
    Never,
    /// Approved, about to run.
    Pending { run_by: OffsetDateTime },
    Done {
        at: OffsetDateTime,
        /// What it did, as a sentence; may be empty.
        done: String,
    },
    /// An outward action: its call is on its way.
    Begun { since: OffsetDateTime },
    /// Something no longer held; nothing ran.
    Refused { at: OffsetDateTime, why: String },
    /// It ran, was to be undone, and that does not work.
    NotUndone { ran_at: OffsetDateTime, at: OffsetDateTime, why: String },
    /// It was tried and does not work.
    Failed { at: OffsetDateTime, why: String },
}

/// Fields `decision` (`approve` or `reject`), `because`, `comment`, `version`, `hash`, `token`, `permit`.
#[derive(Clone, Debug)]
pub struct DecisionForm {
    pub action: String,
    pub token: String,
    /// What one decision uses up; whoever knows the reader fills it in.
    pub permit: String,
    /// With the verb: `Approve and mark MET`.
    pub approve_label: String,
    /// That the reader approved it as one of several, as a sentence; then only rejecting is offered, and approving alone.
    pub given: Option<String>,
    /// Why it cannot be approved now, as a sentence; then only rejecting is offered.
    pub blocked: Option<String>,
    /// To approve, too.
    pub comment_needed: bool,
    /// Id and name of those in whose place the reader may answer: field `in_place_of`.
    pub seats: Vec<(String, String)>,
    pub reject_label: String,
    /// What was typed, when the form comes back.
    pub comment: String,
    /// Why somebody rejects; filled by who knows the reasons.
    pub because: Option<Field>,
    /// Why it came back: `Say why you reject it.`
    pub error: Option<String>,
}

/// A look at what ran already. Fields `decision` (`uphold`, `escalate` or `override`), `because`, `comment`, `version`, `hash`, `token`,
/// `permit`.
#[derive(Clone, Debug)]
pub struct ReviewForm {
    pub action: String,
    pub token: String,
    pub permit: String,
    /// What there is to look at, as a sentence.
    pub why: String,
    /// Until when somebody has to.
    pub due: Option<OffsetDateTime>,
    pub overdue: bool,
    /// Until when one person can have it undone.
    pub undo_until: Option<OffsetDateTime>,
    /// Why somebody has it undone; filled by who knows the reasons.
    pub because: Option<Field>,
    pub comment: String,
    pub error: Option<String>,
}

/// Records what a person did outside (`decision` = `done`), or says that it is not to be done (`reject`). Fields of its own,
/// `version`, `hash`, `token`, `permit`.
#[derive(Clone, Debug)]
pub struct DoneForm {
    pub action: String,
    pub token: String,
    pub permit: String,
    /// Why it cannot be recorded now, as a sentence; then only rejecting is offered.
    pub blocked: Option<String>,
    /// Who asked takes it back instead.
    pub may_reject: bool,
    /// Filled by who knows them.
    pub fields: Vec<Field>,
    /// Why it came back.
    pub error: Option<String>,
}

/// Asks to take back the finding that this proposal made; that is a decision of its own. Fields `finding`, `reason`, `token`.
#[derive(Clone, Debug)]
pub struct TakeBackForm {
    pub action: String,
    pub token: String,
    /// The proposal whose finding the reader saw.
    pub finding: String,
    pub reason: Field,
}

impl TakeBackForm {
    /// `typed` and `errors`: what it came back with. `max_reason` in characters.
    pub fn new(action: String, token: String, finding: String, max_reason: usize, typed: String, errors: &[FieldError]) -> Self {
        let hint = "The approver reads this first, and it is kept in the audit trail.";
        let reason = Field::new("reason", "Why it should be taken back", hint, FieldKind::Prose(max_reason), typed);
        Self { action, token, finding, reason: reason.required().with_errors(errors) }
    }
}

impl ProposalPage {
    /// The reader decides, and has not yet.
    fn is_open(&self) -> bool {
        matches!(&self.state, ProposalState::Open(form) if form.given.is_none())
    }

    /// The decision stands beside what it is about.
    fn has_form(&self) -> bool {
        matches!(self.state, ProposalState::Open(_))
    }

    /// Somebody may still decide it, the reader or another.
    pub fn still_open(&self) -> bool {
        matches!(self.state, ProposalState::Open(_) | ProposalState::NotYours { .. })
    }

    /// Whether who asked can still take it back.
    pub fn may_be_withdrawn(&self) -> bool {
        matches!(
            self.state,
            ProposalState::NotYours { .. }
                | ProposalState::Decided { run: Run::Pending { .. }, .. }
                | ProposalState::ByLevel { run: Run::Pending { .. }, .. }
        )
    }

    /// Green only for what was approved and did not fail afterwards.
    fn outcome_class(&self) -> &'static str {
        match self.state {
            ProposalState::Decided { run: Run::Refused { .. } | Run::Failed { .. } | Run::NotUndone { .. }, .. }
            | ProposalState::ByLevel { run: Run::Failed { .. } | Run::NotUndone { .. }, .. }
            | ProposalState::Decided { approved: false, .. } => "not",
            ProposalState::Decided { .. } => "met",
            _ => "unk",
        }
    }

    /// Only a person does it (L3), and it is recorded here.
    fn is_deed(&self) -> bool {
        self.level.word == "L3"
    }

    fn asked_on(&self) -> String {
        day(self.asked_at.date())
    }

    fn short_hash(&self) -> String {
        self.hash.chars().take(8).collect()
    }
}
