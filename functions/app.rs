//! `App`: the ports and the configuration, built once by `assemble` and lent to every use case.
//!
//! It holds no state that a crash could lose: cache and memory keep what can be fetched again.

mod memory;

pub use memory::{Memory, Moment};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    config::Config,
    platform::ports::{Blobs, Clock, Documents, Http, Identity, Ids, Queue, Vault},
};

#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub documents: Arc<dyn Documents>,
    pub queue: Arc<dyn Queue>,
    pub blobs: Arc<dyn Blobs>,
    pub vault: Arc<dyn Vault>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub http: Arc<dyn Http>,
    pub identity: Arc<dyn Identity>,
    pub cache: Arc<SecretCache>,
    pub memory: Arc<Memory>,
}

impl App {
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }
}

/// Unwrapped keys, fetched signing keys and how many were fetched, for a while; wiped when they leave.
#[derive(Default)]
pub struct SecretCache {
    // A std mutex: held for a map lookup, never across an await.
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    secret: Arc<Zeroizing<Vec<u8>>>,
    until: OffsetDateTime,
}

/// More than any deployment has tenants and callback keys; beyond it the cache starts over.
const MAX_ENTRIES: usize = 4096;

impl SecretCache {
    pub fn get(&self, name: &str, now: OffsetDateTime) -> Option<Arc<Zeroizing<Vec<u8>>>> {
        let mut entries = self.lock();
        match entries.get(name) {
            Some(entry) if entry.until > now => Some(entry.secret.clone()),
            Some(_) => {
                entries.remove(name);
                None
            }
            None => None,
        }
    }

    pub fn put(&self, name: &str, secret: Zeroizing<Vec<u8>>, now: OffsetDateTime, keep: Duration) -> Arc<Zeroizing<Vec<u8>>> {
        let secret = Arc::new(secret);
        insert(&mut self.lock(), name, Entry { secret: secret.clone(), until: now + keep }, now);
        secret
    }

    /// Counts one more use of `name`; false when there were `most` already in the window that its first use began.
    pub fn allow(&self, name: &str, most: u8, now: OffsetDateTime, window: Duration) -> bool {
        let mut entries = self.lock();
        let begun = entries.get(name).filter(|entry| entry.until > now);
        let used = begun.and_then(|entry| entry.secret.first().copied()).unwrap_or(0);
        if used >= most {
            return false;
        }
        let until = begun.map_or(now + window, |entry| entry.until);
        insert(&mut entries, name, Entry { secret: Arc::new(Zeroizing::new(vec![used + 1])), until }, now);
        true
    }

    pub fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn insert(entries: &mut HashMap<String, Entry>, name: &str, entry: Entry, now: OffsetDateTime) {
    if entries.len() >= MAX_ENTRIES {
        entries.retain(|_, kept| kept.until > now);
    }
    if entries.len() >= MAX_ENTRIES {
        entries.clear();
    }
    entries.insert(name.to_owned(), entry);
}
