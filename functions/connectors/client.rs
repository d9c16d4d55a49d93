//! A client company of the MSP, added by its owner: the record, who may do what for it, and the audit item in one batch;
//! and who may do what for it later.
//!
//! Its data key is made first, so that a client that can be looked at has one and looking makes nothing (design I10); its
//! evidence comes with a company that is mapped to it. Where the vault makes no keys by itself, one is made for the client,
//! or the owner names one, which may lie in a vault that the client runs.

use serde_json::json;
use time::OffsetDateTime;

use crate::{
    app::App,
    audit,
    platform::{key_uri::KeyUri, ports::PortErrorKind},
    tenancy::{
        DeploymentPlace, Held, PersonId, Record, Roster, Store, StoreError, TenantId,
        directory::{Grant, Origin, Role, Tenant},
        key_change::{self, Change},
        keys::{self, Owner},
        policy_mark::PolicyMark,
        regions::Regions,
        vault_key::{self, Reservation},
    },
    web::{pages::FieldError, problem::chain},
};

type Directory<'a> = Store<'a, DeploymentPlace>;

const MAX_NAME_CHARS: usize = 120;

/// Why nothing was done. The caller has checked that the person is the owner.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// By the field of the form: `name`, `key`, `regions` or `roles`.
    #[error("the form is not in order")]
    Form(FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ClientError {
    /// Somebody changed it since it was looked at.
    pub(super) fn overtaken() -> Self {
        Self::Store(StoreError::Refused { refused: vec![] })
    }

    fn form(field: &'static str, message: impl Into<String>) -> Self {
        Self::Form(FieldError { field, message: message.into() })
    }
}

/// What somebody is to have for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub person: PersonId,
    pub roles: Vec<Role>,
    /// From then on no more.
    pub until: Option<OffsetDateTime>,
}

/// Why these people cannot work for a client: what one asks for, another decides; and who comes from outside, goes again.
fn faults(grants: &[Given], now: OffsetDateTime) -> Option<&'static str> {
    if grants.iter().any(|given| given.roles.contains(&Role::Assessor) && given.until.is_none()) {
        return Some("An assessor's access ends: give the last day.");
    }
    if grants.iter().any(|given| given.until.is_some_and(|until| until <= now)) {
        return Some("A last day lies in the past: give a day to come, or take the roles away.");
    }
    nobody_decides(grants)
}

pub(super) fn nobody_decides(grants: &[Given]) -> Option<&'static str> {
    let with = |role| grants.iter().filter(move |given| given.roles.contains(&role)).map(|given| given.person);
    if with(Role::Approver).next().is_none() {
        return Some("Nobody could decide anything: tick an approver.");
    }
    let somebody_else = with(Role::Approver).any(|approver| with(Role::Engineer).any(|engineer| engineer != approver));
    (!somebody_else).then_some("Who asks cannot decide: tick an engineer and, as approver, somebody else.")
}

/// A client to add, as the form says.
#[derive(Debug)]
pub struct NewClient<'a> {
    pub id: TenantId,
    pub name: &'a str,
    /// The address of its vault key; empty: one is made. Not looked at where the vault makes keys.
    pub key: &'a str,
    /// Where its records may be read; empty: anywhere.
    pub regions: &'a str,
    pub grants: Vec<Given>,
}

/// Adds the client with its grants; the same id again adds nothing.
pub async fn add(store: &Directory<'_>, new: NewClient<'_>) -> Result<(), ClientError> {
    let NewClient { id, name, key, regions, grants } = new;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(ClientError::form("name", format!("Give the company's name, at most {MAX_NAME_CHARS} characters.")));
    }
    let roster = Roster::read(store).await?;
    let (known, several) = (&roster.tenants, roster.people_who_may_sign_in(&store.app().config, store.app().now()).nth(1).is_some());
    if known.iter().any(|tenant| tenant.id == id) {
        return Ok(());
    }
    if known.iter().any(|tenant| tenant.name.to_lowercase() == name.to_lowercase()) {
        return Err(ClientError::form("name", "There is a client of this name already. Nothing was added."));
    }
    few_enough(grants.len())?;
    // As long as only one person can sign in, nobody could be ticked.
    if let Some(why) = faults(&grants, store.app().now()).filter(|_| several) {
        return Err(ClientError::form("roles", why));
    }
    let regions = Regions::parse(regions).ok_or_else(|| ClientError::form("regions", NO_REGION))?;
    if !regions.admit(store.app().config.region.as_deref()) {
        return Err(ClientError::form("regions", NOT_HERE));
    }
    let named = if store.app().vault.makes_keys() {
        keys::make(store.app(), Owner::Tenant(id), None).await?;
        None
    } else {
        Some(match key.trim() {
            "" => make_under(store, id, &made_for(store, id).await?, known).await?,
            named => make_under(store, id, named, known).await?,
        })
    };
    confine(store.app(), Owner::Tenant(id), &regions).await?;
    let address = named.as_ref().map(|reserved| reserved.value.key.clone());
    let tenant = Tenant { id, name: name.into(), created_at: store.app().now() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&tenant).create(&PolicyMark::first(id));
    let grants = grants_of(id, &grants, store);
    for grant in &grants {
        batch.create(grant);
    }
    let held = named.map(|reserved| Held { value: Reservation { taken: true, ..reserved.value }, etag: reserved.etag });
    if let Some(held) = &held {
        batch.replace(held);
    }
    let mut event = added(&tenant, &grants, address.as_deref());
    if !regions.is_anywhere() {
        event.detail["regions"] = json!(regions.text());
    }
    audit::record(&mut batch, event);
    match batch.commit().await {
        // The same form, sent twice at once.
        Err(error) if error.exists::<Tenant>(&tenant.key()) => Ok(()),
        // Another form took the key meanwhile.
        Err(error) if held.as_ref().is_some_and(|held| error.is_about::<Reservation>(&held.value.key())) => {
            Err(ClientError::form("key", vault_key::USED))
        }
        other => Ok(other?),
    }
}

const NO_REGION: &str = "Give Azure's names of regions, in lower case letters and digits, with commas between them.";
const NOT_HERE: &str = "Assay itself runs in none of these regions, so it could not read the client's records. Nothing was added.";

/// Says in the client's key record where it may be unwrapped. The form sent again finds it said.
async fn confine(app: &App, owner: Owner, regions: &Regions) -> Result<(), StoreError> {
    loop {
        let Some(facts) = key_change::facts(app, owner).await?.filter(|facts| facts.regions != *regions) else { return Ok(()) };
        key_change::change(app, owner, &facts, Change::Regions(regions.clone())).await?;
    }
}

/// One batch says it all, so that nobody ever sees a half of it.
fn few_enough(grants: usize) -> Result<(), ClientError> {
    const MOST: usize = 90;
    if grants <= MOST {
        return Ok(());
    }
    let why = format!(
        "At most {MOST} people can be given or lose something for one client at a time; this form changes {grants}. Change fewer, save, and go on."
    );
    Err(ClientError::form("roles", why))
}

/// The address of a key made for this client beside the installation's own. The same form again finds the same key.
async fn made_for(store: &Directory<'_>, id: TenantId) -> Result<String, ClientError> {
    store.app().vault.create_key(&format!("client-{id}")).await.map_err(|error| {
        tracing::warn!(error = chain(&error), "no key is made for a new client");
        match error.kind {
            PortErrorKind::Denied => ClientError::form("key", MAY_NOT_MAKE),
            kind => vault_key::why_not(kind).map_or_else(|| StoreError::from(error).into(), |message| ClientError::form("key", message)),
        }
    })
}

const MAY_NOT_MAKE: &str = "Assay may not make keys in its vault, or the vault's firewall keeps it out. Give the app's identity the role \u{201c}Assay keys\u{201d} that the guide describes (it makes and uses keys, and deletes none), or make the key by hand and give its address here. A new role takes some minutes to hold. Nothing was added.";

/// Makes the client's data key under the vault key of this address, which must be nobody else's and is reserved for it.
async fn make_under(store: &Directory<'_>, id: TenantId, address: &str, known: &[Tenant]) -> Result<Held<Reservation>, ClientError> {
    let refused = |message: &str| ClientError::form("key", message);
    let key = KeyUri::parse(address).ok_or_else(|| refused(vault_key::NO_ADDRESS))?;
    let app = store.app();
    let others = known.iter().map(|tenant| Owner::Tenant(tenant.id)).chain([Owner::Deployment]).collect();
    if let Some(other) = vault_key::user(app, others, &key).await? {
        return Err(refused(match other {
            Owner::Deployment => vault_key::OF_THE_INSTALLATION,
            Owner::Tenant(_) => vault_key::USED,
        }));
    }
    let reserved = vault_key::reserve(store, id, &key).await?.ok_or_else(|| refused(vault_key::USED))?;
    match keys::make(app, Owner::Tenant(id), Some(key.url().as_str())).await {
        Ok(_) if vault_key::user(app, vec![Owner::Tenant(id)], &key).await?.is_some() => Ok(reserved),
        Ok(_) => Err(refused("This form was sent before with another key. Open \u{201c}Add a client\u{201d} anew and give the key there.")),
        Err(StoreError::Key { source, .. }) => match vault_key::why_not(source.kind) {
            Some(message) => {
                tracing::warn!(error = chain(&source), "the key of a new client cannot be used");
                Err(refused(message))
            }
            None => Err(StoreError::from(source).into()),
        },
        Err(other) => Err(other.into()),
    }
}

/// Who may do what for a client, as it was read; the client's own record, read first, tells whether it still holds. What
/// somebody has who cannot sign in does nothing, and stays as it is.
pub struct Access {
    pub client: Held<Tenant>,
    grants: Vec<Held<Grant>>,
}

impl Access {
    pub async fn read(store: &Directory<'_>, id: TenantId) -> Result<Option<Self>, StoreError> {
        let Some(client) = store.read::<Tenant>(DeploymentPlace::Directory, &id.to_string()).await? else { return Ok(None) };
        let (roster, mut grants) = (Roster::read(store).await?, store.all::<Grant>(DeploymentPlace::Directory, &format!("{id}:")).await?);
        let can =
            |grant: &Grant| roster.person(grant.person).is_some_and(|person| person.may_sign_in(&store.app().config, store.app().now()));
        grants.retain(|held| can(&held.value));
        Ok(Some(Self { client, grants }))
    }

    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().map(|held| &held.value)
    }

    /// Whether this is what stands there.
    pub fn gives(&self, wanted: &[Given]) -> bool {
        self.grants.len() == wanted.len() && self.grants().all(|grant| wanted.iter().any(|given| is(grant, given)))
    }
}

fn is(grant: &Grant, given: &Given) -> bool {
    (grant.person, &grant.roles, grant.until) == (given.person, &given.roles, given.until)
}

fn grants_of(tenant: TenantId, given: &[Given], store: &Directory<'_>) -> Vec<Grant> {
    let origin = Origin::now(store);
    let grant = |given: &Given| {
        let mut grant = Grant::of(tenant, given.person, given.roles.clone());
        (grant.until, grant.confirmed_at, grant.given) = (given.until, origin.at, origin);
        grant
    };
    given.iter().map(grant).collect()
}

/// Says anew who may do what for the client, for a caller that looked at what was there: who was faster in between wins.
pub async fn change_access(store: &Directory<'_>, access: &Access, wanted: &[Given]) -> Result<(), ClientError> {
    if let Some(why) = faults(wanted, store.app().now()) {
        return Err(ClientError::form("roles", why));
    }
    let id = access.client.value.id;
    let wanted = grants_of(id, wanted, store);
    let (mut batch, mut changes) = (store.batch(DeploymentPlace::Directory), 0);
    let detail = json!({ "before": listed(access.grants()), "after": listed(&wanted) });
    audit::record(&mut batch, audit::Event::new("client.grants_changed", format!("client {id}"), detail));
    // Its content stays; its etag goes on, so that of two changes at once one is refused.
    batch.replace(&access.client);
    for held in &access.grants {
        match wanted.iter().find(|grant| grant.person == held.value.person) {
            Some(grant) if (&grant.roles, grant.until) == (&held.value.roles, held.value.until) => continue,
            // Another last day is the same gift.
            Some(grant) if grant.roles == held.value.roles => {
                let mut again = grant.clone();
                again.given = held.value.given;
                batch.put(again, Some(held.etag.clone()))
            }
            Some(grant) => batch.put(grant.clone(), Some(held.etag.clone())),
            None => batch.delete(held),
        };
        changes += 1;
    }
    for grant in wanted.iter().filter(|grant| access.grants().all(|held| held.person != grant.person)) {
        batch.create(grant);
        changes += 1;
    }
    few_enough(changes)?;
    Ok(batch.commit().await?)
}

/// `key`: the vault key that a person named for it.
pub(super) fn added(tenant: &Tenant, grants: &[Grant], key: Option<&str>) -> audit::Event {
    let mut detail = json!({ "name": tenant.name, "grants": listed(grants) });
    if let Some(key) = key {
        detail["key"] = json!(key);
    }
    audit::Event::new("client.added", format!("client {}", tenant.id), detail)
}

fn listed<'g>(grants: impl IntoIterator<Item = &'g Grant>) -> Vec<serde_json::Value> {
    grants
        .into_iter()
        .map(|grant| json!({ "person": grant.person, "roles": grant.roles, "until": grant.until.map(OffsetDateTime::unix_timestamp) }))
        .collect()
}
