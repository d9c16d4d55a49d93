//! The random sample of what ran without anybody's approval (L0, L1): drawn from the log, listed, and looked at by a person.
//!
//! What ran by itself is nobody's label. So of the evidence that was taken in, and of the actions that ran at their level,
//! some 3 % are drawn by the hash of their id ([`sample`]) and wait in a list until somebody who may approve has looked
//! and said whether they hold. One in [`TESTED`] is a test item with a known error, of which the answer says so. Each answer is an entry of the log; the fold makes a label and a figure of it. An answer
//! moves nothing by itself: to undo an action there is its proposal's page.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::keep::Known;
use crate::{
    audit,
    gate::{
        learning::{Because, Look, MIN_VIEW, Rule, note_look, sample},
        level::Level,
    },
    platform::ports::Continuation,
    tenancy::{Batch, ClientPlace, Held, ProposalId, Record, Store, StoreError, seal::sha256},
};

/// What was drawn and nobody looked at for so long leaves the list: who remembers it by then?
pub const LISTED: Duration = Duration::days(30);
/// Drawn items that one run of the sweep lists, and lets go, at most.
const AT_ONCE: usize = 20;
/// Items of one page.
const ON_A_PAGE: usize = 20;

/// The kind of what intake does by itself.
pub const COLLECTED: &str = "collect_evidence";

/// One action that ran without anybody's approval, until a person has looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampled {
    /// `000000001234.002`: the place of its entry in the log, and the number within that.
    pub id: String,
    pub level: Level,
    pub rule: Rule,
    pub ran: Ran,
    /// A test item, wrong on purpose: under its name the record with this source key is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<String>,
    /// When it ran, as the log says.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ran {
    /// A record was taken in; `hash` is that of its bytes then.
    Evidence {
        source_key: String,
        hash: String,
    },
    Proposal(ProposalId),
}

impl Record for Sampled {
    const KIND: &'static str = "sampled";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// What of one entry of the log is drawn. `subject`: what a proposal is about, as far as it is remembered.
pub fn drawn(
    seq: u64,
    at: OffsetDateTime,
    (kind, object): (&str, &str),
    detail: &Value,
    subject: impl Fn(ProposalId) -> String,
) -> Vec<Sampled> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<(Level, Rule, Ran)> = Vec::new();
    match kind {
        "proposal.executed" => {
            let level = Level::of_word(detail["level"].as_str().unwrap_or_default()).unwrap_or(Level::L2);
            let Some(item) = object.strip_prefix("proposal ").and_then(|id| id.parse::<ProposalId>().ok()) else { return vec![] };
            if sample::is_sampled(item.0.as_bytes(), level, sample::Rate::default()) {
                found.push((level, Rule::of(&text(&detail["kind"]), &subject(item)), Ran::Proposal(item)));
            }
        }
        "evidence.observed" if detail["deleted"] != true => {
            let one = [json!({ "record": object, "hash": detail["hash"], "revision": detail["revision"] })];
            let records = detail["records"].as_array().map_or(&one[..], Vec::as_slice);
            for record in records {
                let source_key = text(&record["record"]);
                // Of the same record taken in again another draw: the revision counts its states.
                let id = format!("{source_key} {}", record["revision"]);
                if sample::is_sampled(id.as_bytes(), Level::L0, sample::Rate::default()) {
                    let sort = source_key.split(':').nth(1).unwrap_or_default();
                    let ran = Ran::Evidence { hash: text(&record["hash"]), source_key: source_key.clone() };
                    found.push((Level::L0, Rule::of(COLLECTED, sort), ran));
                }
            }
        }
        _ => {}
    }
    let listed = |(n, (level, rule, ran)): (usize, (Level, Rule, Ran))| Sampled {
        id: format!("{seq:012}.{n:03}"),
        level,
        rule,
        ran,
        shown_as: None,
        at,
    };
    found.into_iter().enumerate().map(listed).collect()
}

/// Beside one in so many of what is listed there is a test item: the same, with the record of another one shown.
const TESTED: usize = 4;

/// The test item beside this one, by the hash of its id.
fn test_of(sampled: &Sampled, others: &[Sampled]) -> Option<Sampled> {
    let Ran::Evidence { source_key, .. } = &sampled.ran else { return None };
    let number = usize::from_str_radix(sha256(sampled.id.as_bytes()).get(..4)?, 16).ok()?;
    let other = others.iter().find_map(|other| match &other.ran {
        Ran::Evidence { source_key: key, hash } if key != source_key => Some((key.clone(), hash.clone())),
        _ => None,
    });
    let (key, hash) = other.filter(|_| number.is_multiple_of(TESTED))?;
    let ran = Ran::Evidence { source_key: source_key.clone(), hash };
    Some(Sampled { id: format!("{}.t", sampled.id), ran, shown_as: Some(key), ..sampled.clone() })
}

/// Adds the oldest of what was drawn to the list, in the batch that says how far the log was followed. What stands there
/// already is left as it is: the log may have been followed from its beginning again.
pub(super) async fn list_drawn(
    store: &Store<'_, ClientPlace>,
    known: &mut Known,
    batch: &mut Batch<'_, '_, ClientPlace>,
) -> Result<usize, StoreError> {
    let oldest = store.app().now() - LISTED;
    known.drawn.retain(|sampled| sampled.at > oldest);
    let now: Vec<Sampled> = known.drawn.drain(..known.drawn.len().min(AT_ONCE)).collect();
    let mut listed = 0;
    for sampled in &now {
        if store.read::<Sampled>(ClientPlace::Assessment, &sampled.id).await?.is_none() {
            batch.create(sampled);
            if let Some(test) = test_of(sampled, &now) {
                batch.create(&test);
            }
            listed += 1;
        }
    }
    Ok(listed)
}

/// Lets go of what nobody looked at in time, and says so. For the sweep.
pub(super) async fn let_go(store: &Store<'_, ClientPlace>) -> Result<(), StoreError> {
    let (first, _) = store.page::<Sampled>(ClientPlace::Assessment, "", false, AT_ONCE, None).await?;
    let oldest = store.app().now() - LISTED;
    let over: Vec<Held<Sampled>> = first.into_iter().filter(|held| held.value.at <= oldest).collect();
    if over.is_empty() {
        return Ok(());
    }
    let mut batch = store.batch(ClientPlace::Assessment);
    let ids: Vec<&String> = over.iter().map(|held| &held.value.id).collect();
    audit::record(&mut batch, audit::Event::new("sample.lapsed", "sample", json!({ "items": ids })));
    for held in &over {
        batch.delete(held);
    }
    match batch.commit().await {
        // Somebody looked at one of them just now.
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}

/// A page of the list, oldest first, and where it goes on.
pub async fn listed(
    store: &Store<'_, ClientPlace>,
    after: Option<Continuation>,
) -> Result<(Vec<Sampled>, Option<Continuation>), StoreError> {
    let (page, next) = store.page::<Sampled>(ClientPlace::Assessment, "", false, ON_A_PAGE, after).await?;
    Ok((page.into_iter().map(|held| held.value).collect(), next))
}

pub async fn one(store: &Store<'_, ClientPlace>, id: &str) -> Result<Option<Held<Sampled>>, StoreError> {
    store.read(ClientPlace::Assessment, id).await
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The page was open for less than [`MIN_VIEW`], or nobody knows how long.
    TooFast,
    /// To disagree takes a reason.
    NoReason,
    /// Somebody else answered, or it left the list.
    Gone,
}

/// Records what a person who looked at it says, in one batch with its place in the list. `name`: the person's, as shown.
pub async fn answer(
    store: &Store<'_, ClientPlace>,
    held: &Held<Sampled>,
    (agrees, look, name): (bool, Look, &str),
) -> Result<Result<(), NotTaken>, StoreError> {
    let now = store.app().now();
    if look.viewed(now).is_none_or(|viewed| viewed < MIN_VIEW) {
        return Ok(Err(NotTaken::TooFast));
    }
    if !agrees && look.because.is_none() {
        return Ok(Err(NotTaken::NoReason));
    }
    let Sampled { id, level, rule, ran, shown_as, .. } = &held.value;
    let mut detail = json!({ "rule": rule, "level": level, "agrees": agrees, "name": name });
    match ran {
        Ran::Evidence { source_key, hash } => (detail["record"], detail["hash"]) = (json!(source_key), json!(hash)),
        Ran::Proposal(proposal) => detail["proposal"] = json!(proposal),
    }
    if let Some(shown) = shown_as {
        (detail["test_item"], detail["shown"]) = (json!(true), json!(shown));
    }
    note_look(&mut detail, &Look { because: look.because.filter(|_: &Because| !agrees), ..look }, now);
    let mut batch = store.batch(ClientPlace::Assessment);
    audit::record(&mut batch, audit::Event::new("sample.reviewed", format!("sample {id}"), detail));
    batch.delete(held);
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(Err(NotTaken::Gone)),
        other => other.map(Ok),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

    fn of(kind: &str, object: &str, detail: &Value) -> Vec<Sampled> {
        drawn(7, AT, (kind, object), detail, |_| "AT-1".into())
    }

    #[test]
    fn of_what_ran_without_an_approval_some_three_in_a_hundred_are_drawn_and_the_same_every_time() {
        let executed = |n: u128, level: &str| {
            of(
                "proposal.executed",
                &format!("proposal {}", ProposalId(Uuid::from_u128(n))),
                &json!({ "level": level, "kind": "assign_training" }),
            )
        };
        let drawn: usize = (0..4_000).map(|n| executed(n, "L1").len()).sum();
        assert!((80..=160).contains(&drawn), "{drawn} of 4,000");
        assert_eq!((0..4_000).map(|n| executed(n, "L2").len()).sum::<usize>(), 0, "what people approved is no sample");
        let all: Vec<Value> = (0..4_000).map(|n| json!({ "record": format!("c:configuration:{n}"), "hash": "h", "revision": 5 })).collect();
        let listed = of("evidence.observed", "c:configuration:07", &json!({ "records": all }));
        assert!((80..=160).contains(&listed.len()), "{} of 4,000", listed.len());
        assert_eq!(listed, of("evidence.observed", "c:configuration:07", &json!({ "records": all })));
        assert_eq!((listed[0].level, listed[0].rule.name()), (Level::L0, "collect_evidence configuration"));
        assert!(listed.windows(2).all(|two| two[0].id < two[1].id), "oldest first");
        let one = |revision: u64| of("evidence.observed", "c:ticket:9", &json!({ "hash": "h", "revision": revision })).len();
        assert!((0..400).any(|revision| one(revision) == 1) && (0..400).any(|revision| one(revision) == 0));
        assert!(
            (0..400).all(|revision| of("evidence.observed", "c:ticket:9", &json!({ "deleted": true, "revision": revision })).is_empty())
        );
    }
}
