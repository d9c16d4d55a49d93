//! What is there, as far as the steps ask: read for this page, and nothing of it kept.

use std::{collections::BTreeSet, sync::Arc};

use super::super::{Reader, connections, connections::Serving};
use crate::{
    audit::{
        anchor::{self, Anchored},
        anchor_lock::{self, AnchorsLock},
    },
    connectors::{
        Connection, Settings,
        delivery::Outcome,
        health::Health,
        mapping,
        pull::State,
        trial::{self, Trial},
    },
    gate::{
        delivery::health::{self, ChannelHealth},
        policy::reach::{self, People},
    },
    platform::ports::Retention,
    tenancy::{DeploymentPlace, TenantId, directory::Tenant, place::AuditPart},
    triggers::health::doctor::{self, Finding, Look},
    web::Problem,
};

/// What nothing can be approved without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Essential {
    Parts,
    Client,
    Connection,
    Event,
    Meaning,
    Mapping,
    Approvers,
}

impl Essential {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Parts => "Settings and parts",
            Self::Client => "First client",
            Self::Connection => "First connection",
            Self::Event => "First event of a tool",
            Self::Meaning => "What boards and types mean",
            Self::Mapping => "Companies mapped to clients",
            Self::Approvers => "Approvers",
        }
    }
}

/// Who could approve for one client.
pub(super) struct Approvers {
    pub(super) client: Tenant,
    pub(super) approvers: Vec<String>,
    pub(super) engineers: Vec<String>,
    /// Why something could not be approved by those who are there.
    pub(super) short: Vec<String>,
}

impl Approvers {
    pub(super) fn suffice(&self) -> bool {
        !self.approvers.is_empty() && self.short.is_empty()
    }
}

/// What the essential steps ask, from what the page of clients reads anyway.
pub(super) struct Essentials {
    pub(super) look: Option<Arc<Look>>,
    pub(super) approvers: Vec<Approvers>,
    /// Clients that some company is mapped to.
    pub(super) mapped: BTreeSet<TenantId>,
    pub(super) missing: Vec<Essential>,
}

impl Essentials {
    pub(super) fn of(reader: &Reader<'_>, healths: &[Health], serving: &[Serving<'_>]) -> Self {
        let look = doctor::last_look(reader.app);
        let approvers: Vec<Approvers> = reader.roster.tenants_on().map(|client| approvers_of(reader, client)).collect();
        let mapped: BTreeSet<TenantId> = serving.iter().flat_map(|one| one.clients.iter().copied()).collect();
        let parts_are_bad = look.as_ref().is_some_and(|look| bad(look).any(|finding| !APPROVED_WITHOUT.contains(&finding.what.as_str())));
        let missing = [
            (Essential::Parts, parts_are_bad),
            (Essential::Client, approvers.is_empty()),
            (Essential::Connection, healths.is_empty()),
            // Whose companies are mapped was heard once, whatever came last.
            (Essential::Event, mapped.is_empty() && !healths.iter().any(is_heard)),
            (Essential::Meaning, !healths.iter().any(|health| means_something(&health.connection))),
            (Essential::Mapping, !approvers.iter().any(|one| mapped.contains(&one.client.id))),
            (Essential::Approvers, !approvers.iter().any(Approvers::suffice)),
        ];
        let missing = missing.into_iter().filter(|(_, is_missing)| *is_missing).map(|(one, _)| one).collect();
        Self { look, approvers, mapped, missing }
    }
}

/// What is wrong with the installation itself, and needs somebody to mend it.
pub(super) fn bad(look: &Look) -> impl Iterator<Item = &Finding> {
    look.findings.iter().filter(|finding| finding.is_to_mend())
}

/// Parts without which people still ask and approve.
const APPROVED_WITHOUT: [&str; 11] = [
    "the mail server",
    "queue notify",
    "queue publish",
    "queue execute",
    "container heads",
    "blob container mailbox",
    "blob container log",
    "blob container anchors",
    "signing key checkpoints",
    "the witness of the logs",
    doctor::FIPS_MODULE,
];

/// An event of it was verified and is no refusal.
pub(super) fn is_heard(health: &Health) -> bool {
    health.last_delivery.as_ref().is_some_and(|last| last.outcome != Outcome::Reject)
}

/// Somebody said of a board or type what it is; until then nothing of the tool is evidence.
pub(super) fn means_something(connection: &Connection) -> bool {
    let Settings { boards, ticket_types, configuration_types, other_configurations } = &connection.settings;
    other_configurations.is_some() || [boards, ticket_types, configuration_types].iter().any(|of| !of.is_empty())
}

fn approvers_of(reader: &Reader<'_>, client: &Tenant) -> Approvers {
    let people = People::of(&reader.roster, &reader.app.config, client.id, &[], reader.app.now());
    let needs = reader.roster.policy_mark(client.id).map(|mark| mark.needs.clone()).unwrap_or_default();
    let short = reach::short_of_needs(&needs, &people).iter().map(reach::Shortfall::sentence).collect();
    let names = |of: &BTreeSet<_>| of.iter().map(|person| reader.roster.person_name(*person)).collect();
    Approvers { client: client.clone(), approvers: names(&people.approvers), engineers: names(&people.engineers), short }
}

/// A connection, and what is known of it.
pub(super) struct Tool {
    pub(super) health: Health,
    pub(super) trial: Option<Arc<Trial>>,
    /// Companies that wait to be mapped.
    pub(super) unmapped: usize,
}

impl Tool {
    /// The vendor let us in: just tested, or in the last whole read.
    pub(super) fn answers(&self) -> bool {
        match &self.trial {
            Some(trial) => trial.outcome.is_good(),
            None => self.was_read(),
        }
    }

    pub(super) fn was_read(&self) -> bool {
        self.health.pull.as_ref().is_some_and(|pull| pull.state == State::Finished)
    }
}

pub(super) struct Facts {
    pub(super) essentials: Essentials,
    pub(super) tools: Vec<Tool>,
    pub(super) channels: Vec<ChannelHealth>,
    /// What the store says of the container of the anchors; `None` until the sweep asked.
    pub(super) retention: Option<Retention>,
    pub(super) lock: Option<AnchorsLock>,
}

impl Facts {
    pub(super) async fn read(reader: &Reader<'_>) -> Result<Self, Problem> {
        let store = reader.deployment().await?;
        let healths = connections::healths(reader).await?;
        let essentials = Essentials::of(reader, &healths, &connections::serving(reader, &healths).await?);
        let mut tools = Vec::with_capacity(healths.len());
        for health in healths {
            let unmapped = mapping::unmapped(&store, health.connection.id).await?.iter().filter(|one| one.can_be_mapped).count();
            tools.push(Tool { trial: trial::last(reader.app, &health.connection), unmapped, health });
        }
        let anchored = store.read::<Anchored>(DeploymentPlace::Log(AuditPart::Head), anchor::KEY).await?;
        Ok(Self {
            essentials,
            tools,
            channels: health::all(&store).await?,
            retention: anchored.and_then(|held| held.value.retention),
            lock: anchor_lock::last(&store).await?,
        })
    }
}
