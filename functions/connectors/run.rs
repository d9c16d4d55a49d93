//! The record of a run: where a whole read of a connection stands, so that a crash loses at most one page of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{health::Alarm, unlisted::Unlisted};
use crate::tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Held, Record, Store, StoreError, TenantId};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) run: Uuid,
    pub(super) step: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) progress_at: OffsetDateTime,
    /// The first one is being read; companies of one client stand together.
    pub(super) left: Vec<Turn>,
    /// The next page of the first one.
    pub(super) next: Option<String>,
    /// Companies of the connection when it began.
    #[serde(default)]
    pub(super) companies: usize,
    /// Companies of the client at hand that are read.
    #[serde(default)]
    pub(super) read: Vec<String>,
    /// Pages of lines that this run wrote, and which of them is the first one of the client at hand.
    #[serde(default)]
    pub(super) pages: u32,
    #[serde(default)]
    pub(super) first_page: u32,
    pub(super) unreadable: u64,
    /// The vendor's names of types that mean nothing yet.
    #[serde(default)]
    pub(super) type_names: BTreeMap<String, String>,
    /// What was found of such types at the clients that are read.
    #[serde(default)]
    pub(super) unlisted: Unlisted,
    /// Failures in a row.
    pub(super) attempts: u32,
    pub(super) records: u64,
    pub(super) held_back: u64,
    /// Clients that were left out, because their key or a record of theirs cannot be used.
    #[serde(default)]
    pub(super) skipped: Vec<TenantId>,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    pub(super) client: TenantId,
    pub(super) company: String,
}

/// Where a run stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    /// The vendor asked us to wait.
    Waiting {
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        why: String,
    },
    Finished,
    Failed {
        why: String,
        #[serde(default)]
        cause: Cause,
    },
}

/// Why a run ended early, as far as it decides what a person does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The vendor said no.
    #[default]
    Refused,
    /// It never said no, and it never answered either, for as long as we ask.
    GaveUp,
}

impl Cause {
    pub(super) fn alarm(self) -> Alarm {
        match self {
            Self::Refused => Alarm::PullRefused,
            Self::GaveUp => Alarm::PullGaveUp,
        }
    }
}

impl Run {
    /// Nothing that was read of the client at hand is carried to the next one.
    pub(super) fn end_client(&mut self) {
        self.next = None;
        self.read.clear();
        self.first_page = self.pages;
        self.type_names.clear();
        self.unreadable = 0;
    }
}

impl State {
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed { .. })
    }
}

impl Record for Run {
    const KIND: &'static str = "pull";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

/// One run per connection.
const KEY: &str = "configurations";

pub(super) fn place(connection: ConnectionId) -> DeploymentPlace {
    DeploymentPlace::Connection(connection, ConnectionPlace::Mapping)
}

pub(super) async fn read(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Option<Held<Run>>, StoreError> {
    store.read(place(connection), KEY).await
}

/// What the pages show of the last run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub started_at: OffsetDateTime,
    pub progress_at: OffsetDateTime,
    pub companies_left: usize,
    pub records: u64,
    /// Rows that carry a CUI marking and were not kept.
    pub held_back: u64,
    /// Clients that were left out, because their key or a record of theirs cannot be used.
    pub clients_skipped: usize,
    pub state: State,
}

pub async fn report(store: &Store<'_, DeploymentPlace>, connection: ConnectionId) -> Result<Option<Report>, StoreError> {
    Ok(read(store, connection).await?.map(|held| Report {
        started_at: held.value.started_at,
        progress_at: held.value.progress_at,
        companies_left: held.value.left.len(),
        records: held.value.records,
        held_back: held.value.held_back,
        clients_skipped: held.value.skipped.len(),
        state: held.value.state,
    }))
}
