//! A client's keys and regions, and the installation's own keys: only the owner sees and changes them, and signs in anew for a change.

use super::Reader;
use crate::{
    custody::{
        change::{self, ChangeError},
        offboarding::{MOST_CHARS, steps::day},
        vault_key::{self, FormerVaultKey},
    },
    tenancy::{
        TenantId,
        directory::Tenant,
        key_change::{self, Facts},
        keys::Owner,
        store::TELL_SEALS,
    },
    web::{
        Problem, Reply,
        pages::{Field, FieldKind, KeysPage, Section, StepForm, paths},
        reply,
    },
};

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let client = client(reader, tenant)?;
    page(reader, client, None).await
}

/// A form's own address, opened again, is the page.
pub(super) fn back(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    Ok(reply::redirect(&paths::keys(client(reader, tenant)?.id)))
}

pub(super) async fn act(reader: &Reader<'_>, tenant: &str, step: &str) -> Result<Reply, Problem> {
    let client = client(reader, tenant)?;
    reader.must_be_own_form(&["keys", &client.id.to_string(), step])?;
    let store = reader.deployment().await?;
    let outcome = match step {
        "regions" => change::change_regions(&store, client.id, &reader.field("regions")).await,
        "rotate" => change::rotate(&store, Owner::Tenant(client.id), &reader.field("epoch"), &reader.field("reason")).await,
        "vault-key" => Box::pin(vault_key::change(&store, client.id, &reader.field("key"))).await,
        _ => return Err(Problem::not_found()),
    };
    match outcome {
        Ok(()) => Ok(reader.back_to(&paths::keys(client.id), "done", step)),
        Err(ChangeError::Refused(why)) => page(reader, client, Some(why.into())).await,
        Err(ChangeError::Store(error)) => Err(error.into()),
    }
}

async fn page(reader: &Reader<'_>, client: &Tenant, error: Option<String>) -> Result<Reply, Problem> {
    let (id, config) = (client.id, &reader.app.config);
    let store = reader.deployment().await?;
    let known = change::facts(&store, id).await?;
    let former = vault_key::former(&store, id).await?;
    let regions = known.as_ref().map_or_else(String::new, |facts| facts.regions.text());
    let mut lines = known.as_ref().map(|facts| Vec::from(of(facts))).unwrap_or_default();
    if known.is_some() {
        lines.push(("Keys of a vault before", if former.is_empty() { "none".into() } else { named(&former) }));
        lines.push(("Regions", if regions.is_empty() { "any".into() } else { regions.clone() }));
    }
    let form = |step: &str, label, field: Field| {
        let token = reader.token(&["keys", &id.to_string(), step]);
        StepForm { action: paths::keys_step(id, step), token, fields: vec![field], label, is_final: false }
    };
    let typed = if error.is_some() { reader.field("regions") } else { regions.clone() };
    let field = Field::new(
        "regions",
        "Regions",
        "Names with commas between them, such as usgovvirginia, usgovarizona. Empty: any.",
        FieldKind::Text,
        typed,
    );
    let reason =
        Field::new("reason", "Why", "It stands in the audit trail.", FieldKind::Prose(MOST_CHARS), reader.field("reason")).required();
    let key = Field::new("key", "Address of the key", KEY_HINT, FieldKind::Text, reader.field("key")).required();
    let page = KeysPage {
        frame: reader.frame(Section::Clients).await?,
        client: Some(client.name.clone()),
        clients_href: paths::clients(),
        people_href: paths::people(id),
        own_href: paths::own_keys(),
        regions: (known.is_some() && config.region.is_some()).then(|| form("regions", "Change the regions", field)),
        vault_key: (known.is_some() && !reader.app.vault.makes_keys()).then(|| form("vault-key", "Wrap with this key", key)),
        rotate: known.is_some().then(|| form("rotate", "Make a further data key now", reason)),
        epoch: known.as_ref().map_or_else(String::new, |facts| facts.epoch.to_string()),
        facts: lines,
        notice: reader.done("done").filter(|_| error.is_none()).map(|_| "Changed. This is what holds now."),
        error,
    };
    Ok(reply::page(if page.error.is_some() { 422 } else { 200 }, &page))
}

const KEY_HINT: &str = "RSA, 3072 bits, such as https://VAULT/keys/NAME, without a version. The app's identity needs the role Key Vault Crypto Service Encryption User on it.";

fn named(former: &[FormerVaultKey]) -> String {
    former.iter().map(|one| format!("{}, until {}", one.key, day(one.until))).collect::<Vec<_>>().join("; ")
}

/// The installation's own.
pub(super) async fn show_own(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    own_page(reader, None).await
}

/// A form's own address, opened again, is the page.
pub(super) fn back_to_own(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    Ok(reply::redirect(&paths::own_keys()))
}

pub(super) async fn rotate_own(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&["own keys", "rotate"])?;
    let store = reader.deployment().await?;
    match change::rotate(&store, Owner::Deployment, &reader.field("epoch"), &reader.field("reason")).await {
        Ok(()) => Ok(reader.back_to(&paths::own_keys(), "done", "rotate")),
        Err(ChangeError::Refused(why)) => own_page(reader, Some(why.into())).await,
        Err(ChangeError::Store(error)) => Err(error.into()),
    }
}

async fn own_page(reader: &Reader<'_>, error: Option<String>) -> Result<Reply, Problem> {
    let facts = key_change::facts(reader.app, Owner::Deployment).await?.ok_or_else(Problem::not_found)?;
    let reason =
        Field::new("reason", "Why", "It stands in the audit trail.", FieldKind::Prose(MOST_CHARS), reader.field("reason")).required();
    let (token, action) = (reader.token(&["own keys", "rotate"]), paths::own_keys_step("rotate"));
    let page = KeysPage {
        frame: reader.frame(Section::Clients).await?,
        client: None,
        clients_href: paths::clients(),
        people_href: paths::team(),
        own_href: paths::own_keys(),
        facts: of(&facts).into(),
        regions: None,
        vault_key: None,
        rotate: Some(StepForm { action, token, fields: vec![reason], label: "Make a further data key now", is_final: false }),
        epoch: facts.epoch.to_string(),
        notice: reader.done("done").filter(|_| error.is_none()).map(|_| "Changed. This is what holds now."),
        error,
    };
    Ok(reply::page(if page.error.is_some() { 422 } else { 200 }, &page))
}

fn of(facts: &Facts) -> [(&'static str, String); 4] {
    let since = facts.since.map_or_else(|| "written by an earlier release".into(), day);
    [
        ("Key of the vault", facts.vault_key.clone()),
        ("Its version", facts.vault_version.clone()),
        ("Data key that seals", format!("number {}, since {since}", facts.epoch)),
        ("Sealed with it", sealed(facts.seals)),
    ]
}

/// Processes tell of their seals when they have many, and what they know alone goes with them.
fn sealed(told: u64) -> String {
    if told == 0 { format!("fewer than {TELL_SEALS} values by each process so far") } else { format!("about {told} values") }
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner looks after keys. Nothing was done; ask them."))
}

fn client<'r>(reader: &'r Reader<'_>, tenant: &str) -> Result<&'r Tenant, Problem> {
    must_own(reader)?;
    let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    reader.roster.tenant(id).ok_or_else(Problem::not_found)
}
