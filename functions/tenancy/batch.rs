//! `Batch`: changes of one place that happen together or not at all.
//!
//! Sealed when they are written, not before: only then does an owner need a key. A place may have a stamp, which every
//! batch renews that touches a kind its readers keep in memory ([`Place::kept`]): who reads the stamp knows whether what
//! is remembered still holds. Nobody but `commit` writes it, so no writer can forget it. The same holds for the tail of
//! what is appended to a place ([`super::tail`]).

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{FutureExt as _, TryFutureExt as _};
use serde::{Deserialize, Serialize};

use super::{
    Held, Place, Record, Store, StoreError,
    store::id_of,
    tail::{Appended, Tail},
};
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
    /// Which kind, and the record once it is known where it stands.
    Append(&'static str, Append),
    /// As it is, for what is no sealed record.
    Plainly(Op),
}

/// The record behind this tail, and the tail behind the record.
type Append = Box<dyn Fn(&Tail) -> Result<(Plain, Tail), StoreError> + Send + Sync>;

/// A change as it goes to the store, as far as it is known before the tail is.
enum Prepared {
    Op(Op),
    Append(Append),
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
    fn kind(&self) -> &str {
        match self {
            Self::Create(plain) | Self::Replace(plain, _) => plain.kind,
            Self::Delete(id, _) => kind_of(id),
            Self::Append(kind, _) => kind,
            Self::Plainly(op) => kind_of(op.id()),
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

    /// Deletes by key what another record of this batch already guards with its etag. That it is gone already is as good: the
    /// rest of the batch is written.
    pub fn remove<T: Record>(&mut self, key: &str) -> &mut Self {
        self.changes.push(Change::Delete(id_of::<T>(key), None));
        self
    }

    /// Creates a record behind all others that were appended to this place. It gets its number when the batch is written.
    pub fn append<T: Appended>(&mut self, record: &T) -> &mut Self {
        let record = record.clone();
        let append = move |tail: &Tail| {
            let linked = record.linked(tail.next());
            let after = Tail::of(&tail.next(), &linked.mark());
            Ok((Plain::of(&linked)?, after))
        };
        self.changes.push(Change::Append(T::KIND, Box::new(append)));
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

    /// The same for what others may do just now: whether it was written, and not refused because somebody was faster.
    pub fn commit_unless_overtaken(self) -> impl Future<Output = Result<bool, StoreError>> {
        self.commit().map(|outcome| match outcome {
            Err(error) if error.is_conflict() => Ok(false),
            other => other.map(|()| true),
        })
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
        let mut kinds: BTreeSet<String> = changes.iter().map(|change| change.kind().to_owned()).collect();
        let stamped = kinds.iter().any(|kind| place.kept().contains(&kind.as_str()));
        let appends = changes.iter().any(|change| matches!(change, Change::Append(..)));
        let (key, changed) = (store.key_to_write().await?, changes.len());
        store.must_stand(place).await?;
        store.note_seals(changed + usize::from(stamped) + usize::from(appends));
        let mut prepared = Vec::with_capacity(changed);
        for change in changes {
            prepared.push(match change {
                Change::Create(plain) => Prepared::Op(Op::Create { body: store.seal(key, place, &plain).await?, id: plain.id }),
                Change::Replace(plain, if_match) => {
                    Prepared::Op(Op::Replace { body: store.seal(key, place, &plain).await?, id: plain.id, if_match })
                }
                Change::Delete(id, if_match) => Prepared::Op(Op::Delete { id, if_match }),
                Change::Append(_, append) => Prepared::Append(append),
                Change::Plainly(op) => Prepared::Op(op),
            });
        }
        let mut absent = Vec::new();
        let written = loop {
            // On the heap: it is part of every future that writes.
            let written = Box::pin(Beside { store, place, stamped, appends }.write(&prepared)).await;
            match written.as_ref().ok().and_then(|(outcome, _)| removed_before(outcome, &prepared)) {
                Some(at) => {
                    prepared.remove(at);
                    absent.push(at);
                }
                None => break written,
            }
        };
        if stamped {
            kinds.insert(Stamp::KIND.into());
        }
        // Whatever came of it: without an answer it may have been written.
        for kind in kinds {
            store.app().memory.forget(&store.owner().remembers(place, &kind));
        }
        let (outcome, ids) = written?;
        match outcome {
            BatchOutcome::Committed(mut etags) => {
                store.drop_former_texts(&ids).await;
                if let Some(seals) = store.take_seals() {
                    Box::pin(store.tell_seals(seals)).await;
                }
                etags.truncate(prepared.len());
                absent.iter().rev().for_each(|at| etags.insert(*at, None));
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

/// What goes with a batch without its writer saying so: the tail of what it appends, and the place's stamp.
struct Beside<'s, 'a, P> {
    store: &'s Store<'a, P>,
    place: P,
    stamped: bool,
    appends: bool,
}

impl<P: Place> Beside<'_, '_, P> {
    /// What came of it, and the ids of the operations in order. Others may write tail or stamp at the same time with a batch
    /// of their own: only then is it tried again.
    async fn write(&self, prepared: &[Prepared]) -> Result<(BatchOutcome, Vec<String>), StoreError> {
        const ATTEMPTS: usize = 16;
        let Self { store, place, .. } = *self;
        if !self.stamped && !self.appends {
            let ops: Vec<Op> = prepared.iter().filter_map(|one| if let Prepared::Op(op) = one { Some(op.clone()) } else { None }).collect();
            let ids = ops.iter().map(|op| op.id().to_owned()).collect();
            return Ok((store.app().documents.batch(&store.partition(place), ops).await?, ids));
        }
        let slot = store.slot(place);
        let (mut attempt, mut turn) = (1, None);
        loop {
            let known = if self.appends { Some(slot.find(store, place).await?) } else { None };
            let mut tail = known.as_ref().map(|known| known.tail.clone());
            let mut ops = Vec::with_capacity(prepared.len() + 2);
            for one in prepared {
                ops.push(match (one, &mut tail) {
                    (Prepared::Op(op), _) => op.clone(),
                    (Prepared::Append(append), Some(tail)) => {
                        let (plain, after) = append(tail)?;
                        *tail = after;
                        Op::Create { body: store.seal(store.key_to_write().await?, place, &plain).await?, id: plain.id }
                    }
                    (Prepared::Append(_), None) => continue,
                });
            }
            if let (Some(known), Some(tail)) = (&known, &tail) {
                let (id, body) = self.sealed(tail).await?;
                ops.push(known.op(id, body));
            }
            if self.stamped {
                let (id, body) = self.sealed(&Stamp {}).await?;
                ops.push(match store.read::<Stamp>(place, STAMP).await? {
                    Some(held) => Op::Replace { id, body, if_match: held.etag },
                    None => Op::Create { id, body },
                });
            }
            let ids = ops.iter().map(|op| op.id().to_owned()).collect();
            let outcome = match store.app().documents.batch(&store.partition(place), ops).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    if let Some(known) = &known {
                        slot.doubt(known);
                    }
                    return Err(error.into());
                }
            };
            // They stand last, and only the first operation that fails says why: the others could have been written.
            let overtaken = match &outcome {
                BatchOutcome::Committed(etags) => {
                    if let Some(tail) = tail {
                        slot.written(tail, etags.get(prepared.len()).cloned().flatten());
                    }
                    return Ok((outcome, ids));
                }
                BatchOutcome::Refused(statuses) => statuses.iter().position(|status| *status != OpStatus::FailedDependency),
            };
            if overtaken.is_none_or(|at| at < prepared.len()) {
                return Ok((outcome, ids));
            }
            if attempt == ATTEMPTS {
                let what = "a place of the store that many others change at this moment";
                return Err(PortError::new(what, PortErrorKind::Throttled { retry_after: None }).into());
            }
            attempt += 1;
            if let Some(known) = known.filter(|_| overtaken == Some(prepared.len())) {
                slot.doubt(&known);
                if turn.is_none() {
                    turn = Some(slot.turn.lock().await);
                }
            }
        }
    }

    async fn sealed<T: Record>(&self, record: &T) -> Result<(String, serde_json::Value), StoreError> {
        let plain = Plain::of(record)?;
        let body = self.store.seal(self.store.key_to_write().await?, self.place, &plain).await?;
        Ok((plain.id, body))
    }
}

/// Which change was refused because what it deletes by key is not there, if it was that.
fn removed_before(outcome: &BatchOutcome, prepared: &[Prepared]) -> Option<usize> {
    let BatchOutcome::Refused(statuses) = outcome else { return None };
    let at = statuses.iter().position(|status| *status != OpStatus::FailedDependency)?;
    let is_removal = matches!(prepared.get(at), Some(Prepared::Op(Op::Delete { if_match: None, .. })));
    (is_removal && statuses[at] == OpStatus::NotFound).then_some(at)
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
