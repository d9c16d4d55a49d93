//! I5, held in every story: while the product runs (a page, a form, a webhook, a message, a sweep), each batch that changes
//! what people rely on carries an audit item.
//!
//! What a story writes itself, for itself or as an insider, is not judged. Not listed, because nobody relies on them and
//! another record says the same: marks (`open`, `approved`, `undoable`, `review`: the proposal), `send` and `lease` and
//! `seen` (that a message is sent, a run runs, a delivery came), `session` and `last-sign-in` (the sign-in's event; the time
//! of use moves alone), `standing`, `topic`, `figures` and `known` (made anew from evidence and log), `owner` and `waiting`
//! (whose a vendor's record is: the evidence batch says that), `vault-key` (that a form named a key: the change of the key
//! record says that), `policy-mark` (how high a version stood: its change says that), and the records of the log itself.

use std::collections::BTreeSet;

use assay::platform::ports::{Op, Partition};

/// Kinds of record that people rely on.
const RELIED_ON: [&str; 21] = [
    "access-review",
    "asking",
    "certificate",
    "company",
    "connection",
    "data-key",
    "decision",
    "delegation",
    "demoted",
    "destroyed",
    "evidence",
    "former-vault-keys",
    "grant",
    "objective",
    "person",
    "policy",
    "proposal",
    "quarantined",
    "sharing",
    "switched-off",
    "tenant",
];

/// What is wrong with this batch, in words.
pub fn fault(partition: &Partition, ops: &[Op]) -> Option<String> {
    let kinds: BTreeSet<&str> = ops.iter().map(|op| op.id().split_once(':').map_or(op.id(), |(kind, _)| kind)).collect();
    let relied_on: Vec<&&str> = kinds.iter().filter(|kind| RELIED_ON.contains(kind)).collect();
    let is_told = ops.iter().any(|op| matches!(op, Op::Create { id, .. } if id.starts_with("audit:")));
    (!relied_on.is_empty() && !is_told)
        .then(|| format!("a batch changes {relied_on:?} without an audit item; it has {kinds:?} in {}", partition.key()))
}

#[cfg(test)]
mod tests {
    use assay::tenancy::{DeploymentPlace, DeploymentScope, TenantId, directory::Tenant};
    use uuid::Uuid;

    use crate::support::{TestApp, clock::START};

    /// I5: the judge itself.
    #[tokio::test]
    #[should_panic(expected = "a batch changes [\"tenant\"] without an audit item")]
    async fn a_batch_that_changes_what_people_rely_on_and_says_nothing_ends_the_story() {
        let test = TestApp::new();
        let store = DeploymentScope::of_function("story", "c").store(test.app()).await.unwrap();
        let add = async |n| {
            let mut batch = store.batch(DeploymentPlace::Directory);
            batch.create(&Tenant { id: TenantId(Uuid::from_u128(n)), name: "Harbor Precision".into(), created_at: START });
            batch.commit().await.unwrap();
        };
        // What a story writes itself is its own.
        add(1).await;
        test.faults.product(add(2)).await;
    }
}
