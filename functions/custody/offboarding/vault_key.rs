//! Whether the vault keys that ever wrapped a client's data keys are deleted, and who says so.
//!
//! Assay deletes no key of a vault: whoever holds it does, and Assay looks. Once the key was found gone, the sweep looks once a
//! day until the certificate is issued: a key that is there again was recovered, so its days begin anew when it is deleted the
//! next time. A client that took the app's right on its own vault away leaves nothing to look at; then a statement counts, and
//! stands as what it is, a statement.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Date, Duration, OffsetDateTime, format_description::well_known::Iso8601};

use super::{Directory, Known, Offboarding, OffboardingError, destroy::Destroyed, person, put, refused, sentence};
use crate::{
    app::App,
    platform::ports::PortErrorKind,
    tenancy::{DeploymentPlace, Held, PersonId, StoreError},
};

/// How often it was looked after the key was found gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// The vault said each time that the key is not there.
    pub count: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub first: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub last: OffsetDateTime,
    /// Looks that the vault gave no answer to, and when the last of all was.
    pub unsaid: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub tried: OffsetDateTime,
}

impl Looks {
    fn after(before: Option<&Self>, now: OffsetDateTime, looked: &Looked) -> Self {
        let is_gone = matches!(looked, Looked::Gone);
        match before {
            // The first and last stay where they were until the vault says something.
            Some(before) if is_gone && before.count == 0 => Self { count: 1, first: now, last: now, tried: now, ..before.clone() },
            Some(before) if is_gone => Self { count: before.count + 1, last: now, tried: now, ..before.clone() },
            Some(before) => Self { unsaid: before.unsaid + 1, tried: now, ..before.clone() },
            None => Self { count: is_gone.into(), first: now, last: now, unsaid: (!is_gone).into(), tried: now },
        }
    }
}

/// That the key is deleted, by somebody else's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Who states it.
    pub who: String,
    /// Since when it is deleted, as they state.
    pub since: Date,
    /// Where that stands in writing.
    pub writing: String,
    /// Why Assay could not look, in words.
    pub why: String,
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// As it was typed.
#[derive(Clone, Copy, Debug)]
pub struct Stated<'a> {
    pub who: &'a str,
    pub since: &'a str,
    pub writing: &'a str,
}

/// What the vault says.
pub(super) enum Looked {
    Gone,
    /// This one is.
    There(String),
    Unsaid(Unsaid),
}

/// Why it says nothing.
#[derive(Clone, Copy)]
pub(super) enum Unsaid {
    Denied,
    Silent,
    Unknown,
}

impl Unsaid {
    fn words(self) -> &'static str {
        match self {
            Self::Denied => "the vault does not let Assay look",
            Self::Silent => "the vault did not answer",
            Self::Unknown => "the record that named the key was lost",
        }
    }

    pub(super) fn refusal(self) -> OffboardingError {
        let what = match self {
            Self::Denied => "The vault does not say whether the key is there: Assay may not look at it.",
            Self::Silent => "The vault does not answer just now: press again in a minute, unless it is gone for good.",
            Self::Unknown => "It is not known which key of a vault wrapped the data keys, since the record that named it was lost.",
        };
        refused(format!(
            "{what} Whoever deleted the key can state so: say below who, since when and where it stands in writing. Nothing was done."
        ))
    }
}

pub(super) async fn look(app: &App, destroyed: &Destroyed) -> Result<Looked, StoreError> {
    let keys: Vec<&str> = destroyed.vault_keys().collect();
    let mut unsaid = keys.is_empty().then_some(Unsaid::Unknown);
    for key in keys {
        match app.vault.newest_version(key).await {
            Err(error) => match error.kind {
                PortErrorKind::Missing => {}
                PortErrorKind::Denied => unsaid = Some(Unsaid::Denied),
                PortErrorKind::Unavailable => unsaid = Some(Unsaid::Silent),
                // What is switched off is there.
                PortErrorKind::Disabled => return Ok(Looked::There(key.to_owned())),
                _ => return Err(error.into()),
            },
            Ok(_) => return Ok(Looked::There(key.to_owned())),
        }
    }
    Ok(unsaid.map_or(Looked::Gone, Looked::Unsaid))
}

/// The longest that a vault says it keeps one of these keys after its deletion; `None` unless each of them was asked and said so.
pub(super) async fn kept_for(app: &App, keys: impl Iterator<Item = &str>) -> Option<u16> {
    let mut longest = None;
    for key in keys {
        match app.vault.recoverable_days(key).await {
            Ok(Some(days)) => longest = longest.max(Some(days)),
            Ok(None) => return None,
            Err(error) => {
                tracing::warn!(error = %error, "the vault does not say how long it keeps a deleted key; the setting counts");
                return None;
            }
        }
    }
    longest
}

/// Looks now, for the owner, and notes when the key was first found gone.
pub async fn note(store: &Directory<'_>, known: &Known, stated: Option<Stated<'_>>) -> Result<(), OffboardingError> {
    let (held, now) = (known.under_way()?, store.app().now());
    let Some(destroyed) = &known.destroyed else { return Err(refused("Destroy the data keys first. Nothing was done.")) };
    if known.certificate.is_some() {
        return Ok(());
    }
    let stated = stated.map(|stated| read(store, stated)).transpose()?;
    let looked = look(store.app(), &destroyed.value).await?;
    let looks = Some(Looks::after(held.value.looks.as_ref(), now, &looked));
    let next = Offboarding { vault_key_gone_at: held.value.vault_key_gone_at.or(Some(now)), looks, ..held.value.clone() };
    let keys = destroyed.value.vault_keys().collect::<Vec<_>>().join(", ");
    match (looked, stated) {
        (Looked::There(key), _) => {
            is_back(store, known, &key).await?;
            Err(there())
        }
        // Looked at again: what is known of it stays.
        (Looked::Gone, _) if held.value.vault_key_gone_at.is_some() => Ok(put_quietly(store, &next, held).await?),
        (Looked::Gone, _) => put(store, known, next, "client.offboarding.vault_key_gone", json!({ "vault_key": keys })).await,
        (Looked::Unsaid(why), None) => Err(why.refusal()),
        (Looked::Unsaid(why), Some(statement)) => {
            let statement = Statement { why: why.words().into(), ..statement };
            if held.value.statement.as_ref().is_some_and(|before| before.is(&statement)) {
                return Ok(());
            }
            let detail = json!({
                "vault_key": keys, "who": statement.who, "since": statement.since.to_string(), "writing": statement.writing, "why": statement.why,
            });
            let next = Offboarding { statement: Some(statement), ..next };
            put(store, known, next, "client.offboarding.vault_key_stated", detail).await
        }
    }
}

impl Statement {
    fn is(&self, other: &Self) -> bool {
        (&self.who, self.since, &self.writing) == (&other.who, other.since, &other.writing)
    }
}

fn read(store: &Directory<'_>, stated: Stated<'_>) -> Result<Statement, OffboardingError> {
    let (by, at) = (person(store)?, store.app().now());
    let who = sentence(stated.who, "Say who states that the key is deleted.")?;
    let writing = sentence(stated.writing, "Say where that stands in writing.")?;
    let since = Date::parse(stated.since.trim(), &Iso8601::DATE).ok().filter(|since| *since <= at.date());
    let since = since.ok_or_else(|| refused("Give the day since which the key is deleted, not one to come. Nothing was done."))?;
    Ok(Statement { who, since, writing, why: String::new(), by, at })
}

pub(super) fn there() -> OffboardingError {
    refused("The key is still in the vault, or is there again, perhaps disabled only. It counts when it is deleted. Nothing was done.")
}

/// It was found gone, and is there: its days begin anew when it is deleted the next time.
pub(super) async fn is_back(store: &Directory<'_>, known: &Known, key: &str) -> Result<(), OffboardingError> {
    let held = known.under_way()?;
    let Some(gone_at) = held.value.vault_key_gone_at else { return Ok(()) };
    let next = Offboarding { vault_key_gone_at: None, looks: None, statement: None, ..held.value.clone() };
    let looks = held.value.looks.as_ref().map(|looks| json!({ "count": looks.count, "last": looks.last.unix_timestamp() }));
    let stated = held.value.statement.as_ref().map(|statement| statement.who.clone());
    let detail = json!({ "vault_key": key, "gone_at": gone_at.unix_timestamp(), "looks": looks, "stated_by": stated });
    put(store, known, next, "client.offboarding.vault_key_back", detail).await
}

/// Between two looks of the sweep; it comes a moment early or late.
const EVERY: Duration = Duration::hours(23);
/// Tries of one process in that time: a vault that throttles is not asked with each sweep.
const TRIES: u8 = 4;

/// Looks once a day whether the key is still gone, until the certificate is issued. By the sweep.
pub(super) async fn watch(store: &Directory<'_>, known: &Known) -> Result<(), OffboardingError> {
    let (Some(held), Some(destroyed), None) = (&known.held, &known.destroyed, &known.certificate) else { return Ok(()) };
    let (app, now) = (store.app(), store.app().now());
    if held.value.vault_key_gone_at.is_none() || held.value.looks.as_ref().is_some_and(|looks| now < looks.tried + EVERY) {
        return Ok(());
    }
    if !app.cache.allow(&format!("vault-looks/{}", known.client.id), TRIES, now, std::time::Duration::from_hours(23)) {
        return Ok(());
    }
    let looked = look(app, &destroyed.value).await?;
    if let Looked::There(key) = &looked {
        return is_back(store, known, key).await;
    }
    let looks = Some(Looks::after(held.value.looks.as_ref(), now, &looked));
    Ok(put_quietly(store, &Offboarding { looks, ..held.value.clone() }, held).await?)
}

/// How often it was looked is bookkeeping; what it comes to stands in the certificate and its event.
async fn put_quietly(store: &Directory<'_>, next: &Offboarding, held: &Held<Offboarding>) -> Result<(), StoreError> {
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&Held { value: next.clone(), etag: held.etag.clone() });
    // Where somebody else wrote it at this moment, theirs stands.
    batch.commit_unless_overtaken().await.map(drop)
}
