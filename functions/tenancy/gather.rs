//! `Gathered`: records of several kinds of one place, found in one round trip.
//!
//! A page that reads its records one by one waits once for each. What it needs is said before, as ids and beginnings of
//! ids; the records are taken out by kind, and unsealed only then. What was not asked for is read when it is taken, so a
//! caller that knew too little is slower and never wrong.

use super::{
    Held, Place, Record, Store, StoreError,
    store::id_of,
    tail::{TAIL, Tail},
};
use crate::platform::ports::{Document, IdMatch, MAX_MATCHES, Query};

/// Documents of one round trip: the most that a page may hold.
const PAGE: usize = 1000;

/// One record, or all whose key begins alike.
#[derive(Clone, Debug)]
pub struct Wanted(IdMatch);

impl Wanted {
    pub fn one<T: Record>(key: &str) -> Self {
        Self(IdMatch::Exact(id_of::<T>(key)))
    }

    pub fn all<T: Record>(prefix: &str) -> Self {
        Self(IdMatch::Prefix(id_of::<T>(prefix)))
    }
}

impl Wanted {
    fn finds(&self, id: &str) -> bool {
        matches!(&self.0, IdMatch::Exact(exact) if exact == id) || self.finds_all(id)
    }

    fn finds_all(&self, start: &str) -> bool {
        matches!(&self.0, IdMatch::Prefix(prefix) if start.starts_with(prefix.as_str()))
    }
}

pub struct Gathered<'s, 'a, P> {
    store: &'s Store<'a, P>,
    place: P,
    wanted: Vec<Wanted>,
    documents: Vec<Document>,
}

impl<'s, 'a, P: Place> Gathered<'s, 'a, P> {
    pub(super) async fn read(store: &'s Store<'a, P>, place: P, wanted: Vec<Wanted>) -> Result<Self, StoreError> {
        let mut matching: Vec<IdMatch> = wanted.iter().map(|one| one.0.clone()).collect();
        // Who reads a place often writes to it next, and would have to look for what counts there.
        let slot = store.slot(place);
        let learns = !slot.is_known() && matching.len() < MAX_MATCHES;
        matching.extend(learns.then(|| IdMatch::Exact(id_of::<Tail>(TAIL))));
        let mut query = Query { matching, limit: PAGE, ..Query::default() };
        let (place, mut documents) = (store.stands(place).await?, Vec::new());
        loop {
            let (_, page) = store.query(place, &query).await?;
            documents.extend(page.documents);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        let gathered = Self { store, place, wanted, documents };
        if learns {
            let tail = gathered.documents.iter().find(|document| document.id == id_of::<Tail>(TAIL));
            let tail = match tail {
                Some(document) => Some(store.unseal::<Tail>(store.key_of_found().await?, place, document).await?),
                None => None,
            };
            slot.learn(store, place, tail);
        }
        Ok(gathered)
    }

    /// Only the first page of what is wanted, in order of ids; whether there is more.
    pub(super) async fn read_page(
        store: &'s Store<'a, P>,
        place: P,
        wanted: Vec<Wanted>,
        limit: usize,
    ) -> Result<(Self, bool), StoreError> {
        let matching = wanted.iter().map(|one| one.0.clone()).collect();
        let (place, page) = store.query(place, &Query { matching, limit, ..Query::default() }).await?;
        Ok((Self { store, place, wanted, documents: page.documents }, page.next.is_some()))
    }

    pub fn store(&self) -> &'s Store<'a, P> {
        self.store
    }

    pub async fn one<T: Record>(&self, key: &str) -> Result<Option<Held<T>>, StoreError> {
        let id = id_of::<T>(key);
        if !self.wanted.iter().any(|wanted| wanted.finds(&id)) {
            return self.store.read(self.place, key).await;
        }
        match self.documents.iter().find(|document| document.id == id) {
            Some(document) => Ok(Some(self.store.unseal(self.store.key_of_found().await?, self.place, document).await?)),
            None => Ok(None),
        }
    }

    /// In the order of their keys.
    pub async fn all<T: Record>(&self, prefix: &str) -> Result<Vec<Held<T>>, StoreError> {
        self.all_of_each(prefix).await?.into_iter().collect()
    }

    /// The same, each record standing for itself.
    pub async fn all_of_each<T: Record>(&self, prefix: &str) -> Result<Vec<Result<Held<T>, StoreError>>, StoreError> {
        let start = id_of::<T>(prefix);
        if !self.wanted.iter().any(|wanted| wanted.finds_all(&start)) {
            return self.store.all_of_each(self.place, prefix).await;
        }
        let mut records = Vec::new();
        for document in self.documents.iter().filter(|document| document.id.starts_with(&start)) {
            records.push(self.store.unseal(self.store.key_of_found().await?, self.place, document).await);
        }
        Ok(records)
    }
}
