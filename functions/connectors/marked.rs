//! A message that carries a CUI marking: what is kept of it, and what becomes of our copy of its bytes.
//!
//! Where no CUI may lie ([`DataBoundary::CommercialNoCui`]) it is looked for before a byte is kept, and what carries one is
//! never stored: only the numbers of the record and its company, hashes, the marking and the time are. Nor is what cannot be
//! read, in which a marking could hide and of which nothing is ever made. A copy that lies there all the same, because it was
//! taken in before the boundary was set or before this release knew its marking, is destroyed when its message is worked off
//! or its record comes again. Elsewhere the copy stays, sealed, until a person has it destroyed.

use super::{
    Connection, Credentials, autotask, body, connectwise_manage,
    delivery::{Delivery, Handling, Outcome, Quarantined},
    event::{self, Judged},
    health::{self, Alarm},
    intake::DeliveryV1,
};
use crate::{
    config::DataBoundary,
    evidence::cui::Marking,
    tenancy::{DeploymentPlace, Store, StoreError, seal::sha256},
};

/// The reason of one whose body has a CUI marking.
pub(super) const MARKED: &str = "cui_marking";

/// Who destroyed it, as the page of records set aside says it.
const BY: &str = "Assay at once, because no CUI may lie here";

/// What the bytes of a delivery are.
pub(super) struct Looked {
    pub judged: Judged,
    /// What is kept of it, if it carries a marking: whatever else is made of it, people must see it and be able to have its
    /// bytes destroyed.
    pub held_back: Option<Quarantined>,
    pub hash: String,
}

pub(super) fn look(connection: &Connection, delivery: &DeliveryV1, raw: &[u8]) -> Looked {
    let hash = sha256(raw);
    let (marking, record, judged) = match body::read(raw) {
        Some(body) => {
            let judged = match &connection.credentials {
                Credentials::ConnectwiseManage { .. } => connectwise_manage::event::judge(&body, raw),
                Credentials::Autotask { webhook_guids, .. } => autotask::event::judge(&body, webhook_guids, delivery.received_at),
            };
            let record = match &connection.credentials {
                Credentials::ConnectwiseManage { .. } => connectwise_manage::event::record_key(&body),
                Credentials::Autotask { .. } => autotask::event::record_key(&body),
            };
            (event::marking(&body), record, judged)
        }
        None => (event::unread(&String::from_utf8_lossy(raw)), None, Judged::Reject { reason: "malformed" }),
    };
    Looked { held_back: marking.map(|marking| held_back(marking, record, &judged, delivery, &hash)), judged, hash }
}

fn held_back(marking: Marking, record: Option<String>, judged: &Judged, delivery: &DeliveryV1, hash: &str) -> Quarantined {
    let (dedupe_key, company) = match judged {
        Judged::Event(event) => (event.dedupe_key.clone(), event.company.clone()),
        Judged::Stale { dedupe_key, .. } | Judged::Ignore { dedupe_key, .. } => (dedupe_key.clone(), None),
        Judged::Reject { .. } | Judged::Hint { .. } => (format!("body:{hash}"), None),
    };
    Quarantined {
        record: record.unwrap_or_else(|| format!("delivery:{}", delivery.delivery.simple())),
        dedupe_key,
        company,
        marking,
        blob: Some(delivery.blob.clone()),
        at: delivery.received_at,
        handling: Handling::default(),
        never_kept: false,
    }
}

/// For a message of which nothing is stored yet: whether nothing may be, because no CUI may lie here and it carries a marking or
/// cannot be read. What people see of it is written down then, so it may be answered.
pub(super) async fn is_not_kept(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    delivery: &DeliveryV1,
    raw: &[u8],
) -> Result<bool, StoreError> {
    if store.app().config.boundary != Some(DataBoundary::CommercialNoCui) {
        return Ok(false);
    }
    let Looked { judged, held_back, .. } = look(connection, delivery, raw);
    let marked = held_back.as_ref().map(|held_back| held_back.record.clone());
    match held_back {
        // The tool's own key is a text of the message, and could carry the marking itself.
        Some(one) => {
            let dedupe_key = sha256(one.dedupe_key.as_bytes());
            Quarantined { blob: None, never_kept: true, dedupe_key, ..one }.save(store, connection.id).await?;
        }
        None if matches!(judged, Judged::Reject { .. }) => {}
        None => return Ok(false),
    }
    let mut record = Delivery::of(delivery);
    put_down(store, connection, judged, &mut record).await?;
    record.dedupe_key = record.dedupe_key.map(|key| sha256(key.as_bytes()));
    record.save(store, connection.id).await?;
    if let Some(marked) = marked {
        Quarantined::purge(store, connection.id, &marked, BY, |_| true).await?;
    }
    Ok(true)
}

/// Says of a message that is not taken as evidence why not.
pub(super) async fn put_down(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    judged: Judged,
    record: &mut Delivery,
) -> Result<(), StoreError> {
    let (outcome, reason, dedupe_key) = match judged {
        Judged::Event(event) => (Outcome::Quarantined, MARKED, Some(event.dedupe_key)),
        Judged::Reject { reason } => (Outcome::Reject, reason, None),
        Judged::Stale { reason, dedupe_key } => (Outcome::Stale, reason, Some(dedupe_key)),
        Judged::Ignore { reason, dedupe_key } => (Outcome::Ignore, reason, Some(dedupe_key)),
        Judged::Hint { reason } => {
            health::alarm(store, Some(connection.id), Alarm::DeactivationNotice, reason).await?;
            (Outcome::HintOnly, reason, None)
        }
    };
    (record.outcome, record.reason, record.dedupe_key) = (outcome, Some(reason.into()), dedupe_key);
    Ok(())
}

/// Where no CUI may lie, the copy that lies there all the same is destroyed.
pub(super) async fn destroy_copy(
    store: &Store<'_, DeploymentPlace>,
    connection: &Connection,
    record: &str,
    blob: &String,
) -> Result<(), StoreError> {
    if store.app().config.boundary != Some(DataBoundary::CommercialNoCui) {
        return Ok(());
    }
    Quarantined::purge(store, connection.id, record, BY, |one| one.copies().any(|copy| copy == blob)).await
}

/// The same, where only the bytes are known.
pub(super) async fn no_cui_stays(store: &Store<'_, DeploymentPlace>, connection: &Connection, blob: &String) -> Result<(), StoreError> {
    for one in Quarantined::each(store, connection.id).await?.0 {
        if one.copies().any(|copy| copy == blob) {
            destroy_copy(store, connection, &one.record, blob).await?;
        }
    }
    Ok(())
}

/// Whether these bytes were held back, and destroyed since.
pub(super) async fn was_destroyed(store: &Store<'_, DeploymentPlace>, connection: &Connection, blob: &String) -> Result<bool, StoreError> {
    Ok(Quarantined::each(store, connection.id).await?.0.iter().any(|one| one.blob.as_ref() == Some(blob)))
}
