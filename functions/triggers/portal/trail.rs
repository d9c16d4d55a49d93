//! The audit trail of a client or of the installation, and its export.

use std::{collections::HashMap, io};

use super::{
    Reader,
    find::{self, Asked},
    words,
};
use crate::{
    audit::{
        self, ExportError, PublishError,
        entry::Alarm,
        log_key::{LogKeys, Signer},
        refusal,
        search::{Filter, Who},
        trail::{self, Shown},
        witness::Witnessed,
        zipped::{Zipped, zipped},
    },
    config::WitnessSettings,
    platform::ports::Retention,
    tenancy::{Actor, ClientPlace, PersonId, Place, Store, StoreError, TenantId, keys::Owner},
    triggers::sweep,
    web::{
        Problem, Reply,
        pages::{AlarmLine, AuditPage, Link, LogKey, PostForm, Reach, Section, Tag, TimelineEntry, Tone, WitnessView, paths},
        reply,
    },
};

pub(super) async fn client(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let store = reader.scope(grant).store(reader.app).await?;
    let export = export_form(reader, tenant.id);
    page(reader, &store, Of { tenant: Some(tenant.id), log: tenant.name, places: ClientPlace::with_outbox().collect() }, Some(export)).await
}

pub(super) fn export_form(reader: &Reader<'_>, tenant: TenantId) -> PostForm {
    PostForm {
        action: paths::export_audit(tenant),
        token: reader.token(&["export", &tenant.to_string()]),
        fields: vec![],
        label: "Export for verification".into(),
    }
}

/// The installation's own log: sign-ins, connections, refused webhooks.
pub(super) async fn deployment(reader: &Reader<'_>) -> Result<Reply, Problem> {
    if !reader.operates() {
        return match reader.grants.first() {
            Some(grant) => Ok(reply::redirect(&paths::client_audit(grant.tenant()))),
            None => Err(Problem::not_found()),
        };
    }
    let store = reader.deployment().await?;
    let places = sweep::every_place(reader.app, &reader.deployment_scope()).await?;
    page(reader, &store, Of { tenant: None, log: "This installation".into(), places }, None).await
}

/// The log as a packed folder that anybody can verify. A POST, because taking a copy is itself recorded, and stands in the copy.
pub(super) async fn export(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant, disclose) = reader.takes_the_log_of(tenant)?;
    reader.must_be_own_form(&["export", &tenant.id.to_string()])?;
    let store = reader.scope(grant).store(reader.app).await?;
    let places: Vec<ClientPlace> = ClientPlace::with_outbox().collect();
    Box::pin(audit::export::prepare(&store, ClientPlace::Assessment, &places, disclose)).await.map_err(not_exported)?;
    let folder = format!("audit-{}", tenant.id);
    let Zipped { bytes, proofs } = Box::pin(zipped(&store, disclose, &folder, MOST_BYTES)).await.map_err(not_exported)?;
    let left_out = if proofs { "" } else { "-without-proofs" };
    let name = format!("attachment; filename=\"{folder}{left_out}.zip\"");
    Ok(reply::file("application/zip", bytes).with("content-disposition", name))
}

/// A copy that a page gives is built in memory. A longer log is for the command, which writes it as it reads it.
const MOST_BYTES: usize = 20_000_000;

fn not_exported(error: ExportError) -> Problem {
    match error {
        ExportError::Incomplete { waiting } => Problem::new(
            503,
            "log-incomplete",
            "The log is being added to just now",
            format!(
                "{waiting} entr{} still wait{} for a place in this log, so a copy would miss {}. Nothing is lost and no copy was made: go back and try again in a few seconds.",
                if waiting == 1 { "y" } else { "ies" },
                if waiting == 1 { "s" } else { "" },
                if waiting == 1 { "it" } else { "them" },
            ),
        ),
        ExportError::Write(error) if error.kind() == io::ErrorKind::FileTooLarge => Problem::new(
            409,
            "log-too-long",
            "This log is too long for a download",
            "A page gives copies of at most 20 MB, and this log is longer, also without the proofs of single entries. Nothing is wrong with it: ask whoever runs Assay for a copy by the command assay export-audit, which writes a log of any length. The trail says that you asked.",
        ),
        ExportError::Publish(PublishError::Alarm { what, .. }) => Problem::new(
            409,
            "log-alarm",
            "This log is not published any further",
            format!("{what}. Nothing was written over it and no copy was made. Tell whoever runs Assay, and keep every copy you have."),
        ),
        ExportError::Store(error) | ExportError::Publish(PublishError::Store(error)) => error.into(),
        other => {
            tracing::warn!(error = %other, "export failed");
            Problem::unavailable()
        }
    }
}

/// Which log.
struct Of<P> {
    tenant: Option<TenantId>,
    log: String,
    /// Where its items can lie.
    places: Vec<P>,
}

async fn page<P: Place>(reader: &Reader<'_>, store: &Store<'_, P>, of: Of<P>, export: Option<PostForm>) -> Result<Reply, Problem> {
    let Of { tenant, log, places } = of;
    let Asked { filter, before } = find::read(reader, store).await?;
    let trail = Box::pin(trail::find(store, places, before, &filter)).await?;
    let names = Names::read(reader).await?;
    let mut logs: Vec<(bool, Link)> = Vec::new();
    for (id, name) in &names.clients {
        logs.push((tenant == Some(*id), Link::new(paths::client_audit(*id), name.as_str())));
    }
    if reader.operates() {
        logs.push((tenant.is_none(), Link::new(paths::audit(), "This installation")));
    }
    let address = paths::audit_of(tenant);
    let unplaced = trail.waiting.len();
    let owner = tenant.map_or(Owner::Deployment, Owner::Tenant);
    let reach = |entries, at| Reach { entries, at };
    let retention = trail.anchored.as_ref().and_then(|anchored| anchored.retention);
    let found = found_name(&names, &trail, &filter);
    let older = trail.older.map(|before| find::further(store, &address, Asked { filter: filter.clone(), before: Some(before) }));
    let newest = before.map(|_| find::further(store, &address, Asked { filter: filter.clone(), before: None }));
    let refused = if tenant.is_none() { refusal::lately(&reader.deployment().await?).await? } else { 0 };
    Ok(reply::page(
        200,
        &AuditPage {
            frame: reader.frame(Section::Audit).await?,
            log,
            logs,
            entries: trail.waiting.iter().chain(&trail.entries).map(|shown| names.entry(tenant, shown)).collect(),
            length: trail.total,
            head: trail.head.map(|head| head.to_string()),
            published: trail.published.as_ref().map(|published| reach(published.tree.size(), published.at)),
            anchored: trail.anchored.as_ref().map(|anchored| reach(anchored.size, anchored.at)),
            witness: reader.app.config.witness.as_ref().map(|settings| witness(settings, trail.witnessed.as_ref())),
            stopped: trail.published.as_ref().is_some_and(|published| published.alarm.is_some()),
            alarms: trail
                .alarms
                .into_iter()
                .map(|Alarm { what, since, count, last }| AlarmLine { what, since, again: last.map(|last| (count, last)) })
                .collect(),
            retention: retention.map(|retention| (lock(retention), retention.words(reader.app.now()))),
            keys: keys(reader, owner).await,
            unplaced,
            refused,
            newer: newest.transpose()?.map(|address| Link::new(address, "Newest")),
            older: older.transpose()?.map(|address| Link::new(address, "Older")),
            export,
            find: find::form(reader, tenant, &address, &filter, found.as_deref()),
            looked: trail.looked,
        },
    ))
}

/// What stands before the words where somebody has to see to it.
fn lock(retention: Retention) -> Option<Tag> {
    let tag = if retention == Retention::Policy { Tag::new(Tone::Wait, "Lock unknown") } else { Tag::new(Tone::Not, "Unlocked") };
    retention.is_open().then_some(tag)
}

fn witness(settings: &WitnessSettings, known: Option<&Witnessed>) -> WitnessView {
    let reach = known.and_then(|known| Some(Reach { entries: known.size, at: known.at? }));
    let away = known.and_then(|known| known.away.as_ref()).map(|away| (away.what.clone(), away.since));
    WitnessView { name: settings.key.split('+').next().unwrap_or_default().to_owned(), reach, away }
}

/// The name of the person who is looked for, when something of theirs was found.
fn found_name(names: &Names, trail: &trail::Trail, filter: &Filter) -> Option<String> {
    let Some(Who::Person(id)) = filter.who else { return None };
    let is_there = trail.waiting.iter().chain(&trail.entries).any(|shown| shown.actor == Actor::Person(id));
    names.person(id).filter(|_| is_there).map(str::to_owned)
}

/// None while there are none yet, and when the vault does not say: the trail is shown all the same.
pub(super) async fn keys(reader: &Reader<'_>, owner: Owner) -> Vec<LogKey> {
    let Ok(Some(signer)) = Signer::find(reader.app, owner).await else { return Vec::new() };
    let Ok(LogKeys { ed25519, p256 }) = signer.keys(reader.app).await else { return Vec::new() };
    [ed25519]
        .iter()
        .chain(&p256)
        .map(|key| LogKey { text: key.to_string(), fingerprint: key.fingerprint(), is_of_vault: key.is_p256() })
        .collect()
}

/// Who and what an entry names.
pub(super) struct Names {
    people: HashMap<PersonId, String>,
    connections: HashMap<String, String>,
    clients: Vec<(TenantId, String)>,
}

impl Names {
    pub(super) async fn read(reader: &Reader<'_>) -> Result<Self, StoreError> {
        let store = reader.deployment().await?;
        let mut clients: Vec<_> = reader.roster.tenants.iter().map(|t| (t.id, t.name.clone())).collect();
        clients.retain(|(id, _)| reader.grants.iter().any(|grant| grant.tenant() == *id));
        Ok(Self {
            people: reader.roster.people.iter().map(|p| (p.id, p.name.clone())).collect(),
            connections: crate::connectors::connection::all(&store).await?.into_iter().map(|c| (c.id.to_string(), c.name)).collect(),
            clients,
        })
    }

    pub(super) fn person(&self, id: PersonId) -> Option<&str> {
        self.people.get(&id).map(String::as_str)
    }

    pub(super) fn entry(&self, tenant: Option<TenantId>, shown: &Shown) -> TimelineEntry {
        TimelineEntry {
            at: shown.at,
            actor: match &shown.actor {
                Actor::Person(id) => self.people.get(id).cloned().unwrap_or_else(|| "Somebody who left".into()),
                Actor::Function(name) => format!("Assay ({name})"),
                Actor::Connection(id) => self.connections.get(&id.to_string()).cloned().unwrap_or_else(|| "A connection".into()),
            },
            text: words::sentence(shown),
            href: tenant.zip(words::proposal_of(shown).and_then(|id| id.parse().ok())).map(|(tenant, id)| paths::proposal(tenant, id)),
            note: shown.note().map(str::to_owned),
            proof: Some(shown.proof()),
            proof_href: shown.place.map(|place| paths::audit_entry(tenant, place.seq)),
        }
    }
}
