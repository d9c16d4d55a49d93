//! The highest version of a client's approval policy that ever stood, and which proposal approved it, kept in the directory:
//! under another key and in another partition than the policy itself, so that a policy that is put back or deleted alone is
//! found out, and only what made that version can put it back.
//!
//! Part of what the roster remembers, so nobody pays a round trip to ask for it. It only rises. Bookkeeping: the change
//! that it follows has its audit item in the client's log.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DeploymentPlace, Held, PersonId, ProposalId, Record, Store, StoreError, TenantId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyMark {
    pub tenant: TenantId,
    /// 0: nobody changed the defaults yet.
    pub version: u32,
    /// The proposal that made it, and its hash; a mark of an earlier release does not say.
    #[serde(default)]
    pub made_by: Option<ProposalId>,
    #[serde(default)]
    pub approved: String,
    /// What it asks of people, for who looks over access and reads nothing of the client.
    #[serde(default)]
    pub needs: Vec<Need>,
}

/// What one kind of action needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub kind: String,
    /// The kind in words.
    pub what: String,
    pub approvals: u8,
    /// Groups of which each wants an approval of its own, with who is in them.
    pub groups: BTreeMap<String, BTreeSet<PersonId>>,
}

impl PolicyMark {
    /// Of a client whose policy nobody changed.
    pub fn first(tenant: TenantId) -> Self {
        Self { tenant, version: 0, made_by: None, approved: String::new(), needs: vec![] }
    }
}

impl Record for PolicyMark {
    const KIND: &'static str = "policy-mark";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.tenant.to_string()
    }

    fn revision(&self) -> u64 {
        self.version.into()
    }
}

/// How often a lost race is looked at again.
const ATTEMPTS: usize = 4;

/// Writes down that this version stood; a lower one changes nothing, and of the same only what was not known is taken.
pub async fn raise(store: &Store<'_, DeploymentPlace>, mark: PolicyMark) -> Result<(), StoreError> {
    let mut lost = StoreError::Refused { refused: vec![] };
    for _ in 0..ATTEMPTS {
        let held: Option<Held<PolicyMark>> = store.read(DeploymentPlace::Directory, &mark.key()).await?;
        let says_more = |held: &PolicyMark| held.version == mark.version && held.approved.is_empty() && !mark.approved.is_empty();
        if held.as_ref().is_some_and(|held| held.value.version >= mark.version && !says_more(&held.value)) {
            return Ok(());
        }
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.put(mark.clone(), held.map(|held| held.etag));
        match batch.commit().await {
            Err(error) if error.is_conflict() => lost = error,
            other => return other,
        }
    }
    Err(lost)
}
