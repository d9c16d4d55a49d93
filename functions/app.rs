//! `App`: the ports and the configuration, built once by `assemble` and lent to every use case.
//!
//! It holds no state that a crash could lose: cache and memory keep what can be fetched again.

mod memory;

pub use memory::{Memory, Moment};

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use time::OffsetDateTime;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::{
    config::Config,
    platform::ports::{Blobs, Clock, Documents, Http, Identity, Ids, PortError, Queue, Vault},
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
    // Std mutexes: held for a map lookup, never across an await.
    entries: Mutex<HashMap<String, Entry>>,
    /// How often something was forgotten.
    forgotten: AtomicU64,
    /// How often something was done since somebody last asked.
    counts: Mutex<HashMap<String, u64>>,
    /// What is being fetched just now; whoever waits for it keeps it there.
    fetches: Mutex<HashMap<String, Weak<Fetch>>>,
}

type Secret = Arc<Zeroizing<Vec<u8>>>;
type Fetch = OnceCell<Result<Secret, PortError>>;

struct Entry {
    secret: Secret,
    until: OffsetDateTime,
}

/// More than any deployment has tenants and callback keys; beyond it the cache starts over.
const MAX_ENTRIES: usize = 4096;

impl SecretCache {
    pub fn get(&self, name: &str, now: OffsetDateTime) -> Option<Secret> {
        let mut entries = lock(&self.entries);
        match entries.get(name) {
            Some(entry) if entry.until > now => Some(entry.secret.clone()),
            Some(_) => {
                entries.remove(name);
                None
            }
            None => None,
        }
    }

    pub fn put(&self, name: &str, secret: Zeroizing<Vec<u8>>, now: OffsetDateTime, keep: Duration) -> Secret {
        let secret = Arc::new(secret);
        insert(&mut lock(&self.entries), name, Entry { secret: secret.clone(), until: now + keep }, now);
        secret
    }

    /// When it is now, in what was forgotten: taken before the look at what says what to fetch.
    pub fn moment(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// What is kept, or what `fetch` gives: fetched once for all who ask at the same time, who also share its failure. When the
    /// one who fetches goes away, another of them fetches. It is not kept when anything was forgotten since `moment`: what was
    /// looked at then may no longer be so.
    pub async fn get_or_fetch(
        &self,
        name: &str,
        moment: u64,
        now: OffsetDateTime,
        keep: Duration,
        fetch: impl Future<Output = Result<Zeroizing<Vec<u8>>, PortError>>,
    ) -> Result<Secret, PortError> {
        let shared = self.join(name);
        // Looked at after joining: an earlier fetch is kept before it is over.
        if let Some(kept) = self.get(name, now) {
            return Ok(kept);
        }
        let keep = |secret| self.put_unless_forgotten(name, moment, secret, now, keep);
        let fetched = shared.get_or_init(|| async { fetch.await.map(keep) }).await.clone();
        // Over: who asks from now on does not get an old failure.
        lock(&self.fetches).retain(|_, other| other.as_ptr() != Arc::as_ptr(&shared));
        fetched
    }

    fn put_unless_forgotten(&self, name: &str, moment: u64, secret: Zeroizing<Vec<u8>>, now: OffsetDateTime, keep: Duration) -> Secret {
        let secret = Arc::new(secret);
        let mut entries = lock(&self.entries);
        // Under the lock, as `forget` counts.
        if self.moment() == moment {
            insert(&mut entries, name, Entry { secret: secret.clone(), until: now + keep }, now);
        }
        secret
    }

    fn join(&self, name: &str) -> Arc<Fetch> {
        let mut fetches = lock(&self.fetches);
        if let Some(shared) = fetches.get(name).and_then(Weak::upgrade) {
            return shared;
        }
        fetches.retain(|_, other| other.strong_count() > 0);
        let shared = Arc::default();
        fetches.insert(name.to_owned(), Arc::downgrade(&shared));
        shared
    }

    /// Counts one more use of `name`; false when there were `most` already in the window that its first use began.
    pub fn allow(&self, name: &str, most: u8, now: OffsetDateTime, window: Duration) -> bool {
        let mut entries = lock(&self.entries);
        let begun = entries.get(name).filter(|entry| entry.until > now);
        let used = begun.and_then(|entry| entry.secret.first().copied()).unwrap_or(0);
        if used >= most {
            return false;
        }
        let until = begun.map_or(now + window, |entry| entry.until);
        insert(&mut entries, name, Entry { secret: Arc::new(Zeroizing::new(vec![used + 1])), until }, now);
        true
    }

    /// Counts `more` of `name`, and hands out what has come together once it is `enough`; the count then begins anew. What
    /// a process that dies had not handed out is lost.
    pub fn count(&self, name: &str, more: u64, enough: u64) -> Option<u64> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(name.to_owned()).or_default();
        *count = count.saturating_add(more);
        (*count >= enough).then(|| std::mem::take(count))
    }

    /// Wipes what has had its time, also of owners for whom nobody asks any more.
    pub fn wipe_expired(&self, now: OffsetDateTime) {
        lock(&self.entries).retain(|_, kept| kept.until > now);
    }

    /// Who fetches it just now gets it and does not keep it; who asks from now on fetches anew.
    pub fn forget(&self, name: &str) {
        let mut entries = lock(&self.entries);
        entries.remove(name);
        self.forgotten.fetch_add(1, Ordering::Release);
        lock(&self.fetches).remove(name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn insert(entries: &mut HashMap<String, Entry>, name: &str, entry: Entry, now: OffsetDateTime) {
    entries.retain(|_, kept| kept.until > now);
    if entries.len() >= MAX_ENTRIES {
        entries.clear();
    }
    entries.insert(name.to_owned(), entry);
}
