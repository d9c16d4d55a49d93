//! The card of a record: what it is, from where, and whether it is still there, unchanged and young enough to count.
//!
//! One place for every page that shows evidence, so that a record looks the same to the engineer and to the approver.
//! How far a record goes for an objective is the area's to add. Reads only.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::try_join_all;
use time::{Duration, OffsetDateTime};

use super::{Evidence, EvidenceRef, Origin};
use crate::{
    tenancy::{ClientPlace, Roster, Store, StoreError},
    web::pages::{EvidenceCard, Tag, Tone, day},
};

/// After this a document's approval is said to be old; it still counts ("periodically" is at most a year, 32 CFR 170.14(d)).
const LONG_AGO: Duration = Duration::days(365);

/// Makes the cards of one page; each record is read once, those of one call at the same time.
pub struct Cards<'s, 'a> {
    store: &'s Store<'a, ClientPlace>,
    roster: &'s Roster,
    records: HashMap<String, Option<Evidence>>,
}

impl<'s, 'a> Cards<'s, 'a> {
    pub fn of(store: &'s Store<'a, ClientPlace>, roster: &'s Roster) -> Self {
        Self { store, roster, records: HashMap::new() }
    }

    /// The cards of what was meant, each with the record as it is kept now.
    pub async fn cards(&mut self, references: &[EvidenceRef]) -> Result<Vec<(EvidenceCard, Option<Evidence>)>, StoreError> {
        let keys: BTreeSet<&String> = references.iter().map(|one| &one.source_key).filter(|key| !self.records.contains_key(*key)).collect();
        let read = async |key: &String| {
            let held = self.store.read::<Evidence>(Evidence::place(key), key).await?;
            Ok::<_, StoreError>((key.clone(), held.map(|held| held.value)))
        };
        let found = try_join_all(keys.into_iter().map(read)).await?;
        self.records.extend(found);
        Ok(references.iter().map(|reference| self.card(reference)).collect())
    }

    fn card(&self, reference: &EvidenceRef) -> (EvidenceCard, Option<Evidence>) {
        let record = self.records.get(&reference.source_key).cloned().flatten();
        let mut card = EvidenceCard {
            title: reference.title.clone(),
            source: "A record that is no longer there".into(),
            collected_at: reference.collected_at,
            freshness: freshness(reference, record.as_ref(), self.store.app().now()),
            population: Some(reference.population.words()),
            facts: Vec::new(),
            grade: None,
            limits: Vec::new(),
            place: None,
            approved_on: None,
            filed_by: None,
            hash: reference.hash.clone(),
        };
        match record.as_ref().map(|record| record.origin.clone()) {
            Some(Origin::Observed(observed)) => {
                card.source = observed.source();
                card.facts = observed.facts.into_iter().collect();
            }
            Some(Origin::Filed(filed)) => {
                card.source = "Linked file, kept by the client (name, place and hash only)".into();
                card.population = None;
                card.place = Some(filed.place);
                card.approved_on = Some(filed.approved_on);
                card.filed_by = Some(self.roster.person_name(filed.filed_by));
            }
            None => {}
        }
        (card, record)
    }
}

fn freshness(reference: &EvidenceRef, record: Option<&Evidence>, now: OffsetDateTime) -> Tag {
    let Some(record) = record else { return Tag::new(Tone::Not, "No longer there") };
    if record.deleted {
        return Tag::new(Tone::Not, "Deleted at its source");
    }
    if record.hash != reference.hash {
        return Tag::new(Tone::Wait, "Changed since");
    }
    match (reference.fresh_until, &record.origin) {
        (Some(until), _) if reference.is_stale(now) => Tag::new(Tone::Wait, format!("Too old to count since {}", day(until.date()))),
        (Some(until), _) => Tag::new(Tone::Met, format!("Counts until {}", day(until.date()))),
        (None, Origin::Filed(filed)) if now.date() - filed.approved_on > LONG_AGO => {
            Tag::new(Tone::Unknown, "Approved more than a year ago")
        }
        (None, Origin::Filed(_)) => Tag::new(Tone::Unknown, "As of its approval"),
        (None, Origin::Observed(_)) => Tag::new(Tone::Unknown, "As of that day"),
    }
}
