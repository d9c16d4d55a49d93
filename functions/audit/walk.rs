//! A walk over an owner's log as it stands, for who follows it: one entry after the other, a round trip for each hundred.
//!
//! How long the log is say its entries. They are created and never changed or taken away; a head says it too, but may lag
//! behind after a crash, and whoever can write the database can put an older one back. An entry that is not where the next
//! one belongs ends the walk; whether that is the end of the log, the checkpoint tells, which lies elsewhere ([`published`]).

use super::{
    entry::{self, Entry},
    tiles,
    tlog::Checkpoint,
};
use crate::{
    app::App,
    platform::ports::{BlobContainer, PortError, PortErrorKind},
    tenancy::{Place, Store, StoreError, keys::Owner},
};

/// Entries in memory at once.
const GROUP: u64 = 100;

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The first entry that it did not see.
    pub next: u64,
    /// That entry is not there.
    pub ended: bool,
}

/// Shows `each` the entries from `from` on, `most` of them at most.
pub async fn walk<P: Place>(store: &Store<'_, P>, from: u64, most: u64, mut each: impl FnMut(&Entry)) -> Result<Walked, StoreError> {
    let to = from.saturating_add(most);
    let mut next = from;
    while next < to {
        let end = (next - next % GROUP).saturating_add(GROUP).min(to);
        for entry in entry::range(store, next, end).await? {
            if entry.seq != next {
                return Ok(Walked { next, ended: true });
            }
            each(&entry);
            next += 1;
        }
        if next < end {
            return Ok(Walked { next, ended: true });
        }
    }
    Ok(Walked { next, ended: false })
}

/// How many entries the published checkpoint counts: the log has as many at least.
pub async fn published(app: &App, owner: Owner) -> Result<u64, StoreError> {
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(0) };
    let checkpoint = Checkpoint::parse_note(&note);
    Ok(checkpoint.ok_or_else(|| PortError::new("the log's checkpoint", PortErrorKind::Unreadable))?.size)
}
