//! What waits for a person across their clients, and what was settled lately.
//!
//! Reads the marks of open proposals, never all proposals. A client whose key cannot be used is named as such: its part
//! is unknown, not empty, and the other clients' parts are shown.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use time::{Duration, OffsetDateTime};

use super::{
    delegation::Delegation,
    policy::{self, SignedPolicy, Unsound},
    proposal::{OpenMark, Proposal, ReviewMark, UndoMark},
    state::State,
};
use crate::{
    app::{App, Moment},
    tenancy::{
        Actor, ClientPlace, Held, Passed, Roster, Scope, Store, StoreError, TenantId, Wanted,
        directory::{Grant, Person, Role},
    },
};

/// Whose eyes: a signed-in person with their grants, read for this request.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub person: &'a Person,
    pub grants: &'a [Grant],
    pub roster: &'a Roster,
    pub correlation: &'a str,
}

impl<'a> Reader<'a> {
    /// Their own grant for the client.
    pub fn grant_for(&self, tenant: TenantId) -> Option<&'a Grant> {
        self.grants.iter().find(|grant| grant.tenant() == tenant && grant.person == self.person.id)
    }
}

/// Clients read at once.
const CLIENTS_AT_ONCE: usize = 8;
/// How many settled proposals the inbox shows.
const LATELY: usize = 10;

/// An open proposal of one client.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub tenant: TenantId,
    pub client: String,
    pub mark: OpenMark,
    /// A person's name, or what asked by rule.
    pub asked_by: String,
    pub standing: Standing,
}

/// What the reader may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They may decide it.
    Yours,
    /// They asked, so somebody else decides.
    Asked,
    /// It rests on evidence that they filed, so somebody else decides.
    Owns,
    /// They approved it, and others have not yet.
    Given,
    /// They see the client and are no approver of it.
    Sees,
}

#[derive(Clone, Debug)]
pub struct Settled {
    pub tenant: TenantId,
    pub client: String,
    pub proposal: Proposal,
    /// When it came to where it stands.
    pub at: OffsetDateTime,
}

/// What waits for another person's look.
#[derive(Clone, Debug)]
pub struct Review {
    pub tenant: TenantId,
    pub client: String,
    pub mark: ReviewMark,
    /// The reader approved it alone, or asked for the review.
    pub own: bool,
}

/// What ran by its level and one person can undo.
#[derive(Clone, Debug)]
pub struct Undoable {
    pub tenant: TenantId,
    pub client: String,
    pub mark: UndoMark,
}

/// Another approver wants the reader to answer in their place.
#[derive(Clone, Debug)]
pub struct AskedToStandIn {
    pub tenant: TenantId,
    pub client: String,
    pub by: String,
    pub until: OffsetDateTime,
}

#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// What this person may decide before what they only see; in each, the nearest deadline first.
    pub waiting: Vec<Waiting>,
    /// All that waits, on this page or not.
    pub total: usize,
    /// Hand this back for the next page.
    pub next: Option<String>,
    /// Newest first, at most ten.
    pub settled: Vec<Settled>,
    /// Clients whose records cannot be read just now, by name.
    pub unavailable: Vec<String>,
    /// Clients of which some records cannot be read: the others are here.
    pub partly: Vec<String>,
    /// What somebody approved alone or escalated and nobody has reviewed yet; due first.
    pub reviews: Vec<Review>,
    /// Of clients for which the reader approves; what can be undone the shortest first.
    pub undoable: Vec<Undoable>,
    /// Whom the reader is asked to stand in for, and has not answered; what would end first, first.
    pub asked_to_stand_in: Vec<AskedToStandIn>,
    /// Clients under whose policy nothing is approved, by name, and why.
    pub unsound: Vec<(String, Unsound)>,
}

/// One page of what waits; `after` is an earlier page's `next`.
pub async fn inbox(app: &App, reader: Reader<'_>, after: Option<&str>, limit: usize) -> Result<Inbox, StoreError> {
    let Reader { person, grants, roster, .. } = reader;
    let mut inbox = Inbox::default();
    let all: Vec<_> = grants.iter().map(|grant| client(app, grant, reader)).collect();
    let all: Vec<_> = stream::iter(all).buffered(CLIENTS_AT_ONCE).collect().await;
    for (grant, read) in grants.iter().zip(all) {
        let name = roster.client_name(grant.tenant());
        let OfClient { marks, lately: proposals, reviews, undoable, asked, unsound, is_whole } = match read {
            Ok(read) => read,
            Err(error) if error.concerns_one_owner() => {
                tracing::warn!(error = %error, "a client is left out of the inbox");
                inbox.unavailable.push(name);
                continue;
            }
            Err(error) => return Err(error),
        };
        if !is_whole {
            inbox.partly.push(name.clone());
        }
        inbox.reviews.extend(reviews.into_iter().map(|mark| {
            let own = !mark.own_too && roster.human(mark.by) == roster.human(person.id);
            Review { tenant: grant.tenant(), client: name.clone(), mark, own }
        }));
        let may = grant.has(Role::Approver) && grant.person == person.id;
        let undoable = undoable.into_iter().filter(|mark| may && app.now() < mark.undo_until);
        inbox.undoable.extend(undoable.map(|mark| Undoable { tenant: grant.tenant(), client: name.clone(), mark }));
        let asked = asked.iter().filter(|one| may && one.to == person.id).filter_map(|one| {
            let until = one.offered(app.now())?.until;
            Some(AskedToStandIn { tenant: grant.tenant(), client: name.clone(), by: roster.person_name(one.from), until })
        });
        inbox.asked_to_stand_in.extend(asked);
        inbox.unsound.extend(unsound.map(|unsound| (name.clone(), unsound)));
        inbox.waiting.extend(marks.iter().filter(|mark| app.now() < mark.decide_by).map(|mark| Waiting {
            tenant: grant.tenant(),
            client: name.clone(),
            asked_by: asked_by(roster, &mark.requester),
            standing: standing(grant, person, mark),
            mark: mark.clone(),
        }));
        inbox.settled.extend(
            proposals.into_iter().filter_map(|proposal| {
                settled_at(&proposal).map(|at| Settled { tenant: grant.tenant(), client: name.clone(), proposal, at })
            }),
        );
    }
    inbox.asked_to_stand_in.sort_by_key(|one| one.until);
    inbox.reviews.sort_by_key(|review| review.mark.due);
    inbox.undoable.sort_by_key(|one| one.mark.undo_until);
    inbox.settled.sort_by_key(|settled| std::cmp::Reverse(settled.at));
    inbox.settled.truncate(LATELY);
    inbox.waiting.sort_by_key(position);
    inbox.total = inbox.waiting.len();
    if let Some(after) = after {
        inbox.waiting.retain(|waiting| position(waiting).as_str() > after);
    }
    if limit < inbox.waiting.len() {
        inbox.waiting.truncate(limit);
        inbox.next = inbox.waiting.last().map(position);
    }
    Ok(inbox)
}

/// How many open proposals this person may decide: the number in the navigation.
pub async fn count(app: &App, reader: Reader<'_>) -> Result<usize, StoreError> {
    Ok(yours(app, reader).await?.len())
}

/// The open proposals that this person may decide, as they were some seconds ago at most; none of a client whose records
/// cannot be read.
pub(super) async fn yours(app: &App, reader: Reader<'_>) -> Result<Vec<(TenantId, OpenMark)>, StoreError> {
    let Reader { person, grants, correlation, .. } = reader;
    let mut found = Vec::new();
    let all: Vec<_> = grants.iter().map(|grant| lately(app, grant, correlation)).collect();
    let all: Vec<_> = stream::iter(all).buffered(CLIENTS_AT_ONCE).collect().await;
    for (grant, marks) in grants.iter().zip(all) {
        match marks {
            Ok(marks) => found.extend(
                marks
                    .iter()
                    .filter(|mark| app.now() < mark.decide_by && standing(grant, person, mark) == Standing::Yours)
                    .map(|mark| (grant.tenant(), mark.clone())),
            ),
            Err(error) if error.concerns_one_owner() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The open proposals of one client, oldest first.
pub async fn open(app: &App, grant: &Grant, correlation: &str) -> Result<Arc<Vec<OpenMark>>, StoreError> {
    let scope = Scope::of_person(grant, correlation);
    let moment = moment(app, &scope);
    let marks = scope.store(app).await?.all_of_each::<OpenMark>(ClientPlace::Assessment, "").await?;
    let marks = Passed::default().all(marks)?;
    Ok(remember(app, &scope, marks, moment))
}

/// How old the number in the navigation may be. What this process changes is seen at once.
const REMEMBERED: Duration = Duration::seconds(30);

/// The open proposals of one client, if this process read them a moment ago: with many clients, the number in the
/// navigation would otherwise be the dearest part of every page.
pub(super) fn remembered(app: &App, grant: &Grant, correlation: &str) -> Option<Arc<Vec<OpenMark>>> {
    app.memory.recall(&name(&Scope::of_person(grant, correlation)), app.now() - REMEMBERED)
}

/// The open proposals of one client, as they were some seconds ago at most.
pub async fn lately(app: &App, grant: &Grant, correlation: &str) -> Result<Arc<Vec<OpenMark>>, StoreError> {
    match remembered(app, grant, correlation) {
        Some(marks) => Ok(marks),
        None => open(app, grant, correlation).await,
    }
}

/// When a read begins whose finds [`remember`] gets.
pub fn moment(app: &App, scope: &Scope) -> Moment {
    app.memory.moment(&name(scope))
}

/// What a read that began at `moment` found.
pub(super) fn remember(app: &App, scope: &Scope, marks: Vec<Held<OpenMark>>, moment: Moment) -> Arc<Vec<OpenMark>> {
    let marks = Arc::new(marks.into_iter().map(|held| held.value).collect());
    app.memory.keep(&name(scope), Arc::clone(&marks), moment, app.now());
    marks
}

fn name(scope: &Scope) -> String {
    scope.remembers::<OpenMark>(ClientPlace::Assessment)
}

/// One client's part, as far as it can be read.
struct OfClient {
    is_whole: bool,
    marks: Arc<Vec<OpenMark>>,
    lately: Vec<Proposal>,
    reviews: Vec<ReviewMark>,
    undoable: Vec<UndoMark>,
    asked: Vec<Delegation>,
    /// Why nothing can be approved, if so.
    unsound: Option<Unsound>,
}

async fn client(app: &App, grant: &Grant, reader: Reader<'_>) -> Result<OfClient, StoreError> {
    let scope = Scope::of_person(grant, reader.correlation);
    let (moment, store) = (moment(app, &scope), scope.store(app).await?);
    let wanted = vec![
        Wanted::all::<OpenMark>(""),
        Wanted::all::<ReviewMark>(""),
        Wanted::all::<UndoMark>(""),
        Wanted::all::<Delegation>(""),
        Wanted::one::<SignedPolicy>(policy::KEY),
    ];
    let found = store.gather(ClientPlace::Assessment, wanted).await?;
    let unsound = policy::shown(&store, reader.roster, found.one(policy::KEY).await?.as_ref()).await?.err();
    let mut passed = Passed::default();
    let marks = remember(app, &scope, passed.all(found.all_of_each("").await?)?, moment);
    let reviews = passed.all(found.all_of_each::<ReviewMark>("").await?)?.into_iter().map(|held| held.value).collect();
    let undoable = passed.all(found.all_of_each::<UndoMark>("").await?)?.into_iter().map(|held| held.value).collect();
    let asked = passed.all(found.all_of_each::<Delegation>("").await?)?.into_iter().map(|held| held.value).collect();
    let lately = settled_lately(&store, &mut passed).await?;
    Ok(OfClient { is_whole: passed.end(()).is_ok(), marks, lately, reviews, undoable, asked, unsound })
}

/// Of what is settled, the newest staged: twice as many as are shown, because what was staged later may have been
/// decided earlier. People decide what closes first, mostly the oldest, so all that is still open may stand before them.
async fn settled_lately(store: &Store<'_, ClientPlace>, passed: &mut Passed) -> Result<Vec<Proposal>, StoreError> {
    const ENOUGH: usize = 2 * LATELY;
    let (mut settled, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.page_of_each::<Proposal>(ClientPlace::Assessment, "", true, ENOUGH, after).await?;
        settled.extend(passed.all(page)?.into_iter().map(|held| held.value).filter(|proposal| proposal.state != State::Open));
        match next {
            Some(next) if settled.len() < ENOUGH => after = Some(next),
            _ => return Ok(settled),
        }
    }
}

fn standing(grant: &Grant, person: &Person, mark: &OpenMark) -> Standing {
    if mark.requester == Actor::Person(person.id) {
        Standing::Asked
    } else if !grant.has(Role::Approver) || grant.person != person.id {
        Standing::Sees
    } else if mark.not_for.contains(&person.id) {
        Standing::Owns
    } else if mark.approved_by.contains(&person.id) {
        Standing::Given
    } else {
        Standing::Yours
    }
}

/// Who asks, for people.
pub(super) fn asked_by(roster: &Roster, requester: &Actor) -> String {
    match requester {
        Actor::Person(id) => roster.person_name(*id),
        Actor::Function(_) => "Assay, by rule".into(),
        Actor::Connection(_) => "A connected tool".into(),
    }
}

/// Sorts by whose it is, by deadline, then by id; unreserved characters only, because it stands in an address.
fn position(waiting: &Waiting) -> String {
    let others = u8::from(waiting.standing != Standing::Yours);
    format!("{others}.{:020}.{}", waiting.mark.decide_by.unix_timestamp_nanos(), waiting.mark.proposal)
}

fn settled_at(proposal: &Proposal) -> Option<OffsetDateTime> {
    match &proposal.state {
        State::Open => None,
        State::Cleared { .. } => Some(proposal.staged_at),
        State::Approved { .. } => proposal.decision().map(|decision| decision.at),
        State::Executing { since } | State::Undoing { since, .. } => Some(*since),
        State::Rejected { at }
        | State::Expired { at, .. }
        | State::Superseded { at, .. }
        | State::Withdrawn { at }
        | State::Executed { at, .. }
        | State::NotUndone { at, .. }
        | State::Recorded { at }
        | State::Failed { at, .. }
        | State::Refused { at, .. }
        | State::RolledBack { at, .. } => Some(*at),
    }
}
