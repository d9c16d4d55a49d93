//! `Store`: typed, sealed records of one owner, read one by one, in pages, or several kinds at once.
//!
//! A document holds its schema number, its kind and one sealed field; everything else about a client is inside the
//! seal. Lists go by id prefix within one place, so nothing needs to be readable to be found. A record in a form that only
//! newer releases know is refused in words, an older one is upgraded on read.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    Actor, Batch, Place, StoreError,
    batch::Plain,
    gather::{Gathered, Wanted},
    key_change,
    keys::{self, Owner},
    seal::{Binding, DataKey, SealError},
    tail::{Slot, Tail},
    unreadable,
};
use crate::{
    app::App,
    platform::ports::{BlobContainer, Continuation, Document, Etag, Partition, Query},
};

/// One kind of record: where its ids start, which schema this release writes.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Also the prefix of every id of this kind, before a colon.
    const KIND: &'static str;
    const SCHEMA: u32;
    /// The newest schema that this release reads. One more than it writes for the release in which a form is understood and not
    /// written yet, so that this one can be put back after the next.
    const READS: u32 = Self::SCHEMA;

    /// The part of the id after `KIND:`; unreserved characters and colons only.
    fn key(&self) -> String;

    /// Which revision of the record this is, where it counts them: sealed with it, so that no other number can stand beside
    /// the text. 0: it counts none.
    fn revision(&self) -> u64 {
        0
    }

    /// Lifts the body of an older schema to the present one.
    fn upgrade(schema: u32, body: Value) -> Value {
        let _ = schema;
        body
    }
}

/// A record as read, with the etag that a replace needs.
#[derive(Clone, Debug)]
pub struct Held<T> {
    pub value: T,
    pub etag: Etag,
}

/// Bytes of a record's text that stand in its document: sealed and in base64 a third more, so that a batch has room for
/// some (Cosmos DB takes 2 MB).
const MAX_INLINE_BYTES: usize = 256 * 1024;

/// Seals of one process that are told to the key record together.
pub const TELL_SEALS: u64 = 1 << 16;

pub struct Store<'a, P> {
    app: &'a App,
    owner: Owner,
    owner_text: String,
    /// Empty while the owner has no key, and so no record: reading makes none.
    key: OnceLock<DataKey>,
    actor: Actor,
    correlation: String,
    // A std mutex: held for a map look-up, never across an await.
    large: Mutex<HashMap<String, String>>,
    place: PhantomData<P>,
}

impl<'a, P: Place> Store<'a, P> {
    /// Only scopes open stores.
    pub(super) async fn open(app: &'a App, owner: Owner, actor: Actor, correlation: &str) -> Result<Self, StoreError> {
        let key = keys::find_for(app, owner, &actor).await?.map_or_else(OnceLock::new, OnceLock::from);
        Ok(Self {
            app,
            owner,
            owner_text: owner.to_string(),
            key,
            actor,
            correlation: correlation.into(),
            large: Mutex::default(),
            place: PhantomData,
        })
    }

    pub fn app(&self) -> &'a App {
        self.app
    }

    pub fn owner(&self) -> Owner {
        self.owner
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn correlation(&self) -> &str {
        &self.correlation
    }

    /// The owner's key, for what is not a record: blobs, pseudonyms, MACs. There is one as soon as there is a record.
    pub fn key(&self) -> Result<&DataKey, StoreError> {
        self.key.get().ok_or_else(|| keys::unreadable(self.owner))
    }

    /// The key of a record that was found. It may have been made after this store was opened.
    pub(super) async fn key_of_found(&self) -> Result<&DataKey, StoreError> {
        if self.key.get().is_none()
            && let Some(key) = keys::find(self.app, self.owner).await?
        {
            let _ = self.key.set(key);
        }
        self.key()
    }

    pub(super) async fn key_to_write(&self) -> Result<&DataKey, StoreError> {
        if self.key.get().is_none() {
            let _ = self.key.set(keys::data_key(self.app, self.owner).await?);
        }
        self.key()
    }

    pub async fn read<T: Record>(&self, place: P, key: &str) -> Result<Option<Held<T>>, StoreError> {
        let place = self.stands(place).await?;
        match self.app.documents.read(&self.partition(place), &id_of::<T>(key)).await? {
            Some(document) => Ok(Some(self.unseal(self.key_of_found().await?, place, &document).await?)),
            None => Ok(None),
        }
    }

    /// The same, where one that does not open is none: for what must not stand in anybody's way.
    pub async fn read_if_it_opens<T: Record>(&self, place: P, key: &str) -> Result<Option<Held<T>>, StoreError> {
        match self.read::<T>(place, key).await {
            Err(error) if error.unreadable::<T>().is_some() => Ok(None),
            other => other,
        }
    }

    /// One page of the records whose key starts with `prefix`.
    pub async fn page<T: Record>(
        &self,
        place: P,
        prefix: &str,
        descending: bool,
        limit: usize,
        after: Option<Continuation>,
    ) -> Result<(Vec<Held<T>>, Option<Continuation>), StoreError> {
        let (records, next) = self.page_of_each(place, prefix, descending, limit, after).await?;
        Ok((records.into_iter().collect::<Result<_, _>>()?, next))
    }

    /// One page in which each record stands for itself, so that one that cannot be read does not hide the others.
    pub async fn page_of_each<T: Record>(
        &self,
        place: P,
        prefix: &str,
        descending: bool,
        limit: usize,
        after: Option<Continuation>,
    ) -> Result<(Vec<Result<Held<T>, StoreError>>, Option<Continuation>), StoreError> {
        let query = Query { after, descending, limit, ..Query::prefix(id_of::<T>(prefix)) };
        let (place, page) = self.query(place, &query).await?;
        if page.documents.is_empty() {
            return Ok((Vec::new(), page.next));
        }
        let key = self.key_of_found().await?;
        let mut records = Vec::with_capacity(page.documents.len());
        for document in &page.documents {
            records.push(self.unseal(key, place, document).await);
        }
        Ok((records, page.next))
    }

    /// Every record whose key starts with `prefix`: only for kinds whose number is bounded.
    pub async fn all<T: Record>(&self, place: P, prefix: &str) -> Result<Vec<Held<T>>, StoreError> {
        self.all_of_each(place, prefix).await?.into_iter().collect()
    }

    /// The same, each record standing for itself.
    pub async fn all_of_each<T: Record>(&self, place: P, prefix: &str) -> Result<Vec<Result<Held<T>, StoreError>>, StoreError> {
        let mut records = Vec::new();
        let mut after = None;
        loop {
            let (mut page, next) = self.page_of_each(place, prefix, false, 0, after).await?;
            records.append(&mut page);
            match next {
                Some(next) => after = Some(next),
                None => return Ok(records),
            }
        }
    }

    /// What one answer needs of a place, of whatever kinds, in one round trip (and one more per thousand documents).
    pub async fn gather(&self, place: P, wanted: Vec<Wanted>) -> Result<Gathered<'_, 'a, P>, StoreError> {
        Gathered::read(self, place, wanted).await
    }

    /// The first `limit` documents of what is wanted, by id, and whether there are more.
    pub async fn gather_page(&self, place: P, wanted: Vec<Wanted>, limit: usize) -> Result<(Gathered<'_, 'a, P>, bool), StoreError> {
        Gathered::read_page(self, place, wanted, limit).await
    }

    pub fn batch(&self, place: P) -> Batch<'_, 'a, P> {
        Batch::new(self, place)
    }

    /// Seals bytes that are kept outside documents (a blob), bound to their name.
    pub fn seal_blob(&self, container: &str, name: &str, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let binding = Binding { owner: &self.owner_text, container, document: name, field: "bytes", ..Binding::default() };
        self.note_seals(1);
        self.key()?.seal_bytes(&binding, plain).map_err(|source| StoreError::Sealed { document: name.into(), source })
    }

    pub async fn open_blob(&self, container: &str, name: &str, sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let binding = Binding { owner: &self.owner_text, container, document: name, field: "bytes", ..Binding::default() };
        let opened = self.opened(self.key()?, |key| key.open_bytes(&binding, sealed.clone())).await?;
        opened.map_err(|source| StoreError::Sealed { document: name.into(), source })
    }

    /// What `open` gives; when it needs a data key that this process does not know yet, with the owner's keys as they are now.
    async fn opened(
        &self,
        key: &DataKey,
        open: impl Fn(&DataKey) -> Result<Vec<u8>, SealError>,
    ) -> Result<Result<Vec<u8>, SealError>, StoreError> {
        match open(key) {
            // Boxed: it happens once after a rotation, and is part of every future that reads.
            Err(SealError::Epoch { epoch }) => match Box::pin(keys::find_again(self.app, self.owner)).await? {
                Some(newer) => Ok(open(&newer)),
                None => Ok(Err(SealError::Epoch { epoch })),
            },
            other => Ok(other),
        }
    }

    /// Counts them for the newest data key; a batch that was committed tells the key record, once there are enough.
    pub(super) fn note_seals(&self, more: usize) {
        let _ = self.app.cache.count(&self.counted(), u64::try_from(more).unwrap_or(u64::MAX), u64::MAX);
    }

    /// What has come together, if it is enough to be told to the key record.
    pub(super) fn take_seals(&self) -> Option<u64> {
        self.app.cache.count(&self.counted(), 0, TELL_SEALS)
    }

    fn counted(&self) -> String {
        format!("seals/{}", self.owner_text)
    }

    /// Adds them to the key record. It may fail: they are told with the next ones, and a rotation has far less than its limit.
    pub(super) async fn tell_seals(&self, more: u64) {
        match key_change::count(self.app, self.owner, more).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(error = %error, "the seals of a data key are not counted yet"),
        }
        let _ = self.app.cache.count(&self.counted(), more, u64::MAX);
    }

    /// What this process knows of how far the place was appended to.
    pub(super) fn slot(&self, place: P) -> Arc<Slot> {
        self.app.memory.slot(&self.owner.remembers(place, Tail::KIND))
    }

    pub(super) fn partition(&self, place: P) -> Partition {
        Partition::reserved_for_tenancy(place.container(), place.path(&self.owner_text))
    }

    /// The document of a record. The text of a large one is sealed all the same, but kept in a blob, which the document
    /// names; nobody else ever does, so what an unfinished write leaves there is never read.
    pub(super) async fn seal(&self, key: &DataKey, place: P, plain: &Plain) -> Result<Value, StoreError> {
        let Plain { id, kind, schema, revision, bytes } = plain;
        let sealed = |source| StoreError::Sealed { document: id.clone(), source };
        let at = place.key();
        let binding = self.binding(place, &at, id, *schema, *revision);
        let mut body = json!({ "schema": schema, "kind": kind });
        if *revision > 0 {
            body["revision"] = json!(revision);
        }
        if bytes.len() <= MAX_INLINE_BYTES {
            body["sealed"] = json!(key.seal(&binding, bytes).map_err(sealed)?);
            return Ok(body);
        }
        let name = format!("records/{}/{}", self.owner_text, self.app.ids.uuid().simple());
        let text = key.seal_bytes(&binding, bytes).map_err(sealed)?;
        let _ = self.app.blobs.create(BlobContainer::Raw, &name, text.into()).await?;
        body["blob"] = json!(name);
        Ok(body)
    }

    pub(super) async fn unseal<T: Record>(&self, key: &DataKey, place: P, document: &Document) -> Result<Held<T>, StoreError> {
        let Document { id, etag, body } = document;
        let schema = body["schema"].as_u64().unwrap_or(u64::MAX);
        if schema > u64::from(T::READS) {
            return Err(StoreError::NewerRelease { document: id.clone(), schema, known: T::READS });
        }
        let Some(plain) = self.plain(key, place, document).await? else {
            return self.unseal_anew(key, place, id, etag).await;
        };
        let value = match u32::try_from(schema) {
            Ok(schema) if schema < T::SCHEMA => {
                serde_json::from_slice(&plain).and_then(|old| serde_json::from_value(T::upgrade(schema, old)))
            }
            _ => serde_json::from_slice(&plain),
        };
        let value = value.map_err(|source| self.found(StoreError::Shape { document: id.clone(), source: Arc::new(source) }))?;
        Ok(Held { value, etag: etag.clone() })
    }

    /// The text of a document; `None`: that of a large record is not there (any more).
    pub(super) async fn plain(&self, key: &DataKey, place: P, document: &Document) -> Result<Option<Vec<u8>>, StoreError> {
        let Document { id, body, .. } = document;
        let schema = body["schema"].as_u64().and_then(|schema| u32::try_from(schema).ok()).unwrap_or(u32::MAX);
        let at = place.key();
        let binding = self.binding(place, &at, id, schema, body["revision"].as_u64().unwrap_or_default());
        let plain = if let Some(name) = body["blob"].as_str() {
            let Some(text) = self.app.blobs.read(BlobContainer::Raw, name).await? else { return Ok(None) };
            self.large().insert(id.clone(), name.to_owned());
            let text = Vec::from(text);
            self.opened(key, |key| key.open_bytes(&binding, text.clone())).await?
        } else {
            let text = body["sealed"].as_str().unwrap_or_default();
            self.opened(key, |key| key.open(&binding, text)).await?
        };
        plain.map(Some).map_err(|source| self.found(StoreError::Sealed { document: id.clone(), source }))
    }

    /// A record that does not open: noted for the log.
    fn found(&self, error: StoreError) -> StoreError {
        unreadable::note(self.app, self.owner, &self.actor, &error);
        error
    }

    pub(super) fn gone(id: &str) -> StoreError {
        StoreError::Sealed { document: id.to_owned(), source: SealError::Form }
    }

    /// The text of this version is gone: somebody wrote the record again a moment ago, or it is lost.
    async fn unseal_anew<T: Record>(&self, key: &DataKey, place: P, id: &str, etag: &Etag) -> Result<Held<T>, StoreError> {
        match self.app.documents.read(&self.partition(place), id).await? {
            Some(newer) if newer.etag != *etag => Box::pin(self.unseal(key, place, &newer)).await,
            _ => Err(self.found(Self::gone(id))),
        }
    }

    /// Which blob held the text of a record when it was read, by document id.
    fn large(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The record's text in a blob is somebody else's too.
    pub(super) fn forget_text(&self, id: &str) {
        self.large().remove(id);
    }

    /// Takes away the texts of records that this batch wrote again or deleted. What a stop leaves of it is sealed and named
    /// by nothing.
    pub(super) async fn drop_former_texts(&self, ids: &[String]) {
        let former: Vec<String> = ids.iter().filter_map(|id| self.large().remove(id)).collect();
        for name in former {
            if let Err(error) = self.app.blobs.delete(BlobContainer::Raw, &name).await {
                tracing::warn!(error = %error, "a former text of a large record stays");
            }
        }
    }

    /// `at`: the place's key.
    pub(super) fn binding<'b>(&'b self, place: P, at: &'b str, id: &'b str, schema: u32, revision: u64) -> Binding<'b> {
        let container = place.container().name();
        Binding { owner: &self.owner_text, container, place: at, document: id, field: "record", schema, revision }
    }
}

pub(super) fn id_of<T: Record>(key: &str) -> String {
    format!("{}:{key}", T::KIND)
}
