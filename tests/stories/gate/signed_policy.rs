//! The stored policy against somebody who can write the store and holds the client's data key, and cannot sign.

use std::collections::BTreeMap;

use assay::{
    audit::{
        self,
        entry::{self, Entry},
    },
    gate::{
        self, DecideError, Draft, ExecuteError, Policy, Proposal, Refusal, Rule, State, Verdict,
        policy::{self, SignedPolicy, Unsound},
    },
    platform::ports::{BatchOutcome, Container, Op, Partition},
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, Held, ProposalId, Record, policy_mark::PolicyMark},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::Duration;

use super::{House, draft, perform};
use crate::support::flow::client_of;

fn mark() -> Draft {
    Draft { kind: "mark_objective".into(), ..draft() }
}

fn asks(approvals: u8) -> Policy {
    let rule = Rule { approvals, ..Rule::of_kind("mark_objective") };
    Policy { rules: BTreeMap::from([("mark_objective".to_owned(), rule)]), ..Policy::default() }
}

fn slower() -> Policy {
    let rule = Rule { decide_within: 300, ..Rule::of_kind("mark_objective") };
    Policy { rules: BTreeMap::from([("mark_objective".to_owned(), rule)]), ..Policy::default() }
}

/// Priya asks for this policy, Sam approves, and it stands.
async fn approved(house: &House, wanted: Policy) -> ProposalId {
    let id = gate::amend::propose(house.test.app(), &house.scope(&house.priya), "Harbor Precision", wanted, "Four eyes.").await.unwrap();
    house.approve(&house.sam, id).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    id
}

fn partition(house: &House) -> Partition {
    Partition::reserved_for_tenancy(Container::Clients, format!("{}/assessment", house.tenant))
}

const DOCUMENT: &str = "policy:gate";

async fn body(house: &House) -> Value {
    house.test.app().documents.read(&partition(house), DOCUMENT).await.unwrap().unwrap().body
}

/// As it was earlier; `None`: gone.
async fn put_back(house: &House, body: Option<&Value>) {
    let now = house.test.app().documents.read(&partition(house), DOCUMENT).await.unwrap();
    let op = match (body.cloned(), now) {
        (Some(body), Some(now)) => Op::Replace { id: DOCUMENT.into(), body, if_match: now.etag },
        (Some(body), None) => Op::Create { id: DOCUMENT.into(), body },
        (None, now) => Op::Delete { id: DOCUMENT.into(), if_match: now.map(|now| now.etag) },
    };
    assert!(matches!(house.test.app().documents.batch(&partition(house), vec![op]).await.unwrap(), BatchOutcome::Committed(_)));
}

/// A policy record with whatever somebody writes into it who has the client's key.
#[derive(Clone, Serialize, Deserialize)]
struct Written(Value);

impl Record for Written {
    const KIND: &'static str = "policy";
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        policy::KEY.into()
    }

    fn revision(&self) -> u64 {
        self.0["version"].as_u64().unwrap()
    }
}

/// As the release before signatures wrote it.
#[derive(Serialize, Deserialize)]
struct Unsigned(Policy);

impl Record for Unsigned {
    const KIND: &'static str = "policy";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        policy::KEY.into()
    }
}

async fn written(house: &House) -> Held<Written> {
    house.store().await.read(ClientPlace::Assessment, policy::KEY).await.unwrap().unwrap()
}

/// Nobody's approval is taken, what was approved before does not run, and a no still counts.
async fn nothing_goes(house: &House, waiting: ProposalId, case: &str, why: Unsound) {
    let open = house.asked(mark()).await;
    let refused = house.approve(&house.sam, open).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(Refusal::PolicyUnsound(said)) if said == why), "{case}: {refused}");
    let message = house.messages("execute").await.pop().unwrap();
    let run = gate::execute(house.test.app(), &message, perform).await;
    assert!(matches!(&run, Err(error @ ExecuteError::Policy(said)) if error.is_transient() && *said == why), "{case}: {run:?}");
    assert!(matches!(house.state(waiting).await, State::Approved { .. }), "{case}");
    assert!(house.marks().await.is_empty(), "{case}");
    let no = house.answer(open, Verdict::Reject).await;
    house.decide(&house.sam, open, &no).await.unwrap();
}

#[tokio::test]
async fn an_insider_who_cannot_sign_can_neither_lower_a_quorum_nor_put_a_policy_back_nor_delete_it() {
    for case in ["reworded", "a version more", "unsigned", "another client's", "put back", "deleted"] {
        let house = House::new().await;
        approved(&house, slower()).await;
        let first = body(&house).await;
        approved(&house, asks(2)).await;
        let waiting = house.asked(Draft { kind: "mark".into(), ..draft() }).await;
        house.approve(&house.priya, waiting).await.unwrap();
        match case {
            "put back" => put_back(&house, Some(&first)).await,
            "deleted" => put_back(&house, None).await,
            "unsigned" => {
                let store = house.store().await;
                let held = written(&house).await;
                let lowered = Policy { version: 2, ..asks(1) };
                let mut batch = store.batch(ClientPlace::Assessment);
                batch.replace(&Held { value: Unsigned(lowered), etag: held.etag });
                batch.commit().await.unwrap();
            }
            "another client's" => {
                let other = assay::tenancy::TenantId(uuid::Uuid::from_u128(7));
                let signed = SignedPolicy::sign(house.test.app(), other, &Policy { version: 3, ..asks(1) }, "").await.unwrap();
                let held: Held<SignedPolicy> = house.store().await.read(ClientPlace::Assessment, policy::KEY).await.unwrap().unwrap();
                house.overwrite(Held { value: signed, etag: held.etag }).await;
            }
            _ => {
                let mut held = written(&house).await;
                let version = if case == "a version more" { 3 } else { 2 };
                held.value.0["version"] = json!(version);
                held.value.0["text"] = json!(serde_json::to_string(&Policy { version, ..asks(1) }).unwrap());
                house.overwrite(held).await;
            }
        }
        let why = match case {
            "put back" => Unsound::Older { found: 1, highest: 2 },
            "deleted" => Unsound::Gone { highest: 2 },
            _ => Unsound::NotSigned,
        };
        nothing_goes(&house, waiting, case, why).await;
    }
}

/// The mark's document in the directory.
fn mark_of(house: &House) -> (Partition, String) {
    (Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into()), format!("policy-mark:{}", house.tenant))
}

#[tokio::test]
async fn a_policy_that_is_put_back_together_with_its_mark_runs_nothing_and_the_next_sweep_says_so() {
    for (is_changed_before, is_followed) in [(true, false), (true, true), (false, false), (false, true)] {
        let house = House::new().await;
        let documents = &house.test.app().documents;
        let (directory, mark_id) = mark_of(&house);
        let mut policy_before = None;
        if is_changed_before {
            approved(&house, slower()).await;
            policy_before = Some(body(&house).await);
        }
        let mark_before = documents.read(&directory, &mark_id).await.unwrap().unwrap().body;
        approved(&house, asks(2)).await;
        let follow = async || {
            assert!(audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap().complete);
            gate::ran::follow(&house.store().await).await.unwrap();
        };
        if is_followed {
            follow().await;
        }
        put_back(&house, policy_before.as_ref()).await;
        let if_match = documents.read(&directory, &mark_id).await.unwrap().unwrap().etag;
        let op = Op::Replace { id: mark_id, body: mark_before, if_match };
        assert!(matches!(documents.batch(&directory, vec![op]).await.unwrap(), BatchOutcome::Committed(_)));
        house.test.clock.advance(Duration::minutes(11));

        // One approval was enough under the policy of before.
        let id = house.asked(mark()).await;
        house.approve(&house.sam, id).await.unwrap();
        assert!(matches!(house.state(id).await, State::Approved { .. }));
        let highest = if is_changed_before { 2 } else { 1 };
        let why = if is_changed_before { Unsound::Older { found: 1, highest } } else { Unsound::Gone { highest } };
        let run = house.execute().await;
        assert!(matches!(&run, Err(ExecuteError::Policy(said)) if *said == why), "{run:?}");
        follow().await;
        let swept = policy::care::look_after(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap();
        assert_eq!(swept, Err(why));
        nothing_goes(&house, id, "put back with its mark", why).await;
    }
}

#[tokio::test]
async fn what_was_changed_without_a_decision_is_put_back_from_its_approvals_and_said_once() {
    let house = House::new().await;
    let id = approved(&house, asks(2)).await;
    put_back(&house, None).await;
    let sweep =
        || async { policy::care::look_after(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap() };
    // Somebody took the approvals along too: nobody can say what stood.
    let held = house.held(id).await;
    let bare = Held { value: Proposal { decisions: vec![], ..held.value.clone() }, etag: held.etag };
    house.overwrite(bare).await;
    assert_eq!(sweep().await, Err(Unsound::Gone { highest: 1 }));
    assert_eq!(sweep().await, Err(Unsound::Gone { highest: 1 }));
    let etag = house.held(id).await.etag;
    house.overwrite(Held { value: held.value, etag }).await;
    let restored = sweep().await.unwrap();
    assert_eq!((restored.version, restored.terms("mark_objective").rule.approvals), (1, 2));
    assert_eq!(sweep().await.unwrap(), restored);
    audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();
    let trail = audit::trail::page(&house.store().await, std::iter::empty(), None).await.unwrap();
    let said = |kind: &str| trail.entries.iter().filter(|shown| shown.kind == kind).count();
    assert_eq!((said("policy.unsound"), said("policy.restored")), (1, 1));
}

async fn look_after(house: &House) -> Result<Policy, Unsound> {
    policy::care::look_after(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap()
}

async fn marked(house: &House) -> Option<u32> {
    house.roster().await.policy_mark(house.tenant).map(|mark| mark.version)
}

async fn take_mark(house: &House) {
    let store = DeploymentScope::of_function("test", "insider").store(house.test.app()).await.unwrap();
    let held: Held<PolicyMark> = store.read(DeploymentPlace::Directory, &house.tenant.to_string()).await.unwrap().unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.delete(&held);
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_policy_of_an_earlier_release_is_signed_once_and_only_if_it_is_what_was_approved() {
    for lowered in [false, true] {
        let house = House::new().await;
        let by = approved(&house, asks(2)).await;
        take_mark(&house).await;
        let held = written(&house).await;
        let stored = Policy { version: 1, made_by: Some(by), ..asks(if lowered { 1 } else { 2 }) };
        let store = house.store().await;
        let mut batch = store.batch(ClientPlace::Assessment);
        batch.replace(&Held { value: Unsigned(stored), etag: held.etag });
        batch.commit().await.unwrap();
        let open = house.asked(mark()).await;
        let early = house.approve(&house.priya, open).await.unwrap_err();
        assert!(matches!(early, DecideError::Refused(Refusal::PolicyUnsound(Unsound::Unmarked))), "{early}");
        let swept = look_after(&house).await;
        let outcome = house.approve(&house.priya, open).await;
        let now = Policy::read(&store).await.unwrap();
        if lowered {
            assert!(matches!(outcome, Err(DecideError::Refused(Refusal::PolicyUnsound(_)))), "{outcome:?}");
            assert_eq!((now, swept), (Err(Unsound::NotSigned), Err(Unsound::NotSigned)));
        } else {
            assert_eq!((now.map(|policy| policy.version), swept.is_ok()), (Ok(1), true));
            assert_eq!(marked(&house).await, Some(1));
        }
    }
}

#[tokio::test]
async fn a_mark_that_is_deleted_with_the_policy_is_made_again_from_the_log() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();
    let waiting = house.asked(mark()).await;
    put_back(&house, None).await;
    take_mark(&house).await;
    assert_eq!(look_after(&house).await, Err(Unsound::Gone { highest: 1 }), "the mark knows its number, and not what approved it");
    let refused = house.approve(&house.priya, waiting).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(Refusal::PolicyUnsound(Unsound::Gone { highest: 1 }))), "{refused}");
    assert_eq!(marked(&house).await, Some(1));
}

#[tokio::test]
async fn where_a_stop_left_the_mark_behind_the_sweep_raises_it() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    take_mark(&house).await;
    let found = policy::care::look_after(house.test.app(), &house.scope(&house.marco), house.roster().await.as_ref()).await.unwrap();
    assert_eq!((found.unwrap().version, marked(&house).await), (1, Some(1)));
}

/// The whole of what such an insider can do short of signing: the records, the log, and all that a proposal says of itself.
#[tokio::test]
async fn an_insider_gets_no_policy_restored_that_was_approved_once_and_never_came_to_stand() {
    let house = House::new().await;
    // Approved by people, with their receipts, and superseded before it ran.
    let lenient =
        gate::amend::propose(house.test.app(), &house.scope(&house.priya), "Harbor Precision", slower(), "In haste.").await.unwrap();
    house.approve(&house.sam, lenient).await.unwrap();
    house.test.clock.advance(Duration::hours(49));
    assert!(matches!(house.execute().await.unwrap().state, State::Expired { approved: true, .. }));
    let strict = approved(&house, asks(2)).await;
    audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();

    // The insider makes of the first one what came to stand, and says so in the log.
    put_back(&house, None).await;
    let held = house.held(lenient).await;
    let at = house.test.app().now();
    house.overwrite(Held { value: Proposal { state: State::Executed { at, undo_until: None }, ..held.value }, etag: held.etag }).await;
    let store = house.store().await;
    let mut batch = store.batch(ClientPlace::Assessment);
    let detail = json!({ "version": 1, "proposal": lenient, "changes": [], "before": {}, "after": {} });
    audit::record(&mut batch, audit::Event::new("policy.changed", "policy", detail));
    let held = house.held(strict).await;
    batch.delete(&held);
    batch.commit().await.unwrap();
    audit::sequence(&store, [ClientPlace::Assessment]).await.unwrap();
    assert_eq!(look_after(&house).await, Err(Unsound::Gone { highest: 1 }));

    // The record of what was approved is put back, and with it the policy.
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.create(&held.value);
    batch.commit().await.unwrap();
    assert_eq!(look_after(&house).await.map(|policy| policy.terms("mark_objective").rule.approvals), Ok(2));
}

#[tokio::test]
async fn a_log_that_is_too_long_for_one_run_is_read_on_by_the_next_and_nothing_is_approved_before() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    let waiting = house.asked(mark()).await;
    audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();
    put_back(&house, None).await;
    take_mark(&house).await;
    grown(&house, policy::search::AT_ONCE).await;
    assert_eq!(look_after(&house).await, Err(Unsound::Unmarked));
    let refused = house.approve(&house.priya, waiting).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(Refusal::PolicyUnsound(Unsound::Unmarked))), "{refused}");
    assert_eq!(marked(&house).await, None);
    assert_eq!(look_after(&house).await, Err(Unsound::Gone { highest: 1 }));
    assert_eq!(marked(&house).await, Some(1));
}

#[tokio::test]
async fn a_log_that_is_shorter_than_its_checkpoint_says_nothing_of_which_policy_stood() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    let store = house.store().await;
    audit::sequence(&store, [ClientPlace::Assessment]).await.unwrap();
    audit::publish(&store).await.unwrap().unwrap();
    put_back(&house, None).await;
    take_mark(&house).await;
    // As in the middle of a restore: the last entry, which tells of the policy, is not there yet.
    let places = entry::range(&store, 0, 1000).await.unwrap();
    let last = places.last().unwrap();
    let place = entry::part_of(last.seq);
    let held: Held<Entry> = store.read(place, &entry::entry_key(last.seq)).await.unwrap().unwrap();
    let insider = house.test.insider();
    let taken = client_of(&insider, house.tenant).await;
    let mut batch = taken.batch(place);
    batch.delete(&held);
    batch.commit().await.unwrap();
    for _ in 0..3 {
        assert_eq!(look_after(&house).await, Err(Unsound::Unmarked));
    }
    assert_eq!(marked(&house).await, None);
    let mut batch = store.batch(place);
    batch.create(&held.value);
    batch.commit().await.unwrap();
    look_after(&house).await.ok();
    assert_eq!(marked(&house).await, Some(1));
}

/// The log has that many entries more, each like its last one that says nothing of a policy.
async fn grown(house: &House, more: u64) {
    let store = house.store().await;
    let known = entry::range(&store, 0, 1000).await.unwrap();
    let last = known.iter().rfind(|entry| !entry.leaf.contains("policy.")).unwrap();
    let (mut next, end) = (known.len() as u64, known.len() as u64 + more);
    while next < end {
        let place: ClientPlace = entry::part_of(next);
        let mut batch = store.batch(place);
        while next < end && entry::part_of::<ClientPlace>(next) == place && batch.len() < 100 {
            batch.create(&Entry { seq: next, ..last.clone() });
            next += 1;
        }
        batch.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_mark_that_is_deleted_alone_is_made_again_with_what_approved_the_policy_and_can_put_it_back() {
    let house = House::new().await;
    let id = approved(&house, asks(2)).await;
    let full = house.roster().await.policy_mark(house.tenant).cloned().unwrap();
    assert_eq!((full.version, full.made_by, full.approved.as_str()), (1, Some(id), house.held(id).await.value.hash.as_str()));
    assert_eq!(body(&house).await["revision"], json!(1), "sealed as the version that it is");
    take_mark(&house).await;
    look_after(&house).await.unwrap();
    assert_eq!(house.roster().await.policy_mark(house.tenant), Some(&full));
    put_back(&house, None).await;
    assert_eq!(look_after(&house).await.map(|policy| policy.version), Ok(1));
    approved(&house, slower()).await;
    assert_eq!(body(&house).await["revision"], json!(2));
}

#[tokio::test]
async fn a_signature_that_is_broken_is_not_made_good_where_the_mark_is_gone_too() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    take_mark(&house).await;
    let mut held = written(&house).await;
    held.value.0["signature"] = json!("AAAA");
    house.overwrite(held).await;
    // Word for word what was approved, and yet not as it was signed.
    assert_eq!(look_after(&house).await, Err(Unsound::NotSigned));
    assert_eq!(look_after(&house).await, Err(Unsound::NotSigned));
}

/// As the release before signatures stored it.
async fn left_unsigned(house: &House, policy: Policy) {
    let store = house.store().await;
    let held: Option<Held<Written>> = store.read(ClientPlace::Assessment, policy::KEY).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.put(Unsigned(policy), held.map(|held| held.etag));
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_not_carried_out_and_what_was_approved_as_something_else_makes_no_policy() {
    for is_change in [true, false] {
        let house = House::new().await;
        let id = if is_change {
            let scope = house.scope(&house.priya);
            gate::amend::propose(house.test.app(), &scope, "Harbor Precision", slower(), "In haste.").await.unwrap()
        } else {
            house.asked(Draft { action: json!({ "from": 0, "to": slower() }).to_string(), ..draft() }).await
        };
        house.approve(&house.sam, id).await.unwrap();
        if !is_change {
            assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
        }
        take_mark(&house).await;
        left_unsigned(&house, gate::amend::made_by(&house.held(id).await.value).unwrap()).await;
        assert_eq!(look_after(&house).await, Err(Unsound::NotSigned), "{is_change}");
    }
}

#[tokio::test]
async fn one_who_may_break_the_glass_and_did_not_makes_no_policy_that_two_had_to_approve() {
    let house = House::new().await;
    let two = BTreeMap::from([(policy::CHANGE_POLICY.to_owned(), Rule { approvals: 2, ..Rule::of_kind(policy::CHANGE_POLICY) })]);
    house.set_policy(&Policy { rules: two, break_glass: [house.priya.id].into(), ..Policy::default() }).await;
    let id = gate::amend::propose(house.test.app(), &house.scope(&house.marco), "Harbor Precision", slower(), "In haste.").await.unwrap();
    house.approve(&house.priya, id).await.unwrap();
    let Held { value, etag } = house.held(id).await;
    let state = State::Executed { at: house.test.app().now(), undo_until: None };
    house.overwrite(Held { value: Proposal { state, ..value.clone() }, etag }).await;
    take_mark(&house).await;
    left_unsigned(&house, gate::amend::made_by(&value).unwrap()).await;
    assert_eq!(look_after(&house).await, Err(Unsound::NotSigned));
}

#[tokio::test]
async fn a_policy_is_put_back_from_the_very_text_whose_hash_the_directory_knows() {
    let house = House::new().await;
    approved(&house, asks(2)).await;
    let stood = look_after(&house).await.unwrap();
    take_mark(&house).await;
    policy::care::raise(house.test.app(), "story", house.tenant, &stood, "another text's").await.unwrap();
    put_back(&house, None).await;
    assert_eq!(look_after(&house).await, Err(Unsound::Gone { highest: 1 }));
}

#[tokio::test]
async fn that_a_policy_is_not_as_it_was_approved_is_said_anew_when_it_is_so_otherwise_and_after_it_was_put_right() {
    let house = House::new().await;
    let id = approved(&house, asks(2)).await;
    let (signed, held) = (body(&house).await, house.held(id).await);
    let bare = Proposal { decisions: vec![], ..held.value };
    house.overwrite(Held { value: bare, etag: held.etag }).await;
    let said = async || {
        look_after(&house).await.ok();
        audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap();
        let trail = audit::trail::page(&house.store().await, std::iter::empty(), None).await.unwrap();
        trail.entries.iter().filter(|shown| shown.kind == "policy.unsound").count()
    };
    put_back(&house, None).await;
    assert_eq!((said().await, said().await), (1, 1));
    left_unsigned(&house, asks(1)).await;
    assert_eq!((said().await, said().await), (2, 2), "another thing is found");
    put_back(&house, Some(&signed)).await;
    assert_eq!(said().await, 2, "as from a backup");
    left_unsigned(&house, asks(1)).await;
    assert_eq!((said().await, said().await), (3, 3));
}
