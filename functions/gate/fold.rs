//! What the log says of proposals, decisions and the policy, folded event by event, and compared with the records (G6).
//!
//! Compared: that a proposal is in both, its version and hash, that its state is one that its last event leads to, every
//! decision with its person, version, hash, verdict, comment and receipt, the policy's version and terms, and when who stood
//! in for whom. Not compared: a proposal's own words, of which the log has the hash, and its clocks. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    delegation::{self, told},
    event::Verdict,
    policy::{Policy, words},
    proposal::{Answers, Proposal},
    state::{Decision, State},
};
use crate::{
    audit::trail::Shown,
    tenancy::{Actor, ClientPlace, PersonId, ProposalId, Store, StoreError},
};

/// As far as the log has been told.
#[derive(Debug, Default)]
pub struct Fold {
    proposals: BTreeMap<ProposalId, Told>,
    policy: Option<Value>,
    stand_ins: told::Told,
}

#[derive(Debug)]
struct Told {
    version: u64,
    hash: String,
    last: String,
    said: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    kind: String,
    detail: Value,
    person: Option<PersonId>,
}

/// What was compared, and what differs, in words.
#[derive(Debug, Default)]
pub struct Compared {
    pub count: usize,
    pub differences: Vec<String>,
}

const SAID: [&str; 7] = ["approved", "glass_broken", "rejected", "recorded", "upheld", "overridden", "escalated"];

impl Fold {
    pub fn take(&mut self, event: &Shown) {
        self.stand_ins.take(&event.kind, &event.detail, event.at);
        if event.kind == "policy.changed" {
            self.policy = Some(event.detail.clone());
        }
        let Some(word) = event.kind.strip_prefix("proposal.") else { return };
        let Some(id) = event.object.strip_prefix("proposal ").and_then(|id| id.parse().ok()) else { return };
        let text = |name: &str| event.detail[name].as_str().unwrap_or_default().to_owned();
        let version = event.detail["version"].as_u64().unwrap_or_default();
        if word == "staged" {
            self.proposals.insert(id, Told { version, hash: text("hash"), last: word.into(), said: Vec::new() });
            return;
        }
        let Some(told) = self.proposals.get_mut(&id) else { return };
        if word == "revised" {
            (told.version, told.hash) = (version, text("hash"));
        }
        if SAID.contains(&word) {
            let person = if let Actor::Person(person) = event.actor { Some(person) } else { None };
            told.said.push(Said { kind: word.into(), detail: event.detail.clone(), person });
        }
        if !states_after(word).is_empty() {
            told.last = word.into();
        }
    }

    pub async fn compare(&self, store: &Store<'_, ClientPlace>) -> Result<Compared, StoreError> {
        let mut found = Compared::default();
        let place = ClientPlace::Assessment;
        let answers: BTreeMap<ProposalId, Answers> =
            store.all::<Answers>(place, "").await?.into_iter().map(|held| (held.value.proposal, held.value)).collect();
        let mut stored = BTreeSet::new();
        for held in store.all::<Proposal>(place, "").await? {
            let proposal = held.value;
            let what = format!("proposal {} ({})", proposal.id, proposal.draft.label());
            stored.insert(proposal.id);
            found.count += 1;
            let Some(told) = self.proposals.get(&proposal.id) else {
                found.differences.push(format!("{what} is in the store and the log never heard of it"));
                continue;
            };
            found.differences.extend(told.differences(&what, &proposal));
            if let Some(answers) = answers.get(&proposal.id) {
                found.differences.extend(told.unsaid(&format!("the answers to {what}"), &answers.decisions));
            }
        }
        for (id, told) in self.proposals.iter().filter(|(id, _)| !stored.contains(id)) {
            found.differences.push(format!("proposal {id} is in the log ({}) and not in the store", told.last));
        }
        found.differences.extend(self.policy(store).await?);
        found.differences.extend(self.stand_ins.differences(&delegation::all(store).await?, store.app().now()));
        Ok(found)
    }

    async fn policy(&self, store: &Store<'_, ClientPlace>) -> Result<Option<String>, StoreError> {
        let stored = match Policy::read(store).await? {
            Ok(stored) => stored,
            Err(unsound) => return Ok(Some(unsound.sentence())),
        };
        let logged = self.policy.as_ref();
        let version = logged.and_then(|detail| detail["version"].as_u64()).unwrap_or_default();
        if u64::from(stored.version) != version {
            let stands = stored.version;
            return Ok(Some(format!("the policy in the store is version {stands}, and the log's last change made version {version}")));
        }
        let Some(detail) = logged else { return Ok(None) };
        let Ok(logged) = serde_json::from_value::<Policy>(detail["after"].clone()) else {
            return Ok(Some("the log's last change of the policy is in a form that this release does not know".into()));
        };
        let changes: Vec<String> = words::changes(&logged, &stored, &|person| person.to_string()).iter().map(ToString::to_string).collect();
        Ok((!changes.is_empty())
            .then(|| format!("the policy in the store is not the one that the log's last change made: {}", changes.join("; "))))
    }
}

impl Told {
    fn differences(&self, what: &str, proposal: &Proposal) -> Vec<String> {
        let mut differences = Vec::new();
        if (u64::from(proposal.version), &proposal.hash) != (self.version, &self.hash) {
            differences.push(format!(
                "{what} is version {} with the hash {} in the store, and version {} with the hash {} in the log",
                proposal.version, proposal.hash, self.version, self.hash
            ));
        }
        let state = word(&proposal.state);
        if !states_after(&self.last).contains(&state) {
            differences
                .push(format!("{what} is {state} in the store, and the last that the log says of it is {}", self.last.replace('_', " ")));
        }
        differences.extend(self.unsaid(what, &proposal.decisions));
        let of_version = |said: &&Said| said.detail["version"].as_u64() == Some(proposal.version.into());
        let (logged, stored) = (self.said.iter().filter(of_version).count(), proposal.decisions.len());
        if logged > stored {
            differences.push(format!("{what} has {stored} decisions in the store, and {logged} in the log"));
        }
        differences
    }

    /// Decisions that the log does not have like this.
    fn unsaid(&self, what: &str, decisions: &[Decision]) -> Vec<String> {
        let is = |said: &Said, decision: &Decision| {
            let receipt = &said.detail["receipt"];
            said.kind == verdict(decision)
                && said.person == Some(decision.person)
                && said.detail["version"].as_u64() == Some(decision.version.into())
                && said.detail["hash"].as_str() == Some(&decision.hash)
                && said.detail["comment"].as_str() == Some(&decision.comment)
                && (receipt.is_null() || serde_json::to_value(&decision.receipt).is_ok_and(|stored| stored == *receipt))
        };
        let unsaid = decisions.iter().filter(|decision| !self.said.iter().any(|said| is(said, decision)));
        unsaid
            .map(|one| format!("{what} has a decision by {} ({}) in the store that is not in the log like that", one.name, verdict(one)))
            .collect()
    }
}

fn verdict(decision: &Decision) -> &'static str {
    match decision.verdict {
        Verdict::Approve if decision.broke_glass => "glass_broken",
        Verdict::Approve => "approved",
        Verdict::Reject => "rejected",
        Verdict::Done => "recorded",
        Verdict::Uphold => "upheld",
        Verdict::Override => "overridden",
        Verdict::Escalate => "escalated",
    }
}

/// In which states a proposal can be when this was the last that happened to it; none: it changes no state.
fn states_after(word: &str) -> &'static [&'static str] {
    match word {
        "staged" => &["open", "cleared"],
        "revised" => &["open"],
        "approved" | "glass_broken" => &["open", "approved"],
        "rejected" => &["rejected"],
        "withdrawn" => &["withdrawn"],
        "superseded" => &["superseded"],
        "expired" => &["expired"],
        "refused" => &["refused"],
        "begun" => &["executing"],
        "executed" => &["executed"],
        "not_undone" => &["not undone"],
        "failed" => &["failed"],
        "recorded" => &["open", "recorded"],
        "overridden" => &["undoing"],
        "undone" | "rolled_back" => &["rolled back"],
        _ => &[],
    }
}

fn word(state: &State) -> &'static str {
    match state {
        State::Open => "open",
        State::Cleared { .. } => "cleared",
        State::Approved { .. } => "approved",
        State::Rejected { .. } => "rejected",
        State::Expired { .. } => "expired",
        State::Superseded { .. } => "superseded",
        State::Withdrawn { .. } => "withdrawn",
        State::Executing { .. } => "executing",
        State::Executed { .. } => "executed",
        State::Undoing { .. } => "undoing",
        State::Recorded { .. } => "recorded",
        State::NotUndone { .. } => "not undone",
        State::Failed { .. } => "failed",
        State::Refused { .. } => "refused",
        State::RolledBack { .. } => "rolled back",
    }
}
