//! I5, held in every story: while the product runs (a page, a form, a webhook, a message, a sweep), each batch that changes
//! what people rely on carries an audit item.
//!
//! What a story writes itself, for itself or as an insider, is not judged. Each kind of record stands in one of three lists, so
//! a new one is thought about: one that stands in none is a fault.

use std::collections::BTreeSet;

use assay::platform::ports::{Op, Partition};

/// Kinds of record that people rely on.
const RELIED_ON: [&str; 20] = [
    "access-review",
    "anchors-lock",
    "certificate",
    "company",
    "connection",
    "decision",
    "delegation",
    "demoted",
    "evidence",
    "former-vault-keys",
    "grant",
    "metered-month",
    "objective",
    "person",
    "policy",
    "proposal",
    "quarantined",
    "switched-off",
    "tenant",
    "usage-event",
];

/// The same, of which only the making is judged: what is left to delete of raw bytes is counted down, what a client lends is
/// counted once a quarter, and who asked to be let in and got no answer in time is forgotten.
const ONCE_MADE: [&str; 3] = ["asking", "destroyed", "sharing"];

/// Kinds that change without an item: another record says the same, or nobody relies on them.
const NOT_RELIED_ON: [&str; 65] = [
    // The log's own records, and what follows from it or watches it.
    "anchored",
    "appended",
    "audit",
    "entry",
    "followed",
    "head",
    "log-alarm",
    "log-key",
    "logs-looked",
    "moved",
    "placed",
    "published",
    "witnessed",
    // How far a log was followed, and what was found there: made anew from the log. Findings are events of their own.
    "access-followed",
    "access-told",
    "epoch-mark",
    "evidence-followed",
    "evidence-revisions",
    "marks-followed",
    "policy-alarm",
    "policy-sought",
    "ran-followed",
    "ran-week",
    "sampled",
    // Made anew from evidence and log.
    "figures",
    "known",
    "standing",
    "topic",
    // Marks by which a proposal is found: the proposal says the same.
    "approved",
    "open",
    "review",
    "undoable",
    // That an operation ran, once: written with the proposal, or with another one's run.
    "ran",
    // That a client's log heard of its end, once: written with that item.
    "ending",
    // That a message is to be sent, is sent, or was tried; the notice and the decision are events.
    "channel",
    "last-failure",
    "notified",
    "pace",
    "posting",
    "send",
    // Messages that were buried, with a page of their own.
    "dead-letter",
    // That a run runs, how far it came, and what it met: what it took in, the evidence batch says.
    "lease",
    "pull",
    "pull-lines",
    "unlisted",
    // Deliveries and whose a vendor's record is: what became of them, the evidence batch says.
    "delivery",
    "owner",
    "seen",
    "waiting",
    // Requests that were refused and what is told of them; counted, and an alert's beginning is an event.
    "alert",
    "refusal",
    "reject",
    "unreadable",
    // The sign-in's event says that; the time of use moves alone.
    "last-sign-in",
    "session",
    // That a form or a sign-in's answer is used up.
    "spent",
    // Keys: the sweep tells every difference, so what an operator's command or another instance changed is told too; that a
    // form named a key, or that memories are to be emptied, the change of the key says; uses are told by the day.
    "data-key",
    "key-state",
    "key-used",
    "keys-changed",
    "vault-key",
    // How often the vault was looked at: the certificate says that; its steps have stories of their own.
    "offboarding",
    // How high a version of the policy stood: its change says that.
    "policy-mark",
    // That readers of a place are to read it anew.
    "stamp",
    // That an installation is the demo.
    "demo",
];

/// Every kind of record that the product writes.
pub fn kinds() -> BTreeSet<&'static str> {
    [&RELIED_ON[..], &ONCE_MADE, &NOT_RELIED_ON].concat().into_iter().collect()
}

/// Whether people rely on what records of this kind say.
pub fn is_relied_on(kind: &str) -> bool {
    RELIED_ON.contains(&kind) || ONCE_MADE.contains(&kind)
}

/// What is wrong with this batch, in words.
pub fn fault(partition: &Partition, ops: &[Op]) -> Option<String> {
    // What is sealed again is replaced as it was, and nothing else is: so a change that replaces alone is not judged here.
    if ops.iter().all(|op| matches!(op, Op::Replace { .. })) {
        return None;
    }
    let kind = |op: &Op| op.id().split_once(':').map_or(op.id(), |(kind, _)| kind).to_owned();
    let kinds: BTreeSet<String> = ops.iter().map(kind).collect();
    let is_listed = |kind: &&String| [&RELIED_ON[..], &ONCE_MADE, &NOT_RELIED_ON].iter().any(|list| list.contains(&kind.as_str()));
    if let Some(unknown) = kinds.iter().find(|kind| !is_listed(kind)) {
        return Some(format!(
            "nobody has said whether people rely on records of the kind {unknown:?}: add it to a list of support/audited.rs"
        ));
    }
    let made: BTreeSet<String> = ops.iter().filter(|op| matches!(op, Op::Create { .. })).map(kind).collect();
    let is_relied_on = |kind: &&String| RELIED_ON.contains(&kind.as_str()) || (ONCE_MADE.contains(&kind.as_str()) && made.contains(*kind));
    let relied_on: Vec<&String> = kinds.iter().filter(is_relied_on).collect();
    (!relied_on.is_empty() && !made.contains("audit"))
        .then(|| format!("a batch changes {relied_on:?} without an audit item; it has {kinds:?} in {}", partition.key()))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use assay::{
        platform::ports::{Container, Op, Partition},
        tenancy::{DeploymentPlace, DeploymentScope, TenantId, directory::Tenant},
    };
    use uuid::Uuid;

    use super::{NOT_RELIED_ON, ONCE_MADE, RELIED_ON, fault};
    use crate::support::{TestApp, clock::START};

    #[test]
    fn a_kind_that_stands_in_no_list_is_a_fault_and_each_of_our_sources_stands_in_one() {
        let partition = Partition::reserved_for_tenancy(Container::Deployment, "somewhere".to_owned());
        let op = |kind: &str| Op::Delete { id: format!("{kind}:1"), if_match: None };
        assert_eq!(fault(&partition, &[op("lease")]), None);
        assert!(fault(&partition, &[op("lease"), op("verdict")]).unwrap().contains("the kind \"verdict\""));

        let listed = [&RELIED_ON[..], &ONCE_MADE, &NOT_RELIED_ON].concat();
        assert_eq!(super::kinds().len(), listed.len(), "one stands in two lists");
        let mut ours = BTreeSet::from(["data-key", "moved"].map(str::to_owned));
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("functions")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let source = fs::read_to_string(path).unwrap();
                    let kinds = source.split("const KIND: &'static str = \"").skip(1);
                    ours.extend(kinds.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
                }
            }
        }
        assert_eq!(ours, listed.iter().map(|kind| (*kind).to_owned()).collect());
    }

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
