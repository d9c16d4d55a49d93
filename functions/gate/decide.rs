//! A named human's answer: decision, audit item and the request to execute in one batch, or nothing.
//!
//! The etag of the proposal is the race control: of two approvers one writes, the other reads again, and is counted too or
//! hears who was faster. The same answer of the same person again (a browser that repeats its POST) is the same success.
//! Each decision is signed before it is written ([`receipt`]). Session, origin and anti-forgery token are the page's
//! business and were checked before.

use serde_json::json;

use super::{
    delegation::Delegation,
    demotion,
    event::{Answer, Capacity, Deciding, Event, Verdict},
    learning::{self, Look},
    level::Level,
    link::Spent,
    machine::{self, next},
    notify,
    policy::{self, Policy, SignedPolicy, care, standing},
    proposal::{Answers, ExecuteV1, NotifyV1, Occasion, OpenMark, Proposal, advance, linked, object},
    receipt,
    refusal::Refusal,
    state::{Decision, State},
};
use crate::{
    app::App,
    audit,
    tenancy::{
        Actor, Batch, ClientPlace, DeploymentScope, Gathered, Held, PersonId, ProposalId, Roster, Scope, Store, StoreError, Wanted,
        directory::{Grant, Person, Role},
        outbox::{self, Pending},
    },
    web::step_up,
};

/// How often a lost race is looked at again before the caller is asked to repeat.
const ATTEMPTS: usize = 4;

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Decided {
    pub proposal: Proposal,
    pub decision: Decision,
    /// It was recorded before; this was the same answer once more.
    pub repeated: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("no such proposal")]
    NotFound,
    /// Nothing was recorded; [`Refusal::sentence`] says why.
    #[error("the decision was not taken")]
    Refused(#[source] Refusal),
    /// Nothing was recorded: nobody else could end the review that this asks for.
    #[error("{NOBODY_LEFT}")]
    NobodyLeft,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a review is not handed on, for people.
pub const NOBODY_LEFT: &str = "Nobody else can review this: every other approver of this client approved it, asked for its review, asked for the action itself or filed what it rests on. Nothing was recorded. Review it yourself, or let another person approve for this client first.";

/// Decides one proposal as `person`, whose `grant` was read for this request, in their own name.
pub async fn decide(
    app: &App,
    scope: &Scope,
    grant: &Grant,
    person: &Person,
    id: ProposalId,
    answer: &Answer,
) -> Result<Decided, DecideError> {
    // On the heap: a decision is seldom, and part of every future that waits for it.
    Box::pin(decide_as(app, scope, grant, person, id, answer, &Capacity::default())).await
}

/// The same, and in what capacity.
pub async fn decide_as(
    app: &App,
    scope: &Scope,
    grant: &Grant,
    person: &Person,
    id: ProposalId,
    answer: &Answer,
    capacity: &Capacity,
) -> Result<Decided, DecideError> {
    let may_approve = grant.has(Role::Approver)
        && grant.holds(app.now())
        && grant.tenant() == scope.tenant()
        && grant.person == person.id
        && *scope.actor() == Actor::Person(person.id);
    let store = scope.store(app).await?;
    let roster = match &capacity.roster {
        Some(roster) => roster.clone(),
        None => Roster::read(&DeploymentScope::of_function("decide", store.correlation()).store(app).await?).await?,
    };
    let highest = care::highest(&store, &roster);
    let (mut lost, mut contradicted) = (None, false);
    for _ in 0..ATTEMPTS {
        let found = store.gather(ClientPlace::Assessment, wanted(id)).await?;
        let Read { held, mark, answers, policy, delegations } = read(&found, id).await?.ok_or(DecideError::NotFound)?;
        if let Some(decision) = repeated(&held.value, person, answer, capacity.break_glass).filter(|_| may_approve) {
            sent(outbox::flush(&store, ClientPlace::Assessment).await.map(drop));
            return Ok(Decided { decision: decision.clone(), proposal: held.value, repeated: true });
        }
        if answers.as_ref().is_some_and(|answers| contradicts(&held.value, &answers.value)) {
            // Written between the two, or an older proposal was put back: then it stays so.
            if std::mem::replace(&mut contradicted, true) {
                return Err(DecideError::Refused(Refusal::Tampered));
            }
            continue;
        }
        // Whoever says no, or looks at what was done, needs no policy for it.
        let policy = match highest {
            Ok(highest) => standing(app, scope.tenant(), policy.as_ref(), highest).await?,
            Err(unmarked) => Err(unmarked),
        };
        let policy = match policy {
            Ok(policy) => policy,
            Err(unsound) if answer.verdict == Verdict::Approve => return Err(DecideError::Refused(Refusal::PolicyUnsound(unsound))),
            Err(_) => Policy::default(),
        };
        let today = demotion::today(&store, &policy, &held.value).await?;
        let seats = [Some(person.id), capacity.stands_for.as_ref().map(|seat| seat.person)];
        let more = seats.into_iter().flatten().chain(delegations.iter().flat_map(|one| [one.from, one.to]));
        let reviewers: Vec<_> = match answer.verdict {
            Verdict::Escalate => {
                let all = notify::approvers(&app.config, &roster, scope.tenant(), &held.value.requester, app.now());
                all.map(|one| one.id).collect()
            }
            _ => Vec::new(),
        };
        let linked = linked(&roster, &held.value, more.chain(reviewers.iter().copied()));
        let deciding = Deciding {
            tenant: scope.tenant(),
            person: person.id,
            name: &person.name,
            may_approve,
            answer,
            capacity,
            today: &today,
            delegations: &delegations,
            linked: &linked,
        };
        let mut after = next(&held.value, Event::Decide(deciding), app.now()).map_err(DecideError::Refused)?;
        if !is_strong_enough(app, &held.value, answer, capacity) {
            return Err(DecideError::Refused(Refusal::SignInTooWeak));
        }
        if answer.verdict == Verdict::Escalate {
            let then = after.among(&linked);
            let can_review = |one: &PersonId| {
                machine::may_review(&then, *one, Verdict::Uphold).is_ok()
                    && machine::excluded(&then, *one, &delegations, app.now()).is_none()
            };
            if !reviewers.iter().any(can_review) {
                return Err(DecideError::NobodyLeft);
            }
        }
        let Some(mut decision) = after.decisions.pop() else { return Err(DecideError::Refused(Refusal::NotAsked)) };
        // On the heap: the vault's part of it is large.
        decision.receipt = Some(Box::pin(receipt::sign(app, scope.tenant(), &held.value, &decision, person.identity)).await?);
        after.decisions.push(decision.clone());
        let spent = capacity.permit.as_ref().map(|permit| permit.spent(id, person.id, app.now()));
        let change = Change { held: &held, after: &after, decision: &decision, look: &capacity.look, mark, answers, spent: spent.as_ref() };
        match write(&store, change).await {
            Ok(messages) => {
                for message in messages {
                    sent(outbox::deliver(&store, &message).await);
                }
                return Ok(Decided { decision, proposal: after, repeated: false });
            }
            Err(error) if error.is_conflict() => {
                // A permit that is used up beside a proposal that knows of no answer by it: an older one was put back.
                if spent.is_some_and(|spent| error.exists::<Spent>(&spent.jti)) && lost.is_some() {
                    return Err(DecideError::Refused(Refusal::Tampered));
                }
                lost = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(lost.map_or(DecideError::NotFound, DecideError::Store))
}

/// Takes back what the scope's person asked, as long as it has not run.
pub async fn withdraw(app: &App, scope: &Scope, id: ProposalId) -> Result<Proposal, DecideError> {
    let Actor::Person(person) = *scope.actor() else { return Err(DecideError::Refused(Refusal::NotRequester)) };
    let store = scope.store(app).await?;
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or(DecideError::NotFound)?;
        if matches!(held.value.state, State::Withdrawn { .. }) && held.value.requester == Actor::Person(person) {
            return Ok(held.value);
        }
        let after = next(&held.value, Event::Withdraw { person }, app.now()).map_err(DecideError::Refused)?;
        let mut batch = store.batch(ClientPlace::Assessment);
        advance(&mut batch, &held, after.clone(), None);
        let detail = json!({ "version": after.version, "hash": after.hash });
        audit::record(&mut batch, audit::Event::new("proposal.withdrawn", object(id), detail));
        match batch.commit().await {
            Ok(()) => return Ok(after),
            Err(error) if error.is_conflict() => lost = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    Err(lost.map_or(DecideError::NotFound, DecideError::Store))
}

/// What a decision rests on, in one round trip.
fn wanted(id: ProposalId) -> Vec<Wanted> {
    let key = id.to_string();
    vec![
        Wanted::one::<Proposal>(&key),
        Wanted::one::<OpenMark>(&key),
        Wanted::one::<Answers>(&key),
        Wanted::one::<SignedPolicy>(policy::KEY),
        Wanted::all::<Delegation>(""),
    ]
}

struct Read {
    held: Held<Proposal>,
    mark: Option<Held<OpenMark>>,
    answers: Option<Held<Answers>>,
    policy: Option<Held<SignedPolicy>>,
    delegations: Vec<Delegation>,
}

async fn read(found: &Gathered<'_, '_, ClientPlace>, id: ProposalId) -> Result<Option<Read>, StoreError> {
    let key = id.to_string();
    let Some(held) = found.one::<Proposal>(&key).await? else { return Ok(None) };
    Ok(Some(Read {
        held,
        mark: found.one(&key).await?,
        answers: found.one(&key).await?,
        policy: found.one(policy::KEY).await?,
        delegations: found.all::<Delegation>("").await?.into_iter().map(|held| held.value).collect(),
    }))
}

/// Whether the sign-in met the authentication context that the settings ask for, where they do and it matters.
fn is_strong_enough(app: &App, proposal: &Proposal, answer: &Answer, capacity: &Capacity) -> bool {
    let great = policy::has_great_effect(&proposal.draft.kind) || proposal.level() == Level::L3 || capacity.break_glass;
    if !great || !matches!(answer.verdict, Verdict::Approve | Verdict::Done) {
        return true;
    }
    step_up::meets_context(app, capacity.acrs.as_deref().unwrap_or_default().split(' '))
}

/// Whether something was answered to this version that the proposal does not know of.
fn contradicts(proposal: &Proposal, answers: &Answers) -> bool {
    answers.decisions.iter().any(|one| one.version >= proposal.version && !proposal.decisions.contains(one))
}

struct Change<'a> {
    held: &'a Held<Proposal>,
    after: &'a Proposal,
    decision: &'a Decision,
    look: &'a Look,
    mark: Option<Held<OpenMark>>,
    answers: Option<Held<Answers>>,
    spent: Option<&'a Spent>,
}

/// The decision as it is written, and the messages that it demands.
async fn write(store: &Store<'_, ClientPlace>, change: Change<'_>) -> Result<Vec<Pending>, StoreError> {
    let Change { held, after, decision, look, mark, answers, spent } = change;
    let Proposal { id, version, .. } = held.value;
    let mut batch = store.batch(ClientPlace::Assessment);
    if let Some(spent) = spent {
        batch.create(spent);
    }
    advance(&mut batch, held, after.clone(), mark);
    let executed_at = answers.as_ref().and_then(|answers| answers.value.executed_at);
    batch.put(Answers { proposal: id, decisions: after.decisions.clone(), executed_at }, answers.map(|held| held.etag));
    record(&mut batch, after, decision, look);
    let runs = matches!(after.state, State::Approved { .. } | State::Undoing { .. });
    let mut messages = Vec::new();
    if runs {
        messages.push(outbox::send(&mut batch, "execute", &ExecuteV1 { proposal: id, version }, std::time::Duration::ZERO)?);
    }
    if decision.broke_glass {
        let told = NotifyV1 { proposal: id, version, occasion: Occasion::GlassBroken, to: vec![] };
        messages.push(outbox::send(&mut batch, "notify", &told, std::time::Duration::ZERO)?);
    }
    batch.commit().await?;
    Ok(messages)
}

/// The decision in the log, with its receipt and how it came about.
fn record(batch: &mut Batch<'_, '_, ClientPlace>, after: &Proposal, decision: &Decision, look: &Look) {
    let kind = match decision.verdict {
        Verdict::Approve if decision.broke_glass => "proposal.glass_broken",
        Verdict::Approve => "proposal.approved",
        Verdict::Reject => "proposal.rejected",
        Verdict::Done => "proposal.recorded",
        Verdict::Uphold => "proposal.upheld",
        Verdict::Override => "proposal.overridden",
        Verdict::Escalate => "proposal.escalated",
    };
    let mut detail = json!({
        "version": decision.version,
        "hash": decision.hash,
        "name": decision.name,
        "comment": decision.comment,
        "on_behalf_of": decision.on_behalf_of.as_ref().map(|seat| &seat.name),
        "progress": after.progress().words(),
        "evidence": decision.evidence.iter().map(|record| &record.hash).collect::<Vec<_>>(),
        "receipt": decision.receipt,
    });
    learning::note_look(&mut detail, look, decision.at);
    audit::record(batch, audit::Event::new(kind, object(after.id), detail));
}

/// The decision that is recorded, if this is the same answer by the same person once more: not where they approve alone
/// what they approved as one of two, nor where somebody asked for another look after theirs.
fn repeated<'p>(proposal: &'p Proposal, person: &Person, answer: &Answer, alone: bool) -> Option<&'p Decision> {
    let is_same = |decision: &Decision| {
        decision.person == person.id
            && decision.version == answer.version
            && decision.hash == answer.hash
            && decision.verdict == answer.verdict
            && decision.broke_glass == (alone && answer.verdict == Verdict::Approve)
    };
    let (n, decision) = proposal.decisions.iter().enumerate().rev().find(|(_, decision)| is_same(decision))?;
    let asked_again = proposal.decisions[n + 1..].iter().any(|later| later.verdict == Verdict::Escalate);
    (!asked_again).then_some(decision)
}

/// The decision is durable; what cannot be sent now is sent by the sweep.
fn sent(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = %error, "the outbox waits for the sweep");
    }
}
