//! What a process remembers of the store, so that a page need not read it again. Nothing here is a secret, and a restart
//! loses nothing: it is of a moment, and whoever recalls it says how old it may be, or asks the store whether it still holds.
//!
//! A process that writes forgets what it had of those records ([`Memory::forget`]); what another process writes is seen
//! when the memory is too old for its reader, or when its reader finds by a stamp that it does not hold any more.

use std::{
    any::Any,
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

#[derive(Default)]
pub struct Memory {
    entries: Mutex<HashMap<String, Entry>>,
    notes: Mutex<BTreeSet<(&'static str, String)>>,
    slots: Mutex<HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

#[derive(Default)]
struct Entry {
    kept: Option<(Arc<dyn Any + Send + Sync>, OffsetDateTime)>,
    /// How often it was forgotten.
    forgotten: u64,
}

/// When a read began: what was forgotten since then may have been read before it was written.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

/// Clients of a large MSP and some; beyond it everything is read again.
const MAX_ENTRIES: usize = 4096;
/// Places of several hundred clients, a few hundred bytes each.
const MAX_SLOTS: usize = 32_768;

impl Memory {
    /// To be taken before the read whose result is to be kept under this name.
    pub fn moment(&self, name: &str) -> Moment {
        let mut entries = self.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        Moment(entries.entry(name.to_owned()).or_default().forgotten)
    }

    /// What was kept under this name at `since` or later.
    pub fn recall<T: Send + Sync + 'static>(&self, name: &str, since: OffsetDateTime) -> Option<Arc<T>> {
        let (value, at) = self.lock().get(name)?.kept.clone()?;
        (at >= since).then(|| value.downcast().ok())?
    }

    /// Keeps what a read that began at `moment` found.
    pub fn keep<T: Send + Sync + 'static>(&self, name: &str, value: Arc<T>, moment: Moment, now: OffsetDateTime) {
        if let Some(entry) = self.lock().get_mut(name).filter(|entry| entry.forgotten == moment.0) {
            entry.kept = Some((value, now));
        }
    }

    pub fn forget(&self, name: &str) {
        if let Some(entry) = self.lock().get_mut(name) {
            *entry = Entry { kept: None, forgotten: entry.forgotten + 1 };
        }
    }

    /// What this process keeps under this name for all who ask, made at first; of one name there is one sort.
    pub fn slot<T: Default + Send + Sync + 'static>(&self, name: &str) -> Arc<T> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS && !slots.contains_key(name) {
            slots.clear();
        }
        let slot = slots.entry(name.to_owned()).or_insert_with(|| Arc::new(T::default())).clone();
        slot.downcast().unwrap_or_default()
    }

    /// Notes something that whoever takes the notes of this sort does soon, once however often it is noted.
    pub fn note(&self, sort: &'static str, what: &str) {
        self.notes().insert((sort, what.to_owned()));
    }

    /// What was noted since they were taken last.
    pub fn take_notes(&self, sort: &'static str) -> Vec<String> {
        let mut notes = self.notes();
        let (taken, others) = std::mem::take(&mut *notes).into_iter().partition(|(other, _)| *other == sort);
        *notes = others;
        let taken: BTreeSet<(&str, String)> = taken;
        taken.into_iter().map(|(_, what)| what).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, BTreeSet<(&'static str, String)>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
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
        memory.keep("marks", Arc::new(7), memory.moment("marks"), NOW);
        assert_eq!(memory.recall("marks", NOW).as_deref(), Some(&7));
        assert_eq!(memory.recall::<i32>("marks", NOW + Duration::seconds(1)), None);
        assert_eq!(memory.recall::<i32>("others", NOW), None);
        assert_eq!(memory.recall::<String>("marks", NOW), None, "of another shape");
        memory.forget("marks");
        assert_eq!(memory.recall::<i32>("marks", NOW), None);
    }

    #[test]
    fn a_note_is_taken_once_by_whom_it_is_for() {
        let memory = Memory::default();
        for (sort, what) in [("a", "one"), ("a", "two"), ("a", "one"), ("b", "one")] {
            memory.note(sort, what);
        }
        assert_eq!(memory.take_notes("a"), ["one", "two"]);
        assert_eq!(memory.take_notes("a"), [""; 0]);
        assert_eq!(memory.take_notes("b"), ["one"]);
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept_after_it() {
        let memory = Memory::default();
        let (marks, others) = (memory.moment("marks"), memory.moment("others"));
        memory.forget("marks");
        memory.keep("marks", Arc::new(7), marks, NOW);
        memory.keep("others", Arc::new(8), others, NOW);
        assert_eq!(memory.recall::<i32>("marks", NOW), None);
        assert_eq!(memory.recall("others", NOW).as_deref(), Some(&8), "another's write is no matter of theirs");
    }
}
