//! Upgrade, and back, on stores that were left by other releases (`tests/stores`, whose README says what they are).
//!
//! A store that an earlier release left goes on here as if nothing had happened; one that the next release left, within its
//! rules, does too, and keeps what this release does not know; what a release further ahead wrote is refused in words and stays
//! as it is. That a change of a form is seen before it is released is the last test's part.

mod forms;
mod midst;
mod queued;
mod seldom;
mod year;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use assay::{
    connectors::demo::{self, What},
    gate::{Proposal, State, Verdict},
    platform::ports::Queue as _,
    tenancy::{ClientPlace, Held, Record, StoreError, seal::sha256},
};
use forms::{Forms, SINCE};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::Duration;

use super::verify_store::verified;
use crate::support::{
    TestApp, audited,
    browser::{self, Browser, text},
    clock::VirtualClock,
    disk,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
    next_release::{self, EVENT, KIND, Opened},
    sample::{self, Sample},
    shared,
};

const THIS: &str = env!("CARGO_PKG_VERSION");
const BEFORE: &str = "0.1.0";
/// Stores of releases that are out, with the SHA-256 of their files: they are what that program left, and are never written anew.
const RELEASED: [(&str, &str); 1] = [(BEFORE, "e01860ba6c5dec8e77feb9ef2b14a14ef22d106d4c48714dcdce2864652a3c07")];
const NEXT: &str = "next";

/// Kinds of record that no store here holds, and why.
const NOT_LEFT: [&str; 6] = [
    // A key that somebody names: only where Azure Key Vault keeps the keys.
    "former-vault-keys",
    "vault-key",
    // This release has no kind of action that runs by its level.
    "demoted",
    "undoable",
    // There while a client's policy is not as it was approved: such a store is not whole, and nothing goes on in it.
    "policy-alarm",
    // There while a log of more than 10,000 entries is read again, which takes minutes to write.
    "policy-sought",
];

/// What comes into the logs besides where a year ended in the middle of something.
const FROM_THE_MIDST: [&str; 5] = ["log.alarm", "policy.changed", "proposal.revised", "pull.finished", "pull.started"];

#[test]
fn the_stores_of_releases_that_are_out_are_what_those_left() {
    for (release, hash) in RELEASED {
        assert_eq!(sha256(&std::fs::read(path(release)).unwrap()), hash, "{release}");
    }
}

#[tokio::test]
async fn a_store_that_a_release_before_left_goes_on_as_if_nothing_had_happened() {
    let own = Box::pin(goes_on(store(THIS))).await;
    assert!(!own.contains(EVENT) && own.contains("proposal.executed"), "{own:?}");
    let mut expected = Box::pin(goes_on(store(BEFORE))).await;
    expected.extend(FROM_THE_MIDST.map(str::to_owned));
    assert_eq!(own, expected, "what came into the logs");
}

#[tokio::test]
async fn a_store_that_the_next_release_left_goes_on_and_keeps_what_this_one_does_not_know() {
    let mut expected = Box::pin(goes_on(store(THIS))).await;
    // One that the next release really left says nothing new by itself.
    let named = shared::file("ASSAY_NEXT_STORE");
    if named.is_none() {
        expected.insert(EVENT.into());
    }
    let next = Sample::unpacked(&named.unwrap_or_else(|| path(NEXT)));
    assert_eq!(Box::pin(goes_on(next)).await, expected, "what is new has its place, and nothing is an alarm");
}

/// Of a test: what the next release writes is understood here, and written as before.
#[derive(Serialize, Deserialize)]
struct Plan<const WRITES: u32> {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u32>,
}

impl<const WRITES: u32> Record for Plan<WRITES> {
    const KIND: &'static str = "plan";
    const SCHEMA: u32 = WRITES;
    const READS: u32 = if WRITES == 1 { 2 } else { WRITES };

    fn key(&self) -> String {
        self.name.clone()
    }
}

#[tokio::test]
async fn a_form_is_understood_one_release_before_it_is_written_and_what_it_says_stays() {
    let flow = Flow::new(Extent::Small).await;
    let (store, place) = (flow.client(HARBOR).await, ClientPlace::Assessment);
    let mut batch = store.batch(place);
    batch.create(&Plan::<2> { name: "next".into(), until: Some(7) });
    batch.create(&Plan::<3> { name: "ahead".into(), until: None });
    batch.commit().await.unwrap();

    let read = store.read::<Plan<1>>(place, "next").await.unwrap().unwrap();
    assert_eq!(read.value.until, Some(7));
    let mut batch = store.batch(place);
    batch.replace(&read);
    batch.commit().await.unwrap();
    assert_eq!(store.read::<Plan<2>>(place, "next").await.unwrap().unwrap().value.until, Some(7), "nothing was dropped");
    let refused = store.read::<Plan<1>>(place, "ahead").await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::NewerRelease { schema: 3, known: 2, .. }), "{refused}");
}

#[tokio::test]
async fn of_no_kind_does_this_release_change_a_record_that_a_release_ahead_left() {
    let left = store(THIS);
    let mut test = opened_anew(&left);
    let all = next_release::opened(&mut test).await;
    let kinds: BTreeSet<&str> = all.keys().map(sample::Address::kind).collect();
    for kind in kinds {
        let said = Box::pin(is_left_alone(&left, &all, kind)).await;
        // What was decided is looked at when somebody decides or it runs; here all that was decided has ended.
        let is_seen = audited::is_relied_on(kind) && kind != "decision";
        assert!(!said.is_empty() || !is_seen, "{kind}: nobody says that it is of a newer release");
    }
}

#[tokio::test]
async fn what_this_release_writes_differently_from_its_sample_or_from_the_one_before_is_seen() {
    let mut flow = Box::pin(year::year(TestApp::new())).await;
    // 0.1.0 lived no longer. What comes after is compared once BEFORE is a release that lived it.
    let after_a_year = Forms::of(&next_release::opened(&mut flow.test).await);
    let sent = flow.test.queue.keep_copies();
    Box::pin(seldom::happens(&mut flow)).await;
    Box::pin(midst::ends(&mut flow)).await;
    let (at, folder) = (flow.app().now(), flow.test.closed());
    queued::keep(folder.path(), &sent);
    let written = Sample { release: THIS.into(), at, folder };
    let mut test = opened_anew(&written);
    let now = next_release::opened(&mut test).await;
    if shared::writes() {
        written.pack(&path(THIS));
        next_release::next_release_wrote(&mut test).await;
        Sample { release: NEXT.into(), at, folder: test.closed() }.pack(&path(NEXT));
    }
    let messages = queued::left(written.folder.path());
    let same = forms_of(&store(THIS)).await.differences(&Forms::of(&now).with(&messages));
    assert!(
        same.is_empty(),
        "{THIS} writes otherwise than tests/stores/{THIS}.zip. Is {THIS} out? Then raise the version in Cargo.toml. \
         `ASSAY_WRITE=1 cargo test upgrade` makes the sample anew: {same:#?}"
    );
    let since = forms_of(&store(BEFORE)).await.differences(&after_a_year);
    let said: BTreeSet<String> = SINCE.iter().map(|(line, _)| (*line).to_owned()).collect();
    assert_eq!(since, said, "SINCE says what differs from {BEFORE}, and why that release can be put back all the same");
    let left: BTreeSet<&str> = now.keys().map(sample::Address::kind).collect();
    let not_left: BTreeSet<&str> = audited::kinds().difference(&left).copied().collect();
    assert_eq!(not_left, NOT_LEFT.into(), "NOT_LEFT says which kinds no store holds");
}

const PAGES: [&str; 12] = [
    "portal/clients",
    "portal/inbox",
    "portal/audit",
    "portal/connections",
    "portal/dead-letters",
    "portal/set-aside",
    "portal/access",
    "portal/people",
    "portal/keys",
    "portal/analytics",
    "portal/health",
    "portal/setup",
];

/// Its tools send, people look at every page and approve what waits, and all of it verifies. The kinds of events that came.
async fn goes_on(left: Sample) -> BTreeSet<String> {
    let (release, at) = (left.release.clone(), left.at);
    let mut test = opened_anew(&left);
    let before = next_release::opened(&mut test).await;
    // No release comes at the moment at which the one before stops.
    test.clock.advance(Duration::minutes(1));
    for (queue, message) in queued::left(left.folder.path()) {
        test.queue.send(&queue, message, std::time::Duration::ZERO).await.unwrap();
    }
    let mut flow = Flow::taken_over(test, at);
    flow.settle().await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, at)[1]).await;
    flow.settle().await;
    is_whole(&flow, &release).await;
    for (page, shown) in pages(&flow, &before).await {
        assert!(shown.contains("<h1") && !shown.contains("newer release"), "{release}: {page}: {shown}");
    }
    let all: Vec<Held<Proposal>> = flow.client(HARBOR).await.all(ClientPlace::Assessment, "").await.unwrap();
    let waits = all.into_iter().map(|held| held.value).find(|proposal| matches!(proposal.state, State::Open)).unwrap();
    flow.answer_once(person(What::Approver), HARBOR, waits.id, Verdict::Approve).await.unwrap();
    flow.settle().await;
    let done = flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &waits.id.to_string()).await.unwrap().unwrap();
    assert!(matches!(done.value.state, State::Executed { .. }), "{release}: {:?}", done.value.state);
    is_whole(&flow, &release).await;

    let after = next_release::opened(&mut flow.test).await;
    for (at, (body, _)) in before.iter().filter(|(at, _)| at.kind() == KIND) {
        assert_eq!(after.get(at).map(|(body, _)| body), Some(body), "{at:?}");
    }
    let entries = after.into_iter().filter(|(at, _)| at.kind() == "entry" && !before.contains_key(at));
    entries.filter_map(|(_, (_, plain))| kind_of_event(&plain?)).collect()
}

fn kind_of_event(entry: &Value) -> Option<String> {
    let leaf: Value = serde_json::from_str(entry["leaf"].as_str()?).unwrap();
    Some(leaf["kind"].as_str()?.to_owned())
}

async fn is_whole(flow: &Flow, release: &str) {
    let (said, outcome) = verified(flow).await;
    assert_eq!(outcome, Ok(()), "{release}: {said:#?}");
}

/// What an owner sees who signs in and opens each.
async fn pages(flow: &Flow, left: &Opened) -> BTreeMap<String, String> {
    let nobody = Browser::of_nobody(flow);
    let reply = nobody.post("portal/sign-in", &[("person", &person(What::Owner).id.to_string())]).await;
    let Some(session) = browser::cookie_of(&reply) else { return BTreeMap::from([("sign-in".into(), text(&reply))]) };
    let owner = Browser::with_cookie(flow, &session);
    let of_harbor = ["", "/people", "/policy", "/keys", "/requirements/CM.L2-3.4.1"].map(|page| format!("portal/clients/{HARBOR}{page}"));
    let of_ridge = format!("portal/clients/{RIDGE}/offboarding");
    let decided = left.keys().filter_map(|at| at.id.strip_prefix("decision:")?.split(':').next());
    let decided = decided.map(|id| format!("portal/proposals/{HARBOR}/{id}"));
    let mut shown = BTreeMap::new();
    for page in PAGES.map(str::to_owned).into_iter().chain(of_harbor).chain([of_ridge]).chain(decided) {
        let html = text(&owner.get(&page).await);
        shown.insert(page, html);
    }
    shown
}

/// Every record of this kind is of a release ahead; the tools send, the sweep runs, an owner looks around. Who said so.
async fn is_left_alone(left: &Sample, all: &Opened, kind: &str) -> BTreeSet<String> {
    let mut test = opened_anew(left);
    next_release::release_ahead_wrote(&mut test, all, kind).await;
    let before = next_release::at_rest(&mut test);
    let mut flow = Flow::taken_over(test, left.at);
    let mut said = BTreeSet::new();
    flow.sweep().await;
    said.extend(flow.swept.clone().err());
    let taken = flow.post(&deliveries_of(demo::CONNECTWISE, left.at)[1]).await.unwrap();
    assert!(matches!(taken.status, 200 | 503), "{kind}: the tool sends again what is not taken: {}", taken.status);
    flow.pump().await;
    flow.pass(Duration::minutes(6)).await;
    if audited::is_relied_on(kind) {
        for (page, shown) in pages(&flow, all).await {
            assert!(shown.contains("<h1"), "{kind}: {page}: {shown}");
            said.extend(shown.contains("newer release").then_some(page));
        }
    }
    let after = next_release::at_rest(&mut flow.test);
    for (at, body) in before.iter().filter(|(at, _)| at.kind() == kind) {
        assert!(after.get(at).map_or_else(|| is_taken_away(at), |now| now == body || is_written_anew(at)), "{at:?}");
    }
    said
}

/// Unread: a mark goes with its proposal, which says the same.
fn is_taken_away(at: &sample::Address) -> bool {
    at.kind() == "approved"
}

/// What lies where an urgent notice is kept and cannot be read must keep nobody from being told, since whoever writes the
/// database could lay it there.
fn is_written_anew(at: &sample::Address) -> bool {
    at.kind() == "notified" && at.id.ends_with(":glass")
}

fn path(release: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/stores/{release}.zip"))
}

fn store(release: &str) -> Sample {
    Sample::unpacked(&path(release))
}

async fn forms_of(left: &Sample) -> Forms {
    Forms::of(&next_release::opened(&mut opened_anew(left)).await).with(&queued::left(left.folder.path()))
}

/// A process on a copy of it, at the time when it was left. Its ids are others than those that are there.
fn opened_anew(left: &Sample) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    disk::copy(left.folder.path(), folder.path());
    TestApp::on(folder, VirtualClock::at(left.at), 7, &[])
}
