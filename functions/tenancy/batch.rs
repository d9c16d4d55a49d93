//! `Batch`: changes of one place that happen together or not at all.
//!
//! Sealed when they are written, not before: only then does an owner need a key. A place may have a stamp, which every
//! batch renews that touches a kind its readers keep in memory ([`Place::kept`]): who reads the stamp knows whether what
//! is remembered still holds. Nobody but `commit` writes it, so no writer can forget it.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::TryFutureExt as _;
use serde::{Deserialize, Serialize};

use super::{Held, Place, Record, Store, StoreError, store::id_of};
use crate::platform::ports::{BatchOutcome, Etag, Op, OpStatus, PortError, PortErrorKind};

pub struct Batch<'s, 'a, P> {
    store: &'s Store<'a, P>,
    place: P,
    changes: Vec<Change>,
    /// The first record that has no form; reported by `commit`, so that building a batch reads as a list of changes.
    error: Option<StoreError>,
}

enum Change {
    Create(Plain),
    Replace(Plain, Etag),
    Delete(String, Option<Etag>),
    /// As it is, for what is no sealed record.
    Plainly(Op),
}

/// A record before it is sealed.
pub(super) struct Plain {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) schema: u32,
    pub(super) revision: u64,
    pub(super) bytes: Vec<u8>,
}

impl Plain {
    fn of<T: Record>(record: &T) -> Result<Self, StoreError> {
        let id = id_of::<T>(&record.key());
        match serde_json::to_vec(record) {
            Ok(bytes) => Ok(Self { id, kind: T::KIND, schema: T::SCHEMA, revision: record.revision(), bytes }),
            Err(source) => Err(StoreError::Shape { document: id, source: Arc::new(source) }),
        }
    }
}

impl Change {
    fn id(&self) -> &str {
        match self {
            Self::Create(plain) | Self::Replace(plain, _) => &plain.id,
            Self::Delete(id, _) => id,
            Self::Plainly(op) => op.id(),
        }
    }
}

impl<'s, 'a, P: Place> Batch<'s, 'a, P> {
    pub(super) fn new(store: &'s Store<'a, P>, place: P) -> Self {
        Self { store, place, changes: Vec::new(), error: None }
    }

    pub fn store(&self) -> &'s Store<'a, P> {
        self.store
    }

    pub fn place(&self) -> P {
        self.place
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub fn create<T: Record>(&mut self, record: &T) -> &mut Self {
        let plain = self.plain(record);
        self.changes.extend(plain.map(Change::Create));
        self
    }

    /// Replaces what was read, if nobody wrote it since.
    pub fn replace<T: Record>(&mut self, held: &Held<T>) -> &mut Self {
        let plain = self.plain(&held.value);
        self.changes.extend(plain.map(|plain| Change::Replace(plain, held.etag.clone())));
        self
    }

    /// Creates when there was nothing, replaces when there was.
    pub fn put<T: Record>(&mut self, record: T, etag: Option<Etag>) -> &mut Self {
        match etag {
            Some(etag) => self.replace(&Held { value: record, etag }),
            None => self.create(&record),
        }
    }

    pub fn delete<T: Record>(&mut self, held: &Held<T>) -> &mut Self {
        self.changes.push(Change::Delete(id_of::<T>(&held.value.key()), Some(held.etag.clone())));
        self
    }

    /// Deletes by key what another record of this batch already guards with its etag.
    pub fn remove<T: Record>(&mut self, key: &str) -> &mut Self {
        self.changes.push(Change::Delete(id_of::<T>(key), None));
        self
    }

    pub(super) fn plainly(&mut self, op: Op) -> &mut Self {
        self.changes.push(Change::Plainly(op));
        self
    }

    /// Writes all of it or nothing.
    pub fn commit(self) -> impl Future<Output = Result<(), StoreError>> {
        self.commit_with_etags().map_ok(drop)
    }

    /// The same, with the new etag of each change in order (`None` for a delete), for who writes the same record again.
    pub async fn commit_with_etags(self) -> Result<Vec<Option<Etag>>, StoreError> {
        let Self { store, place, changes, error } = self;
        if let Some(error) = error {
            return Err(error);
        }
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<String> = changes.iter().map(|change| change.id().to_owned()).collect();
        let (key, changed) = (store.key_to_write().await?, changes.len());
        let seals = store.count_seals(changed);
        let mut ops = Vec::with_capacity(changed + 1);
        for change in changes {
            ops.push(match change {
                Change::Create(plain) => Op::Create { body: store.seal(key, place, &plain).await?, id: plain.id },
                Change::Replace(plain, if_match) => Op::Replace { body: store.seal(key, place, &plain).await?, id: plain.id, if_match },
                Change::Delete(id, if_match) => Op::Delete { id, if_match },
                Change::Plainly(op) => op,
            });
        }
        let outcome = if ids.iter().any(|id| place.kept().contains(&kind_of(id))) {
            ids.push(id_of::<Stamp>(STAMP));
            // On the heap: it happens seldom, and is part of every future that writes.
            Box::pin(write_with_stamp(store, place, ops)).await
        } else {
            store.app().documents.batch(&store.partition(place), ops).await.map_err(StoreError::from)
        };
        // Whatever came of it: without an answer it may have been written.
        for kind in ids.iter().map(|id| kind_of(id)).collect::<BTreeSet<_>>() {
            store.app().memory.forget(&store.owner().remembers(place, kind));
        }
        match outcome? {
            BatchOutcome::Committed(mut etags) => {
                store.drop_former_texts(&ids).await;
                if let Some(seals) = seals {
                    Box::pin(store.tell_seals(seals)).await;
                }
                etags.truncate(changed);
                Ok(etags)
            }
            BatchOutcome::Refused(statuses) => {
                let refused: Vec<_> = ids.into_iter().zip(statuses).filter(|(_, status)| *status != OpStatus::FailedDependency).collect();
                match refused.iter().find(|(_, status)| *status == OpStatus::TooLarge) {
                    Some((id, _)) => Err(PortError::new(format!("document {id}"), PortErrorKind::TooLarge).into()),
                    None => Err(StoreError::Refused { refused }),
                }
            }
        }
    }

    fn plain<T: Record>(&mut self, record: &T) -> Option<Plain> {
        Plain::of(record).map_err(|error| self.error.get_or_insert(error)).ok()
    }
}

/// The same batch with the place's stamp anew. Somebody may write the stamp at the same time for another record: only then
/// is it tried again.
async fn write_with_stamp<P: Place>(store: &Store<'_, P>, place: P, ops: Vec<Op>) -> Result<BatchOutcome, StoreError> {
    const ATTEMPTS: usize = 4;
    let (partition, plain) = (store.partition(place), Plain::of(&Stamp {})?);
    let mut attempt = 1;
    loop {
        let held = store.read::<Stamp>(place, STAMP).await?;
        let (id, body) = (plain.id.clone(), store.seal(store.key_to_write().await?, place, &plain).await?);
        let stamp = match held {
            Some(held) => Op::Replace { id, body, if_match: held.etag },
            None => Op::Create { id, body },
        };
        let all = ops.iter().cloned().chain([stamp]).collect();
        let outcome = store.app().documents.batch(&partition, all).await?;
        // It stands last, and only the first operation that fails says why: the others could have been written.
        let overtaken = matches!(&outcome, BatchOutcome::Refused(statuses) if statuses.last() != Some(&OpStatus::FailedDependency));
        if !overtaken {
            return Ok(outcome);
        }
        if attempt == ATTEMPTS {
            return Err(PortError::new(
                "the directory, which others change at this moment",
                PortErrorKind::Throttled { retry_after: None },
            )
            .into());
        }
        attempt += 1;
    }
}

fn kind_of(id: &str) -> &str {
    id.split_once(':').map_or(id, |(kind, _)| kind)
}

/// Changes with every batch that touches what readers of its place remember; its etag is what they compare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stamp {}

pub(super) const STAMP: &str = "kept";

impl Record for Stamp {
    const KIND: &'static str = "stamp";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        STAMP.into()
    }
}
