//! Clients, one client, one requirement, and what an engineer can ask for there.

use futures_util::{StreamExt as _, stream};
use time::{Date, macros::format_description};
use uuid::Uuid;

use super::{Reader, after, approvals, connections, set_aside, setup, trail};
use crate::{
    audit::{
        dead_letter,
        watch::{LogAlarm, Looked},
    },
    connectors::{
        file::{self, FileError},
        mapping, review,
    },
    readiness::{self, ByHand, Found, ProposeError, view},
    tenancy::{
        Actor, DeploymentPlace, KeyTrouble, ProposalId, Scope, StoreError, TenantId, Wanted,
        directory::{Grant, Role, Tenant},
        seal,
    },
    web::{
        Problem, Reply,
        pages::{
            AccessReviewLink, ClientRow, ClientsPage, FieldError, LimitedRole, Link, MessagePage, PostForm, RequirementPage, Section, Tag,
            Tone, UnreadableClient, paths,
        },
        problem, reply,
    },
};

/// Clients read at once for the list.
const CLIENTS_AT_ONCE: usize = 8;

async fn client_row(reader: &Reader<'_>, grant: &Grant) -> Result<ClientRow, StoreError> {
    view::client_row(reader.app, grant, &reader.roster.client_name(grant.tenant()), reader.correlation()).await
}

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let healths = connections::healths(reader).await?;
    let serving = connections::serving(reader, &healths).await?;
    let rows: Vec<_> = reader.grants.iter().map(|grant| client_row(reader, grant)).collect();
    let rows: Vec<_> = stream::iter(rows).buffered(CLIENTS_AT_ONCE).collect().await;
    let (mut clients, mut unreadable) = (Vec::new(), Vec::new());
    for (tenant, row) in reader.grants.iter().map(Grant::tenant).zip(rows) {
        match row {
            Ok(row) => clients.push(ClientRow { connections: connections::of_client(reader, &serving, tenant), ..row }),
            Err(error) if error.concerns_one_owner() => {
                tracing::warn!(%tenant, error = problem::chain(&error), "a client cannot be read");
                let (name, why) = (reader.roster.client_name(tenant), why_unreadable(&error).into());
                unreadable.push(UnreadableClient { name, why, link: None });
            }
            Err(error) => return Err(error.into()),
        }
    }
    for grant in &reader.resting {
        let name = reader.roster.client_name(grant.tenant());
        unreadable.push(UnreadableClient { name, why: Problem::switched_off().detail, link: offboarding(reader, grant.tenant()) });
    }
    unreadable.sort_by(|a, b| a.name.cmp(&b.name));
    clients.sort_by(|a, b| a.name.cmp(&b.name));
    let (mut unmapped, mut letters, mut alarms, mut logs_looked) = (0, 0, Vec::new(), None);
    if reader.operates() {
        let store = reader.deployment().await?;
        let wanted = vec![Wanted::all::<LogAlarm>(""), Wanted::one::<Looked>(Looked::KEY)];
        let found = store.gather(DeploymentPlace::Operations, wanted).await?;
        logs_looked = found.one::<Looked>(Looked::KEY).await?.map(|held| held.value);
        let known = found.all::<LogAlarm>("").await?;
        for LogAlarm { owner, what, .. } in known.into_iter().map(|held| held.value).filter(|alarm| !alarm.what.is_empty()) {
            let of = owner.parse::<TenantId>().ok();
            let name = of.map_or_else(|| "this installation".into(), |tenant| reader.roster.client_name(tenant));
            alarms.push((Link::new(of.map_or_else(paths::audit, paths::client_audit), name), what));
        }
        for health in &healths {
            unmapped += mapping::unmapped(&store, health.connection.id).await?.iter().filter(|u| u.can_be_mapped).count();
        }
        letters = dead_letter::waiting(reader.app, &reader.deployment_scope()).await?;
    }
    let (open, listed) = set_aside::counted(reader).await?;
    let access = if reader.person.is_owner { Some(access_review(reader).await?) } else { None };
    let missing = if reader.person.is_owner { setup::missing(reader, &healths, &serving) } else { vec![] };
    let frame = reader.frame(Section::Clients).await?;
    Ok(reply::page(
        200,
        &ClientsPage {
            setup: (!missing.is_empty()).then(|| (paths::setup(), missing)),
            waiting: clients.iter().map(|row| row.waiting).sum(),
            clients,
            unreadable,
            unmapped,
            dead_letters: letters,
            alarms,
            logs_late: logs_looked.as_ref().is_some_and(|looked| looked.is_late(reader.app.now())),
            logs_looked: logs_looked.map(|looked| looked.at),
            logs_href: paths::audit(),
            set_aside: open,
            seen_to: listed - open,
            set_aside_href: paths::set_aside(),
            unmapped_href: reader.operates().then(paths::mapping),
            owners: owners(reader),
            limited: limited(reader),
            without_grant: without_grant(reader),
            people_href: frame.asking.map(|_| paths::team()),
            access,
            add_href: reader.person.is_owner.then(paths::new_client),
            notice: reader.done("added").map(|_| "Added. Map a company of a connection to it, and its evidence comes in.".into()),
            dead_letters_href: paths::dead_letters(),
            frame,
        },
    ))
}

/// Where the owner goes on with it.
fn offboarding(reader: &Reader<'_>, tenant: TenantId) -> Option<Link> {
    reader.person.is_owner.then(|| Link::new(paths::offboarding(tenant), "Offboarding"))
}

fn owners(reader: &Reader<'_>) -> Vec<String> {
    let people = reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now());
    people.filter(|person| person.is_owner).map(|person| person.name.clone()).collect()
}

async fn access_review(reader: &Reader<'_>) -> Result<AccessReviewLink, StoreError> {
    let due = review::due(&reader.roster, &reader.deployment().await?);
    let clients = match due.clients {
        0 => None,
        1 => Some("1 client".to_owned()),
        n => Some(format!("{n} clients")),
    };
    let all: Vec<String> = clients.into_iter().chain(due.installation.then(|| "who can sign in".to_owned())).collect();
    Ok(AccessReviewLink { href: paths::access(), due_for: (!all.is_empty()).then(|| all.join(" and ")) })
}

const ASSESSOR: &str = "As assessor you read and change nothing. The assessment package is not in this release; until it is, take a copy of the client's audit log here: every entry with its proof, without content or notes, to verify on your own machine. That you took it is recorded.";
const TRAINING_MANAGER: &str = "As training manager you will assign courses here and review what people attest. That is not in this release, so there is nothing to see yet.";
const LEARNER: &str =
    "As learner you will find your courses here and attest to them. That is not in this release, so there is nothing to see yet.";

/// Of the clients whose pages they do not open.
fn limited(reader: &Reader<'_>) -> Vec<LimitedRole> {
    let mut all: Vec<LimitedRole> = reader.limited().map(|grant| limited_role(reader, grant)).collect();
    all.sort_by(|a, b| a.client.cmp(&b.client));
    all
}

fn limited_role(reader: &Reader<'_>, grant: &Grant) -> LimitedRole {
    let words = grant.roles.iter().filter_map(|role| match role {
        Role::Assessor => Some(ASSESSOR),
        Role::TrainingManager => Some(TRAINING_MANAGER),
        Role::Learner => Some(LEARNER),
        Role::Engineer | Role::Approver | Role::Auditor => None,
    });
    LimitedRole {
        client: reader.roster.client_name(grant.tenant()),
        roles: grant.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(", "),
        last_day: grant.until.and_then(|until| until.date().previous_day()),
        words: words.collect(),
        copy: grant.has(Role::Assessor).then(|| trail::export_form(reader, grant.tenant())),
    }
}

/// The owner can give a grant for these, also to themselves.
fn without_grant(reader: &Reader<'_>) -> Vec<Link> {
    if !reader.person.is_owner {
        return Vec::new();
    }
    let is_without = |tenant: &&Tenant| reader.grants.iter().chain(&reader.resting).all(|grant| grant.tenant() != tenant.id);
    let mut tenants: Vec<&Tenant> = reader.roster.tenants.iter().filter(is_without).collect();
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    tenants.into_iter().map(|tenant| Link::new(paths::people(tenant.id), tenant.name.clone())).collect()
}

/// Why a client's records cannot be read, and what to do.
pub(super) fn why_unreadable(error: &StoreError) -> &'static str {
    match error {
        StoreError::NewerRelease { .. } => "Its records were written by a newer release of Assay. Install that release or a newer one.",
        other => other.key_trouble().unwrap_or(KeyTrouble::Damaged).sentence(),
    }
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let frame = reader.frame(Section::Clients).await?;
    let mut page = view::client_page(reader.app, grant, &tenant.name, reader.correlation(), frame).await?;
    let healths = connections::healths(reader).await?;
    let serving = connections::serving(reader, &healths).await?;
    page.connections = connections::of_client(reader, &serving, tenant.id).into_iter().map(|(tag, _)| tag).collect();
    page.sprs = (grant.has(Role::Engineer) && page.readings.ssp_accepted).then(|| PostForm {
        action: paths::sprs(tenant.id),
        token: reader.token(&[after::SPRS, &tenant.id.to_string()]),
        fields: vec![],
        label: "Ask for the score to be submitted in SPRS".into(),
    });
    page.people_href = reader.person.is_owner.then(|| paths::people(tenant.id));
    Ok(reply::page(200, &page))
}

/// What an engineer's form came back with.
pub(super) struct Returned {
    errors: Vec<FieldError>,
}

pub(super) async fn requirement(reader: &Reader<'_>, tenant: &str, id: &str, returned: Option<Returned>) -> Result<Reply, Problem> {
    let mut page = requirement_page(reader, tenant, id).await?;
    let status = if returned.is_some() { 422 } else { 200 };
    if let Some(returned) = returned {
        page.propose = page.propose.map(|form| form.returned(&|name| reader.field(name), &returned.errors));
    }
    Ok(reply::page(status, &page))
}

async fn requirement_page(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<RequirementPage, Problem> {
    let (_, grant) = reader.client(tenant)?;
    let frame = reader.frame(Section::Clients).await?;
    let token = |what: &[&str]| reader.token(what);
    view::requirement_page(reader.app, grant, &reader.roster, id, reader.correlation(), frame, &token).await?.ok_or_else(Problem::not_found)
}

/// Proposes a finding; for MET, and wherever a document is named, files its link-out first. Sent twice, it is filed and
/// proposed once.
pub(super) async fn propose(reader: &Reader<'_>, tenant: &str, requirement_id: &str) -> Result<Reply, Problem> {
    let (client, grant) = reader.engineer_of(tenant)?;
    reader.must_be_own_form(&["propose", &client.id.to_string(), requirement_id])?;
    let fields = ["objective", "title", "place", "sha256", "approved_on", "why"].map(|name| reader.field(name));
    let [objective, title, place, hash, approved_on, why] = &fields;
    let found = Found::of_key(&reader.field("found"));
    let with_document = found == Some(Found::Met) || [title, place, hash, approved_on].iter().any(|field| !field.is_empty());
    let mut errors = Vec::new();
    let mut need = |field: &'static str, holds: bool, message: &str| {
        if !holds {
            errors.push(FieldError { field, message: message.into() });
        }
    };
    let date = Date::parse(approved_on, format_description!("[year]-[month]-[day]")).ok();
    need("objective", !objective.is_empty(), "Choose the objective this is about.");
    need("found", found.is_some(), "Choose what you find of it.");
    if with_document {
        need("title", !title.is_empty(), "Say what the document is called.");
        need("place", !place.is_empty(), "Say where it is kept.");
        need(
            "sha256",
            hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()),
            "Give the SHA-256 of the file: 64 characters 0-9, a-f.",
        );
        need("approved_on", date.is_some(), "Give the day it was approved.");
    }
    need("why", !why.is_empty(), "Say why: the approver decides on your reason, and it is recorded with the finding.");
    let Some(found) = found.filter(|_| errors.is_empty()) else {
        return requirement(reader, tenant, requirement_id, Some(Returned { errors })).await;
    };
    let scope = reader.scope(grant);
    let Some(approved_on) = date.filter(|_| with_document) else {
        let wish = ByHand { objective, found, evidence: &[], reason: why };
        return Box::pin(stage(reader, tenant, requirement_id, client.id, &scope, &wish)).await;
    };
    let link = file::LinkOut {
        name: title.clone(),
        place: place.clone(),
        hash: hash.clone(),
        approved_on,
        // Without the reason: who words it anew means the same document.
        form: form_id(&[
            reader.person.id.to_string(),
            objective.clone(),
            title.clone(),
            place.clone(),
            hash.clone(),
            approved_on.to_string(),
        ]),
    };
    let wish = ByHand { objective, found, evidence: &[link.source_key()], reason: why };
    if let Err(error) = readiness::check_by_hand(reader.app, &scope, &wish).await {
        return not_staged(reader, tenant, requirement_id, client.id, error).await;
    }
    match file::file(&scope.store(reader.app).await?, link).await {
        Ok(_) => Box::pin(stage(reader, tenant, requirement_id, client.id, &scope, &wish)).await,
        Err(FileError::Form(error)) => requirement(reader, tenant, requirement_id, Some(Returned { errors: vec![error] })).await,
        Err(FileError::NotSignedIn) => Err(Problem::forbidden("Only a signed-in person can file a document.")),
        Err(FileError::Store(error)) => Err(error.into()),
    }
}

/// Where a refused form leaves the browser's address: opened again, it is the page of the requirement.
pub(super) fn back(tenant: &str, requirement_id: &str) -> Result<Reply, Problem> {
    let tenant: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    Ok(reply::redirect(&paths::requirement(tenant, requirement_id)))
}

/// The same for a form on the page of the client.
pub(super) fn home(tenant: &str) -> Result<Reply, Problem> {
    Ok(reply::redirect(&paths::client(tenant.parse().map_err(|_| Problem::not_found())?)))
}

async fn stage(
    reader: &Reader<'_>,
    tenant: &str,
    requirement_id: &str,
    client: TenantId,
    scope: &Scope,
    wish: &ByHand<'_>,
) -> Result<Reply, Problem> {
    match readiness::propose_by_hand(reader.app, scope, wish).await {
        Ok(id) => Ok(reply::redirect(&paths::proposal(client, id))),
        Err(error) => not_staged(reader, tenant, requirement_id, client, error).await,
    }
}

async fn not_staged(
    reader: &Reader<'_>,
    tenant: &str,
    requirement_id: &str,
    client: TenantId,
    error: ProposeError,
) -> Result<Reply, Problem> {
    match error {
        ProposeError::AlreadyOpen(id) => Ok(reply::redirect(&paths::proposal(client, id))),
        ProposeError::OtherOpen(mark) => {
            let whose = if mark.requester == Actor::Person(reader.person.id) { "Your earlier" } else { "A colleague's" };
            let page = MessagePage {
                frame: reader.frame(Section::Clients).await?,
                heading: "Another proposal is open".into(),
                tag: Some(Tag::new(Tone::Wait, "Not proposed")),
                sentence: format!(
                    "{whose} proposal \u{201c}{}\u{201d} is open; yours was not staged. When an approver has decided that one, propose yours again.",
                    mark.question
                ),
                to_copy: None,
                links: vec![
                    Link::new(paths::proposal(client, mark.proposal), "The open proposal"),
                    Link::new(paths::requirement(client, requirement_id), "Back to the requirement"),
                ],
            };
            Ok(reply::page(409, &page))
        }
        ProposeError::Refused(error) => requirement(reader, tenant, requirement_id, Some(Returned { errors: vec![error] })).await,
        ProposeError::OtherFinding(sentence) => {
            let page = MessagePage {
                frame: reader.frame(Section::Clients).await?,
                heading: "Not proposed".into(),
                tag: Some(Tag::new(Tone::Unknown, "Nothing changed")),
                sentence,
                to_copy: None,
                links: vec![Link::new(paths::requirement(client, requirement_id), "Back to the requirement")],
            };
            Ok(reply::page(409, &page))
        }
        ProposeError::Store(error) => Err(error.into()),
    }
}

/// Proposes to take the finding back that the page showed; that is a decision of its own.
pub(super) async fn roll_back(reader: &Reader<'_>, tenant: &str, requirement_id: &str) -> Result<Reply, Problem> {
    let (client, grant) = reader.engineer_of(tenant)?;
    let finding = reader.field("finding");
    reader.must_be_own_form(&["roll_back", &client.id.to_string(), &finding])?;
    let finding: ProposalId = finding.parse().map_err(|_| Problem::not_found())?;
    match readiness::propose_roll_back(reader.app, &reader.scope(grant), finding, &reader.field("reason")).await {
        Ok(id) => Ok(reply::redirect(&paths::proposal(client.id, id))),
        Err(ProposeError::Refused(error)) => approvals::not_taken_back(reader, client.id, finding, error.message).await,
        Err(error) => not_staged(reader, tenant, requirement_id, client.id, error).await,
    }
}

/// The same words of the same person are the same form.
pub(super) fn form_id(words: &[String]) -> Uuid {
    let mut bytes = [0; 16];
    let digest = seal::sha256(words.join("\u{1f}").as_bytes());
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
