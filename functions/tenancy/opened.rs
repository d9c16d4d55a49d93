//! Everything of a place as it is kept, opened: for a copy that its owner takes away.
//!
//! No shape is looked at, so a record of any area and of any release is in it; one that does not open is told by its id.

use serde_json::{Value, value::RawValue};

use super::{Place, Store, StoreError};
use crate::platform::ports::{Continuation, Query};

/// One document.
#[derive(Debug)]
pub struct Opened {
    pub id: String,
    pub kind: String,
    /// In which shape the text is.
    pub schema: u64,
    /// 0: it counts none.
    pub revision: u64,
    /// The record as JSON text, exactly as it was sealed.
    pub record: Result<Box<RawValue>, StoreError>,
}

impl<P: Place> Store<'_, P> {
    /// One page, in the order of ids. What is no sealed record is left out.
    pub async fn opened_page(&self, place: P, after: Option<Continuation>) -> Result<(Vec<Opened>, Option<Continuation>), StoreError> {
        let (place, page) = self.query(place, &Query { after, ..Query::prefix("") }).await?;
        if page.documents.is_empty() {
            return Ok((Vec::new(), page.next));
        }
        let (key, mut opened) = (self.key_of_found().await?, Vec::with_capacity(page.documents.len()));
        for document in page.documents {
            if document.body["sealed"].is_null() && document.body["blob"].is_null() {
                continue;
            }
            let record = match self.plain(key, place, &document).await {
                Ok(Some(plain)) => serde_json::from_slice(&plain)
                    .map_err(|source| StoreError::Shape { document: document.id.clone(), source: std::sync::Arc::new(source) }),
                Ok(None) => Err(Self::gone(&document.id)),
                Err(error) if error.concerns_one_record() => Err(error),
                Err(error) => return Err(error),
            };
            let number = |name: &str| document.body[name].as_u64().unwrap_or_default();
            let kind = document.body["kind"].as_str().unwrap_or_default().to_owned();
            opened.push(Opened { kind, schema: number("schema"), revision: number("revision"), record, id: document.id });
        }
        Ok((opened, page.next))
    }
}

impl Opened {
    /// One line of JSON; `None` when the record does not open.
    pub fn line(&self) -> Option<String> {
        let Self { id, kind, schema, revision, record } = self;
        let text = |text: &str| Value::from(text).to_string();
        let record = record.as_ref().ok()?.get();
        Some(format!("{{\"id\":{},\"kind\":{},\"schema\":{schema},\"revision\":{revision},\"record\":{record}}}\n", text(id), text(kind)))
    }
}
