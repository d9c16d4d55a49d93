//! Fills the decision page, and the inbox ([`list`]): every word an approver reads, and what they may do about it.
//!
//! Reads only. What a kind of action is called, where its subject has a page, what it changes as of now, what it did and
//! how it is rolled back is the area's knowledge: `triggers/portal` sets `kind`, `subject`, `today`, `dry_run`, `done` and `take_back`
//! on the page that comes from here.

mod history;
mod list;

use std::collections::BTreeSet;

use time::OffsetDateTime;

use self::history::{history, names_of};
pub use self::list::inbox_page;
use super::{
    delegation::Delegation,
    demotion,
    event::Verdict,
    inbox::{self, Reader, asked_by},
    level::Level,
    machine,
    notify::{self, Notified},
    policy::{self, BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN, Policy, SignedPolicy, Terms},
    proposal::{OpenMark, Proposal},
    refusal::Refusal,
    reviewers,
    state::{Decision, State},
};
use crate::{
    app::{App, Moment},
    evidence::Cards,
    tenancy::{
        Actor, ClientPlace, Gathered, Held, Passed, ProposalId, Roster, Scope, Store, StoreError, Wanted,
        directory::{Grant, Role},
    },
    web::pages::{
        DecisionForm, DoneForm, EvidenceCard, Frame, FreshSignIn, LevelMark, Link, ProposalPage, ProposalState, Quorum, ReviewForm, Run,
        Side, paths,
    },
};

/// What a form came back with.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    pub comment: String,
    pub error: Option<String>,
    /// The reader answered, and somebody else had decided.
    pub too_late: bool,
}

/// What the decision page needs of the gate's own records.
pub fn wanted(id: ProposalId) -> Vec<Wanted> {
    let key = id.to_string();
    vec![
        Wanted::one::<Proposal>(&key),
        Wanted::all::<Notified>(&format!("{key}:")),
        Wanted::all::<OpenMark>(""),
        Wanted::all::<Delegation>(""),
        Wanted::one::<SignedPolicy>(policy::KEY),
    ]
}

/// What an open proposal is about, if this process knows; for a caller that needs more records of the same subject.
pub fn subject(app: &App, reader: Reader<'_>, grant: &Grant, id: ProposalId) -> Option<String> {
    let marks = inbox::remembered(app, grant, reader.correlation)?;
    marks.iter().find(|mark| mark.proposal == id).map(|mark| mark.subject.clone())
}

/// A proposal with all that its page shows of it.
pub struct Shown {
    pub proposal: Proposal,
    notified: Vec<Notified>,
    evidence: Vec<EvidenceCard>,
    delegations: Vec<Delegation>,
    /// Why nothing can be approved as it stands.
    policy: Option<Refusal>,
}

/// Takes it from what was gathered (at least [`wanted`], by a read that began at `moment`); `None` when there is no such
/// proposal.
pub async fn read(
    reader: Reader<'_>,
    scope: &Scope,
    id: ProposalId,
    moment: Moment,
    found: &Gathered<'_, '_, ClientPlace>,
) -> Result<Option<Shown>, StoreError> {
    let (store, key) = (found.store(), id.to_string());
    // What is there for its history and for the number in the navigation keeps nobody from the page.
    let mut passed = Passed::default();
    inbox::remember(store.app(), scope, passed.all(found.all_of_each("").await?)?, moment);
    let Some(Held { value: proposal, .. }) = found.one::<Proposal>(&key).await? else { return Ok(None) };
    let notified = passed.all(found.all_of_each::<Notified>(&format!("{key}:")).await?)?.into_iter().map(|held| held.value).collect();
    let cards = Cards::of(store, reader.roster).cards(&proposal.draft.evidence).await?;
    let mut evidence: Vec<EvidenceCard> = cards.into_iter().map(|(card, _)| card).collect();
    evidence.sort_by_key(|card| std::cmp::Reverse(card.collected_at));
    let delegations = found.all::<Delegation>("").await?.into_iter().map(|held| held.value).collect();
    let policy = match policy::shown(store, reader.roster, found.one(policy::KEY).await?.as_ref()).await? {
        Err(unsound) => Some(Refusal::PolicyUnsound(unsound)),
        Ok(policy) => is_outdated(store, &policy, &proposal).await?.then_some(Refusal::PolicyChanged),
    };
    Ok(Some(Shown { proposal, notified, evidence, delegations, policy }))
}

/// Whether an approval is asked for under other terms than hold today; until the sweep asks under those, none is taken.
async fn is_outdated(store: &Store<'_, ClientPlace>, policy: &Policy, proposal: &Proposal) -> Result<bool, StoreError> {
    let Some(terms) = proposal.terms.as_ref().filter(|terms| proposal.state == State::Open && terms.level() == Level::L2) else {
        return Ok(false);
    };
    Ok(!terms.is_as(&demotion::today(store, policy, proposal).await?))
}

/// The decision page for somebody with this grant. `token` makes the anti-forgery token of the form, which is bound to the
/// proposal's hash.
pub async fn proposal_page(
    app: &App,
    reader: Reader<'_>,
    grant: &Grant,
    shown: Shown,
    frame: Frame,
    returned: Returned,
    token: impl FnOnce(&Proposal) -> String + Send,
) -> Result<ProposalPage, StoreError> {
    let Shown { proposal, notified, evidence, delegations, policy } = shown;
    let roster = reader.roster;
    let (not_for, progress) = (proposal.not_for(), proposal.progress());
    let gave: Vec<_> = proposal.approvals().flat_map(|one| [one.person, one.seat()]).collect();
    let may = |id: &_| *id != reader.person.id && !not_for.contains(id) && !gave.contains(id);
    let others = notify::approvers(&app.config, roster, grant.tenant(), &proposal.requester, app.now()).filter(|person| may(&person.id));
    let draft = &proposal.draft;
    let level = proposal.level();
    let seats = seats(&proposal, reader, grant, &delegations, app.now());
    let review = review(&proposal, grant, app.now(), &returned);
    let done = done(&proposal, grant, &delegations, app.now(), &returned);
    let nobodys = reviewers::is_nobodys(&app.config, roster, grant.tenant(), &proposal, app.now());
    Ok(ProposalPage {
        nobody_reviews: nobodys.then_some(reviewers::NOBODY),
        alone: may_alone(&proposal, grant).then_some((BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN)),
        sign_in: proposal.terms.as_ref().and_then(|terms| terms.rule.sign_in_minutes).map(|minutes| FreshSignIn { minutes, prove: None }),
        review,
        done,
        client: roster.client_name(grant.tenant()),
        kind: kind_words(&draft.kind),
        question: draft.question.clone(),
        explanation: draft.explanation.clone(),
        subject: None,
        asked_by: asked_by(roster, &proposal.requester),
        asked_at: proposal.staged_at,
        today: None,
        dry_run: None,
        before: Side::of(draft.before.clone()),
        after: Side::of(draft.after.clone()),
        reasons: proposal.reasons(),
        evidence,
        limits: draft.limits.clone(),
        on_approve: draft.on_approve.clone(),
        on_reject: draft.on_reject.clone(),
        decide_by: proposal.decide_by,
        others: others.map(|person| person.name.clone()).collect(),
        level: LevelMark { word: level.word().into(), meaning: level.meaning().into() },
        quorum: Quorum {
            needed: progress.needed,
            given: voices(&proposal, roster).map(|one| (one.names(), one.at)).collect(),
            groups_wanted: progress.groups_wanted,
        },
        hash: proposal.hash.clone(),
        version: proposal.version,
        action: draft.action.clone(),
        history: history(&proposal, roster, &notified),
        next: next_waiting(app, reader, proposal.id).await?,
        inbox_href: paths::inbox(),
        state: state(&proposal, (grant, roster), app.now(), (&delegations, seats), (returned, policy), token),
        take_back: None,
        withdraw: None,
        frame,
    })
}

fn state(
    proposal: &Proposal,
    (grant, roster): (&Grant, &Roster),
    now: OffsetDateTime,
    (delegations, seats): (&[Delegation], Vec<(String, String)>),
    (returned, policy): (Returned, Option<Refusal>),
    token: impl FnOnce(&Proposal) -> String,
) -> ProposalState {
    let entry = || Some(Link::new(paths::client_audit(grant.tenant()), "Audit trail"));
    let decided = |approved, run| match proposal.decision() {
        Some(decision) => ProposalState::Decided {
            approved,
            by_you: decision.person == grant.person && (!approved || voices(proposal, roster).count() < 2),
            by: if approved { names_of(voices(proposal, roster)) } else { decision.names() },
            at: decision.at,
            comment: decision.comment.clone(),
            too_late: returned.too_late,
            run,
            entry: entry(),
        },
        None => ProposalState::ByLevel { why: proposal.level().meaning().into(), run, entry: entry() },
    };
    let closed = |word: &str, at, why: String, by| ProposalState::Closed { word: word.into(), at, why, by };
    let given = proposal.approvals().any(|one| one.person == grant.person).then(|| {
        let progress = proposal.progress().words();
        format!(
            "You approved this ({progress}). It is carried out when the others have approved it too. Until then you can still reject it."
        )
    });
    match &proposal.state {
        State::Open if now >= proposal.decide_by => ProposalState::Expired { at: proposal.decide_by },
        State::Open if !grant.has(Role::Approver) && proposal.requester != Actor::Person(grant.person) => {
            ProposalState::NotYours { why: Refusal::NotApprover.sentence() }
        }
        State::Open if proposal.level() == Level::L3 => {
            let way = if grant.has(Role::Approver) { " When it is done, record it below." } else { "" };
            ProposalState::NotYours { why: format!("{}{way}", Refusal::HumanOnly.sentence()) }
        }
        State::Open => match machine::excluded(proposal, grant.person, delegations, now) {
            Some(refusal) if refusal != Refusal::DelegateOfExcluded => ProposalState::NotYours { why: refusal.sentence() },
            bars => ProposalState::Open(Box::new(DecisionForm {
                action: paths::decide(grant.tenant(), proposal.id),
                token: token(proposal),
                permit: String::new(),
                approve_label: format!("Approve and {}", proposal.draft.approve_verb),
                // Their own voice is given, and nobody gives a second one for another.
                seats: if given.is_some() { vec![] } else { seats },
                given,
                blocked: bars.or(machine::blocked(proposal, now)).or(policy).map(|refusal| refusal.sentence()),
                comment_needed: proposal.terms.as_ref().is_some_and(|terms| terms.rule.comment_needed),
                reject_label: "Reject".into(),
                comment: returned.comment,
                because: None,
                error: returned.error,
            })),
        },
        State::Approved { run_by } | State::Cleared { run_by } => decided(true, Run::Pending { run_by: *run_by }),
        State::Rejected { .. } => decided(false, Run::Never),
        State::Executing { since } => decided(true, Run::Begun { since: *since }),
        State::Executed { at, .. } => decided(true, Run::Done { at: *at, done: String::new() }),
        State::Recorded { at } => {
            let deed = proposal.decision().map(|deed| format!("{} did this and recorded it: {}", deed.name, deed.comment));
            ProposalState::ByLevel { why: deed.unwrap_or_default(), run: Run::Done { at: *at, done: String::new() }, entry: entry() }
        }
        State::Undoing { ran_at, .. } | State::RolledBack { ran_at, .. } => decided(true, Run::Done { at: *ran_at, done: String::new() }),
        State::NotUndone { at, ran_at, why } => decided(true, Run::NotUndone { ran_at: *ran_at, at: *at, why: why.clone() }),
        State::Failed { at, why } => decided(true, Run::Failed { at: *at, why: why.clone() }),
        State::Refused { at, why } => decided(true, Run::Refused { at: *at, why: why.clone() }),
        State::Expired { approved: true, at } => {
            decided(true, Run::Refused { at: *at, why: "It was not carried out in time, so it must be asked for again.".into() })
        }
        State::Expired { approved: false, at } => ProposalState::Expired { at: *at },
        State::Withdrawn { at } => closed("Withdrawn", *at, Refusal::Withdrawn.sentence(), None),
        State::Superseded { at, by, cause, .. } => {
            let link = by.map(|id| Link::new(paths::proposal(grant.tenant(), id), "The proposal that stands now"));
            closed("Superseded", *at, cause.sentence(by.is_some()).into(), link)
        }
    }
}

/// What the reader may say to what only a person does.
fn done(proposal: &Proposal, grant: &Grant, delegations: &[Delegation], now: OffsetDateTime, returned: &Returned) -> Option<DoneForm> {
    let is_to_do = proposal.state == State::Open && now < proposal.decide_by && proposal.level() == Level::L3 && grant.has(Role::Approver);
    is_to_do.then(|| DoneForm {
        action: paths::decide(grant.tenant(), proposal.id),
        token: String::new(),
        permit: String::new(),
        blocked: None,
        may_reject: matches!(machine::excluded(proposal, grant.person, delegations, now), None | Some(Refusal::DelegateOfExcluded)),
        fields: vec![],
        error: returned.error.clone(),
    })
}

/// Whether the policy names the reader among those who may approve alone in an emergency.
fn may_alone(proposal: &Proposal, grant: &Grant) -> bool {
    let named = |terms: &Terms| terms.level() == Level::L2 && terms.break_glass.contains(&grant.person);
    proposal.terms.as_ref().is_some_and(named)
}

/// What the reader may say of it after the fact.
fn review(proposal: &Proposal, grant: &Grant, now: OffsetDateTime, returned: &Returned) -> Option<ReviewForm> {
    let may = |verdict| grant.has(Role::Approver) && machine::may_review(proposal, grant.person, verdict).is_ok();
    if !may(Verdict::Uphold) {
        return None;
    }
    let undo_until = match &proposal.state {
        State::Executed { undo_until, .. } => {
            undo_until.filter(|until| now < *until && proposal.draft.undo.is_some() && may(Verdict::Override))
        }
        _ => None,
    };
    let asked = proposal.decisions.iter().rev().find(|one| one.broke_glass || one.verdict == Verdict::Escalate);
    let why = match asked {
        Some(one) if one.broke_glass => format!("{} approved this alone, in an emergency. Look at whether that was right.", one.name),
        Some(one) => format!("{} asked others to look at this: \u{201c}{}\u{201d}", one.name, one.comment),
        None if matches!(proposal.state, State::NotUndone { .. }) => {
            "It was to be undone, and that does not work: what it did stands. Put it right by hand or have it taken back, then say here what you did.".into()
        }
        None => "It ran by its level, without anybody\u{2019}s approval. You can look at it afterwards.".into(),
    };
    Some(ReviewForm {
        action: paths::decide(grant.tenant(), proposal.id),
        token: String::new(),
        permit: String::new(),
        why,
        due: proposal.review_by,
        overdue: proposal.review_by.is_some_and(|due| due <= now),
        undo_until,
        because: None,
        comment: returned.comment.clone(),
        error: returned.error.clone(),
    })
}

/// Its approvals, without the second one of who approved as one of several and then alone, under whichever account.
fn voices<'p>(proposal: &'p Proposal, roster: &Roster) -> impl Iterator<Item = &'p Decision> {
    let mut seen = BTreeSet::new();
    proposal.approvals().filter(move |one| seen.insert(roster.human(one.person)))
}

/// In whose place the reader may answer now: id and name.
fn seats(proposal: &Proposal, reader: Reader<'_>, grant: &Grant, delegations: &[Delegation], now: OffsetDateTime) -> Vec<(String, String)> {
    let roster = reader.roster;
    let approves = |person| roster.grants_of(grant.tenant(), now).any(|other| other.person == person && other.has(Role::Approver));
    let is_free = |person| {
        machine::excluded(proposal, person, delegations, now).is_none()
            && proposal.approvals().all(|one| one.person != person && one.seat() != person)
    };
    let asked = delegations.iter().filter(|one| one.to == grant.person && one.holds(now)).map(|one| one.from);
    asked.filter(|from| approves(*from) && is_free(*from)).map(|from| (from.to_string(), roster.person_name(from))).collect()
}

/// Of the other proposals that this person may decide, the one with the nearest deadline.
async fn next_waiting(app: &App, reader: Reader<'_>, but: ProposalId) -> Result<Option<Link>, StoreError> {
    let waiting = inbox::yours(app, reader).await?;
    let next = waiting.into_iter().filter(|(_, mark)| mark.proposal != but).min_by_key(|(_, mark)| mark.decide_by);
    Ok(next.map(|(tenant, mark)| Link::new(paths::proposal(tenant, mark.proposal), mark.question)))
}

/// `change_policy` -> `Change this policy`; what this release does not know, by its name.
fn kind_words(kind: &str) -> String {
    if let Some(words) = policy::words(kind) {
        return words.into();
    }
    let mut words = kind.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}
