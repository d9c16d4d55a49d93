//! I5, held in every story: while the product runs (a page, a form, a webhook, a message, a sweep), each batch that changes
//! what people rely on carries an audit item.
//!
//! What a story writes itself, for itself or as an insider, is not judged. Not listed, because another record says the same
//! and nobody relies on them: marks (`open`, `approved`, `undoable`, `review`: the proposal); `send`, `lease` and `seen`
//! (that a message is sent, a run runs, a delivery came); `session` and `last-sign-in` (the sign-in's event; the time of use
//! moves alone); `standing`, `topic`, `figures` and `known` (made anew from evidence and log); `owner` and `waiting` (whose a
//! vendor's record is: the evidence batch says that); `data-key` and `key-state` (the sweep tells every difference between
//! them, so what an operator's command or another instance changed is told too); `vault-key` (that a form named a key: the
//! change of the key says that); `offboarding` (how often the vault was looked at: the certificate says that; its steps have
//! stories of their own); `policy-mark` (how high a version stood: its change says that); and the records of the log itself.

use std::collections::BTreeSet;

use assay::platform::ports::{Op, Partition};

/// Kinds of record that people rely on.
const RELIED_ON: [&str; 17] = [
    "access-review",
    "certificate",
    "company",
    "connection",
    "decision",
    "delegation",
    "demoted",
    "evidence",
    "former-vault-keys",
    "grant",
    "objective",
    "person",
    "policy",
    "proposal",
    "quarantined",
    "switched-off",
    "tenant",
];

/// The same, of which only the making is judged: what is left to delete of raw bytes is counted down, what a client lends is
/// counted once a quarter, and who asked to be let in and got no answer in time is forgotten.
const ONCE_MADE: [&str; 3] = ["asking", "destroyed", "sharing"];

/// What is wrong with this batch, in words.
pub fn fault(partition: &Partition, ops: &[Op]) -> Option<String> {
    let kind = |op: &Op| op.id().split_once(':').map_or(op.id(), |(kind, _)| kind).to_owned();
    let kinds: BTreeSet<String> = ops.iter().map(kind).collect();
    let made: BTreeSet<String> = ops.iter().filter(|op| matches!(op, Op::Create { .. })).map(kind).collect();
    let is_relied_on = |kind: &&String| RELIED_ON.contains(&kind.as_str()) || (ONCE_MADE.contains(&kind.as_str()) && made.contains(*kind));
    let relied_on: Vec<&String> = kinds.iter().filter(is_relied_on).collect();
    (!relied_on.is_empty() && !made.contains("audit"))
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
