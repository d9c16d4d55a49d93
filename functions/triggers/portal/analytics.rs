//! The analytics pages: of one client, and of all that this person has a grant for.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt as _, stream};

use super::{Reader, accept, clients, left_out};
use crate::{
    analytics::{
        self,
        sampled::COLLECTED,
        sharing::{self, Together},
        view,
    },
    gate::{
        Policy,
        learning::Rule,
        policy::{self, KINDS, SignedPolicy},
    },
    readiness::{self, catalogue::catalogue},
    tenancy::{ClientPlace, Store, StoreError, TenantId, directory::Grant},
    web::{
        Problem, Reply,
        pages::{FieldError, Link, PostForm, Section, SharingView, UnreadableClient, paths},
        problem, reply,
    },
};

/// Clients read at once.
const CLIENTS_AT_ONCE: usize = 8;

pub(super) async fn all(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let grants: Vec<&Grant> = reader.grants.iter().collect();
    page(reader, &grants, false, &[]).await
}

pub(super) async fn client(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    of_one(reader, tenant, &[]).await
}

/// One client's page, with what is wrong with a form that came back.
pub(super) async fn of_one(reader: &Reader<'_>, tenant: &str, errors: &[FieldError]) -> Result<Reply, Problem> {
    let (_, grant) = reader.client(tenant)?;
    page(reader, &[grant], true, errors).await
}

async fn page(reader: &Reader<'_>, grants: &[&Grant], of_one: bool, errors: &[FieldError]) -> Result<Reply, Problem> {
    let frame = reader.frame(Section::Analytics).await?;
    let reads: Vec<_> = grants.iter().map(|grant| Box::pin(read(reader, grant))).collect();
    let reads: Vec<_> = stream::iter(reads).buffered(CLIENTS_AT_ONCE).collect().await;
    let (mut clients, mut tenants, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for (tenant, read) in grants.iter().map(|grant| grant.tenant()).zip(reads) {
        match read {
            Ok(client) => {
                clients.push(client);
                tenants.push(tenant);
            }
            Err(error) if !of_one && error.concerns_one_owner() => {
                tracing::warn!(%tenant, error = problem::chain(&error), "a client's figures cannot be read");
                unreadable.push(UnreadableClient {
                    name: reader.roster.client_name(tenant),
                    why: clients::why_unreadable(&error).into(),
                    link: None,
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let together = if of_one { Together::read(&reader.deployment().await?).await? } else { Together::default() };
    let now = reader.app.now();
    let mut page = view::page(frame, &clients, of_one, |client, rule| view::About {
        link: about(tenants[client], rule),
        together: together.of(rule, tenants[client], now),
        accept: grants.get(client).filter(|_| of_one).and_then(|grant| accept::form(reader, grant, &clients[client].known, rule)),
    });
    page.sharing = tenants.first().filter(|_| of_one).map(|tenant| sharing_view(reader, *tenant, together.takes_part(*tenant)));
    if let (true, Some(grant)) = (of_one, grants.first()) {
        page.change_waits = left_out::waits(reader, grant).await?;
        let form =
            left_out::form(reader, grant, errors, clients.first().and_then(|client| client.policy.as_ref()).map(|policy| &policy.left_out));
        // What somebody typed stays.
        page.leave_out = form.filter(|_| page.change_waits.is_none() || !errors.is_empty());
        page.sampled = Some(Link::new(paths::sampled(grant.tenant()), "Sampled for review: what ran without an approval"));
        page.errors = errors.iter().map(|error| (error.field, error.message.clone())).collect();
    }
    let left_out: BTreeSet<_> = clients.iter().flat_map(|client| client.known.left_out.iter().copied()).collect();
    page.left_out = left_out.into_iter().map(|person| reader.roster.person_name(person)).collect();
    page.unreadable = unreadable;
    page.pages = pages(reader, grants.first().filter(|_| of_one).map(|grant| grant.tenant()));
    Ok(reply::page(if errors.is_empty() { 200 } else { 422 }, &page))
}

async fn read(reader: &Reader<'_>, grant: &Grant) -> Result<view::Client, StoreError> {
    let name = reader.roster.client_name(grant.tenant());
    let row = readiness::view::client_row(reader.app, grant, &name, reader.correlation()).await?;
    let store = reader.scope(grant).store(reader.app).await?;
    let (known, behind) = analytics::known(&store).await?;
    let policy = sound(reader, &store, grant.tenant()).await?;
    Ok(view::Client {
        link: Link::new(paths::client_analytics(grant.tenant()), name),
        met: row.met,
        waiting: row.waiting,
        known,
        behind,
        policy,
        roster: reader.roster.clone(),
    })
}

/// The client's policy, if it is the one that stood last. Reads it anew only where what is remembered is not.
async fn sound(reader: &Reader<'_>, store: &Store<'_, ClientPlace>, tenant: TenantId) -> Result<Option<Arc<Policy>>, StoreError> {
    let (policy, mark) = (Policy::lately(store).await?, reader.roster.policy_mark(tenant));
    if mark.is_some_and(|mark| policy.version >= mark.version) {
        return Ok(Some(policy));
    }
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, policy::KEY).await?;
    Ok(policy::shown(store, &reader.roster, found.as_ref()).await?.ok().map(Arc::new))
}

/// The field of the form, and what it says.
const TAKES_PART: &str = "takes-part";

fn sharing_view(reader: &Reader<'_>, tenant: TenantId, takes_part: bool) -> SharingView {
    let wanted = if takes_part { "no" } else { "yes" };
    let form = reader.person.is_owner.then(|| PostForm {
        action: paths::take_part(tenant),
        token: reader.token(&[TAKES_PART, &tenant.to_string(), wanted]),
        fields: vec![(TAKES_PART.into(), wanted.into())],
        label: if takes_part { "Stop taking part" } else { "Take part" }.into(),
    });
    SharingView { takes_part, form }
}

/// The owner's choice for one client.
pub(super) async fn take_part(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, _) = reader.client(tenant)?;
    let wanted = reader.field(TAKES_PART);
    reader.must_be_own_form(&[TAKES_PART, &tenant.id.to_string(), &wanted])?;
    if !reader.person.is_owner {
        return Err(Problem::forbidden("Only the owner decides whether a client takes part. Nothing was changed; ask them."));
    }
    sharing::choose(&reader.deployment().await?, tenant.id, wanted == "yes").await?;
    Ok(reply::redirect(&paths::client_analytics(tenant.id)))
}

/// What a rule is about, as the catalogue calls it.
fn about(tenant: TenantId, rule: &Rule) -> Link {
    if let Some(objective) = catalogue().objective(rule.subject()) {
        let requirement = catalogue().requirement(objective.requirement()).map_or("", |requirement| requirement.cmmc_id);
        return Link::new(paths::requirement(tenant, requirement), objective.cmmc_id());
    }
    let words = KINDS.iter().find(|(kind, ..)| *kind == rule.kind()).map_or("An action", |(.., words)| *words);
    let to = if rule.kind() == COLLECTED { paths::sampled(tenant) } else { paths::client(tenant) };
    Link::new(to, format!("{words}: {}", rule.subject()))
}

/// Where else there are figures; of one client alone there is nothing else.
fn pages(reader: &Reader<'_>, of: Option<TenantId>) -> Vec<(bool, Link)> {
    let mut clients: Vec<_> = reader.grants.iter().map(|grant| (reader.roster.client_name(grant.tenant()), grant.tenant())).collect();
    clients.sort();
    let all = (of.is_none(), Link::new(paths::analytics(), "All clients"));
    let each = clients.into_iter().map(|(name, tenant)| (of == Some(tenant), Link::new(paths::client_analytics(tenant), name)));
    std::iter::once(all).chain(each).collect()
}
