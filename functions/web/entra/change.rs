//! What an owner may change of somebody who can sign in: the name, the mail address, whether they run the MSP's tools, and
//! whose other account it is.
//!
//! Who somebody is (directory and object id) follows from their sign-in, and owners come by the settings: neither is
//! changed here. Two who change the same person at once do not overwrite each other unseen. Accounts that count as one human
//! because of their address alone are linked when it changes: a corrected address makes no second human.

use serde_json::{Value, json};

use super::let_in::{faults, is_own, one_line};
use crate::{
    audit,
    tenancy::{DeploymentPlace, PersonId, Roster, Store, StoreError, directory::Person, seal::sha256},
    web::pages::FieldError,
};

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("the form is not in order")]
    Form(Vec<FieldError>),
    /// Somebody changed them since the form was opened.
    #[error("somebody else was faster")]
    Overtaken,
    #[error("there is no such person, or they have no access any more")]
    NoAccess,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How it was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    AsTyped,
    /// With a link to the account that had the same address.
    Linked,
}

/// What a form was made from.
pub fn fingerprint(person: &Person) -> String {
    sha256(format!("{}\n{}\n{}\n{:?}", person.name, person.email, person.operates, person.same_as).as_bytes())
}

/// What the form says.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The fingerprint of what the form showed.
    pub seen: &'a str,
    pub name: &'a str,
    pub email: &'a str,
    pub operates: bool,
    /// Whose other account this is; empty for nobody's.
    pub same_as: &'a str,
}

/// Changes them, for a caller who has checked that an owner says so. The same form sent twice changes
/// nothing the second time. An owner runs the tools whatever the form says.
pub async fn change(store: &Store<'_, DeploymentPlace>, person: PersonId, change: Change<'_>) -> Result<Changed, ChangeError> {
    let Change { seen, name, email, operates, same_as } = change;
    let held = store.read::<Person>(DeploymentPlace::Directory, &person.to_string()).await?;
    let mut held = held.filter(|held| held.value.has_access()).ok_or(ChangeError::NoAccess)?;
    let before = held.value.clone();
    let operates = if before.is_owner { before.operates } else { operates };
    let of_others = before.identity.is_some_and(|identity| !is_own(store.app(), identity, before.standing.is_guest));
    let name = one_line(name);
    let mut wrong = faults(&name, email, operates && !before.is_owner && of_others);
    let same_as = if same_as.is_empty() { None } else { same_as.parse::<PersonId>().ok().filter(|other| *other != person) };
    let known = match same_as {
        Some(other) => store.read::<Person>(DeploymentPlace::Directory, &other.to_string()).await?.is_some(),
        None => change.same_as.is_empty(),
    };
    if !known {
        wrong.push(FieldError { field: "same-as", message: "Choose somebody else of the list, or nobody.".into() });
    }
    if !wrong.is_empty() {
        return Err(ChangeError::Form(wrong));
    }
    held.value = Person { name, email: email.into(), operates, same_as, ..before.clone() };
    if held.value == before {
        return Ok(Changed::AsTyped);
    }
    if seen != fingerprint(&before) {
        return Err(ChangeError::Overtaken);
    }
    let changed = link(&*Roster::read(store).await?, &before, &mut held.value)?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    let detail = json!({ "name": held.value.name, "before": told(&before), "after": told(&held.value) });
    let detail = match before.identity {
        Some(identity) => identity.into_detail(detail),
        None => detail,
    };
    audit::record(&mut batch, audit::Event::new("person.changed", format!("person {person}"), detail));
    match batch.commit().await {
        Err(error) if error.is_conflict() => Err(ChangeError::Overtaken),
        other => Ok(other.map(|()| changed)?),
    }
}

/// Writes down whose other account it is, where the address said so until now. Who takes a link away with it is believed.
fn link(roster: &Roster, before: &Person, after: &mut Person) -> Result<Changed, ChangeError> {
    let unlinked = before.same_as.is_some() && after.same_as.is_none();
    let Some(other) = roster.parted_by(before, after).filter(|_| !unlinked) else { return Ok(Changed::AsTyped) };
    if after.same_as.is_some() {
        let message = format!(
            "{} has the same address until now, by which both count as one human. Say on the page of {} that it is the same human as this one, then change the address.",
            other.name, other.name
        );
        return Err(ChangeError::Form(vec![FieldError { field: "email", message }]));
    }
    after.same_as = Some(other.id);
    Ok(Changed::Linked)
}

fn told(person: &Person) -> Value {
    json!({ "name": person.name, "email": person.email, "operates": person.operates, "same_as": person.same_as })
}
