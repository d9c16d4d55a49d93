//! The random sample of what ran without anybody's approval (L0, L1): drawn from the log, listed, and looked at by a person.
//!
//! What ran by itself is nobody's label. So of the evidence that was taken in, and of the actions that ran at their level,
//! some 4 % are drawn ([`sample`]) and wait in a list until somebody who may approve has looked and said whether they hold.
//! Among them are test items with a known error, of which only the answer says so: a test item is about records that are
//! not in the list themselves, and its name in links says nothing. Each answer is an entry of the log; the fold makes a
//! label and a figure of it. An answer moves nothing by itself: to undo an action there is its proposal's page.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

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
    /// `020417.` and hex: the day it ran, by which the list is sorted, and what nobody can tell anything from.
    pub id: String,
    /// `000000001234.0002`: the place of its entry in the log, and the number within that; with `.t` of a test item. Never
    /// shown before the answer. Of an earlier release: empty, and the id says it.
    #[serde(default)]
    pub place: String,
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

impl Sampled {
    /// Records that its page shows or names.
    fn records(&self) -> impl Iterator<Item = &str> {
        let named = match &self.ran {
            Ran::Evidence { source_key, .. } => Some(source_key.as_str()),
            Ran::Proposal(_) => None,
        };
        named.into_iter().chain(self.shown_as.as_deref())
    }

    fn shares_a_record_with(&self, other: &Self) -> bool {
        self.records().any(|record| other.records().any(|others| others == record))
    }

    pub(super) fn place(&self) -> &str {
        if self.place.is_empty() { &self.id } else { &self.place }
    }
}

/// How far a client's sample was drawn: part of what is kept of the fold of its log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    #[serde(default)]
    draws: sample::Draws,
    /// Records that were taken in lately and not drawn: of such a test item is made.
    #[serde(default)]
    spare: Vec<Sampled>,
    /// Items that were listed since the last test item.
    #[serde(default)]
    untested: u32,
}

/// Spare records of one rule, and in all.
const SPARE: (usize, usize) = (2, 6);

impl Drawing {
    fn keep(&mut self, one: Sampled) {
        self.spare.retain(|other| !one.shares_a_record_with(other));
        if self.spare.iter().filter(|other| other.rule == one.rule).count() >= SPARE.0
            && let Some(oldest) = self.spare.iter().position(|other| other.rule == one.rule)
        {
            self.spare.remove(oldest);
        }
        if self.spare.len() >= SPARE.1 {
            self.spare.remove(0);
        }
        self.spare.push(one);
    }

    /// A test item, where it is time for one: under the name of one record that was taken in, another of the same sort.
    /// `item`: what was listed just now; `listed`: all that can be seen beside it.
    fn test(&mut self, item: &Sampled, listed: &[&Sampled]) -> Option<Sampled> {
        let number = usize::from_str_radix(sha256(item.place().as_bytes()).get(..4)?, 16).ok()?;
        self.untested += 1;
        if !number.is_multiple_of(TESTED) && self.untested < UNTESTED {
            return None;
        }
        self.spare.retain(|spare| !listed.iter().any(|other| spare.shares_a_record_with(other)));
        let pair = |one: &Sampled| self.spare.iter().rposition(|other| other.rule == one.rule && !one.shares_a_record_with(other));
        let (named, shown) = self.spare.iter().enumerate().find_map(|(n, one)| Some((n, pair(one)?)))?;
        let (named, shown) = (self.spare[named].clone(), self.spare[shown].clone());
        self.spare.retain(|spare| spare.rule != named.rule);
        self.untested = 0;
        let (Ran::Evidence { source_key, .. }, Ran::Evidence { source_key: other, hash }) = (&named.ran, &shown.ran) else { return None };
        let ran = Ran::Evidence { source_key: source_key.clone(), hash: hash.clone() };
        Some(Sampled { place: format!("{}.t", named.place()), ran, shown_as: Some(other.clone()), ..named })
    }
}

/// What of one entry of the log is drawn. `subject`: what a proposal is about, as far as it is remembered.
pub fn drawn(
    drawing: &mut Drawing,
    (seq, at): (u64, OffsetDateTime),
    (kind, object): (&str, &str),
    detail: &Value,
    subject: impl Fn(ProposalId) -> String,
) -> Vec<Sampled> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<Sampled> = Vec::new();
    let item = |n: usize, level, rule, ran| {
        let place = format!("{seq:012}.{n:04}");
        Sampled { id: place.clone(), place, level, rule, ran, shown_as: None, at }
    };
    match kind {
        "proposal.executed" => {
            let level = Level::of_word(detail["level"].as_str().unwrap_or_default()).unwrap_or(Level::L2);
            let Some(id) = object.strip_prefix("proposal ").and_then(|id| id.parse::<ProposalId>().ok()) else { return vec![] };
            if drawing.draws.draws(id.0.as_bytes(), level, sample::Rate::default()) {
                found.push(item(0, level, Rule::of(&text(&detail["kind"]), &subject(id)), Ran::Proposal(id)));
            }
        }
        "evidence.observed" if detail["deleted"] != true => {
            let one = [json!({ "record": object, "hash": detail["hash"], "revision": detail["revision"] })];
            let records = detail["records"].as_array().map_or(&one[..], Vec::as_slice);
            for (n, record) in records.iter().enumerate() {
                let source_key = text(&record["record"]);
                // Of the same record taken in again another draw: the revision counts its states.
                let id = format!("{source_key} {}", record["revision"]);
                let sort = source_key.split(':').nth(1).unwrap_or_default();
                let ran = Ran::Evidence { hash: text(&record["hash"]), source_key: source_key.clone() };
                let one = item(n, Level::L0, Rule::of(COLLECTED, sort), ran);
                if drawing.draws.draws(id.as_bytes(), Level::L0, sample::Rate::default()) {
                    found.push(one);
                } else {
                    drawing.keep(one);
                }
            }
        }
        _ => {}
    }
    found
}

/// With one in so many of what is listed a test item comes into the list, by the hash of its place.
const TESTED: usize = 4;
/// And at the latest with the one after so many without.
const UNTESTED: u32 = 5;

/// Adds the oldest of what was drawn to the list, in the batch that says how far the log was followed. What stands there
/// already is left as it is: the log may have been followed from its beginning again.
pub(super) async fn list_drawn(
    store: &Store<'_, ClientPlace>,
    known: &mut Known,
    batch: &mut Batch<'_, '_, ClientPlace>,
) -> Result<usize, StoreError> {
    let now = store.app().now();
    known.drawn.retain(|sampled| sampled.at > now - LISTED);
    if known.drawn.is_empty() {
        return Ok(0);
    }
    let standing = store.all::<Sampled>(ClientPlace::Assessment, "").await?;
    let is_listed = |one: &Sampled| standing.iter().any(|held| held.value.place() == one.place());
    let drawn = known.drawn.drain(..known.drawn.len().min(AT_ONCE)).filter(|one| !is_listed(one));
    let new: Vec<Sampled> = drawn.map(|one| named(one, store.app().ids.uuid())).collect();
    for item in &new {
        batch.create(item);
        let mut beside: Vec<&Sampled> = standing.iter().map(|held| &held.value).chain(&new).collect();
        beside.extend(&known.drawn);
        if let Some(test) = known.drawing.test(item, &beside) {
            batch.create(&named(test, store.app().ids.uuid()));
        }
    }
    // A test item beside the record that it is about would give itself away.
    let given_away = |held: &&Held<Sampled>| held.value.shown_as.is_some() && new.iter().any(|one| one.shares_a_record_with(&held.value));
    for held in standing.iter().filter(given_away) {
        batch.delete(held);
    }
    Ok(new.len())
}

/// With a name of its own, from which nobody can tell where it comes from or what it is.
fn named(one: Sampled, name: Uuid) -> Sampled {
    let day = one.at.unix_timestamp() / 86_400;
    let opaque = sha256(name.as_bytes());
    // Drawn by an earlier release it says its place by its id only, which is replaced.
    Sampled { id: format!("{day:06}.{}", &opaque[..32]), place: one.place().to_owned(), ..one }
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
    // Where somebody looked at one of them just now, the next sweep lets the others go.
    batch.commit_unless_overtaken().await.map(drop)
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
    let place = held.value.place();
    let mut detail = json!({ "rule": rule, "level": level, "agrees": agrees, "name": name, "place": place });
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

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

    fn of(drawing: &mut Drawing, kind: &str, object: &str, detail: &Value) -> Vec<Sampled> {
        drawn(drawing, (7, AT), (kind, object), detail, |_| "AT-1".into())
    }

    #[test]
    fn of_what_ran_without_an_approval_some_four_in_a_hundred_are_drawn_and_the_same_every_time() {
        let mut drawing = Drawing::default();
        let mut executed = |n: u128, level: &str| {
            of(
                &mut drawing,
                "proposal.executed",
                &format!("proposal {}", ProposalId(Uuid::from_u128(n))),
                &json!({ "level": level, "kind": "assign_training" }),
            )
        };
        let drawn: usize = (0..4_000).map(|n| executed(n, "L1").len()).sum();
        assert!((110..=200).contains(&drawn), "{drawn} of 4,000");
        assert_eq!((0..4_000).map(|n| executed(n, "L2").len()).sum::<usize>(), 0, "what people approved is no sample");
        let all: Vec<Value> = (0..4_000).map(|n| json!({ "record": format!("c:configuration:{n}"), "hash": "h", "revision": 5 })).collect();
        let fresh = Drawing::default;
        let listed = of(&mut fresh(), "evidence.observed", "c:configuration:07", &json!({ "records": all }));
        assert!((110..=200).contains(&listed.len()), "{} of 4,000", listed.len());
        assert_eq!(listed, of(&mut fresh(), "evidence.observed", "c:configuration:07", &json!({ "records": all })));
        assert_eq!((listed[0].level, listed[0].rule.name()), (Level::L0, "collect_evidence configuration"));
        assert!(listed.windows(2).all(|two| two[0].place() < two[1].place()), "in the order of the log");
        let one = |revision: u64| of(&mut fresh(), "evidence.observed", "c:ticket:9", &json!({ "hash": "h", "revision": revision })).len();
        assert!((0..400).any(|revision| one(revision) == 1) && (0..400).any(|revision| one(revision) == 0));
        assert!((0..400).all(|revision| {
            of(&mut fresh(), "evidence.observed", "c:ticket:9", &json!({ "deleted": true, "revision": revision })).is_empty()
        }));
    }

    #[test]
    fn a_test_item_is_about_records_that_are_not_in_the_list_and_comes_in_time_also_where_little_is_drawn() {
        let mut drawing = Drawing::default();
        let record = |n: usize| json!({ "record": format!("c:ticket:{n}"), "hash": format!("h{n}"), "revision": 5 });
        let all: Vec<Value> = (0..400).map(record).collect();
        let listed = of(&mut drawing, "evidence.observed", "c:ticket:0", &json!({ "records": all }));
        assert!(listed.len() >= 6, "{}", listed.len());
        let beside: Vec<&Sampled> = listed.iter().collect();
        let tests: Vec<Sampled> = listed[..5].iter().filter_map(|item| drawing.test(item, &beside)).collect();
        let [test, ..] = &tests[..] else { panic!("none with the first five") };
        let Ran::Evidence { source_key, hash } = &test.ran else { panic!("{test:?}") };
        let shown = test.shown_as.as_ref().expect("another one is shown");
        assert_ne!(source_key, shown);
        assert_eq!(hash.trim_start_matches('h'), shown.trim_start_matches("c:ticket:"), "the hash of what is shown");
        assert!(listed.iter().all(|item| !item.shares_a_record_with(test)));
        assert!(drawing.test(&listed[5], &[test]).is_none(), "what was spare is used up");
    }

    #[test]
    fn what_an_earlier_release_drew_keeps_its_place_when_it_gets_a_name() {
        let stored = json!({
            "id": "000000001234.0002", "level": Level::L0, "rule": Rule::of(COLLECTED, "ticket"),
            "ran": { "evidence": { "source_key": "c:ticket:1", "hash": "h" } }, "at": "2026-11-25T09:00:00Z",
        });
        let drawn: Sampled = serde_json::from_value(stored).expect("an old record");
        let listed = named(drawn, Uuid::from_u128(7));
        assert_eq!((listed.place(), listed.id.contains("1234.0002")), ("000000001234.0002", false));
    }
}
