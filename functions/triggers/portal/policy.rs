//! The approval policy of a client: what stands, what a change would have meant, and asking for one.

mod page;
mod wanted;

use self::{
    page::page,
    wanted::{with_alone, with_group, with_rule},
};
use super::{Reader, stand_in};
use crate::{
    gate::{
        Level, Policy,
        amend::{self, AmendError},
        dry_run,
        policy::{
            self, ACCEPT_RULE, CHANGE_POLICY, KINDS, SignedPolicy, Unsound,
            reach::{self, People},
            words,
        },
    },
    readiness,
    tenancy::{
        ClientPlace, Scope, Store, TenantId,
        directory::{Grant, Person, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{DryRun, DryRunRow, FieldError, Link, Moved, paths},
        reply,
    },
};

const MAX_REASON: usize = 2000;
/// Proposals of one kind that a look back names.
const NAMED: usize = 20;

/// What a form came back with.
#[derive(Default)]
struct Returned {
    errors: Vec<FieldError>,
    dry_run: Option<DryRun>,
    /// The version that the form was made for does not stand any more.
    moved: Option<Moved>,
}

impl Returned {
    /// Whether there is something typed to be kept.
    fn is_one(&self) -> bool {
        self.moved.is_some() || self.dry_run.is_some() || !self.errors.is_empty()
    }

    fn wrong(field: &'static str, message: String) -> Self {
        Self { errors: vec![FieldError { field, message }], ..Self::default() }
    }
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    page(reader, &tenant, grant, Returned::default()).await
}

/// Tries a change on what was, or asks for it.
pub(super) async fn ask(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let seen = reader.field("version");
    reader.must_be_own_form(&["policy", &tenant.id.to_string(), &seen])?;
    let scope = reader.scope(grant);
    // Who stood in may have lost every other right, and ends it all the same.
    match reader.field("form").as_str() {
        stand_in::ASK => return stand_in::ask(reader, &tenant, grant, &scope).await,
        stand_in::ANSWER => return stand_in::answer(reader, &tenant, grant, &scope).await,
        _ => {}
    }
    if !may_ask(grant) {
        return Err(Problem::forbidden("Only an engineer or approver of this client can ask for another policy. Nothing was done."));
    }
    let today = match found(reader, &scope).await? {
        Ok(today) => today,
        Err(unsound) => return Err(Problem::conflict(unsound.sentence())),
    };
    // What is asked was thought out beside what the page showed; under anything else it may mean something else.
    if seen != today.version.to_string() {
        let moved = moved(reader, &scope, &tenant, &today, seen.parse().unwrap_or_default()).await?;
        return page(reader, &tenant, grant, Returned { moved: Some(moved), ..Returned::default() }).await;
    }
    let form = reader.field("form");
    let wanted = match form.as_str() {
        "group" => with_group(reader, &today, grant),
        "alone" => Ok(with_alone(reader, &today, grant)),
        _ => with_rule(reader, &today),
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return page(reader, &tenant, grant, Returned { errors: vec![error], ..Returned::default() }).await,
    };
    if reader.field("step") == "try" {
        let tried = tried(reader, &scope, &today, &wanted).await?;
        return page(reader, &tenant, grant, Returned { dry_run: Some(tried), ..Returned::default() }).await;
    }
    let (field, subject) = match form.as_str() {
        "group" => ("why-group", "group"),
        "alone" => ("why-alone", "why-alone"),
        _ => ("why", "rule"),
    };
    let reason = reader.field(field);
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        let message = format!("Say why, in at most {MAX_REASON} characters: the approver decides on your reason.");
        return page(reader, &tenant, grant, Returned::wrong(field, message)).await;
    }
    match amend::propose_over(reader.app, &scope, &tenant.name, (wanted, Some(today.version)), &reason).await {
        Ok(id) => Ok(reply::redirect(&paths::proposal(tenant.id, id))),
        Err(AmendError::Waits(_)) => page(reader, &tenant, grant, Returned::wrong(subject, amend::WAITS.into())).await,
        Err(AmendError::Fault(fault)) => page(reader, &tenant, grant, Returned::wrong(subject, fault.to_string())).await,
        Err(AmendError::Marked) => page(reader, &tenant, grant, Returned::wrong(field, amend::MARKED.into())).await,
        Err(AmendError::Moved) => match found(reader, &scope).await? {
            Ok(now) => {
                let moved = moved(reader, &scope, &tenant, &now, today.version).await?;
                page(reader, &tenant, grant, Returned { moved: Some(moved), ..Returned::default() }).await
            }
            Err(unsound) => Err(Problem::conflict(unsound.sentence())),
        },
        Err(AmendError::Unsound(unsound)) => Err(Problem::conflict(unsound.sentence())),
        Err(AmendError::Store(error)) => Err(error.into()),
    }
}

/// The page with what is wrong with a form of it.
pub(super) async fn came_back(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, error: FieldError) -> Result<Reply, Problem> {
    page(reader, tenant, grant, Returned { errors: vec![error], ..Returned::default() }).await
}

/// What changed since the page was shown, as far as the decisions that changed it are there to be read.
async fn moved(reader: &Reader<'_>, scope: &Scope, tenant: &Tenant, today: &Policy, seen: u32) -> Result<Moved, Problem> {
    let store: Store<'_, ClientPlace> = scope.store(reader.app).await?;
    let was = amend::as_of(&store, today, seen).await?;
    let changes = was.map(|was| words::changes(&was, today, &|person| reader.roster.person_name(person)));
    Ok(Moved {
        seen,
        stands: today.version,
        changes: changes.map(|changes| changes.iter().map(ToString::to_string).collect()),
        anew: Link::new(paths::policy(tenant.id), "Open the page anew, without what you typed"),
    })
}

/// The policy as a page shows it, held against its signature and its mark.
async fn found(reader: &Reader<'_>, scope: &Scope) -> Result<Result<Policy, Unsound>, Problem> {
    let store = scope.store(reader.app).await?;
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, policy::KEY).await?;
    Ok(policy::shown(&store, &reader.roster, found.as_ref()).await?)
}

fn may_ask(grant: &Grant) -> bool {
    grant.has(Role::Engineer) || grant.has(Role::Approver)
}

/// What a policy that waits for its approval would have meant; `None` where nobody knows which one stands.
pub(super) async fn looked_back(reader: &Reader<'_>, scope: &Scope, wanted: &Policy) -> Result<Option<DryRun>, Problem> {
    match found(reader, scope).await? {
        Ok(today) => Ok(Some(tried(reader, scope, &today, wanted).await?)),
        Err(_) => Ok(None),
    }
}

async fn tried(reader: &Reader<'_>, scope: &Scope, today: &Policy, wanted: &Policy) -> Result<DryRun, Problem> {
    let (store, tenant) = (scope.store(reader.app).await?, scope.tenant());
    let lately = dry_run::lately(&store, reader.app.now()).await?;
    let row = |line: dry_run::Line| {
        let named = line.otherwise.iter().take(NAMED).map(|one| {
            let link = Link::new(paths::proposal(tenant, one.proposal), one.question.clone());
            (link, one.why.join(" "))
        });
        DryRunRow {
            kind: line.kind.into(),
            staged: line.staged,
            decided: line.decided,
            otherwise: line.otherwise.len(),
            named: named.collect(),
        }
    };
    Ok(DryRun {
        rows: dry_run::weigh(&lately, today, wanted, reader.app.now()).into_iter().map(row).collect(),
        of_the_newest: (lately.len() >= dry_run::MOST).then_some(dry_run::MOST),
    })
}

pub(super) fn approvers<'r>(reader: &'r Reader<'_>, tenant: TenantId) -> impl Iterator<Item = &'r Person> {
    let is_one = move |person: &&Person| {
        reader.roster.grants_of(tenant, reader.app.now()).any(|grant| grant.person == person.id && grant.has(Role::Approver))
    };
    reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now()).filter(is_one)
}

/// Kinds that this release carries out, or records as done; of the others the policy has the floors, and nothing is asked yet.
fn performed() -> impl Iterator<Item = (&'static str, Level, &'static str)> {
    let is_done =
        |kind: &str| kind == CHANGE_POLICY || kind == ACCEPT_RULE || kind == readiness::submission::KIND || readiness::mark::performs(kind);
    KINDS.iter().copied().filter(move |(kind, ..)| is_done(kind))
}

/// Kinds whose terms people can choose: those that people approve, or do and record.
fn changeable() -> impl Iterator<Item = (&'static str, &'static str)> {
    performed().filter(|(_, floor, _)| *floor >= Level::L2).map(|(kind, _, words)| (kind, words))
}

/// What nobody could get approved with the access there is. Who stands in for whom is the client's, and not looked at here.
pub(super) fn short_of(reader: &Reader<'_>, id: TenantId) -> Vec<String> {
    let people = People::of(&reader.roster, &reader.app.config, id, &[], reader.app.now());
    let needs = reader.roster.policy_mark(id).map(|mark| mark.needs.clone()).unwrap_or_default();
    reach::short_of_needs(&needs, &people).iter().map(reach::Shortfall::sentence).collect()
}
