//! Drafts of readiness's proposals: the exact action, and everything an approver must read to decide about it.
//!
//! Pure: records in, a draft out. The words say what changes, what the evidence does not show, and that the approver
//! supplies that judgment; they never say that a rule or a machine found something MET.

use time::OffsetDateTime;

use super::{
    catalogue::{Catalogue, Determination, catalogue},
    map::evidence_map,
    mark::{MARK, MarkObjective, ROLL_BACK, RollBackObjective},
    objective::{Finding, Found, Objective},
    score::{Answer, Reading, requirement_answer, signed},
    standing::Standing,
    suggest::Suggestion,
};
use crate::{
    evidence::{Evidence, EvidenceRef},
    gate::Draft,
};

/// What a draft is written against.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The client's name.
    pub client: &'a str,
    pub standing: &'a Standing,
    pub now: OffsetDateTime,
}

/// What somebody, or a rule, wants to have marked, and why.
#[derive(Clone, Debug)]
pub struct Wish {
    pub found: Found,
    pub evidence: Vec<EvidenceRef>,
    /// A person's own words, which become part of the finding; empty when a rule asks.
    pub reason: String,
    pub reasons: Vec<String>,
    pub limits: Vec<String>,
}

impl Wish {
    /// What a suggestion may raise by itself.
    pub fn of_suggestion(found: Found, suggestion: &Suggestion, now: OffsetDateTime) -> Self {
        let evidence = suggestion.rests_on(now).cloned().collect();
        Self { found, evidence, reason: String::new(), reasons: suggestion.reasons.clone(), limits: suggestion.limits.clone() }
    }
}

/// `None` when the bytes of the action cannot be made.
pub fn mark(setting: Setting<'_>, determination: &Determination, objective: &Objective, wish: Wish, by_hand: bool) -> Option<Draft> {
    let label = determination.cmmc_id();
    let action = MarkObjective {
        objective: objective.id.clone(),
        found: wish.found,
        evidence: wish.evidence.clone(),
        reason: wish.reason.clone(),
        previous: objective.finding.clone(),
    };
    let word = wish.found.words();
    let [before, after] = sides(setting.standing, determination, objective, Some(wish.found), setting.now);
    let recorded = recorded(&label, &wish, &objective.id, setting.client);
    let mut limits = wish.limits;
    limits.extend(judgment(wish.found, wish.evidence.is_empty()).map(str::to_owned));
    if determination.on_site {
        limits.push("An assessor may want to see this one in person.".into());
    }
    Some(Draft {
        kind: MARK.into(),
        subject: objective.id.clone(),
        question: format!("Mark {label} as {word} for {}?", setting.client),
        explanation: format!("The objective: {}.", determination.text),
        action: serde_json::to_string(&action).ok()?,
        evidence: wish.evidence,
        reasons: wish.reasons,
        limits,
        before,
        after,
        approve_verb: format!("mark {word}"),
        on_approve: recorded,
        on_reject: if by_hand {
            "Nothing changes. Who asked reads why under Approvals and can propose again.".into()
        } else {
            "Nothing changes. Assay asks again only when the evidence says something else.".into()
        },
        undo: None,
    })
}

/// What will be recorded, to the word.
fn recorded(label: &str, wish: &Wish, objective: &str, client: &str) -> String {
    let records = match wish.evidence.len() {
        0 => "without a record".into(),
        1 => "with the record above".into(),
        n => format!("with the {n} records above"),
    };
    let reason = if wish.reason.is_empty() { String::new() } else { format!(", for this reason: \u{201c}{}\u{201d}", wish.reason) };
    let means = match wish.found {
        Found::Met | Found::NotMet => String::new(),
        Found::NotApplicable => " In the score it counts as MET.".into(),
        Found::Partial => Found::partial_state(objective).map_or_else(String::new, |state| format!(" It says: {state}.")),
    };
    format!(
        "Recorded in your name: {label} is {} for {client}, {records}{reason}.{means} It can be rolled back; that is a decision of its own.",
        wish.found.words()
    )
}

/// What the approver has to supply, because nothing here does (32 CFR 170.24(b)).
fn judgment(found: Found, without_record: bool) -> impl Iterator<Item = &'static str> {
    let alone = match found {
        Found::Met => {
            "No record here is enough alone: who approves supplies the judgment that it is enough, or looks at what is missing first."
        }
        Found::NotMet | Found::Partial => "Who approves supplies the judgment that the gap is real, and that nothing else closes it.",
        Found::NotApplicable => {
            "NOT APPLICABLE counts as MET, so an assessor will ask why: the reason has to hold for everything in the scope of the system security plan."
        }
    };
    [Some(alone), without_record.then_some("No record is attached: it rests on the reason that is given.")].into_iter().flatten()
}

/// Whether a record that the draft refers to is in another state now, or was read again when the reading that the draft
/// refers to had used up half of its time: so what waits for an approver does not go stale while its tool is read.
pub fn is_outdated(draft: &Draft, records: &[Evidence], now: OffsetDateTime) -> bool {
    let aging = |e: &EvidenceRef| e.fresh_until.is_some_and(|until| now - e.collected_at > (until - e.collected_at) / 2);
    let read_again = |e: &EvidenceRef, record: &Evidence| record.hash != e.hash || (record.collected_at > e.collected_at && aging(e));
    draft.evidence.iter().any(|e| records.iter().any(|record| record.source_key == e.source_key && read_again(e, record)))
}

/// The same draft of a marking, referring to the records as they are now.
pub fn with_records_of_today(draft: &Draft, records: &[Evidence]) -> Option<Draft> {
    let mut action: MarkObjective = serde_json::from_str(&draft.action).ok()?;
    for reference in &mut action.evidence {
        if let Some(record) = records.iter().find(|record| record.source_key == reference.source_key) {
            *reference = evidence_map().cite(record);
        }
    }
    Some(Draft { action: serde_json::to_string(&action).ok()?, evidence: action.evidence, ..draft.clone() })
}

/// Which finding somebody wants to have taken back, what would stand again, and why.
#[derive(Clone, Debug)]
pub struct TakeBack<'a> {
    pub finding: &'a Finding,
    /// On its records as they are read today; `None` is undecided.
    pub restore: Option<Finding>,
    pub reason: &'a str,
    /// Why not all that was found before stands again, one sentence each.
    pub limits: Vec<String>,
}

/// Takes back a finding; `None` when the bytes of the action cannot be made.
pub fn roll_back(setting: Setting<'_>, determination: &Determination, objective: &Objective, wish: TakeBack<'_>) -> Option<Draft> {
    let TakeBack { finding, restore, reason, mut limits } = wish;
    let label = determination.cmmc_id();
    let word = finding.found.words();
    let again = again(restore.as_ref());
    let [before, after] = sides(setting.standing, determination, objective, restore.as_ref().map(|f| f.found), setting.now);
    let evidence = restore.as_ref().map_or_else(Vec::new, |f| f.evidence.clone());
    if !evidence.is_empty() {
        limits.push(
            "It stands again only while every record above still counts: the judgment that they are enough is the approver's.".into(),
        );
    }
    limits.push("What was decided stays in the audit trail; taking it back erases nothing.".into());
    let action = RollBackObjective { objective: objective.id.clone(), of: finding.proposal, restore };
    Some(Draft {
        kind: ROLL_BACK.into(),
        subject: objective.id.clone(),
        question: format!("Take back the finding {word} on {label} for {}?", setting.client),
        explanation: format!("The objective: {}. {} found it {word} on {}.", determination.text, finding.name, finding.decided_at.date()),
        action: serde_json::to_string(&action).ok()?,
        evidence,
        reasons: vec![reason.to_owned()],
        limits,
        before,
        after,
        approve_verb: "take it back".into(),
        on_approve: format!("{label} is {again}. That it was taken back is recorded in your name."),
        on_reject: format!("The finding {word} stays. Who asked reads why under Approvals and can propose again."),
        undo: None,
    })
}

/// What stands again when a finding is taken back.
pub fn again(restore: Option<&Finding>) -> String {
    match restore {
        Some(finding) => format!("{} again, as {} found it on {}", finding.found.words(), finding.name, finding.decided_at.date()),
        None => "undecided again, which counts as NOT MET".into(),
    }
}

/// Before and after, as of `now`: what stands, and what would stand if a human decided so; `None` is undecided.
pub fn sides(
    standing: &Standing,
    determination: &Determination,
    objective: &Objective,
    found: Option<Found>,
    now: OffsetDateTime,
) -> [String; 2] {
    [before(standing, objective, now), after(standing, determination, found, now)]
}

fn before(standing: &Standing, objective: &Objective, now: OffsetDateTime) -> String {
    let state = match &objective.finding {
        Some(finding) => format!("{}, found by {} on {}.", finding.found.words(), finding.name, finding.decided_at.date()),
        None => match &objective.suggestion {
            Some(suggestion) => format!("Undecided, so it counts as NOT MET. Suggestion: {}.", suggestion.result.words()),
            None => "Not read yet and undecided, so it counts as NOT MET.".into(),
        },
    };
    let [today, _, best] = Reading::ALL.map(|reading| standing.reckon(reading, now).score);
    format!("{state} Score {} today, {} at best.", today.words(), signed(best.points()))
}

/// The objective's state afterwards, and what that does to today's score.
fn after(standing: &Standing, determination: &Determination, found: Option<Found>, now: OffsetDateTime) -> String {
    let today = standing.reckon(Reading::Today, now).score;
    let mut later = standing.clone();
    later.set(determination.id, found.map_or(Answer::Undecided, Found::answer));
    let then = later.reckon(Reading::Today, now).score;
    let state = found.map_or("Undecided", Found::words);
    if today != then {
        return format!("{state}. Score today goes from {} to {}.", signed(today.points()), then.words());
    }
    let waiting = still_open(catalogue(), determination, &later);
    if waiting.is_empty() {
        return format!("{state}. The score today stays {}.", today.words());
    }
    let requirement = catalogue().requirement(determination.requirement()).map_or("", |r| r.cmmc_id);
    format!(
        "{state}. The score today stays {} while {} of {requirement} {} open.",
        today.words(),
        list(&waiting),
        if waiting.len() == 1 { "is" } else { "are" }
    )
}

/// Letters of the requirement's objectives that keep it from being met.
fn still_open(catalogue: &Catalogue, determination: &Determination, standing: &Standing) -> Vec<String> {
    let requirement = determination.requirement();
    if requirement_answer(catalogue, requirement, |id| standing.found(id)) == Answer::NotMet {
        return vec![];
    }
    let open = catalogue.objectives_of(requirement).iter().filter(|o| !standing.found(o.id).counts_as_met());
    open.map(|o| format!("[{}]", o.letter())).collect()
}

fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
