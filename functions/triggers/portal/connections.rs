//! Connections with their health, the pull button, and the mapping page.

use std::collections::HashSet;

use super::{Reader, connection_view};
use crate::{
    audit::dead_letter,
    connectors::{
        health, mapping,
        pull::{self, Requested},
        trial::{self, Tested},
    },
    tenancy::{
        ConnectionId, TenantId,
        directory::{MappedCompany, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{
            Choice, ConnectionsPage, LeftBehind, Link, MappedLine, MappingPage, NamelessLine, Section, Tag, Tone, WaitingCompany, paths,
        },
        reply,
    },
};

pub(super) async fn healths(reader: &Reader<'_>) -> Result<Vec<health::Health>, Problem> {
    Ok(health::of_all(&reader.deployment().await?).await?)
}

/// A connection, and whom it serves.
pub(super) struct Serving<'h> {
    health: &'h health::Health,
    pub(super) clients: HashSet<TenantId>,
}

pub(super) async fn serving<'h>(reader: &Reader<'_>, healths: &'h [health::Health]) -> Result<Vec<Serving<'h>>, Problem> {
    let store = reader.deployment().await?;
    let mut all = Vec::with_capacity(healths.len());
    for health in healths {
        let mapped = mapping::mapped(&store, health.connection.id).await?;
        all.push(Serving { health, clients: mapped.iter().map(MappedCompany::tenant).collect() });
    }
    Ok(all)
}

/// The connections that serve this client, each as a word, with the way on when something is wrong.
pub(super) fn of_client(reader: &Reader<'_>, serving: &[Serving<'_>], tenant: TenantId) -> Vec<(Tag, Option<Link>)> {
    let mut found = Vec::new();
    for Serving { health, clients } in serving {
        if clients.contains(&tenant) {
            let well = health.alerts.is_empty();
            let vendor = health.connection.vendor().word();
            let word = match (well, reader.operates()) {
                (true, _) => vendor.to_owned(),
                (false, true) => format!("{vendor}: look here"),
                (false, false) => format!("{vendor}: something is wrong"),
            };
            let tone = if well { Tone::Met } else { Tone::Not };
            // Only who runs the tools may open that page.
            let why = (!well && reader.operates()).then(|| Link::new(paths::connections(), "See why"));
            found.push((Tag::new(tone, word), why));
        }
    }
    found
}

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let store = reader.deployment().await?;
    let mut connections = Vec::new();
    for health in healths(reader).await? {
        let id = health.connection.id;
        let rejects = health::rejects(&store, Some(id)).await?;
        let unmapped = mapping::unmapped(&store, id).await?.iter().filter(|u| u.can_be_mapped).count();
        let clients = mapping::mapped(&store, id).await?.len();
        connections.push(connection_view::view(reader, &health, &rejects, clients, unmapped));
    }
    Ok(reply::page(
        200,
        &ConnectionsPage {
            frame: reader.frame(Section::Connections).await?,
            connections,
            mapping_href: paths::mapping(),
            add_href: paths::new_connection(),
            dead_letters: dead_letter::waiting(reader.app, &reader.deployment_scope()).await?,
            dead_letters_href: paths::dead_letters(),
            health_href: paths::health(),
            notice: notice(reader),
        },
    ))
}

fn notice(reader: &Reader<'_>) -> Option<String> {
    if reader.done("cleared").is_some() {
        return Some("Noted, with your name. It comes back if it happens again.".into());
    }
    if let Some(said) = reader.done("tested") {
        return Some(said);
    }
    let words = match (reader.done("pull").as_deref(), reader.done("saved").as_deref()) {
        (Some("started"), _) => "Reading has started and goes on by itself. Open this page again to see how far it is.",
        (Some("running"), _) => "A read is under way already.",
        (Some("unmapped"), _) => {
            "Nothing was read: none of this connection's companies is mapped to a client. Companies are listed for mapping when their first events come in."
        }
        (_, Some("added")) => "Added. Test it now, give the vendor the webhook address below, then say what its boards and types mean.",
        (_, Some("changed")) => "Changed.",
        _ => return None,
    };
    Some(words.into())
}

pub(super) async fn pull(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let id: ConnectionId = id.parse().map_err(|_| Problem::not_found())?;
    reader.must_be_own_form(&["pull", &id.to_string()])?;
    let word = match pull::request_pull(&reader.deployment().await?, id).await? {
        Requested::Started => "started",
        Requested::AlreadyRunning => "running",
        Requested::NothingMapped => "unmapped",
        Requested::NoSuchConnection => return Err(Problem::not_found()),
    };
    Ok(reader.back_to(&paths::connections(), "pull", word))
}

/// A live test, whose result the page says; which process answers next does not matter for that.
pub(super) async fn test(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let id: ConnectionId = id.parse().map_err(|_| Problem::not_found())?;
    reader.must_be_own_form(&["test", &id.to_string()])?;
    let said = match trial::test(&reader.deployment().await?, id).await? {
        Tested::Now(connection, outcome) => format!("{}: {}", connection.name, outcome.words(connection.vendor())),
        Tested::TooOften => "It was tested a moment ago, and the vendor was not asked again. Wait a minute, then test again.".into(),
        Tested::NoSuchConnection => return Err(Problem::not_found()),
    };
    Ok(reader.back_to(&paths::connections(), "tested", &said))
}

/// A person has seen to an alarm: it goes from the page, and the log says who took it away.
pub(super) async fn clear_alarm(reader: &Reader<'_>, id: &str, alarm: &str) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let id: ConnectionId = id.parse().map_err(|_| Problem::not_found())?;
    let alarm = health::Alarm::of_key(alarm).ok_or_else(Problem::not_found)?;
    reader.must_be_own_form(&["clear alarm", &id.to_string(), alarm.key()])?;
    health::clear(&reader.deployment().await?, id, alarm).await?;
    Ok(reader.back_to(&paths::connections(), "cleared", "1"))
}

pub(super) async fn mapping(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let store = reader.deployment().await?;
    let (mut waiting, mut nameless, mut left_behind, mut mapped) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for connection in crate::connectors::connection::all(&store).await? {
        for company in mapping::unmapped(&store, connection.id).await? {
            if !company.can_be_mapped {
                nameless.push(NamelessLine { connection: connection.name.clone(), records: company.waiting });
                continue;
            }
            waiting.push(WaitingCompany {
                connection: connection.name.clone(),
                connection_id: connection.id.to_string(),
                token: reader.token(&["map", &connection.id.to_string(), &company.company]),
                company: company.company,
                company_name: company.name,
                records: company.waiting,
                let_go: company.let_go,
                since: company.since,
            });
        }
        // By the vendor's name: which client it was is for nobody to know any more.
        for entry in mapping::left_behind(&store, connection.id).await? {
            left_behind.push(LeftBehind {
                connection: connection.name.clone(),
                connection_id: connection.id.to_string(),
                token: reader.token(&["map", &connection.id.to_string(), entry.company()]),
                company: entry.company().into(),
                company_name: entry.company_name.clone(),
            });
        }
        // Only clients of the reader: others are not theirs to know.
        for entry in mapping::mapped(&store, connection.id).await? {
            let Some(grant) = reader.grants.iter().find(|grant| grant.tenant() == entry.tenant()) else { continue };
            mapped.push(MappedLine {
                connection: connection.name.clone(),
                company: entry.company().into(),
                company_name: entry.company_name.clone(),
                client: reader.roster.client_name(grant.tenant()),
                client_href: paths::client(grant.tenant()),
                by: reader.roster.person_name(entry.confirmed_by()),
                at: entry.confirmed_at(),
            });
        }
    }
    let engineer = |tenant: &&Tenant| reader.grants.iter().any(|grant| grant.tenant() == tenant.id && grant.has(Role::Engineer));
    let clients = reader.roster.tenants.iter().filter(engineer);
    Ok(reply::page(
        200,
        &MappingPage {
            frame: reader.frame(Section::Connections).await?,
            waiting,
            nameless,
            left_behind,
            mapped,
            clients: clients.map(|tenant| Choice { value: tenant.id.to_string(), label: tenant.name.clone() }).collect(),
            action: paths::mapping(),
            connections_href: paths::connections(),
            notice: reader.done("mapped").map(|_| "Mapped. What waited for this company is being processed now; a read of its whole inventory begins by itself within some minutes.".into()),
        },
    ))
}

pub(super) async fn confirm(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let (connection, company) = (reader.field("connection"), reader.field("company"));
    reader.must_be_own_form(&["map", &connection, &company])?;
    let id: ConnectionId = connection.parse().map_err(|_| Problem::not_found())?;
    let (tenant, _) = reader
        .engineer_of(&reader.field("client"))
        .map_err(|_| Problem::bad_request("Choose a client whose engineer you are. Nothing was mapped."))?;
    let store = reader.deployment().await?;
    let name = mapping::unmapped(&store, id).await?.into_iter().find(|u| u.company == company).and_then(|u| u.name).unwrap_or_default();
    mapping::confirm(&store, id, &company, &name, tenant.id).await?;
    Ok(reader.back_to(&paths::mapping(), "mapped", "1"))
}
