//! One entry of a log with all that proves it: its exact bytes, what it commits to, and its way to the newest checkpoint.
//!
//! Nothing here judges. Whoever reads it makes the hashes again: the record's page in the browser, `assay verify` offline.

use serde::{Deserialize, Serialize};

use super::{
    chain::Hash,
    entry::{Entry, entry_key, part_of},
    tiles,
    tlog::{Checkpoint, merkle, proof::Plan, record_proof::RecordProof},
    trail::Shown,
};
use crate::{
    platform::ports::BlobContainer,
    tenancy::{Place, Store, StoreError},
};

/// What a person takes along beside the `.tlog-proof`: the entry's bytes and what opens its commitment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    pub index: u64,
    /// Exact bytes as a string.
    pub leaf: String,
    pub salt: Hash,
    /// Exact bytes as a string: JSON with who acted, and the detail.
    pub content: String,
}

#[derive(Clone, Debug)]
pub struct Proven {
    pub shown: Shown,
    pub opened: Opened,
    /// RFC 6962 2.1: SHA-256 over 0x00 and the leaf.
    pub leaf_hash: Hash,
    pub stands: Stands,
}

#[derive(Clone, Debug)]
pub enum Stands {
    /// In this checkpoint.
    In { checkpoint: Checkpoint, proof: RecordProof },
    /// The newest checkpoint was made before it: the next comes within a minute.
    NotYet,
    /// The published log lacks what a proof is made of.
    Broken(String),
}

/// `None` when the log has no such entry.
pub async fn read<P: Place>(store: &Store<'_, P>, index: u64) -> Result<Option<Proven>, StoreError> {
    let Some(entry) = store.read::<Entry>(part_of(index), &entry_key(index)).await? else { return Ok(None) };
    let Entry { seq, leaf, salt, content, .. } = entry.value.clone();
    let stands = stands(store, index).await?;
    Ok(Some(Proven {
        shown: Shown::of_entry(entry.value)?,
        leaf_hash: merkle::leaf(leaf.as_bytes()),
        opened: Opened { index: seq, leaf, salt, content },
        stands,
    }))
}

async fn stands<P: Place>(store: &Store<'_, P>, index: u64) -> Result<Stands, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else {
        return Ok(Stands::NotYet);
    };
    let (Some(checkpoint), Ok(text)) = (Checkpoint::parse_note(&note), String::from_utf8(note.to_vec())) else {
        return Ok(Stands::Broken("the checkpoint that is published is in no form that this release knows".into()));
    };
    let Some(plan) = Plan::inclusion(index, checkpoint.size) else { return Ok(Stands::NotYet) };
    Ok(match tiles::carry_out(app, owner, &plan).await? {
        Some(hashes) => Stands::In { proof: RecordProof { index, hashes, checkpoint: text }, checkpoint },
        None => Stands::Broken("a tile of the published log is not there, or is damaged".into()),
    })
}
