//! Fills the decision page and the inbox: every word an approver reads, and what they may do about it.
//!
//! Reads only. What a kind of action is called, where its subject has a page, what it changes as of now, what it did and
//! how it is rolled back is the area's knowledge: `triggers/portal` sets `kind`, `subject`, `today`, `done` and `take_back`
//! on the page that comes from here.

use time::OffsetDateTime;

use super::{
    delegation::Delegation,
    delivery::{Channel, EVERYBODY, Outcome, Posted},
    event::Verdict,
    inbox::{self, Inbox, Reader, Standing, asked_by},
    level::Level,
    machine,
    notify::{self, Mailed, Notified},
    policy::{self, BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN, SignedPolicy, Terms, Unsound},
    proposal::{OpenMark, Proposal},
    refusal::Refusal,
    reviewers,
    state::{Cause, Decision, State},
};
use crate::{
    app::{App, Moment},
    evidence::Cards,
    tenancy::{
        Actor, ClientPlace, Gathered, Held, ProposalId, Roster, Scope, StoreError, Wanted,
        directory::{Grant, Role},
    },
    web::pages::{
        DecidedItem, DecisionForm, DoneForm, EvidenceCard, Frame, FreshSignIn, InboxItem, InboxPage, LevelMark, Link, ProposalPage,
        ProposalState, Quorum, ReviewForm, ReviewItem, Run, Side, StandInItem, Tag, TimelineEntry, Tone, UndoItem, paths,
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
    /// Why nothing can be approved.
    unsound: Option<Unsound>,
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
    let delegations = found.all::<Delegation>("").await?.into_iter().map(|held| held.value).collect();
    let unsound = policy::shown(store, reader.roster, found.one(policy::KEY).await?.as_ref()).await?.err();
    Ok(Some(Shown { proposal, notified, evidence, delegations, unsound }))
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
    let Shown { proposal, notified, evidence, delegations, unsound } = shown;
    let roster = reader.roster;
    let (not_for, progress) = (proposal.not_for(), proposal.progress());
    let gave: Vec<_> = proposal.approvals().flat_map(|one| [one.person, one.seat()]).collect();
    let may = |id: &_| *id != reader.person.id && !not_for.contains(id) && !gave.contains(id);
    let others = notify::approvers(&app.config, roster, grant.tenant, &proposal.requester, app.now()).filter(|person| may(&person.id));
    let draft = &proposal.draft;
    let level = proposal.level();
    let seats = seats(&proposal, reader, grant, &delegations, app.now());
    let review = review(&proposal, grant, app.now(), &returned);
    let is_to_do = proposal.state == State::Open && level == Level::L3 && grant.has(Role::Approver) && grant.person == reader.person.id;
    let to_do = DoneForm { action: paths::decide(grant.tenant, proposal.id), token: String::new(), permit: String::new(), fields: vec![] };
    let nobodys = reviewers::is_nobodys(&app.config, roster, grant.tenant, &proposal, app.now());
    Ok(ProposalPage {
        nobody_reviews: nobodys.then_some(reviewers::NOBODY),
        alone: may_alone(&proposal, grant).then_some((BREAK_GLASS_REASON, BREAK_GLASS_SIGN_IN)),
        sign_in: proposal.terms.as_ref().and_then(|terms| terms.rule.sign_in_minutes).map(|minutes| FreshSignIn { minutes, prove: None }),
        review,
        done: is_to_do.then_some(to_do),
        client: roster.client_name(grant.tenant),
        kind: kind_words(&draft.kind),
        question: draft.question.clone(),
        explanation: draft.explanation.clone(),
        subject: None,
        asked_by: asked_by(roster, &proposal.requester),
        asked_at: proposal.staged_at,
        today: None,
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
            given: proposal.approvals().map(|one| (one.names(), one.at)).collect(),
            groups_wanted: progress.groups_wanted,
        },
        hash: proposal.hash.clone(),
        version: proposal.version,
        action: draft.action.clone(),
        history: history(&proposal, roster, &notified),
        next: next_waiting(app, reader, proposal.id).await?,
        inbox_href: paths::inbox(),
        state: state(&proposal, grant, app.now(), (&delegations, seats), (returned, unsound), token),
        take_back: None,
        withdraw: None,
        frame,
    })
}

/// The inbox page of what [`inbox::inbox`] found.
pub fn inbox_page(frame: Frame, inbox: Inbox, notice: Option<String>) -> InboxPage {
    let unavailable = inbox.unavailable.iter().map(|client| {
        format!("{client} cannot be shown: its records cannot be read just now. Nothing is lost; other clients are not affected.")
    });
    let unsound = inbox.unsound.iter().map(|(client, unsound)| format!("{client}: {}", unsound.sentence()));
    let notice = notice.into_iter().chain(unavailable).chain(unsound).reduce(|all, one| format!("{all} {one}"));
    let (total, next) = (inbox.total, inbox.next.map(|next| Link::new(format!("{}?after={next}", paths::inbox()), "Next page")));
    let (yours, others): (Vec<_>, Vec<_>) = inbox.waiting.into_iter().partition(|waiting| waiting.standing == Standing::Yours);
    let items = |list: Vec<inbox::Waiting>| list.into_iter().map(item).collect();
    let reviews = inbox.reviews.into_iter().map(|review| ReviewItem {
        href: format!("{}#review", paths::proposal(review.tenant, review.mark.proposal)),
        overdue: review.mark.due <= frame.now,
        note: review.own.then(|| "You asked for this review, so somebody else looks.".into()),
        question: review.mark.question,
        client: review.client,
        by: review.mark.by_name,
        due: review.mark.due,
    });
    let undoable = inbox.undoable.into_iter().map(|one| UndoItem {
        href: format!("{}#review", paths::proposal(one.tenant, one.mark.proposal)),
        question: one.mark.question,
        client: one.client,
        ran_at: one.mark.ran_at,
        undo_until: one.mark.undo_until,
    });
    let asked_to_stand_in = inbox.asked_to_stand_in.into_iter().map(|one| StandInItem {
        href: format!("{}#standing-in", paths::policy(one.tenant)),
        client: one.client,
        by: one.by,
        until: one.until,
    });
    InboxPage {
        asked_to_stand_in: asked_to_stand_in.collect(),
        reviews: reviews.collect(),
        undoable: undoable.collect(),
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
            Standing::Owns => Some("It rests on evidence that you filed, so somebody else decides it.".into()),
            Standing::Given => Some("You approved this; others have not yet.".into()),
            Standing::Sees => Some(Refusal::NotApprover.sentence()),
        },
        progress: (waiting.mark.needed > 1 || !waiting.mark.approved_by.is_empty()).then_some(waiting.mark.progress),
    }
}

fn decided_item(settled: &inbox::Settled) -> DecidedItem {
    let outcome = match &settled.proposal.state {
        State::Open => Tag::new(Tone::Wait, "Waiting"),
        State::Cleared { .. } => Tag::new(Tone::Wait, "About to run"),
        State::Approved { .. } => Tag::new(Tone::Wait, "Approved"),
        State::Executing { .. } => Tag::new(Tone::Wait, "Being carried out"),
        State::Undoing { .. } => Tag::new(Tone::Wait, "Being undone"),
        State::NotUndone { .. } => Tag::new(Tone::Not, "Could not be undone"),
        State::Rejected { .. } => Tag::new(Tone::Not, "Rejected"),
        State::Expired { .. } => Tag::new(Tone::Unknown, "Expired"),
        State::Superseded { .. } => Tag::new(Tone::Unknown, "Superseded"),
        State::Withdrawn { .. } => Tag::new(Tone::Unknown, "Withdrawn"),
        State::Executed { .. } => Tag::new(Tone::Met, "Carried out"),
        State::Recorded { .. } => Tag::new(Tone::Met, "Done by a person"),
        State::RolledBack { .. } => Tag::new(Tone::Unknown, "Taken back"),
        State::Failed { .. } => Tag::new(Tone::Not, "Failed"),
        State::Refused { .. } => Tag::new(Tone::Not, "Not carried out"),
    };
    DecidedItem {
        href: paths::proposal(settled.tenant, settled.proposal.id),
        question: settled.proposal.draft.question.clone(),
        client: settled.client.clone(),
        outcome,
        by: settled.proposal.decision().map(Decision::names),
        at: settled.at,
    }
}

fn state(
    proposal: &Proposal,
    grant: &Grant,
    now: OffsetDateTime,
    (delegations, seats): (&[Delegation], Vec<(String, String)>),
    (returned, unsound): (Returned, Option<Unsound>),
    token: impl FnOnce(&Proposal) -> String,
) -> ProposalState {
    let entry = || Some(Link::new(paths::client_audit(grant.tenant), "Audit trail"));
    let decided = |approved, run| match proposal.decision() {
        Some(decision) => ProposalState::Decided {
            approved,
            by_you: decision.person == grant.person && proposal.approvals().count() < 2,
            by: if approved { names_of(proposal.approvals()) } else { decision.names() },
            at: decision.at,
            comment: decision.comment.clone(),
            too_late: returned.too_late,
            run,
            entry: entry(),
        },
        None => ProposalState::ByLevel { why: proposal.level().meaning().into(), run, entry: entry() },
    };
    let closed = |word: &str, at, why: String, by| ProposalState::Closed { word: word.into(), at, why, by };
    let own = proposal.approvals().any(|one| one.person == grant.person);
    match &proposal.state {
        State::Open if now >= proposal.decide_by => ProposalState::Expired { at: proposal.decide_by },
        State::Open if !grant.has(Role::Approver) && proposal.requester != Actor::Person(grant.person) => {
            ProposalState::NotYours { why: Refusal::NotApprover.sentence() }
        }
        State::Open if own => ProposalState::NotYours {
            why: format!("You approved this ({}). It is carried out when the others have approved it too.", proposal.progress().words()),
        },
        State::Open if proposal.level() == Level::L3 => {
            let way = if grant.has(Role::Approver) { " When it is done, record it below." } else { "" };
            ProposalState::NotYours { why: format!("{}{way}", Refusal::HumanOnly.sentence()) }
        }
        State::Open => match machine::excluded(proposal, grant.person, delegations, now) {
            Some(refusal) if refusal != Refusal::DelegateOfExcluded => ProposalState::NotYours { why: refusal.sentence() },
            bars => ProposalState::Open(DecisionForm {
                action: paths::decide(grant.tenant, proposal.id),
                token: token(proposal),
                permit: String::new(),
                approve_label: format!("Approve and {}", proposal.draft.approve_verb),
                blocked: bars.or(machine::blocked(proposal, now)).or(unsound.map(Refusal::PolicyUnsound)).map(|refusal| refusal.sentence()),
                comment_needed: proposal.terms.as_ref().is_some_and(|terms| terms.rule.comment_needed),
                seats,
                reject_label: "Reject".into(),
                comment: returned.comment,
                because: None,
                error: returned.error,
            }),
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
            let link = by.map(|id| Link::new(paths::proposal(grant.tenant, id), "The proposal that stands now"));
            closed("Superseded", *at, cause.sentence(by.is_some()).into(), link)
        }
    }
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
        action: paths::decide(grant.tenant, proposal.id),
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

/// In whose place the reader may answer now: id and name.
fn seats(proposal: &Proposal, reader: Reader<'_>, grant: &Grant, delegations: &[Delegation], now: OffsetDateTime) -> Vec<(String, String)> {
    let roster = reader.roster;
    let approves = |person| roster.grants_of(grant.tenant, now).any(|other| other.person == person && other.has(Role::Approver));
    let is_free = |person| {
        machine::excluded(proposal, person, delegations, now).is_none()
            && proposal.approvals().all(|one| one.person != person && one.seat() != person)
    };
    let asked = delegations.iter().filter(|one| one.to == grant.person && one.holds(now)).map(|one| one.from);
    asked.filter(|from| approves(*from) && is_free(*from)).map(|from| (from.to_string(), roster.person_name(from))).collect()
}

fn names_of<'d>(decisions: impl Iterator<Item = &'d Decision>) -> String {
    let names: Vec<String> = decisions.map(Decision::names).collect();
    listed(&names)
}

fn history(proposal: &Proposal, roster: &Roster, notified: &[Notified]) -> Vec<TimelineEntry> {
    let entry = |at, actor: &str, text: String, note: Option<String>| TimelineEntry {
        at,
        actor: actor.into(),
        text,
        href: None,
        note: note.filter(|note| !note.is_empty()),
        proof: None,
        proof_href: None,
    };
    let mut history = vec![entry(proposal.staged_at, &asked_by(roster, &proposal.requester), "asked".into(), None)];
    for one in notified {
        let verb = one.occasion.verb();
        let cards = one.links.iter().any(|row| row.approver == EVERYBODY);
        for posted in &one.posted {
            history.push(entry(posted.at, "Assay", posted_words(posted, roster), None));
        }
        let whom = match one.mailed.is_empty() {
            // What came of it has a line of its own.
            true if cards => continue,
            true => "nobody: there is no approver who can be mailed".into(),
            false => names(&one.mailed),
        };
        let unreachable = (!one.unreachable.is_empty()).then(|| format!("No usable address: {}.", names(&one.unreachable)));
        history.push(entry(one.at, "Assay", format!("{verb} {whom}"), unreachable));
    }
    for decision in &proposal.decisions {
        let said = match decision.verdict {
            Verdict::Approve if decision.broke_glass => "approved it alone, in an emergency",
            Verdict::Approve => "approved it",
            Verdict::Reject => "rejected it",
            Verdict::Done => "did it and recorded that here",
            Verdict::Uphold => "reviewed it: it stands",
            Verdict::Override => "ordered it to be undone",
            Verdict::Escalate => "asked others to review it",
        };
        history.push(entry(decision.at, &decision.names(), said.into(), Some(decision.comment.clone())));
    }
    match &proposal.state {
        State::Open | State::Cleared { .. } | State::Approved { .. } | State::Rejected { .. } | State::Recorded { .. } => {}
        State::Expired { at, .. } => history.push(entry(*at, "Assay", "let it expire".into(), None)),
        State::Withdrawn { at } => history.push(entry(*at, &asked_by(roster, &proposal.requester), "took it back".into(), None)),
        State::Superseded { at, cause, .. } => {
            let (actor, text) = match cause {
                Cause::NewEvidence => ("Assay", "withdrew it: new evidence changed the picture"),
                Cause::EvidenceTooOld => ("Assay", "withdrew it: its evidence became too old to count"),
                Cause::AskedByHand => ("A colleague", "asked about the same by hand, and that took its place"),
            };
            history.push(entry(*at, actor, text.into(), None));
        }
        State::Executing { since } => history.push(entry(*since, "Assay", "began to carry it out".into(), None)),
        State::Executed { at, .. } | State::Undoing { ran_at: at, .. } => history.push(entry(*at, "Assay", "carried it out".into(), None)),
        State::RolledBack { at, ran_at, .. } => {
            history.push(entry(*ran_at, "Assay", "carried it out".into(), None));
            history.push(entry(*at, "Assay", "took it back, as was decided".into(), None));
        }
        State::NotUndone { at, ran_at, why } => {
            history.push(entry(*ran_at, "Assay", "carried it out".into(), None));
            history.push(entry(*at, "Assay", "could not undo it".into(), Some(why.clone())));
        }
        State::Failed { at, why } => history.push(entry(*at, "Assay", "could not carry it out".into(), Some(why.clone()))),
        State::Refused { at, why, .. } => history.push(entry(*at, "Assay", "did not carry it out".into(), Some(why.clone()))),
    }
    history.sort_by_key(|entry| entry.at);
    history
}

fn posted_words(posted: &Posted, roster: &Roster) -> String {
    let to = match posted.channel {
        Channel::Teams => "the Teams channel".to_owned(),
        Channel::Mail => roster.person_name(posted.to),
    };
    match &posted.outcome {
        Outcome::Accepted if posted.together > 1 => format!("told {to}, together with {} others", posted.together - 1),
        Outcome::Accepted => format!("told {to}"),
        Outcome::Refused { why } => format!("could not tell {to}: {why}"),
        Outcome::SignedIn => format!("did not mail {to}, who had looked at it"),
    }
}

/// `Priya Nair, Sam Okafor and Dana Whitfield`.
fn names(people: &[Mailed]) -> String {
    listed(&people.iter().map(|one| one.name.clone()).collect::<Vec<_>>())
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The oldest other proposal that this person may decide.
async fn next_waiting(app: &App, reader: Reader<'_>, but: ProposalId) -> Result<Option<Link>, StoreError> {
    let waiting = inbox::yours(app, reader).await?;
    let next = waiting.into_iter().filter(|(_, mark)| mark.proposal != but).min_by_key(|(_, mark)| mark.staged_at);
    Ok(next.map(|(tenant, mark)| Link::new(paths::proposal(tenant, mark.proposal), mark.question)))
}

/// `change_policy` -> `Change this policy`; what this release does not know, by its name.
fn kind_words(kind: &str) -> String {
    if let Some((_, _, words)) = policy::KINDS.iter().find(|(known, ..)| *known == kind) {
        return (*words).into();
    }
    let mut words = kind.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}
