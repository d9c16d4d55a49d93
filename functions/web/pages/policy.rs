//! What needs whose approval for a client, and the forms that ask to change it. A change is a proposal of its own.

use askama::Template;
use time::OffsetDateTime;

use super::{Field, FieldKind, Frame, LevelMark, Link, PostForm};

#[derive(Clone, Debug, Template)]
#[template(path = "policy.html", config = "functions/web/pages/askama.toml")]
pub struct PolicyPage {
    pub frame: Frame,
    pub client: String,
    pub client_href: String,
    /// Why nothing is approved under what is found; what follows then is the defaults.
    pub unsound: Option<String>,
    /// Kinds of action that nobody could get approved any more, a sentence each.
    pub short: Vec<String>,
    pub version: u32,
    /// The decision that made this version.
    pub made_by: Option<Link>,
    /// A change that waits for its approver.
    pub waits: Option<Link>,
    pub rows: Vec<PolicyRow>,
    pub groups: Vec<GroupRow>,
    /// Names.
    pub break_glass: Vec<String>,
    /// `None`: who reads may not ask.
    pub rule: Option<RuleForm>,
    pub group: Option<GroupForm>,
    /// Who may approve alone in an emergency.
    pub alone: Option<AloneForm>,
    /// Only for an approver.
    pub stand_in: Option<RuleForm>,
    pub standing_in: StandingIn,
    /// The form was made for a version that does not stand any more; what was typed is in it still.
    pub moved: Option<Moved>,
    pub notice: Option<String>,
    pub errors: Vec<(&'static str, String)>,
    /// What the typed change would have meant.
    pub dry_run: Option<DryRun>,
}

/// One kind of action.
#[derive(Clone, Debug)]
pub struct PolicyRow {
    pub kind: String,
    pub level: LevelMark,
    /// `needs 1 approval`
    pub asks: String,
    /// `7 days`
    pub decide_within: String,
    pub run_within: String,
    /// Where the reader asks for other terms, if they may.
    pub change: Option<String>,
}

#[derive(Clone, Debug)]
pub struct GroupRow {
    pub name: String,
    pub people: Vec<String>,
}

/// Who answers in whose place, and who is asked to.
#[derive(Clone, Debug, Default)]
pub struct StandingIn {
    pub holds: Vec<StandInRow>,
    pub asked: Vec<StandInRow>,
}

#[derive(Clone, Debug)]
pub struct StandInRow {
    pub from: String,
    pub to: String,
    /// Where that is to come: a clock was ahead.
    pub begins: Option<OffsetDateTime>,
    pub until: OffsetDateTime,
    /// Whether the reader is the one who stands in.
    pub is_you: bool,
    /// Whom a button names: of the two, the one who is not the reader.
    pub other: String,
    /// What the reader can say to it.
    pub answers: Vec<PostForm>,
}

/// What changed between the page and its form.
#[derive(Clone, Debug)]
pub struct Moved {
    pub seen: u32,
    pub stands: u32,
    /// Each change in words; `None` where nobody can tell any more.
    pub changes: Option<Vec<String>>,
    pub anew: Link,
}

/// Fields of its own, `token`, `version`, `form` = `rule`, `kind`, and `step`: `try` or `ask`.
#[derive(Clone, Debug)]
pub struct RuleForm {
    pub action: String,
    pub token: String,
    /// The kind of action that it is about, by its name and in words.
    pub kind: Option<(String, String)>,
    /// Groups of which each may have to give an approval of its own: the field, its name, ticked.
    pub groups: Vec<(String, String, bool)>,
    pub fields: Vec<Field>,
}

/// Fields `group`, `why-group`, `member-{person}`, `token`, `form` = `group`.
#[derive(Clone, Debug)]
pub struct GroupForm {
    pub action: String,
    pub token: String,
    pub name: Field,
    pub reason: Field,
    /// Id, name, ticked.
    pub people: Vec<(String, String, bool)>,
}

/// Fields `why-alone`, `alone-{person}`, `token`, `form` = `alone`.
#[derive(Clone, Debug)]
pub struct AloneForm {
    pub action: String,
    pub token: String,
    pub reason: Field,
    /// Id, name, ticked.
    pub people: Vec<(String, String, bool)>,
}

/// What another policy would have meant in the last 30 days.
#[derive(Clone, Debug)]
pub struct DryRun {
    pub rows: Vec<DryRunRow>,
    /// So many of the newest were looked at, and there are more.
    pub of_the_newest: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct DryRunRow {
    pub kind: String,
    pub staged: usize,
    /// Approved, or recorded as done.
    pub decided: usize,
    /// So many would have come out otherwise.
    pub otherwise: usize,
    /// The newest of these, and why, in sentences.
    pub named: Vec<(Link, String)>,
}
