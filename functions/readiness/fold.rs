//! What the log says of findings, folded event by event, and compared with the objectives' records (G6).
//!
//! Compared: whether an objective is decided and as what, by which proposal and on which records in which state; and that
//! the small record of where a client stands says the same as its objectives. Not compared: suggestions and scores, which
//! follow from evidence and rules and are made again, and a finding's words. Reads only.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{catalogue, objective::Objective, score::Answer, standing};
use crate::{
    audit::trail::Shown,
    tenancy::{ClientPlace, Store, StoreError},
};

/// As far as the log has been told: the last event of each objective.
#[derive(Debug, Default)]
pub struct Fold(BTreeMap<String, Value>);

impl Fold {
    pub fn take(&mut self, event: &Shown) {
        if matches!(event.kind.as_str(), "objective.marked" | "objective.rolled_back")
            && let Some(objective) = event.detail["objective"].as_str()
        {
            self.0.insert(objective.to_owned(), event.detail.clone());
        }
    }

    /// How many objectives were compared, and what differs, in words.
    pub async fn compare(&self, store: &Store<'_, ClientPlace>) -> Result<(usize, Vec<String>), StoreError> {
        let mut differences = Vec::new();
        let mut stored: BTreeMap<String, Objective> = BTreeMap::new();
        for held in store.all::<Objective>(ClientPlace::Assessment, "").await? {
            stored.insert(held.value.id.clone(), held.value);
        }
        let standing = standing::read(store).await?.value;
        for id in catalogue().objectives.iter().map(|objective| objective.id) {
            let (objective, logged) = (stored.get(id), self.0.get(id));
            let finding = objective.and_then(|objective| objective.finding.as_ref());
            let is = finding.map_or("undecided", |finding| finding.found.words());
            let said = logged.map_or("undecided", |detail| detail["after"].as_str().unwrap_or_default());
            if is != said {
                differences.push(format!("objective {id} is {is} in the store, and {said} by the log"));
            } else if let (Some(finding), Some(logged)) = (finding, logged) {
                let by = finding.restored.as_ref().map_or(finding.proposal, |restored| restored.proposal);
                let evidence: Vec<Value> =
                    finding.evidence.iter().map(|record| json!({ "record": record.source_key, "hash": record.hash })).collect();
                if logged["proposal"] != json!(by) {
                    differences.push(format!("objective {id} is {is} by proposal {by} in the store, and by another one in the log"));
                }
                if logged["evidence"] != json!(evidence) {
                    differences.push(format!("objective {id} rests on other records in the store than in the log"));
                }
            }
            if standing.found(id) != objective.map_or(Answer::Undecided, Objective::answer) {
                differences.push(format!("where the client stands says otherwise of objective {id} than the objective's own record"));
            }
        }
        Ok((stored.len(), differences))
    }
}
