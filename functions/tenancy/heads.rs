//! Heads: what stands beside a log's entries and is written again and again lies in a container of its own, so that among
//! the entries nothing is ever replaced or deleted, and the app needs no right to.
//!
//! Releases before kept it in the entries' container, under the same key ([`AuditPart::FormerHead`]). Each owner's is brought
//! over once, by creates alone: first a bar, on which the sequencer of such a release ends in words; then, once none that
//! began before it can still run, the copies; then the mark that they count. Until the mark stands everybody reads the former
//! place and nobody writes either, so no reader takes a log for a new one. A stop at any call and several processes at
//! once end alike. What stays in the former place is read by nobody.
//!
//! Bar and mark lie where the app deletes nothing: heads that are taken away afterwards are seen to be gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Place, Store, StoreError, batch::Plain, place::AuditPart, seal::SealError};
use crate::{
    config::Config,
    platform::ports::{BatchOutcome, Container, Document, MAX_BATCH_OPS, Op, OpStatus, Page, PortError, PortErrorKind, Query},
};

/// A document that a release before takes for a waiting audit item of a newer one (`audit:`, a schema that it does not know),
/// and first of all: each of its runs begins by reading them.
const BAR: &str = "audit:-heads";
/// That what the container `heads` holds of this owner counts.
const MARK: &str = "moved:log";
pub(super) const MARKS: [&str; 2] = [BAR, MARK];

/// Bytes of one batch of copies: well below what one may hold.
const BATCH_BYTES: usize = 512 * 1024;
/// How much later than its deadline an invocation may still have a call on its way.
const ON_ITS_WAY: Duration = Duration::seconds(30);

pub(super) fn is_mark(id: &str) -> bool {
    MARKS.contains(&id)
}

impl<P: Place> Store<'_, P> {
    /// Where what belongs in this place lies now.
    pub(super) async fn stands(&self, place: P) -> Result<P, StoreError> {
        Ok(if place.container() != Container::Heads || self.is_moved().await? { place } else { P::audit(AuditPart::FormerHead) })
    }

    /// One page of what lies there; and where that is.
    pub(super) async fn query(&self, place: P, query: &Query) -> Result<(P, Page), StoreError> {
        let place = self.stands(place).await?;
        let mut page = self.app().documents.query(&self.partition(place), query).await?;
        if place.container() == Container::Audit {
            page.documents.retain(|document| !is_mark(&document.id));
        }
        Ok((place, page))
    }

    /// Before anything is written in this place.
    pub(super) async fn must_stand(&self, place: P) -> Result<(), StoreError> {
        // Boxed: it happens once for an owner, and is part of every future that writes.
        if place.container() != Container::Heads || Box::pin(self.move_head()).await? {
            return Ok(());
        }
        Err(PortError::new("the head of a log", PortErrorKind::Unavailable).advising(MOVING).into())
    }

    /// Brings the head of this owner's log to where this release keeps it. `false`: a process of the release before may
    /// still be at work on it; a later call goes on.
    pub async fn move_head(&self) -> Result<bool, StoreError> {
        if self.is_moved().await? {
            return Ok(true);
        }
        let (documents, former, now) = (&self.app().documents, self.partition(P::audit(AuditPart::FormerHead)), self.app().now());
        let since = if let Some(bar) = documents.read(&former, BAR).await? {
            since(&bar.body).unwrap_or(now)
        } else {
            // A new log has nothing to bring. A first run of the release before that is under way this very moment ends in an
            // alarm about the head, and harms nothing: entries are only created.
            let is_new = documents.query(&former, &Query { limit: 1, ..Query::prefix("") }).await?.documents.is_empty();
            let ops = if is_new { vec![bar(now), mark(now)] } else { vec![bar(now)] };
            // Refused: another process was faster with the same.
            if let (BatchOutcome::Committed(_), true) = (documents.batch(&former, ops).await?, is_new) {
                return self.is_moved().await;
            }
            now
        };
        if !is_alone(&self.app().config, since, now) {
            return Ok(false);
        }
        self.copy_head().await?;
        let _ = documents.batch(&former, vec![mark(now)]).await?;
        tracing::info!(owner = %self.owner(), "the head of the audit log lies in the container heads now");
        self.is_moved().await
    }

    async fn is_moved(&self) -> Result<bool, StoreError> {
        let known: Arc<AtomicBool> = self.app().memory.slot(&format!("heads/{}", self.owner()));
        if known.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let former = self.partition(P::audit(AuditPart::FormerHead));
        let there = self.app().documents.read(&former, MARK).await?.is_some();
        known.fetch_or(there, Ordering::Relaxed);
        Ok(there)
    }

    /// Whatever is not there yet.
    async fn copy_head(&self) -> Result<(), StoreError> {
        let (former, mut after) = (P::audit(AuditPart::FormerHead), None);
        loop {
            let (_, page) = self.query(former, &Query { after, ..Query::prefix("") }).await?;
            let (mut ops, mut bytes) = (Vec::new(), 0);
            for document in page.documents {
                let body = self.sealed_for_head(former, &document).await?;
                bytes += body["sealed"].as_str().map_or(0, str::len);
                ops.push(Op::Create { id: document.id, body });
                if bytes >= BATCH_BYTES || ops.len() == MAX_BATCH_OPS {
                    self.create_in_head(std::mem::take(&mut ops)).await?;
                    bytes = 0;
                }
            }
            self.create_in_head(ops).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn sealed_for_head(&self, former: P, document: &Document) -> Result<Value, StoreError> {
        let Document { id, body, .. } = document;
        let key = self.key_of_found().await?;
        let bytes = match self.plain(key, former, document).await {
            Ok(Some(bytes)) => bytes,
            // It does not open there: nor will it here, and whoever reads it hears the same as before.
            Ok(None) | Err(StoreError::Sealed { source: SealError::Open | SealError::Form, .. }) => return Ok(body.clone()),
            Err(error) => return Err(error),
        };
        // The former place keeps its text.
        self.forget_text(id);
        let number = |name: &str| body[name].as_u64().unwrap_or_default();
        let schema = u32::try_from(number("schema")).unwrap_or(u32::MAX);
        let plain = Plain { id: id.clone(), kind: "", schema, revision: number("revision"), bytes };
        let mut sealed = self.seal(key, P::audit(AuditPart::Head), &plain).await?;
        sealed["kind"] = body["kind"].clone();
        Ok(sealed)
    }

    /// All at once; one by one where some are there.
    async fn create_in_head(&self, ops: Vec<Op>) -> Result<(), StoreError> {
        if ops.is_empty() {
            return Ok(());
        }
        let head = self.partition(P::audit(AuditPart::Head));
        self.note_seals(ops.len());
        if let BatchOutcome::Committed(_) = self.app().documents.batch(&head, ops.clone()).await? {
            return Ok(());
        }
        for op in ops {
            let id = op.id().to_owned();
            if let BatchOutcome::Refused(statuses) = self.app().documents.batch(&head, vec![op]).await?
                && statuses != [OpStatus::Conflict]
            {
                return Err(StoreError::Refused { refused: statuses.into_iter().map(|status| (id.clone(), status)).collect() });
            }
        }
        Ok(())
    }
}

const MOVING: &str = "after the upgrade it is brought to the container heads as soon as no process of the release before can be at work: within minutes, by itself";

fn bar(now: OffsetDateTime) -> Op {
    let since = now.format(&Rfc3339).unwrap_or_default();
    Op::Create { id: BAR.into(), body: json!({ "schema": u32::MAX, "kind": "audit", "since": since }) }
}

fn mark(now: OffsetDateTime) -> Op {
    Op::Create { id: MARK.into(), body: json!({ "schema": 1, "kind": "moved", "since": now.format(&Rfc3339).unwrap_or_default() }) }
}

fn since(body: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(body["since"].as_str()?, &Rfc3339).ok()
}

/// Whether no invocation can still run that began before the bar stood. A data folder has one process. A clock that was set
/// back must not block for longer.
fn is_alone(config: &Config, since: OffsetDateTime, now: OffsetDateTime) -> bool {
    !config.store_is_made_by_others() || (now - since).abs() > config.deadline + ON_ITS_WAY
}
