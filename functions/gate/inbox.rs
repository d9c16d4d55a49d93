//! What waits for a person across their clients, and what was settled lately.
//!
//! Reads the marks of open proposals, never all proposals. A client whose key cannot be used is named as such: its part
//! is unknown, not empty, and the other clients' parts are shown.

use futures_util::future::join_all;
use time::OffsetDateTime;

use super::proposal::{OpenMark, Proposal, State};
use crate::{
    app::App,
    tenancy::{
        Actor, ClientPlace, DeploymentScope, Scope, Store, StoreError, TenantId,
        directory::{self, Grant, Person, Role, Tenant},
    },
};

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

#[derive(Clone, Debug, Default)]
pub struct Inbox {
    /// What this person may decide before what they only see; in each, the oldest first, and so the nearest deadline.
    pub waiting: Vec<Waiting>,
    /// All that waits, on this page or not.
    pub total: usize,
    /// Hand this back for the next page.
    pub next: Option<String>,
    /// Newest first, at most ten.
    pub settled: Vec<Settled>,
    /// Clients whose records cannot be read just now, by name.
    pub unavailable: Vec<String>,
}

/// One page of what waits. `grants` are the reader's, read for this request; `after` is an earlier page's `next`.
pub async fn inbox(
    app: &App,
    person: &Person,
    grants: &[Grant],
    correlation: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Inbox, StoreError> {
    let directory = DeploymentScope::of_function("inbox", correlation).store(app).await?;
    let tenants = directory::tenants(&directory).await?;
    let people = directory::people(&directory).await?;
    let mut inbox = Inbox::default();
    for (grant, read) in grants.iter().zip(join_all(grants.iter().map(|grant| client(app, grant, correlation))).await) {
        let name = name_of(&tenants, grant.tenant);
        let (marks, proposals) = match read {
            Ok(read) => read,
            Err(error) if error.concerns_one_owner() => {
                tracing::warn!(error = %error, "a client is left out of the inbox");
                inbox.unavailable.push(name);
                continue;
            }
            Err(error) => return Err(error),
        };
        inbox.waiting.extend(marks.into_iter().filter(|mark| app.now() < mark.decide_by).map(|mark| Waiting {
            tenant: grant.tenant,
            client: name.clone(),
            asked_by: asked_by(&people, &mark.requester),
            standing: standing(grant, person, &mark),
            mark,
        }));
        inbox.settled.extend(proposals.into_iter().filter_map(|proposal| {
            settled_at(&proposal.state).map(|at| Settled { tenant: grant.tenant, client: name.clone(), proposal, at })
        }));
    }
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
pub async fn count(app: &App, person: &Person, grants: &[Grant], correlation: &str) -> Result<usize, StoreError> {
    Ok(yours(app, person, grants, correlation).await?.len())
}

/// The open proposals that this person may decide; none of a client whose records cannot be read.
pub(super) async fn yours(
    app: &App,
    person: &Person,
    grants: &[Grant],
    correlation: &str,
) -> Result<Vec<(TenantId, OpenMark)>, StoreError> {
    let mut found = Vec::new();
    for (grant, marks) in grants.iter().zip(join_all(grants.iter().map(|grant| open(app, grant, correlation))).await) {
        match marks {
            Ok(marks) => found.extend(
                marks
                    .into_iter()
                    .filter(|mark| app.now() < mark.decide_by && standing(grant, person, mark) == Standing::Yours)
                    .map(|mark| (grant.tenant, mark)),
            ),
            Err(error) if error.concerns_one_owner() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The open proposals of one client, oldest first.
pub async fn open(app: &App, grant: &Grant, correlation: &str) -> Result<Vec<OpenMark>, StoreError> {
    let store = Scope::of_person(grant, correlation).store(app).await?;
    let marks = store.all::<OpenMark>(ClientPlace::Assessment, "").await?;
    Ok(marks.into_iter().map(|held| held.value).collect())
}

async fn client(app: &App, grant: &Grant, correlation: &str) -> Result<(Vec<OpenMark>, Vec<Proposal>), StoreError> {
    let marks = open(app, grant, correlation).await?;
    let store = Scope::of_person(grant, correlation).store(app).await?;
    Ok((marks, settled_lately(&store).await?))
}

/// Of what is settled, the newest staged: twice as many as are shown, because what was staged later may have been
/// decided earlier. People decide the oldest first, so all that is still open may stand before them.
async fn settled_lately(store: &Store<'_, ClientPlace>) -> Result<Vec<Proposal>, StoreError> {
    const ENOUGH: usize = 2 * LATELY;
    let (mut settled, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.page::<Proposal>(ClientPlace::Assessment, "", true, ENOUGH, after).await?;
        settled.extend(page.into_iter().map(|held| held.value).filter(|proposal| proposal.state != State::Open));
        match next {
            Some(next) if settled.len() < ENOUGH => after = Some(next),
            _ => return Ok(settled),
        }
    }
}

fn standing(grant: &Grant, person: &Person, mark: &OpenMark) -> Standing {
    if mark.requester == Actor::Person(person.id) {
        Standing::Asked
    } else if grant.has(Role::Approver) && grant.person == person.id {
        Standing::Yours
    } else {
        Standing::Sees
    }
}

/// Who asks, for people.
pub(super) fn asked_by(people: &[Person], requester: &Actor) -> String {
    match requester {
        Actor::Person(id) => {
            people.iter().find(|person| person.id == *id).map_or_else(|| "Somebody who has left".into(), |p| p.name.clone())
        }
        Actor::Function(_) => "Assay, by rule".into(),
        Actor::Connection(_) => "A connected tool".into(),
    }
}

pub(super) fn name_of(tenants: &[Tenant], id: TenantId) -> String {
    tenants.iter().find(|tenant| tenant.id == id).map_or_else(|| "A client".into(), |tenant| tenant.name.clone())
}

/// Sorts by whose it is, by age, then by id; unreserved characters only, because it stands in an address.
fn position(waiting: &Waiting) -> String {
    let others = u8::from(waiting.standing != Standing::Yours);
    format!("{others}.{:020}.{}", waiting.mark.staged_at.unix_timestamp_nanos(), waiting.mark.proposal)
}

fn settled_at(state: &State) -> Option<OffsetDateTime> {
    match state {
        State::Open => None,
        State::Approved { decision, .. } | State::Rejected { decision } => Some(decision.at),
        State::Expired { at, .. } | State::Superseded { at, .. } | State::Executed { at, .. } | State::Refused { at, .. } => Some(*at),
    }
}
