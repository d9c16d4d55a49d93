//! The directory: client companies, people, what each may do for which client, and who is signed in.
//!
//! Small records that people change. A grant is per client; there is no role that sees all clients by itself except
//! the owner's, and an owner's grants are records too, so that an access list is one query.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Actor, ConnectionId, DeploymentPlace, PersonId, Place, Record, Store, StoreError, TenantId};
use crate::config::{Config, SignIn};

/// A client company of the MSP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl Record for Tenant {
    const KIND: &'static str = "tenant";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Person {
    pub id: PersonId,
    pub name: String,
    pub email: String,
    /// What the person is in the MSP's installation; what they may do for a client is a [`Grant`].
    pub is_owner: bool,
    /// One of the MSP's own staff who run its tools: connections with their credentials, mapping, dead letters, the
    /// installation's log. No grant gives this, because an engineer may also be the client's own.
    #[serde(default)]
    pub operates: bool,
    /// As whom they sign in with Entra ID; `None` for a demo person.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The name with which they sign in there, when they were let in: for people, who must tell two of one name apart.
    #[serde(default)]
    pub sign_in_name: Option<String>,
    /// Another account of the same human, as an owner says: together they count once. See [`super::Roster::human`].
    #[serde(default)]
    pub same_as: Option<PersonId>,
    /// Since when they may not sign in any more. The record stays: what they decided names them.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub access_ended_at: Option<OffsetDateTime>,
    /// How they came to it, until when, and when somebody last looked over it.
    #[serde(default)]
    pub standing: Standing,
}

/// How somebody came to sign in here, for who looks over access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    #[serde(default)]
    pub given: Origin,
    /// They came as a guest of that directory: another organization's people, whatever account of ours they use.
    #[serde(default)]
    pub is_guest: bool,
    /// What makes an owner of them; `None` for who is none, and for owners of earlier releases until they sign in.
    #[serde(default)]
    pub ownership: Option<Ownership>,
    /// From then on they may not sign in; `None` for no end.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// When somebody last said that it is right: who let them in, or a review.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub confirmed_at: Option<OffsetDateTime>,
}

/// When something was given, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `None` when an earlier release wrote it.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// `None` for who was named by the settings or by their directory.
    #[serde(default)]
    pub by: Option<PersonId>,
}

impl Origin {
    /// Given now, by whom the store acts for.
    pub fn now<P: Place>(store: &Store<'_, P>) -> Self {
        let by = if let Actor::Person(person) = store.actor() { Some(*person) } else { None };
        Self { at: Some(store.app().now()), by }
    }
}

/// What makes an owner; nobody inside Assay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// The settings name them, or did when they signed in.
    Settings,
    /// The app role of the MSP's own directory; it ends with the first sign-in whose token does not carry it.
    AppRole,
}

/// Somebody as Entra ID knows them: the directory and the object in it, never a name or an address, which change hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The directory (tenant of Entra).
    pub tid: Uuid,
    /// The person's object in it.
    pub oid: Uuid,
}

impl Identity {
    /// The person's id follows from the identity, so that one identity is one person however often and at once they come.
    pub fn person(self) -> PersonId {
        let text = [b"assay person 1".as_slice(), self.tid.as_bytes(), self.oid.as_bytes()].concat();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest(&SHA256, &text).as_ref()[..16]);
        PersonId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// An audit item's detail with whom exactly it is about.
    pub fn into_detail(self, mut detail: Value) -> Value {
        detail["tid"] = json!(self.tid);
        detail["oid"] = json!(self.oid);
        detail
    }
}

impl Person {
    /// Whether nobody took it away; whether they can use it, the settings say too.
    pub fn has_access(&self) -> bool {
        self.access_ended_at.is_none()
    }

    /// Whether they can come in: nobody took their access away, and the settings name their directory. Who cannot is told
    /// nothing, decides nothing and is offered nowhere.
    pub fn may_sign_in(&self, config: &Config, now: OffsetDateTime) -> bool {
        let named = match &config.sign_in {
            SignIn::None => false,
            SignIn::Demo => true,
            SignIn::Entra(entra) => self.identity.is_some_and(|identity| entra.directories.contains(&identity.tid)),
        };
        named && self.has_access() && !self.is_over(now)
    }

    /// Whether their last day has passed.
    pub fn is_over(&self, now: OffsetDateTime) -> bool {
        self.standing.until.is_some_and(|until| until <= now)
    }

    /// Whether the MSP's tools are theirs to run; the owner's always are.
    pub fn runs_the_tools(&self) -> bool {
        self.is_owner || self.operates
    }
}

/// Whether a mail can be sent there: one plain ASCII address, without anything that could end a header.
pub fn is_plain_address(address: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
    address.len() <= 254
        && address.split_once('@').is_some_and(|(local, domain)| {
            plain(local) && domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) && !domain.is_empty()
        })
}

impl Record for Person {
    const KIND: &'static str = "person";
    /// 2: identity and the end of access; an earlier release would give back what was taken away. 3: a last day, and what
    /// made somebody an owner; an earlier release would forget both.
    const SCHEMA: u32 = 3;

    fn key(&self) -> String {
        self.id.to_string()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Connects tools, files evidence, proposes.
    Engineer,
    /// Decides proposals, never their own.
    Approver,
    /// Reads everything of the client, and changes nothing.
    Auditor,
    /// Of a C3PAO: takes the client's log with its proofs, for a time, and sees neither notes nor suggestions.
    Assessor,
    /// Assigns courses, reviews and overrides.
    TrainingManager,
    /// Takes courses and attests.
    Learner,
}

impl Role {
    pub const ALL: [Self; 6] = [Self::Engineer, Self::Approver, Self::Auditor, Self::Assessor, Self::TrainingManager, Self::Learner];

    pub fn word(self) -> &'static str {
        match self {
            Self::Engineer => "Engineer",
            Self::Approver => "Approver",
            Self::Auditor => "Auditor",
            Self::Assessor => "Assessor",
            Self::TrainingManager => "Training manager",
            Self::Learner => "Learner",
        }
    }

    /// Whether it opens the client's pages: requirements, evidence, proposals, the log with its notes.
    pub fn reads_the_record(self) -> bool {
        matches!(self, Self::Engineer | Self::Approver | Self::Auditor)
    }
}

/// What one person may do for one client. Whose client it is cannot be changed: a [`super::Scope`] is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    tenant: TenantId,
    pub person: PersonId,
    pub roles: Vec<Role>,
    /// From then on it gives nothing; `None` for no end.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub until: Option<OffsetDateTime>,
    /// When somebody last said that it is right: the owner who gave or changed it, or a review.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub confirmed_at: Option<OffsetDateTime>,
    /// When and by whom these roles were given.
    #[serde(default)]
    pub given: Origin,
}

impl Grant {
    /// Given by an owner, without an end; written into the directory, from where it is read.
    pub fn of(tenant: TenantId, person: PersonId, roles: Vec<Role>) -> Self {
        Self { tenant, person, roles, until: None, confirmed_at: None, given: Origin::default() }
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether it gives anything now.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    pub fn reads_the_record(&self) -> bool {
        self.roles.iter().any(|role| role.reads_the_record())
    }
}

impl Record for Grant {
    const KIND: &'static str = "grant";
    /// 2: an end; an earlier release would go on giving what has ended.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        grant_key(self.tenant, self.person)
    }
}

/// A signed-in browser. The cookie holds a random token; the record's id is that token's hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub token_hash: String,
    pub person: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub signed_in_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// Signed in by picking a demo person.
    pub demo: bool,
    #[serde(default)]
    pub proof: Proof,
    /// Where the sign-in led: one of our own addresses, as they came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub led_to: Option<String>,
}

/// When somebody last signed in; what a session said of it goes with the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastSignIn {
    pub person: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Record for LastSignIn {
    const KIND: &'static str = "last-sign-in";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.person.to_string()
    }
}

/// When and how somebody proved who they are, as the authority says it; it stands beside what they decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When they last proved it (OpenID Connect Core 2, `auth_time`); `None` when the authority does not say.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// The authentication contexts that were met (Entra's `acrs`, such as `c1`).
    #[serde(default)]
    pub contexts: Vec<String>,
    /// How (RFC 8176 `amr`, such as `mfa`), where the authority says it.
    #[serde(default)]
    pub methods: Vec<String>,
}

impl Record for Session {
    const KIND: &'static str = "session";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.token_hash.clone()
    }
}

/// A line of a connection's client map: this company of the vendor is this client, said a human.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappedCompany {
    connection: ConnectionId,
    /// The vendor's company id, as text.
    company: String,
    /// The vendor's name for it, for people.
    pub company_name: String,
    tenant: TenantId,
    confirmed_by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    confirmed_at: OffsetDateTime,
}

impl MappedCompany {
    /// Said by a signed-in person on the mapping page.
    pub fn confirmed(
        connection: ConnectionId,
        company: &str,
        company_name: &str,
        tenant: TenantId,
        by: PersonId,
        at: OffsetDateTime,
    ) -> Self {
        Self { connection, company: company.into(), company_name: company_name.into(), tenant, confirmed_by: by, confirmed_at: at }
    }

    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    pub fn company(&self) -> &str {
        &self.company
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub fn confirmed_by(&self) -> PersonId {
        self.confirmed_by
    }

    pub fn confirmed_at(&self) -> OffsetDateTime {
        self.confirmed_at
    }
}

impl Record for MappedCompany {
    const KIND: &'static str = "company";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.company.clone()
    }
}

/// Stands while a client is switched off: nothing of it is read or written but its log. Made and taken away by
/// `custody::offboarding`, and part of the roster, so that it holds from the next request on, wherever that is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwitchedOff {
    tenant: TenantId,
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl SwitchedOff {
    pub fn of(tenant: TenantId, by: PersonId, at: OffsetDateTime) -> Self {
        Self { tenant, by, at }
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
}

impl Record for SwitchedOff {
    const KIND: &'static str = "switched-off";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

/// That a client's key record was changed so that nobody may go on with the keys they have in memory. Part of the roster:
/// who reads that anew forgets them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeysChanged {
    pub tenant: TenantId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Record for KeysChanged {
    const KIND: &'static str = "keys-changed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }
}

type Directory<'a> = Store<'a, DeploymentPlace>;

pub async fn tenant(store: &Directory<'_>, id: TenantId) -> Result<Option<Tenant>, StoreError> {
    Ok(store.read(DeploymentPlace::Directory, &id.to_string()).await?.map(|held| held.value))
}

pub async fn person(store: &Directory<'_>, id: PersonId) -> Result<Option<Person>, StoreError> {
    Ok(store.read(DeploymentPlace::Directory, &id.to_string()).await?.map(|held| held.value))
}

/// A grant that holds now.
pub async fn grant(store: &Directory<'_>, tenant: TenantId, person: PersonId) -> Result<Option<Grant>, StoreError> {
    let held = store.read::<Grant>(DeploymentPlace::Directory, &grant_key(tenant, person)).await?;
    Ok(held.map(|held| held.value).filter(|grant| grant.holds(store.app().now())))
}

/// Under which [`Grant`] is kept.
pub fn grant_key(tenant: TenantId, person: PersonId) -> String {
    format!("{tenant}:{person}")
}
