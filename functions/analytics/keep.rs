//! Keeping up with a client's log: what was folded so far is kept, sealed, beside the client's records.
//!
//! Only the sweep writes it ([`follow`]), in one batch with how rules are gated from here on ([`Demoted`]) and an audit item
//! for every rule that is gated otherwise. Whoever shows figures folds what came since in memory ([`known`]) and writes
//! nothing. If the record were lost, or the policy leaves a reviewer out, the log is folded again from its beginning, and
//! what the log says already of a gate is not said twice. One record holds four months of proposals: above 256 KB its text
//! lies, sealed, in a blob, so no number of them reaches what a document may hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Lately, Tally,
    lately::TakenIn,
    sampled::{self, Drawing, Sampled},
};
use crate::{
    app::App,
    audit::{
        self,
        entry::{HEAD_KEY, Head},
        trail,
        walk::Walked,
    },
    gate::{
        demotion::{self, Demoted},
        learning::{Change, Config, Ledger, Observed, Rule, Terms, fact},
        level::Level,
        policy::{self, SignedPolicy},
    },
    tenancy::{ClientPlace, Held, PersonId, Place as _, Record, Roster, Scope, Store, StoreError, place::AuditPart},
};

/// Entries that the log gives at once; see [`trail::page`].
const GROUP: u64 = 100;
/// Groups that one run of the sweep folds, and that a page folds in memory.
const GROUPS_OF_A_RUN: usize = 20;
const GROUPS_OF_A_PAGE: usize = 3;
/// Entries without anything to count that may lie behind before the place is written down: no more than a page folds.
const MAY_LAG: u64 = GROUP * GROUPS_OF_A_PAGE as u64;
/// Changes in one batch.
const CHANGES: usize = 40;

/// What intake does by itself, without a proposal.
const BY_INTAKE: [&str; 2] = [sampled::COLLECTED, "hash_evidence"];

/// Where each kind of action of this release begins: at its floor, so for marking and taking back people are needed
/// whatever the numbers. What begins below L2 goes there when people override it too often; what
/// intake takes in is taken in all the same, because nothing rests on it without an approval, and people are told to look.
pub fn config() -> Config {
    let safest = |kind: &str, floor: Level| if BY_INTAKE.contains(&kind) { floor } else { floor.max(Level::L2) };
    let terms = |kind: &str, floor: Level| Terms { start: floor, floor, safest: safest(kind, floor) };
    let kinds = policy::KINDS.iter().map(|(kind, floor, _)| ((*kind).to_owned(), terms(kind, *floor)));
    Config { kinds: kinds.collect(), ..Config::default() }
}

/// What a client's log came to, up to a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The place of the first entry that was not folded.
    pub next: u64,
    /// Changes by entries before this place stand in the log.
    told: u64,
    /// Changes that were found and not told yet: not before the end of the log is known, which may tell of them.
    pending: Vec<Change>,
    pub ledger: Ledger,
    pub tally: Tally,
    /// [`Config::hash`] of what it was folded under; of an earlier release, empty.
    #[serde(default)]
    config: String,
    /// Whose decisions teach nothing.
    #[serde(default)]
    pub left_out: BTreeSet<PersonId>,
    /// Drawn for a look, and not in the list yet.
    #[serde(default)]
    pub(super) drawn: Vec<Sampled>,
    /// How far the drawing has come, and of what test items can be made.
    #[serde(default)]
    pub(super) drawing: Drawing,
    /// In a store of an earlier release it begins where that one had come to.
    #[serde(default)]
    taken_in: TakenIn,
}

const GATE_CHANGED: &str = "rule.gate_changed";

impl Record for Known {
    const KIND: &'static str = "figures";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

const KEY: &str = "log";

impl Known {
    /// Nothing folded yet, under this configuration.
    fn begin(config: &Config) -> Self {
        Self { config: config.hash(), left_out: config.excluded.clone(), ..Self::default() }
    }

    /// What happened lately, as far as it is folded.
    fn lately(&self, now: OffsetDateTime) -> Lately {
        Lately::of(&self.taken_in, self.tally.items(), now)
    }

    /// Under which it is folded on.
    fn config(&self) -> Config {
        Config { excluded: self.left_out.clone(), ..config() }
    }

    /// The next changes that the log does not tell of.
    fn take_untold(&mut self) -> Vec<Change> {
        let told = self.told;
        self.pending.retain(|change| change.seq >= told);
        let changes: Vec<Change> = self.pending.drain(..self.pending.len().min(CHANGES)).collect();
        self.told = changes.last().map_or(told, |change| change.seq + 1);
        changes
    }
}

/// What one run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// How many rules are gated otherwise.
    pub changes: usize,
    /// `None`: not known, because the log goes on behind what was folded, or the policy is not as it was approved.
    pub lately: Option<Lately>,
}

/// Folds what the log got since the last run. For the sweep; `roster` was read before.
pub async fn follow(app: &App, scope: &Scope, roster: &Roster) -> Result<Followed, StoreError> {
    let store = scope.store(app).await?;
    // Under a policy that is not as it was approved nobody is left out and nobody taken in: the figures wait.
    let found = store.read::<SignedPolicy>(ClientPlace::Assessment, policy::KEY).await?;
    let Ok(policy) = policy::shown(&store, roster, found.as_ref()).await? else { return Ok(Followed::default()) };
    let config = Config { excluded: policy.left_out, ..config() };
    let (held, end) = begin(&store).await?;
    let etag = held.as_ref().map(|held| held.etag.clone());
    let kept = held.map(|held| held.value).filter(|known| known.config == config.hash());
    let mut counted = kept.is_none() && etag.is_some();
    let mut known = kept.unwrap_or_else(|| Known::begin(&config));
    let before = known.next;
    for _ in 0..GROUPS_OF_A_RUN {
        if known.next < end {
            counted |= fold_group(&store, &mut known).await?;
        }
    }
    let nothing = Followed { changes: 0, lately: (known.next >= end).then(|| known.lately(app.now())) };
    let changes = if known.next < end { Vec::new() } else { known.take_untold() };
    let (kept, demoted) = (store.read::<Demoted>(ClientPlace::Assessment, demotion::KEY).await?, known.ledger.demoted(&config));
    // Also where somebody deleted or changed it: the log says what holds.
    let gates =
        known.next >= end && known.pending.is_empty() && kept.as_ref().map_or(!demoted.is_empty(), |kept| kept.value.rules != demoted);
    sampled::let_go(&store).await?;
    if changes.is_empty() && !counted && !gates && known.drawn.is_empty() && known.next - before < MAY_LAG {
        return Ok(nothing);
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    if gates {
        let was = kept.as_ref().map(|kept| kept.value.rules.clone()).unwrap_or_default();
        if let Some(event) = replayed(&was, &demoted, &changes, &known) {
            audit::record(&mut batch, event);
        }
        batch.put(Demoted { rules: demoted }, kept.map(|kept| kept.etag));
    }
    // Not before the end: what stands further on in the log may have been said of what was drawn.
    if known.next >= end {
        sampled::list_drawn(&store, &mut known, &mut batch).await?;
    }
    for change in &changes {
        let detail = serde_json::to_value(change).unwrap_or_else(|_| json!({}));
        audit::record(&mut batch, audit::Event::new(GATE_CHANGED, format!("rule {}", change.rule.name()), detail));
    }
    batch.put(known, etag);
    match batch.commit().await {
        // Another sweep did the same.
        Err(error) if error.is_conflict() => Ok(nothing),
        other => other.map(|()| Followed { changes: changes.len(), ..nothing }),
    }
}

/// That rules are gated otherwise although no new decision moved them: the log was folded again without somebody, or the
/// record of what was learned was not what the log says.
fn replayed(was: &BTreeMap<Rule, Level>, is: &BTreeMap<Rule, Level>, changes: &[Change], known: &Known) -> Option<audit::Event> {
    let rules: BTreeSet<&Rule> = was.keys().chain(is.keys()).filter(|rule| was.get(rule) != is.get(rule)).collect();
    let untold = rules.into_iter().filter(|rule| !changes.iter().any(|change| change.rule == **rule));
    let told: Vec<_> = untold.map(|rule| json!({ "rule": rule, "before": was.get(rule), "after": is.get(rule) })).collect();
    let detail = json!({ "rules": told, "without": known.left_out.len() });
    (!told.is_empty()).then(|| audit::Event::new("rule.gates_replayed", "rules", detail))
}

/// What is known now, with how many entries of the log are not in it yet. Writes nothing.
pub async fn known(store: &Store<'_, ClientPlace>) -> Result<(Known, u64), StoreError> {
    let (held, end) = begin(store).await?;
    // As it was kept, also where the policy leaves out others since: the sweep folds anew, a page says whom it left out.
    let mut known = held.map_or_else(|| Known::begin(&config()), |held| held.value);
    for _ in 0..GROUPS_OF_A_PAGE {
        if known.next < end {
            fold_group(store, &mut known).await?;
        }
    }
    let behind = end.saturating_sub(known.next);
    Ok((known, behind))
}

/// What is kept, and the length of the log.
async fn begin(store: &Store<'_, ClientPlace>) -> Result<(Option<Held<Known>>, u64), StoreError> {
    let kept = store.read::<Known>(ClientPlace::Assessment, KEY).await?;
    let head = store.read::<Head>(ClientPlace::audit(AuditPart::Head), HEAD_KEY).await?;
    Ok((kept, head.map_or(0, |head| head.value.next)))
}

/// Folds on to the end of the group of entries in which the fold stands; whether anything in it counted.
async fn fold_group(store: &Store<'_, ClientPlace>, known: &mut Known) -> Result<bool, StoreError> {
    let (config, end) = (known.config(), (known.next / GROUP + 1) * GROUP);
    let group = trail::page(store, std::iter::empty(), Some(end)).await?;
    let end = end.min(group.total).max(known.next);
    // Folded past, an entry that is not there would never count, and thresholds would not be a function of the log (design I11).
    let there: BTreeSet<u64> = group.entries.iter().filter_map(|shown| shown.place.as_ref().map(|place| place.seq)).collect();
    if let Some(next) = (known.next..end).find(|seq| !there.contains(seq)) {
        Walked { next, ended: true }.reaching(end)?;
    }
    let mut counted = false;
    for shown in group.entries.iter().rev() {
        let Some(seq) = shown.place.map(|place| place.seq).filter(|seq| *seq >= known.next) else { continue };
        let Known { drawing, drawn, tally, taken_in, .. } = &mut *known;
        // Not worth a write of its own: what is not kept is folded again.
        taken_in.take_in(&shown.kind, shown.at, &shown.detail);
        drawn.extend(sampled::drawn(drawing, (seq, shown.at), (&shown.kind, &shown.object), &shown.detail, |item| tally.subject(item)));
        // Somebody looked, or nobody did in time: it does not come into the list again.
        if let Some(id) = shown.object.strip_prefix("sample ") {
            let place = shown.detail["place"].as_str().unwrap_or(id);
            known.drawn.retain(|sampled| sampled.place() != place);
        }
        if shown.kind == "sample.lapsed" {
            known.drawn.retain(|sampled| shown.at - sampled.at < sampled::LISTED);
        }
        if let Some(fact) = fact(&shown.kind, &shown.object, &shown.actor, &shown.detail) {
            let observed = Observed { seq, at: shown.at, fact };
            known.pending.extend(known.ledger.take_in(&observed, &config));
            known.tally.take_in(&observed, &config);
            counted = true;
        } else if shown.kind == GATE_CHANGED {
            known.told = known.told.max(shown.detail["seq"].as_u64().map_or(0, |seq| seq + 1));
            counted = true;
        }
    }
    // Of a long log that is followed from its beginning, what nobody would be asked about any more is let go.
    if let Some(newest) = known.drawn.last().map(|sampled| sampled.at) {
        known.drawn.retain(|sampled| newest - sampled.at < sampled::LISTED);
    }
    known.next = end;
    Ok(counted)
}
