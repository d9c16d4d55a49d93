//! That somebody locked the container of the anchors: a deed that only a person does (gate kind `lock_worm`, L3) and that
//! is recorded here with what they saw.
//!
//! Locking is a POST of Azure's management side, for which Assay has no right and no client, and it cannot be taken back.
//! So an owner does it, and gives what Azure answers when it is asked for the policy; an answer that says something else, or
//! is of another container, is refused. It belongs to the installation and to no client, so no proposal of a client asks for
//! it. Whether version-level policies are locked the sweep sees by itself (`anchor`); of others this record is all there is.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Event, record};
use crate::{
    platform::ports::BlobContainer,
    tenancy::{DeploymentPlace, PersonId, Record, Store, StoreError, seal::sha256},
};

/// Days that each copy is held: six years from the CMMC status date (32 CFR 170.16(c)(4), 170.17(c)(4)), and one for what was
/// copied before it. The template's `anchorDays`.
pub const HELD_DAYS: u32 = 2557;

pub const MAX_ANSWER: usize = 4000;

/// What an owner recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorsLock {
    pub by: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// For which each copy is held, from its making.
    pub days: u64,
    /// What Azure answered, as it was pasted.
    pub answer: String,
}

impl Record for AnchorsLock {
    const KIND: &'static str = "anchors-lock";
    const SCHEMA: u32 = 1;

    /// In the order of time.
    fn key(&self) -> String {
        format!("{:012}", self.at.unix_timestamp())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// What the answer does not show, and what to do.
    #[error("{0}")]
    NotShown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The last that was recorded: a policy that is locked can still be made longer.
pub async fn last(store: &Store<'_, DeploymentPlace>) -> Result<Option<AnchorsLock>, StoreError> {
    Ok(store.all::<AnchorsLock>(DeploymentPlace::Directory, "").await?.pop().map(|held| held.value))
}

/// Records it in the name of an owner who has just proved who they are; the caller has checked that. `account`: the storage
/// account of the settings.
pub async fn record_lock(
    store: &Store<'_, DeploymentPlace>,
    by: PersonId,
    level: &str,
    account: &str,
    answer: &str,
) -> Result<(), LockError> {
    let days = days_of(account, answer).map_err(LockError::NotShown)?;
    let lock = AnchorsLock { by, at: store.app().now(), days, answer: answer.into() };
    let mut batch = store.batch(DeploymentPlace::Directory);
    let detail = json!({ "level": level, "account": account, "days": days, "answer": sha256(answer.as_bytes()) });
    record(&mut batch, Event::new("anchors.lock_recorded", "installation", detail));
    batch.create(&lock);
    Ok(batch.commit().await?)
}

/// For how many days the answer says that this container's copies are held, locked; otherwise what is wrong with it.
/// `az storage container immutability-policy show` prints the members flat, the resource itself has them under `properties`.
fn days_of(account: &str, answer: &str) -> Result<u64, String> {
    if answer.chars().count() > MAX_ANSWER {
        return Err(format!("Paste the answer of the command alone, at most {MAX_ANSWER} characters."));
    }
    let value: Value = serde_json::from_str(answer)
        .map_err(|_| "Paste the whole answer of the command that shows the policy, from { to }. Nothing was recorded.".to_owned())?;
    let member = |name: &str| value.get(name).or_else(|| value.pointer(&format!("/properties/{name}"))).filter(|value| !value.is_null());
    let container = BlobContainer::Anchors.name();
    let id = value["id"].as_str().unwrap_or_default().to_ascii_lowercase();
    let ours = format!("/storageaccounts/{account}/blobservices/default/containers/{container}/").to_ascii_lowercase();
    if !id.contains(&ours) {
        return Err(format!("This is not the policy of the container {container} of the account {account}. Show that one, and paste it."));
    }
    match member("state").and_then(Value::as_str) {
        Some("Locked") => {}
        Some(state) => {
            return Err(format!(
                "Azure says that the policy is {state}: it is not locked, and nothing was recorded. Run the command that locks, show the policy again, and paste that."
            ));
        }
        None => return Err("The answer does not say the state of the policy. Paste all of it, from { to }.".into()),
    }
    let days = member("immutabilityPeriodSinceCreationInDays").and_then(Value::as_u64).filter(|days| *days > 0);
    days.ok_or_else(|| "The answer does not say for how many days. Paste all of it, from { to }.".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/northgate/blobServices/default/containers/anchors/immutabilityPolicies/default";

    #[test]
    fn only_the_answer_that_says_locked_of_this_container_counts_in_either_form() {
        let flat = json!({ "id": ID, "state": "Locked", "immutabilityPeriodSinceCreationInDays": 2192 });
        let nested = json!({ "id": ID, "properties": { "state": "Locked", "immutabilityPeriodSinceCreationInDays": 7 } });
        assert_eq!(days_of("northgate", &flat.to_string()), Ok(2192));
        assert_eq!(days_of("northgate", &nested.to_string()), Ok(7));
        let with = |name: &str, value: Value| {
            let mut other = flat.clone();
            other[name] = value;
            other.to_string()
        };
        for (answer, says) in [
            (with("state", json!("Unlocked")), "it is not locked"),
            (with("state", Value::Null), "state of the policy"),
            (with("immutabilityPeriodSinceCreationInDays", json!(0)), "how many days"),
            (with("id", json!(ID.replace("anchors", "raw"))), "not the policy of the container anchors"),
            (with("id", json!(ID.replace("northgate", "northgate2"))), "not the policy"),
            ("Locked, I saw it".into(), "from { to }"),
            (with("note", json!("x".repeat(MAX_ANSWER))), "at most 4000"),
        ] {
            let why = days_of("northgate", &answer).expect_err(says);
            assert!(why.contains(says), "{why}");
        }
    }
}
