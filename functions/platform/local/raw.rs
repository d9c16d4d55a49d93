//! Raw blobs in the redb file: bytes written once; and blobs that grow, an entry for each append, with who holds them.
//!
//! What is decided here is what Azure Storage decides about append blobs and leases, in its order: first the lease, then the
//! place. A lease is a row with its end, so it outlives this process and ends by the clock alone.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};
use time::OffsetDateTime;

use crate::platform::ports::{LeaseId, MAX_APPENDS};

/// Name -> bytes; none for a blob that grows.
pub(super) const RAW: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("raw");
/// (name, place in the blob) -> (how many appends there are with this one, its bytes). A blob that grows has at least one
/// entry; a first one of nothing stands for no append yet.
const BLOCKS: TableDefinition<'_, (&str, u64), (u32, &[u8])> = TableDefinition::new("blocks");
/// Name -> (who holds it, until when in milliseconds since 1970, for how many seconds).
const LEASES: TableDefinition<'_, &str, (u128, i64, u8)> = TableDefinition::new("leases");

pub(super) enum RawChange {
    Create {
        bytes: Bytes,
    },
    /// Only where bytes with this etag stand, or nothing.
    Replace {
        bytes: Bytes,
        if_match: Option<String>,
    },
    Delete {
        now: OffsetDateTime,
    },
    Append {
        at: u64,
        bytes: Bytes,
        lease: Option<LeaseId>,
        now: OffsetDateTime,
    },
    Lease {
        lease: LeaseId,
        seconds: u8,
        now: OffsetDateTime,
    },
    Renew {
        lease: LeaseId,
        now: OffsetDateTime,
    },
    Release {
        lease: LeaseId,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RawOutcome {
    Done,
    /// It is there already, or is not there to be deleted.
    Unchanged,
    /// The blob is this long.
    Moved(u64),
    NotHeld,
    Full,
    /// The blob was created whole.
    Whole,
}

/// The blob's bytes, however it came to them.
pub(super) fn read(transaction: &ReadTransaction, name: &str) -> Result<Option<Bytes>, redb::Error> {
    let (raw, blocks) = (transaction.open_table(RAW)?, transaction.open_table(BLOCKS)?);
    let Some(whole) = raw.get(name)? else { return Ok(None) };
    let mut bytes = whole.value().to_vec();
    for row in blocks.range((name, 0)..=(name, u64::MAX))? {
        bytes.extend_from_slice(row?.1.value().1);
    }
    Ok(Some(bytes.into()))
}

/// What stands for these bytes where they may be replaced: theirs alone, so the same bytes have the same one again.
pub(super) fn etag(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
}

pub(super) struct RawTables<'t> {
    raw: Table<'t, &'static str, &'static [u8]>,
    blocks: Table<'t, (&'static str, u64), (u32, &'static [u8])>,
    leases: Table<'t, &'static str, (u128, i64, u8)>,
}

impl<'t> RawTables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self { raw: transaction.open_table(RAW)?, blocks: transaction.open_table(BLOCKS)?, leases: transaction.open_table(LEASES)? })
    }

    pub(super) fn change(&mut self, name: &str, change: &RawChange) -> Result<RawOutcome, redb::Error> {
        match change {
            RawChange::Create { bytes } => self.create(name, bytes),
            RawChange::Replace { bytes, if_match } => self.replace(name, bytes, if_match.as_deref()),
            RawChange::Delete { now } => self.delete(name, *now),
            RawChange::Append { at, bytes, lease, now } => self.append(name, *at, bytes, *lease, *now),
            RawChange::Lease { lease, seconds, now } => self.lease(name, *lease, *seconds, *now),
            RawChange::Renew { lease, now } => self.renew(name, *lease, *now),
            RawChange::Release { lease } => self.release(name, *lease),
        }
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> Result<RawOutcome, redb::Error> {
        if self.is_there(name)? {
            return Ok(RawOutcome::Unchanged);
        }
        self.raw.insert(name, bytes)?;
        Ok(RawOutcome::Done)
    }

    fn replace(&mut self, name: &str, bytes: &[u8], if_match: Option<&str>) -> Result<RawOutcome, redb::Error> {
        let there = self.raw.get(name)?.map(|held| etag(held.value()));
        if there.as_deref() != if_match {
            return Ok(RawOutcome::Unchanged);
        }
        self.raw.insert(name, bytes)?;
        Ok(RawOutcome::Done)
    }

    fn delete(&mut self, name: &str, now: OffsetDateTime) -> Result<RawOutcome, redb::Error> {
        if !self.may_change(name, None, now)? {
            return Ok(RawOutcome::NotHeld);
        }
        if self.raw.remove(name)?.is_none() {
            return Ok(RawOutcome::Unchanged);
        }
        self.blocks.retain_in((name, 0)..=(name, u64::MAX), |_, _| false)?;
        self.leases.remove(name)?;
        Ok(RawOutcome::Done)
    }

    fn append(
        &mut self,
        name: &str,
        at: u64,
        bytes: &[u8],
        lease: Option<LeaseId>,
        now: OffsetDateTime,
    ) -> Result<RawOutcome, redb::Error> {
        if !self.may_change(name, lease, now)? {
            return Ok(RawOutcome::NotHeld);
        }
        let is_there = self.is_there(name)?;
        let (appends, length) = match self.last(name)? {
            Some(last) => last,
            None if is_there => return Ok(RawOutcome::Whole),
            None => (0, 0),
        };
        if length != at {
            return Ok(if self.stands(name, at, bytes)? { RawOutcome::Done } else { RawOutcome::Moved(length) });
        }
        if appends >= MAX_APPENDS {
            return Ok(RawOutcome::Full);
        }
        if !is_there {
            self.raw.insert(name, &[][..])?;
        }
        self.blocks.insert((name, at), (appends + 1, bytes))?;
        if lease.is_none() {
            // One that has ended cannot be renewed after a change.
            self.leases.remove(name)?;
        }
        Ok(RawOutcome::Done)
    }

    fn lease(&mut self, name: &str, lease: LeaseId, seconds: u8, now: OffsetDateTime) -> Result<RawOutcome, redb::Error> {
        if self.holder(name, now)?.is_some_and(|holder| holder != lease) {
            return Ok(RawOutcome::NotHeld);
        }
        if !self.is_there(name)? {
            self.raw.insert(name, &[][..])?;
            self.blocks.insert((name, 0), (0, &[][..]))?;
        }
        self.leases.insert(name, (lease.0.as_u128(), millis(now) + i64::from(seconds) * 1000, seconds))?;
        Ok(RawOutcome::Done)
    }

    fn renew(&mut self, name: &str, lease: LeaseId, now: OffsetDateTime) -> Result<RawOutcome, redb::Error> {
        let held = self.leases.get(name)?.map(|held| held.value());
        match held {
            Some((holder, _, seconds)) if holder == lease.0.as_u128() => self.lease(name, lease, seconds, now),
            _ => Ok(RawOutcome::NotHeld),
        }
    }

    fn release(&mut self, name: &str, lease: LeaseId) -> Result<RawOutcome, redb::Error> {
        let holder = self.leases.get(name)?.map(|held| held.value().0);
        if holder != Some(lease.0.as_u128()) {
            return Ok(RawOutcome::NotHeld);
        }
        self.leases.remove(name)?;
        Ok(RawOutcome::Done)
    }

    fn is_there(&self, name: &str) -> Result<bool, redb::Error> {
        Ok(self.raw.get(name)?.is_some())
    }

    fn holder(&self, name: &str, now: OffsetDateTime) -> Result<Option<LeaseId>, redb::Error> {
        let held = self.leases.get(name)?.map(|held| held.value());
        Ok(held.filter(|(_, until, _)| *until > millis(now)).map(|(holder, ..)| LeaseId(uuid::Uuid::from_u128(holder))))
    }

    /// Whoever holds it may change it and nobody else; when nobody does, whoever does not claim to.
    fn may_change(&self, name: &str, lease: Option<LeaseId>, now: OffsetDateTime) -> Result<bool, redb::Error> {
        Ok(self.holder(name, now)? == lease)
    }

    /// How many appends there were, and how long the blob is with them; `None` when it does not grow.
    fn last(&self, name: &str) -> Result<Option<(u32, u64)>, redb::Error> {
        let last = self.blocks.range((name, 0)..=(name, u64::MAX))?.next_back().transpose()?;
        Ok(last.map(|(key, block)| (block.value().0, key.value().1 + block.value().1.len() as u64)))
    }

    /// Whether an earlier try of the same append came through.
    fn stands(&self, name: &str, mut at: u64, mut bytes: &[u8]) -> Result<bool, redb::Error> {
        for row in self.blocks.range((name, at)..=(name, u64::MAX))? {
            let (key, block) = row?;
            let (place, (_, held)) = (key.value().1, block.value());
            if place != at || bytes.len() <= held.len() {
                return Ok(place == at && held.starts_with(bytes));
            }
            let Some(more) = bytes.strip_prefix(held) else { return Ok(false) };
            (at, bytes) = (at + held.len() as u64, more);
        }
        Ok(false)
    }
}

fn millis(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
