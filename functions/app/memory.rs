//! What a process remembers of the store, so that a page need not read it again. Nothing here is a secret or decides
//! anything: it is of a moment, the caller says how old it may be, and a restart loses nothing.
//!
//! A process that writes forgets what it had of those records ([`Memory::forget`]); what another process writes is seen
//! when the memory is too old for its reader, or when its reader finds by a stamp that it does not hold any more.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

#[derive(Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    /// How often something was forgotten.
    forgotten: u64,
}

struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    at: OffsetDateTime,
}

/// When a read began: what was forgotten since then may have been read before it was written.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

/// Clients of a large MSP and some; beyond it everything is read again.
const MAX_ENTRIES: usize = 4096;

impl Memory {
    pub fn moment(&self) -> Moment {
        Moment(self.lock().forgotten)
    }

    /// What was kept under this name at `since` or later.
    pub fn recall<T: Send + Sync + 'static>(&self, name: &str, since: OffsetDateTime) -> Option<Arc<T>> {
        let kept = self.lock();
        let entry = kept.entries.get(name).filter(|entry| entry.at >= since)?;
        entry.value.clone().downcast().ok()
    }

    /// Keeps what a read that began at `moment` found.
    pub fn keep<T: Send + Sync + 'static>(&self, name: String, value: Arc<T>, moment: Moment, now: OffsetDateTime) {
        let mut kept = self.lock();
        if kept.forgotten != moment.0 {
            return;
        }
        if kept.entries.len() >= MAX_ENTRIES {
            kept.entries.clear();
        }
        kept.entries.insert(name, Entry { value, at: now });
    }

    pub fn forget(&self, name: &str) {
        let mut kept = self.lock();
        kept.forgotten += 1;
        kept.entries.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-02 08:00 UTC);

    #[test]
    fn what_is_kept_is_known_for_as_long_as_its_reader_allows() {
        let memory = Memory::default();
        memory.keep("marks".into(), Arc::new(7), memory.moment(), NOW);
        assert_eq!(memory.recall("marks", NOW).as_deref(), Some(&7));
        assert_eq!(memory.recall::<i32>("marks", NOW + Duration::seconds(1)), None);
        assert_eq!(memory.recall::<i32>("others", NOW), None);
        assert_eq!(memory.recall::<String>("marks", NOW), None, "of another shape");
        memory.forget("marks");
        assert_eq!(memory.recall::<i32>("marks", NOW), None);
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let memory = Memory::default();
        let moment = memory.moment();
        memory.forget("marks");
        memory.keep("marks".into(), Arc::new(7), moment, NOW);
        assert_eq!(memory.recall::<i32>("marks", NOW), None);
    }
}
