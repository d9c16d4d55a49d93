//! An engineer files a document as evidence by hand: a link-out with its name, place, hash and day of approval.
//!
//! The file itself stays with the client (design I12); whoever opens it can compute the hash and compare.

use time::Date;
use uuid::Uuid;

use super::apply;
use crate::{
    audit,
    evidence::{AnalyzeV1, Evidence, Filed, Origin, Population, cui},
    tenancy::{Actor, ClientPlace, Store, StoreError, outbox, seal::sha256},
    web::pages::FieldError,
};

/// What the engineer typed.
#[derive(Clone, Debug)]
pub struct LinkOut {
    /// `Access request policy, version 3`.
    pub name: String,
    /// Where the client would find it.
    pub place: String,
    /// SHA-256 of the file, 64 hex digits.
    pub hash: String,
    pub approved_on: Date,
    /// The form's own id: sent twice, it is filed once.
    pub form: Uuid,
}

impl LinkOut {
    /// Of the record that this form makes.
    pub fn source_key(&self) -> String {
        format!("filed:{}", self.form.simple())
    }
}

/// Longest name or place.
const MAX_CHARS: usize = 300;

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// By the field of the form: `title`, `place`, `sha256` or `approved_on`.
    #[error("the form is not in order")]
    Form(FieldError),
    #[error("only a signed-in person can file a document")]
    NotSignedIn,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Files it; the same form again gives the record that is there.
pub async fn file(store: &Store<'_, ClientPlace>, link: LinkOut) -> Result<Evidence, FileError> {
    let Actor::Person(filed_by) = *store.actor() else { return Err(FileError::NotSignedIn) };
    let now = store.app().now();
    let hash = check(&link, now.date())?;
    let source_key = link.source_key();
    let place = Evidence::place(&source_key);
    if let Some(held) = store.read::<Evidence>(place, &source_key).await? {
        return Ok(held.value);
    }
    let evidence = Evidence {
        source_key: source_key.clone(),
        record_type: None,
        title: link.name.trim().to_owned(),
        origin: Origin::Filed(Filed { place: link.place.trim().to_owned(), approved_on: link.approved_on, filed_by }),
        occurred_at: link.approved_on.midnight().assume_utc(),
        collected_at: now,
        population: Population::Unknown,
        hash,
        deleted: false,
        revision: 1,
    };
    let mut batch = store.batch(place);
    batch.create(&evidence);
    let mut event = apply::observed(&evidence, None);
    event.kind = "evidence.filed";
    audit::record(&mut batch, event);
    outbox::send(&mut batch, "analyze", &AnalyzeV1 { source_key }, std::time::Duration::ZERO)?;
    batch.commit().await?;
    outbox::flush(store, place).await?;
    Ok(evidence)
}

/// The hash in lower case, when everything holds.
fn check(link: &LinkOut, today: Date) -> Result<String, FileError> {
    let wrong = |field, message: &str| Err(FileError::Form(FieldError { field, message: message.into() }));
    for (field, text) in [("title", &link.name), ("place", &link.place)] {
        if text.trim().is_empty() || text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
            return wrong(field, "Name and place must be there, each on one line of at most 300 characters.");
        }
        if cui::find(text).is_some() {
            return wrong(field, "This carries a CUI marking. Describe the document without it; nothing was kept.");
        }
    }
    let hash = link.hash.trim().to_lowercase();
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return wrong("sha256", "The hash must be the SHA-256 of the file: 64 hex digits.");
    }
    if hash == sha256(b"") {
        return wrong("sha256", "That is the hash of an empty file.");
    }
    if link.approved_on > today {
        return wrong("approved_on", "The day of approval lies in the future. A document counts from the day it was approved.");
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    fn link() -> LinkOut {
        LinkOut {
            name: "Access request policy, version 3".into(),
            place: "SharePoint: Security/Policies".into(),
            hash: sha256(b"policy").to_uppercase(),
            approved_on: date!(2026 - 03 - 01),
            form: Uuid::nil(),
        }
    }

    #[test]
    fn a_link_out_needs_a_full_hash_and_a_day_that_has_come() {
        let today = date!(2026 - 11 - 10);
        assert_eq!(check(&link(), today).expect("good"), sha256(b"policy"));
        assert!(check(&LinkOut { hash: "abc".into(), ..link() }, today).is_err());
        assert!(check(&LinkOut { hash: "z".repeat(64), ..link() }, today).is_err());
        assert!(check(&LinkOut { hash: sha256(b""), ..link() }, today).is_err());
        assert!(check(&LinkOut { approved_on: date!(2026 - 11 - 11), ..link() }, today).is_err());
        assert!(check(&LinkOut { name: " ".into(), ..link() }, today).is_err());
        assert!(check(&LinkOut { name: "CUI//SP-CTI plan".into(), ..link() }, today).is_err());
    }
}
