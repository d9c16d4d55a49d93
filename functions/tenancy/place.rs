//! Places: which records share a partition, and so which can change together.
//!
//! The rule of choice (design, "Storage on Cosmos DB"): what must be atomic shares a place, no place holds all of a
//! client, and nothing that grows with traffic has a single head. Moving a record to another place is a migration.

use super::{ConnectionId, TenantId, roster::Roster};
use crate::platform::ports::{Container, Partition};

/// A place of nobody's, in which nothing is ever written: for a look whether a container can be used.
pub fn probe(container: Container) -> Partition {
    Partition::reserved_for_tenancy(container, "probe".into())
}

/// A partition of one owner, by its meaning.
pub trait Place: Copy + Send + Sync {
    fn container(&self) -> Container;

    /// The rest of the partition key, after the owner.
    fn key(&self) -> String;

    /// The whole partition key.
    fn path(&self, owner: &str) -> String {
        format!("{owner}/{}", self.key())
    }

    /// Kinds that readers remember whole for as long as the place's stamp stays the same.
    fn kept(&self) -> &'static [&'static str] {
        &[]
    }

    /// Where this kind of owner keeps its log.
    fn audit(part: AuditPart) -> Self;
}

/// Shards of what grows with a client's traffic. Changing the number is a migration.
pub const EVIDENCE_SHARDS: u8 = 16;

/// Entries of a log in one partition: 100,000 entries of about 1 KB stay far below 20 GB.
pub const AUDIT_ENTRIES_PER_PART: u64 = 100_000;

/// Which part of an owner's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPart {
    /// The sequencer's head and lease, and what else follows the entries and is written again and again.
    Head,
    /// Entries `n * AUDIT_ENTRIES_PER_PART ..`.
    Entries(u64),
    /// Where a release before kept the head, among the entries ([`super::heads`]). Nothing there changes any more.
    FormerHead,
}

impl AuditPart {
    fn container(self) -> Container {
        match self {
            Self::Head => Container::Heads,
            Self::Entries(_) | Self::FormerHead => Container::Audit,
        }
    }

    fn key(self) -> String {
        match self {
            Self::Head | Self::FormerHead => "log/head".into(),
            Self::Entries(n) => format!("log/{n:08}"),
        }
    }
}

/// What belongs to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPlace {
    /// Objectives with their suggestion and finding, proposals with their decisions, what the analysis remembers, and
    /// their outbox items: bounded by the 320 objectives and by what people decide.
    Assessment,
    /// Evidence records by the hash of their source key, and their outbox items.
    Evidence(u8),
    Log(AuditPart),
}

impl ClientPlace {
    /// The shard of a source key.
    pub fn evidence_of(source_key: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, source_key.as_bytes());
        Self::Evidence(digest.as_ref()[0] % EVIDENCE_SHARDS)
    }

    /// Every place in which outbox items can lie.
    pub fn with_outbox() -> impl Iterator<Item = Self> {
        (0..EVIDENCE_SHARDS).map(Self::Evidence).chain([Self::Assessment])
    }
}

impl Place for ClientPlace {
    fn container(&self) -> Container {
        match self {
            Self::Assessment | Self::Evidence(_) => Container::Clients,
            Self::Log(part) => part.container(),
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Assessment => "assessment".into(),
            Self::Evidence(shard) => format!("evidence/{shard:02}"),
            Self::Log(part) => part.key(),
        }
    }

    fn audit(part: AuditPart) -> Self {
        Self::Log(part)
    }
}

/// What belongs to the MSP's installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentPlace {
    /// Clients, people, grants, connections, and who is signed in: small, changed by people.
    Directory,
    /// Rejects, dead letters and other things that belong to no client.
    Operations,
    /// Beside a client's key record, in its partition: what the installation says of its keys happens with it or not at all.
    Keys(TenantId),
    /// The same beside the installation's own key record.
    OwnKeys,
    /// What one connection keeps: see [`ConnectionPlace`].
    Connection(ConnectionId, ConnectionPlace),
    Log(AuditPart),
}

/// What one connection keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPlace {
    /// The client map, pull state, records that wait for a company to be mapped.
    Mapping,
    /// Delivery records and record owners, by the hash of their key.
    Deliveries(u8),
}

impl ConnectionPlace {
    pub fn deliveries_of(key: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        Self::Deliveries(digest.as_ref()[0] % EVIDENCE_SHARDS)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..EVIDENCE_SHARDS).map(Self::Deliveries).chain([Self::Mapping])
    }
}

impl Place for DeploymentPlace {
    fn container(&self) -> Container {
        match self {
            Self::Log(part) => part.container(),
            _ => Container::Deployment,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Directory => "directory".into(),
            Self::Operations => "operations".into(),
            Self::Keys(tenant) => format!("keys/{tenant}"),
            Self::OwnKeys => "keys/deployment".into(),
            Self::Connection(id, ConnectionPlace::Mapping) => format!("connection/{id}/mapping"),
            Self::Connection(id, ConnectionPlace::Deliveries(shard)) => format!("connection/{id}/{shard:02}"),
            Self::Log(part) => part.key(),
        }
    }

    fn path(&self, owner: &str) -> String {
        // As it was before anything else lay there.
        if let Self::Keys(_) | Self::OwnKeys = self { self.key() } else { format!("{owner}/{}", self.key()) }
    }

    fn kept(&self) -> &'static [&'static str] {
        match self {
            Self::Directory => &Roster::KINDS,
            _ => &[],
        }
    }

    fn audit(part: AuditPart) -> Self {
        Self::Log(part)
    }
}
