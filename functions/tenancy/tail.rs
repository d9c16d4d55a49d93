//! Records that are appended to their place: numbered there without a gap, each bound to the one before it, so that one
//! that is taken away shows.
//!
//! [`Tail`] says how many were appended and which was the last. It is written in the batch of what it counts, and like every
//! record it is sealed under the owner's key and bound to its place: that is the MAC under which number and digest stand. A
//! process remembers the tail that it wrote, so no batch reads for it; who was overtaken by another process reads and
//! numbers anew, one after the other, and the rest of the batch is as it was. A tail that was put back to an earlier state
//! is found by whoever remembers as much or more: the chain goes on from the memory, and the gap shows. Once others have
//! appended more than is remembered, it is theirs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Held, Place, Record, Store, StoreError, keys::Owner, seal::sha256};
use crate::platform::ports::{Etag, Op};

/// Where a record stands among those of its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// From 1.
    pub number: u64,
    /// [`Tail::digest`] before this one.
    pub previous: String,
}

impl Link {
    /// The digest of the record at this link: SHA-256 in hex over number, the digest before and what no other record has.
    pub fn digest(&self, mark: &[u8]) -> String {
        let mut bytes = format!("assay appended 1\n{}\n{}\n", self.number, self.previous).into_bytes();
        bytes.extend_from_slice(mark);
        sha256(&bytes)
    }
}

/// A record that is appended ([`super::Batch::append`]). Its key begins with the number, so that the store lists in order.
pub trait Appended: Record + Clone + 'static {
    #[must_use]
    fn linked(&self, link: Link) -> Self;

    /// `None`: written by a release that did not number.
    fn link(&self) -> Option<&Link>;

    /// Bytes that no other record has, such as a random salt. Of fixed length.
    fn mark(&self) -> Vec<u8>;
}

/// How many records were appended to a place, and the digest of the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    pub number: u64,
    pub digest: String,
}

/// There is one in each place.
pub const TAIL: &str = "all";

impl Record for Tail {
    /// Sorts before the records that it counts: one page of a list holds both.
    const KIND: &'static str = "appended";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        TAIL.into()
    }
}

impl Tail {
    /// Of a place to which nothing was appended yet.
    pub fn start(owner: Owner, place: &impl Place) -> Self {
        Self { number: 0, digest: sha256(format!("assay place 1\n{owner}\n{}\n", place.key()).as_bytes()) }
    }

    pub fn next(&self) -> Link {
        Link { number: self.number + 1, previous: self.digest.clone() }
    }

    /// The tail once a record stands at this link.
    pub fn of(link: &Link, mark: &[u8]) -> Self {
        Self { number: link.number, digest: link.digest(mark) }
    }
}

/// What a process knows of one place's tail.
#[derive(Default)]
pub(super) struct Slot {
    // A std mutex: held for a look, never across an await.
    known: Mutex<Option<Known>>,
    /// Those who were overtaken go one after the other.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) tail: Tail,
    at: At,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    /// To be read again.
    Unknown,
    Nothing,
    Etag(Etag),
}

impl Slot {
    /// The tail to go on from.
    pub(super) async fn find<P: Place>(&self, store: &Store<'_, P>, place: P) -> Result<Known, StoreError> {
        let remembered = self.lock().clone();
        if let Some(known) = remembered.as_ref().filter(|known| known.at != At::Unknown) {
            return Ok(known.clone());
        }
        let found = store.read::<Tail>(place, TAIL).await?;
        Ok(self.learn(store, place, found))
    }

    pub(super) fn is_known(&self) -> bool {
        self.lock().as_ref().is_some_and(|known| known.at != At::Unknown)
    }

    /// What a look at the place found; gives the tail to go on from.
    pub(super) fn learn<P: Place>(&self, store: &Store<'_, P>, place: P, found: Option<Held<Tail>>) -> Known {
        let found = match found {
            Some(held) => Known { tail: held.value, at: At::Etag(held.etag) },
            None => Known { tail: Tail::start(store.owner(), &place), at: At::Nothing },
        };
        let found = match self.lock().clone() {
            // Somebody else looked meanwhile, or wrote.
            Some(known) if known.at != At::Unknown => return known,
            // With as many and another last one, somebody numbered from a count that was put back.
            Some(known) if known.tail.number >= found.tail.number && known.tail != found.tail => {
                tracing::warn!(place = place.key(), "a place counts other audit items than this process wrote; it goes on from memory");
                Known { tail: known.tail, ..found }
            }
            _ => found,
        };
        self.keep(found.clone());
        found
    }

    /// What a batch came to that went on from `used`.
    pub(super) fn written(&self, tail: Tail, etag: Option<Etag>) {
        self.keep(Known { tail, at: etag.map_or(At::Unknown, At::Etag) });
    }

    /// Somebody was faster, or nobody knows whether it was written.
    pub(super) fn doubt(&self, used: &Known) {
        if let Some(known) = self.lock().as_mut().filter(|known| known.at == used.at) {
            known.at = At::Unknown;
        }
    }

    /// Of two that come back in another order than they were written, the later one counts.
    fn keep(&self, found: Known) {
        let mut known = self.lock();
        if known.as_ref().is_none_or(|known| known.tail.number <= found.tail.number) {
            *known = Some(found);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Writes `body` where this was found.
    pub(super) fn op(&self, id: String, body: serde_json::Value) -> Op {
        match &self.at {
            At::Etag(etag) => Op::Replace { id, body, if_match: etag.clone() },
            At::Nothing | At::Unknown => Op::Create { id, body },
        }
    }
}
