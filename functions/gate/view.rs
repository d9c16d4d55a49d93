//! Fills the decision page and the inbox: every word an approver reads, and what they may do about it.
//!
//! Reads only. What a kind of action is called, where its subject has a page, what it changes as of now, what it did and
//! how it is rolled back is the area's knowledge: `triggers/portal` sets `kind`, `subject`, `today`, `done` and `take_back`
//! on the page that comes from here.

use time::OffsetDateTime;

use super::{
    inbox::{self, Inbox, Reader, Standing, asked_by},
    machine::{self, Refusal},
    notify::{self, Mailed, Notified, Occasion},
    proposal::{Cause, Decision, OpenMark, Proposal, State},
};
use crate::{
    app::{App, Moment},
    evidence::Cards,
    tenancy::{
        Actor, ClientPlace, Gathered, Held, ProposalId, Roster, Scope, StoreError, Wanted,
        directory::{Grant, Role},
    },
    web::pages::{
        DecidedItem, DecisionForm, EvidenceCard, Frame, InboxItem, InboxPage, Link, ProposalPage, ProposalState, Run, Side, Tag,
        TimelineEntry, Tone, paths,
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
    vec![Wanted::one::<Proposal>(&key), Wanted::all::<Notified>(&format!("{key}:")), Wanted::all::<OpenMark>("")]
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
    inbox::remember(store.app(), scope, found.all("").await?, moment);
    let Some(Held { value: proposal, .. }) = found.one::<Proposal>(&key).await? else { return Ok(None) };
    let notified = found.all::<Notified>(&format!("{key}:")).await?.into_iter().map(|held| held.value).collect();
    let cards = Cards::of(store, reader.roster).cards(&proposal.draft.evidence).await?;
    let mut evidence: Vec<EvidenceCard> = cards.into_iter().map(|(card, _)| card).collect();
    evidence.sort_by_key(|card| std::cmp::Reverse(card.collected_at));
    Ok(Some(Shown { proposal, notified, evidence }))
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
    let Shown { proposal, notified, evidence } = shown;
    let roster = reader.roster;
    let others =
        notify::approvers(&app.config, roster, grant.tenant, &proposal.requester, app.now()).filter(|person| person.id != reader.person.id);
    let draft = &proposal.draft;
    Ok(ProposalPage {
        client: roster.client_name(grant.tenant),
        kind: sentence_case(&draft.kind),
        question: draft.question.clone(),
        explanation: draft.explanation.clone(),
        subject: None,
        asked_by: asked_by(roster, &proposal.requester),
        asked_at: proposal.staged_at,
        today: None,
        before: Side::of(draft.before.clone()),
        after: Side::of(draft.after.clone()),
        reasons: draft.reasons.clone(),
        evidence,
        limits: draft.limits.clone(),
        on_approve: draft.on_approve.clone(),
        on_reject: draft.on_reject.clone(),
        decide_by: proposal.decide_by,
        others: others.map(|person| person.name.clone()).collect(),
        hash: proposal.hash.clone(),
        version: proposal.version,
        action: draft.action.clone(),
        history: history(&proposal, roster, &notified),
        next: next_waiting(app, reader, proposal.id).await?,
        inbox_href: paths::inbox(),
        state: state(&proposal, grant, app.now(), returned, token),
        take_back: None,
        frame,
    })
}

/// The inbox page of what [`inbox::inbox`] found.
pub fn inbox_page(frame: Frame, inbox: Inbox, notice: Option<String>) -> InboxPage {
    let unavailable = inbox.unavailable.iter().map(|client| {
        format!("{client} cannot be shown: its records cannot be read just now. Nothing is lost; other clients are not affected.")
    });
    let notice = notice.into_iter().chain(unavailable).reduce(|all, one| format!("{all} {one}"));
    let (total, next) = (inbox.total, inbox.next.map(|next| Link::new(format!("{}?after={next}", paths::inbox()), "Next page")));
    let (yours, others): (Vec<_>, Vec<_>) = inbox.waiting.into_iter().partition(|waiting| waiting.standing == Standing::Yours);
    let items = |list: Vec<inbox::Waiting>| list.into_iter().map(item).collect();
    InboxPage {
        frame,
        yours: items(yours),
        others: items(others),
        total,
        first: None,
        next,
        decided: inbox.settled.iter().map(decided_item).collect(),
        notice,
    }
}

fn item(waiting: inbox::Waiting) -> InboxItem {
    InboxItem {
        href: paths::proposal(waiting.tenant, waiting.mark.proposal),
        question: waiting.mark.question,
        subject: waiting.mark.subject,
        about: None,
        client: waiting.client,
        asked_by: waiting.asked_by,
        staged_at: waiting.mark.staged_at,
        decide_by: waiting.mark.decide_by,
        note: match waiting.standing {
            Standing::Yours => None,
            Standing::Asked => Some(Refusal::NotYours.sentence()),
            Standing::Sees => Some(Refusal::NotApprover.sentence()),
        },
    }
}

fn decided_item(settled: &inbox::Settled) -> DecidedItem {
    let outcome = match &settled.proposal.state {
        State::Open => Tag::new(Tone::Wait, "Waiting"),
        State::Approved { .. } => Tag::new(Tone::Wait, "Approved"),
        State::Rejected { .. } => Tag::new(Tone::Not, "Rejected"),
        State::Expired { .. } => Tag::new(Tone::Unknown, "Expired"),
        State::Superseded { .. } => Tag::new(Tone::Unknown, "Superseded"),
        State::Executed { .. } => Tag::new(Tone::Met, "Carried out"),
        State::Refused { .. } => Tag::new(Tone::Not, "Not carried out"),
    };
    DecidedItem {
        href: paths::proposal(settled.tenant, settled.proposal.id),
        question: settled.proposal.draft.question.clone(),
        client: settled.client.clone(),
        outcome,
        by: settled.proposal.state.decision().map(|decision| decision.name.clone()),
        at: settled.at,
    }
}

fn state(
    proposal: &Proposal,
    grant: &Grant,
    now: OffsetDateTime,
    returned: Returned,
    token: impl FnOnce(&Proposal) -> String,
) -> ProposalState {
    let decided = |decision: &Decision, approved, run| ProposalState::Decided {
        approved,
        by_you: decision.person == grant.person,
        by: decision.name.clone(),
        at: decision.at,
        comment: decision.comment.clone(),
        too_late: returned.too_late,
        run,
        entry: Some(Link::new(paths::client_audit(grant.tenant), "Audit trail")),
    };
    match &proposal.state {
        State::Open if now >= proposal.decide_by => ProposalState::Expired { at: proposal.decide_by },
        State::Open if proposal.requester == Actor::Person(grant.person) => ProposalState::NotYours { why: Refusal::NotYours.sentence() },
        State::Open if !grant.has(Role::Approver) => ProposalState::NotYours { why: Refusal::NotApprover.sentence() },
        State::Open => ProposalState::Open(DecisionForm {
            action: paths::decide(grant.tenant, proposal.id),
            token: token(proposal),
            approve_label: format!("Approve and {}", proposal.draft.approve_verb),
            blocked: machine::blocked(proposal, now).map(|refusal| refusal.sentence()),
            reject_label: "Reject".into(),
            comment: returned.comment,
            because: None,
            error: returned.error,
        }),
        State::Approved { decision, run_by } => decided(decision, true, Run::Pending { run_by: *run_by }),
        State::Rejected { decision } => decided(decision, false, Run::Never),
        State::Executed { decision, at } => decided(decision, true, Run::Done { at: *at, done: String::new() }),
        State::Refused { decision, at, why } => decided(decision, true, Run::Refused { at: *at, why: why.clone() }),
        State::Expired { decision: Some(decision), at } => {
            decided(decision, true, Run::Refused { at: *at, why: "It was not carried out in time, so it must be asked for again.".into() })
        }
        State::Expired { decision: None, at } => ProposalState::Expired { at: *at },
        State::Superseded { at, by, cause, .. } => ProposalState::Superseded {
            at: *at,
            why: cause.sentence(by.is_some()).into(),
            by: by.map(|id| Link::new(paths::proposal(grant.tenant, id), "The proposal that stands now")),
        },
    }
}

fn history(proposal: &Proposal, roster: &Roster, notified: &[Notified]) -> Vec<TimelineEntry> {
    let entry = |at, actor: &str, text: String, note: Option<String>| TimelineEntry {
        at,
        actor: actor.into(),
        text,
        href: None,
        note: note.filter(|note| !note.is_empty()),
        proof: None,
    };
    let mut history = vec![entry(proposal.staged_at, &asked_by(roster, &proposal.requester), "asked".into(), None)];
    for one in notified {
        let verb = if one.occasion == Occasion::Asked { "mailed" } else { "reminded" };
        let whom = if one.mailed.is_empty() { "nobody: there is no approver who can be mailed".into() } else { names(&one.mailed) };
        let unreachable = (!one.unreachable.is_empty()).then(|| format!("No usable address: {}.", names(&one.unreachable)));
        history.push(entry(one.at, "Assay", format!("{verb} {whom}"), unreachable));
    }
    if let Some(decision) = proposal.state.decision() {
        let verb = if matches!(proposal.state, State::Rejected { .. }) { "rejected it" } else { "approved it" };
        history.push(entry(decision.at, &decision.name, verb.into(), Some(decision.comment.clone())));
    }
    match &proposal.state {
        State::Open | State::Approved { .. } | State::Rejected { .. } => {}
        State::Expired { at, .. } => history.push(entry(*at, "Assay", "let it expire".into(), None)),
        State::Superseded { at, cause, .. } => {
            let (actor, text) = match cause {
                Cause::NewEvidence => ("Assay", "withdrew it: new evidence changed the picture"),
                Cause::EvidenceTooOld => ("Assay", "withdrew it: its evidence became too old to count"),
                Cause::AskedByHand => ("A colleague", "asked about the same by hand, and that took its place"),
            };
            history.push(entry(*at, actor, text.into(), None));
        }
        State::Executed { at, .. } => history.push(entry(*at, "Assay", "carried it out".into(), None)),
        State::Refused { at, why, .. } => history.push(entry(*at, "Assay", "did not carry it out".into(), Some(why.clone()))),
    }
    history.sort_by_key(|entry| entry.at);
    history
}

/// `Priya Nair, Sam Okafor and Dana Whitfield`.
fn names(people: &[Mailed]) -> String {
    match people {
        [] => String::new(),
        [one] => one.name.clone(),
        [rest @ .., last] => {
            format!("{} and {}", rest.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "), last.name)
        }
    }
}

/// The oldest other proposal that this person may decide.
async fn next_waiting(app: &App, reader: Reader<'_>, but: ProposalId) -> Result<Option<Link>, StoreError> {
    let waiting = inbox::yours(app, reader).await?;
    let next = waiting.into_iter().filter(|(_, mark)| mark.proposal != but).min_by_key(|(_, mark)| mark.staged_at);
    Ok(next.map(|(tenant, mark)| Link::new(paths::proposal(tenant, mark.proposal), mark.question)))
}

/// `mark_objective` -> `Mark objective`.
fn sentence_case(kind: &str) -> String {
    let mut words = kind.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}
