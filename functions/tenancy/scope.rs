//! Scopes: proof that the caller may touch what it asks for, and in whose name.
//!
//! There is no constructor from a bare tenant id. A [`Scope`] comes from a grant that was read after sign-in, from a
//! queue message whose MAC held, or from the directory for the sweep and for a typed command (design I3).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    ClientPlace, ConnectionId, DeploymentPlace, PersonId, Record, Roster, Store, StoreError, TenantId,
    directory::{Grant, Session, SwitchedOff, Tenant},
    keys::Owner,
    message::Verified,
};
use crate::app::App;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Person(PersonId),
    /// A function of Assay acting by rule.
    Function(String),
    /// A vendor's tool through its connection.
    Connection(ConnectionId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => write!(f, "person {id}"),
            Self::Function(name) => write!(f, "function {name}"),
            Self::Connection(id) => write!(f, "connection {id}"),
        }
    }
}

/// One client, one actor, one cause.
///
/// What proves the right to it goes in, and an id alone proves nothing. This is how one comes about:
///
/// ```
/// use assay::tenancy::{Actor, ConnectionId, PersonId, Scope, TenantId, directory::Grant};
/// fn of_what_was_read(grant: &Grant) -> Scope { Scope::of_person(grant, "c") }
/// fn names_nobody_else(id: TenantId, grant: &Grant) -> bool { id == grant.tenant() }
/// ```
///
/// None of these compiles. From an id:
///
/// ```compile_fail
/// use assay::tenancy::{Actor, ConnectionId, PersonId, Scope, TenantId, directory::Grant};
/// fn of_an_id(id: TenantId) -> Scope { Scope::of_person(&id, "c") }
/// ```
///
/// by its parts:
///
/// ```compile_fail
/// use assay::tenancy::{Actor, ConnectionId, PersonId, Scope, TenantId, directory::Grant};
/// fn by_its_parts(tenant: TenantId, actor: Actor) -> Scope { Scope { tenant, actor, correlation: "c".into() } }
/// ```
///
/// by a change of another's:
///
/// ```compile_fail
/// use assay::tenancy::{Actor, ConnectionId, PersonId, Scope, TenantId, directory::Grant};
/// fn changed(mut scope: Scope, id: TenantId) -> Scope { scope.tenant = id; scope }
/// ```
///
/// of a grant or of a switch that names another client than the one for which it was written:
///
/// ```compile_fail
/// use assay::tenancy::{Scope, TenantId, directory::Grant};
/// fn moved(mut grant: Grant, id: TenantId) -> Scope { grant.tenant = id; Scope::of_person(&grant, "c") }
/// ```
///
/// ```compile_fail
/// use assay::tenancy::{TenantId, directory::Grant};
/// fn made_from(grant: Grant, tenant: TenantId) -> Grant { Grant { tenant, ..grant } }
/// ```
///
/// ```compile_fail
/// use assay::tenancy::{Scope, TenantId, directory::{Session, SwitchedOff}};
/// fn ended(mut off: SwitchedOff, id: TenantId, session: &Session) -> Scope { off.tenant = id; Scope::of_ending(&off, session, "c") }
/// ```
///
/// an id of another sort in a client's place:
///
/// ```compile_fail
/// use assay::tenancy::{Actor, ConnectionId, PersonId, Scope, TenantId, directory::Grant};
/// fn another_sort(id: ConnectionId, grant: &Grant) -> bool { id == grant.tenant() }
/// ```
///
/// a message that nobody verified, and a line of the client map that nobody confirmed:
///
/// ```compile_fail
/// use assay::tenancy::{TenantId, message::Verified};
/// fn unverified(id: TenantId) -> Verified {
///     Verified { function: "execute".into(), tenant: Some(id), id: id.0, body: String::new() }
/// }
/// ```
///
/// ```compile_fail
/// use assay::tenancy::{ConnectionId, TenantId, directory::MappedCompany};
/// fn guessed(company: &MappedCompany, tenant: TenantId) -> MappedCompany { MappedCompany { tenant, ..company.clone() } }
/// ```
///
/// a partition by its parts, or a store without a scope:
///
/// ```compile_fail
/// use assay::platform::ports::{Container, Partition};
/// fn by_its_parts(key: String) -> Partition { Partition { container: Container::Clients, key } }
/// ```
///
/// ```compile_fail
/// use assay::{app::App, tenancy::{Actor, Store, ClientPlace, keys::Owner}};
/// async fn without(app: &App, owner: Owner, actor: Actor) { let _ = Store::<ClientPlace>::open(app, owner, actor, "c").await; }
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    tenant: TenantId,
    actor: Actor,
    correlation: String,
}

impl Scope {
    /// A signed-in person with a grant for the client.
    pub fn of_person(grant: &Grant, correlation: &str) -> Self {
        Self { tenant: grant.tenant(), actor: Actor::Person(grant.person), correlation: correlation.into() }
    }

    /// A queue message of that client whose MAC held; `None` when the message belongs to no client.
    pub fn of_message(message: &Verified) -> Option<Self> {
        Some(Self { tenant: message.tenant()?, actor: Actor::Function(message.function().into()), correlation: message.id().to_string() })
    }

    /// The sweep, for one client of the directory.
    pub fn of_sweep(tenant: &Tenant, correlation: &str) -> Self {
        Self { tenant: tenant.id, actor: Actor::Function("sweep".into()), correlation: correlation.into() }
    }

    /// A command that the operator of the machine typed, for one client of the directory; its name is the actor.
    pub fn of_command(tenant: &Tenant, command: &str) -> Self {
        Self { tenant: tenant.id, actor: Actor::Function(command.into()), correlation: command.into() }
    }

    /// The owner who ends a client that is switched off, for what its log is told of it. Whether the person is an owner, the
    /// page has looked at.
    pub fn of_ending(off: &SwitchedOff, session: &Session, correlation: &str) -> Self {
        Self { tenant: off.tenant(), actor: Actor::Person(session.person), correlation: correlation.into() }
    }

    /// Intake, for the client that the connection's human-confirmed client map names, unless it is switched off.
    pub fn of_client_map(entry: &super::directory::MappedCompany, roster: &Roster, correlation: &str) -> Result<Self, StoreError> {
        roster.must_be_on(entry.tenant())?;
        Ok(Self { tenant: entry.tenant(), actor: Actor::Connection(entry.connection()), correlation: correlation.into() })
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What ties log lines, audit items and messages of one cause together.
    pub fn correlation(&self) -> &str {
        &self.correlation
    }

    /// Under which name the process remembers the client's records of this kind.
    pub fn remembers<T: Record>(&self, place: ClientPlace) -> String {
        Owner::Tenant(self.tenant).remembers(place, T::KIND)
    }

    /// Opens the client's records; fails with [`StoreError::Key`] when the client's key is revoked or unreachable.
    pub async fn store<'a>(&self, app: &'a App) -> Result<Store<'a, ClientPlace>, StoreError> {
        Store::open(app, Owner::Tenant(self.tenant), self.actor.clone(), &self.correlation).await
    }
}

/// The MSP's installation: what belongs to no client.
#[derive(Clone, Debug)]
pub struct DeploymentScope {
    actor: Actor,
    correlation: String,
}

impl DeploymentScope {
    /// A function acting by rule on the deployment's own records (sign-in, sweep, a message of no client).
    pub fn of_function(name: &str, correlation: &str) -> Self {
        Self { actor: Actor::Function(name.into()), correlation: correlation.into() }
    }

    /// A signed-in person; what they may do there is checked by their role.
    pub fn of_session(session: &Session, correlation: &str) -> Self {
        Self { actor: Actor::Person(session.person), correlation: correlation.into() }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub async fn store<'a>(&self, app: &'a App) -> Result<Store<'a, DeploymentPlace>, StoreError> {
        Store::open(app, Owner::Deployment, self.actor.clone(), &self.correlation).await
    }
}

/// What a webhook gets: the deployment's records in the name of its connection, to read that connection, keep its raw bytes
/// and count rejects. It opens no client's record.
#[derive(Clone, Debug)]
pub struct IntakeScope {
    connection: ConnectionId,
    correlation: String,
}

impl IntakeScope {
    /// For a delivery to this connection's route, verified or not: it gives no access to any client.
    pub fn of_delivery(connection: ConnectionId, correlation: &str) -> Self {
        Self { connection, correlation: correlation.into() }
    }

    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    pub async fn store<'a>(&self, app: &'a App) -> Result<Store<'a, DeploymentPlace>, StoreError> {
        Store::open(app, Owner::Deployment, Actor::Connection(self.connection), &self.correlation).await
    }
}
