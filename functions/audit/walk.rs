//! A walk over an owner's log as it stands, for who follows it: one entry after the other, a round trip for each hundred.
//!
//! How long the log is say its entries. A head says it too, but may lag behind after a crash, and whoever can write the
//! database can put an older one back; entries nobody's role lets them change or take away. One that is not where the next
//! belongs ends the walk. Whether that is the end of the log, the checkpoint tells, which lies elsewhere ([`published`]);
//! its signatures are verified by who verifies the log, here its size can only make somebody wait. What was placed after it,
//! within a minute, is missed by nobody but who could delete entries too.

use super::{
    entry::{self, Entry, HEAD_KEY},
    publisher::Published,
    tiles,
    tlog::Checkpoint,
};
use crate::{
    platform::ports::{BlobContainer, PortError, PortErrorKind},
    tenancy::{Gathered, Place, Store, StoreError, Wanted, place::AuditPart},
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

impl Walked {
    /// The first entry that it did not see, where the log has so many at least. Asked for again, the entries may be there:
    /// a restore that is under way brings them.
    pub fn reaching(self, length: u64) -> Result<u64, StoreError> {
        if self.ended && self.next < length {
            tracing::error!(entry = self.next, length, "ALARM: an entry of the log is not there");
            let gone = PortError::new(format!("entry {} of the log", self.next), PortErrorKind::Unavailable);
            return Err(gone.advising("the log was longer before: put its entries back, from a backup").into());
        }
        Ok(self.next)
    }
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

/// How many entries the log has at least: as many as were published. Asked for before a walk, which sees more by then.
pub async fn published<P: Place>(store: &Store<'_, P>) -> Result<u64, StoreError> {
    let found = store.gather(P::audit(AuditPart::Head), vec![wanted()]).await?;
    published_among(store, &found).await
}

/// For who reads more beside the log's head in one round trip; then [`published_among`].
pub fn wanted() -> Wanted {
    Wanted::one::<Published>(HEAD_KEY)
}

pub async fn published_among<P: Place>(store: &Store<'_, P>, found: &Gathered<'_, '_, P>) -> Result<u64, StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let known = found.one::<Published>(HEAD_KEY).await?.map_or(0, |held| held.value.tree.size());
    let Some(note) = app.blobs.read(BlobContainer::Log, &tiles::name(owner, tiles::CHECKPOINT)).await? else { return Ok(known) };
    let checkpoint = Checkpoint::parse_note(&note);
    let checkpoint = checkpoint.ok_or_else(|| PortError::new("the log's checkpoint", PortErrorKind::Unreadable))?;
    Ok(known.max(checkpoint.size))
}
