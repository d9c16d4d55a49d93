//! Bad days: the disk is full or cannot be written, the clock jumps back, the queue delivers for a week, a key is
//! revoked, somebody forges messages, a function keeps failing. Said in words, nothing lost, nothing doubled.

use std::{io::ErrorKind, time::Duration as Wait};

use assay::{
    audit::{
        self, Item,
        dead_letter::{self, DeadLetter, DeadLetterState},
    },
    connectors::{
        demo::{self, What},
        pull,
    },
    evidence::{AnalyzeV1, Evidence},
    gate::{DecideError, Proposal, State, Verdict, proposal::ExecuteV1},
    platform::ports::{PortErrorKind, Queue as _},
    tenancy::{ClientPlace, DeploymentPlace, DeploymentScope, StoreError, message},
};
use bytes::Bytes;
use serde_json::{Value, json};
use time::Duration;
use uuid::Uuid;

use crate::support::{
    clock::START,
    end_state::{EndState, all},
    faults::Fault,
    flow::{Extent, Flow, HARBOR, QUEUES, RIDGE, deliveries_of, person},
};

const OBJECTIVE: &str = "3.4.1[d]";

async fn main_job(flow: &mut Flow) -> EndState {
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    EndState::of(flow).await
}

async fn undisturbed() -> EndState {
    main_job(&mut Flow::new(Extent::Small).await).await
}

/// Queues with work in them: a checkpoint that is due in a moment is none.
fn work(flow: &Flow) -> Vec<String> {
    let mut queues = flow.test.queue.filled();
    queues.retain(|queue| queue != "publish");
    queues
}

/// The same, but for how often a vendor that was told to come back came back.
fn assert_same(found: &EndState, expected: &EndState) {
    let but_deliveries = |end: &EndState| {
        let mut end = end.clone();
        end.audit.remove("deployment webhook.delivery");
        end
    };
    assert_eq!(but_deliveries(found), but_deliveries(expected));
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_said_in_words_and_the_work_goes_on_when_it_can() {
    let expected = undisturbed().await;
    for (trouble, kind) in [(ErrorKind::StorageFull, PortErrorKind::Full), (ErrorKind::ReadOnlyFilesystem, PortErrorKind::Denied)] {
        let mut flow = Flow::new(Extent::Small).await;
        let (callback, approver) = (&deliveries_of(demo::CONNECTWISE, START)[0], person(What::Approver));

        // The vendor is told to come back, and nothing is half kept.
        flow.test.disk.refuse_writes(Some(trouble));
        let reply = flow.post(callback).await.unwrap();
        assert_eq!((reply.status, reply.header("content-type")), (503, Some("application/problem+json")));
        let told: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(told["type"], "urn:assay:problem:unavailable");
        assert!(work(&flow).is_empty());

        // It also fills up in the middle: what was taken waits in the queue, and no sweep says that all is well.
        flow.test.disk.refuse_writes(None);
        assert_eq!(flow.post(callback).await.unwrap().status, 200);
        flow.test.disk.refuse_writes(Some(trouble));
        flow.pump().await;
        assert_eq!(work(&flow), ["intake"], "{trouble:?}");
        flow.sweep().await;
        flow.swept.clone().unwrap_err();

        // A decision that cannot be kept is not taken, and the error says what is wrong with the disk.
        flow.test.disk.refuse_writes(None);
        flow.test.clock.advance(Duration::seconds(30));
        flow.pump().await;
        let id = flow.mailed(approver, HARBOR, OBJECTIVE).await;
        flow.test.disk.refuse_writes(Some(trouble));
        let error = flow.answer_once(approver, HARBOR, id, Verdict::Approve).await.unwrap_err();
        let DecideError::Store(StoreError::Port(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.kind, kind);
        flow.test.disk.refuse_writes(None);
        assert_eq!(
            flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap().value.state,
            State::Open
        );

        // With room again it heals by itself, without a new process.
        flow.answer(approver, HARBOR, OBJECTIVE, Verdict::Approve).await;
        flow.settle().await;
        assert_same(&EndState::of(&flow).await, &expected);
    }
}

#[tokio::test]
async fn a_disk_that_stays_full_for_hours_only_fills_dead_letters_that_people_can_send_again() {
    let expected = undisturbed().await;
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.test.disk.refuse_writes(Some(ErrorKind::StorageFull));
    flow.pass(Duration::hours(3)).await;
    assert_eq!(work(&flow), ["intake-poison"], "tried five times, then kept aside");

    flow.test.disk.refuse_writes(None);
    flow.pass(Duration::minutes(10)).await;
    let letter = dead_letters(&flow).await.pop().unwrap();
    assert!(replay(&flow, &letter.id).await);
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let mut end = EndState::of(&flow).await;
    assert_eq!(std::mem::take(&mut end.dead_letters).len(), 1, "it stays to be seen");
    for kind in ["deployment message.dead", "deployment message.replayed"] {
        assert_eq!(end.audit.remove(kind), Some(1));
    }
    assert_same(&end, &expected);
}

#[tokio::test]
async fn a_clock_that_jumps_back_a_day_stops_nothing_and_reopens_nothing() {
    let expected = undisturbed().await;
    // At each stage of the job in turn.
    for stage in 0..4 {
        let mut flow = Flow::new(Extent::Small).await;
        let jump = |flow: &mut Flow, at: i32| {
            if at == stage {
                flow.clock_jumps(-Duration::days(1));
            }
        };
        flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
        jump(&mut flow, 0);
        flow.pump().await;
        jump(&mut flow, 1);
        flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
        jump(&mut flow, 2);
        flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
        jump(&mut flow, 3);
        flow.settle().await;
        let mut end = EndState::of(&flow).await;
        // The date in the subject is that of the clock of the moment.
        let undated = |mails: &[String]| mails.iter().map(|mail| mail.split(" by ").next().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(undated(&end.mails), undated(&expected.mails), "stage {stage}");
        end.mails.clone_from(&expected.mails);
        assert_eq!(end, expected, "stage {stage}");
    }
}

#[tokio::test]
async fn what_is_read_after_the_clock_jumped_back_is_what_counts_and_what_runs() {
    let mut flow = Flow::new(Extent::Small).await;
    let approver = person(What::Approver);
    let id = flow.mailed(approver, HARBOR, OBJECTIVE).await;
    flow.clock_jumps(-Duration::days(1));
    flow.vendor_has_devices(2);
    pull::request_pull(&flow.deployment().await, demo::CONNECTWISE).await.unwrap();
    flow.pump().await;
    let proposal = flow.client(HARBOR).await.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap().value;
    assert_eq!(proposal.draft.evidence[0].title, "All configurations in ConnectWise PSA: 2 of 2");
    flow.answer(approver, HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let end = EndState::of(&flow).await;
    assert_eq!(
        (end.findings.len(), end.decisions),
        (1, vec!["Harbor 3.4.1[d] Approve, by Priya Nair, ran: true, signed: true".to_owned()])
    );
}

#[tokio::test]
async fn an_analysis_that_died_before_the_clock_jumped_back_does_not_stay_in_charge() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    assert!(flow.deliver_one().await, "intake");
    // The analysis takes its lease and fails, as often as the queue delivers it.
    for _ in 0..5 {
        flow.test.faults.stop_at(6, Fault::BeforeEffect);
        assert!(flow.deliver_one().await, "analyze");
        flow.test.faults.mend();
        flow.test.clock.advance(Duration::seconds(30));
    }
    assert_eq!(work(&flow), ["analyze-poison"]);
    flow.clock_jumps(-Duration::days(1));
    flow.settle().await;
    let end = EndState::of(&flow).await;
    let of = |objective: &str| end.suggestions.iter().filter(|words| words.contains(objective)).count();
    assert_eq!((of("3.6.2[a]"), of(OBJECTIVE)), (1, 1), "{:?}", end.suggestions);
}

#[tokio::test]
async fn an_expired_proposal_stays_expired_when_the_clock_jumps_back() {
    let mut flow = Flow::new(Extent::Small).await;
    let approver = person(What::Approver);
    let id = flow.mailed(approver, HARBOR, OBJECTIVE).await;
    flow.test.clock.advance(Duration::days(8));
    flow.settle().await;
    flow.clock_jumps(-Duration::days(7));
    let refused = flow.answer_once(approver, HARBOR, id, Verdict::Approve).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(assay::gate::Refusal::Expired { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_queue_that_delivers_everything_for_a_week_in_any_order_ends_as_if_it_came_once() {
    let mut flow = Flow::new(Extent::Small).await;
    let copies = flow.test.queue.keep_copies();
    let expected = main_job(&mut flow).await;
    let sent = copies.lock().unwrap().clone();
    for queue in QUEUES {
        assert!(sent.iter().any(|(name, _)| name == queue), "{queue} took part");
    }
    // Every message again and again, hours apart, each time in another order; for as long as the reading counts, because
    // what grows too old is withdrawn, and that is another story.
    for round in 0..30_usize {
        flow.test.clock.advance(Duration::hours(5) + Duration::minutes(30));
        for at in 0..sent.len() {
            let (queue, body) = &sent[(at * 7 + round * 3) % sent.len()];
            flow.run(queue, body.clone()).await.unwrap_or_else(|error| panic!("{queue}, round {round}: {error}"));
        }
    }
    // That keys were used on later days too is written down, and asks for a checkpoint.
    flow.test.clock.advance(Duration::seconds(30));
    flow.pump().await;
    let end = EndState::of(&flow).await;
    assert_eq!(end, expected);
}

#[tokio::test]
async fn a_revoked_key_stops_one_client_with_clear_words_and_leaves_the_other_alone() {
    let mut flow = Flow::new(Extent::Both).await;
    let approver = person(What::Approver);
    flow.mailed(approver, HARBOR, OBJECTIVE).await;
    let ridge_asks = flow.mailed(approver, RIDGE, OBJECTIVE).await;
    revoke(&flow, HARBOR, true);
    // An unwrapped key is forgotten after five minutes.
    flow.test.clock.advance(Duration::minutes(6));

    let harbor = assay::tenancy::directory::Tenant { id: HARBOR, name: String::new(), created_at: flow.app().now() };
    let refused = assay::tenancy::Scope::of_sweep(&harbor, "story").store(flow.app()).await.map(|_| ()).unwrap_err();
    let StoreError::Key { owner, source } = &refused else { panic!("{refused:?}") };
    assert_eq!((owner.clone(), source.kind), (HARBOR.to_string(), PortErrorKind::Denied));

    let now = flow.app().now();
    // News of the stopped client cannot be taken in and becomes a dead letter; the sweep says so and serves the other one.
    assert_eq!(flow.post(&deliveries_of(demo::CONNECTWISE, now)[0]).await.unwrap().status, 200, "the client is not known yet");
    assert_eq!(flow.post(&deliveries_of(demo::AUTOTASK, now)[0]).await.unwrap().status, 200);
    flow.pass(Duration::minutes(10)).await;
    assert!(flow.swept.clone().unwrap_err().contains("client"));
    assert!(work(&flow).is_empty(), "{:?}", work(&flow));
    let letters = dead_letters(&flow).await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains(&format!("the key of {HARBOR} cannot be used")), "{}", letters[0].reason);

    let decided = flow.answer(approver, RIDGE, OBJECTIVE, Verdict::Approve).await;
    assert_eq!(decided.proposal.id, ridge_asks);
    flow.pass(Duration::minutes(5)).await;
    let ridge = flow.client(RIDGE).await;
    let executed = ridge.read::<Proposal>(ClientPlace::Assessment, &ridge_asks.to_string()).await.unwrap().unwrap();
    assert!(matches!(executed.value.state, State::Executed { .. }));
    assert!(ticket_is_there(&ridge).await);
    drop(ridge);

    // The key is given back, and what could not be taken in is sent again.
    revoke(&flow, HARBOR, false);
    assert!(replay(&flow, &letters[0].id).await);
    flow.settle().await;
    assert!(ticket_is_there(&flow.client(HARBOR).await).await);
    assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_is_allowed_again_within_minutes_costs_nobody_a_look() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    revoke(&flow, HARBOR, true);
    flow.test.clock.advance(Duration::minutes(6));
    let now = flow.app().now();
    assert_eq!(flow.post(&deliveries_of(demo::CONNECTWISE, now)[0]).await.unwrap().status, 200);
    flow.pump().await;
    assert_eq!((work(&flow), dead_letters(&flow).await.len()), (vec!["intake".to_owned()], 0), "it waits");

    revoke(&flow, HARBOR, false);
    flow.pass(Duration::minutes(10)).await;
    assert_eq!(dead_letters(&flow).await.len(), 0);
    assert!(ticket_is_there(&flow.client(HARBOR).await).await);
}

#[tokio::test]
async fn a_forged_message_is_a_dead_letter_once_and_stays_forged_when_it_is_sent_again() {
    let mut flow = Flow::new(Extent::Small).await;
    let id = flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    flow.settle().await;
    let before = EndState::of(&flow).await;

    let order = ExecuteV1 { proposal: id, version: 1 };
    let good = message::seal(flow.app(), "execute", Some(HARBOR), Uuid::from_u128(7), &order).await.unwrap();
    let with = |name: &str, value: Value| {
        let mut wire: Value = serde_json::from_slice(&good).unwrap();
        wire[name] = value;
        Bytes::from(wire.to_string())
    };
    let other_function = message::seal(flow.app(), "notify", Some(HARBOR), Uuid::from_u128(8), &order).await.unwrap();
    let forged = [
        (with("mac", json!("AAAA")), "authentication code"),
        (with("tenant", json!(RIDGE)), "authentication code"),
        (with("body", json!("{}")), "authentication code"),
        (with("v", json!(9)), "version 9"),
        (with("more", json!(1)), "not in the form"),
        (other_function, "for function notify"),
        (Bytes::from_static(b"\xff\x00 not even text"), "not in the form"),
    ];
    for _ in 0..3 {
        for (body, _) in &forged {
            flow.test.queue.send("execute", body.clone(), Wait::ZERO).await.unwrap();
        }
        flow.pump().await;
    }
    assert!(work(&flow).is_empty(), "no redelivery mends it");
    let letters = dead_letters(&flow).await;
    assert_eq!(letters.len(), forged.len(), "once each, however often it came");
    for (_, why) in &forged {
        assert!(letters.iter().any(|letter| letter.reason.contains(why)), "{why}");
    }

    // A person who sends one again finds it back, forged as before.
    for letter in &letters {
        assert!(replay(&flow, &letter.id).await);
        assert!(!replay(&flow, &letter.id).await, "once is enough");
    }
    flow.settle().await;
    for letter in dead_letters(&flow).await {
        assert_eq!((letter.state, letter.times), (DeadLetterState::Waiting, 2), "{}", letter.reason);
    }
    let mut after = EndState::of(&flow).await;
    let count = u64::try_from(forged.len()).unwrap();
    assert_eq!(after.audit.remove("deployment message.dead"), Some(2 * count));
    assert_eq!(after.audit.remove("deployment message.replayed"), Some(count));
    after.dead_letters.clear();
    assert_eq!(after, before, "nothing else happened");
}

#[tokio::test]
async fn a_message_that_keeps_failing_is_put_aside_seen_and_sent_again_when_the_trouble_is_over() {
    let expected = undisturbed().await;
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    // Five tries, each failing at its first call.
    for _ in 0..5 {
        flow.test.faults.fail_at(0, Fault::BeforeEffect);
        assert!(flow.deliver_one().await);
        flow.test.clock.advance(Duration::seconds(30));
    }
    flow.test.faults.mend();
    assert_eq!(work(&flow), ["intake-poison"]);

    // The sweep writes it down; until then a stop of the sweep loses nothing.
    for call in 0..8 {
        flow.test.faults.stop_at(call, Fault::BeforeEffect);
        flow.sweep().await;
        flow.test.faults.mend();
        flow.test.restart();
        flow.test.clock.advance(Duration::minutes(3));
    }
    flow.sweep().await;
    let letters = dead_letters(&flow).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].queue.as_str(), letters[0].times), ("intake", 1));
    assert!(letters[0].reason.contains("failed on it five times; the last time because "), "{}", letters[0].reason);
    assert!(letters[0].reason.ends_with("not available"), "what the last try ran into: {}", letters[0].reason);
    assert!(!work(&flow).contains(&"intake-poison".to_owned()));
    assert_eq!(dead_letter::waiting(flow.app(), &operator()).await.unwrap(), 1);

    assert!(replay(&flow, &letters[0].id).await);
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    let mut end = EndState::of(&flow).await;
    assert_eq!(std::mem::take(&mut end.dead_letters).len(), 1);
    assert_eq!(end.audit.remove("deployment message.dead"), Some(1));
    assert_eq!(end.audit.remove("deployment message.replayed"), Some(1));
    assert_eq!(end, expected);
}

#[tokio::test]
async fn a_message_about_what_does_not_exist_harms_nobody() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let before = EndState::of(&flow).await;
    let nothing = AnalyzeV1 { source_key: "filed:nothing".into() };
    let body = message::seal(flow.app(), "analyze", Some(HARBOR), Uuid::from_u128(7), &nothing).await.unwrap();
    flow.run("analyze", body).await.unwrap();
    let order = ExecuteV1 { proposal: assay::tenancy::ProposalId(Uuid::from_u128(9)), version: 1 };
    let body = message::seal(flow.app(), "execute", Some(HARBOR), Uuid::from_u128(8), &order).await.unwrap();
    flow.run("execute", body).await.unwrap();
    let letters = dead_letters(&flow).await;
    assert_eq!(letters.len(), 1, "an order that names nothing is for people to see");
    let audited = all::<Item, _>(&flow.deployment().await, DeploymentPlace::Operations).await;
    assert_eq!(audited.iter().filter(|item| item.kind == "message.dead").count(), 1);
    flow.settle().await;
    let after = EndState::of(&flow).await;
    assert_eq!((after.evidence, after.proposals, after.findings), (before.evidence, before.proposals, before.findings));
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_among_the_clients_has_done_the_installations_part() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let deployment = flow.deployment().await;
    let mut batch = deployment.batch(DeploymentPlace::Operations);
    audit::record(&mut batch, audit::Event::new("log.exported", "log", json!({ "disclosed": false })));
    batch.commit().await.unwrap();
    drop(deployment);
    let harbor = flow.client(HARBOR).await;
    let mut batch = harbor.batch(ClientPlace::Assessment);
    audit::record(&mut batch, audit::Event::new("log.exported", "log", json!({ "disclosed": false })));
    batch.commit().await.unwrap();
    drop(harbor);

    for call in 0..400 {
        flow.test.faults.stop_at(call, Fault::BeforeEffect);
        flow.sweep().await;
        flow.test.faults.mend();
        // The lease of a sequencer that died.
        flow.test.clock.advance(Duration::seconds(31));
        if all::<Item, _>(&flow.client(HARBOR).await, ClientPlace::Assessment).await.is_empty() {
            break;
        }
    }
    assert!(all::<Item, _>(&flow.client(HARBOR).await, ClientPlace::Assessment).await.is_empty());
    assert!(all::<Item, _>(&flow.deployment().await, DeploymentPlace::Operations).await.is_empty());
}

fn operator() -> DeploymentScope {
    DeploymentScope::of_function("portal", "page")
}

async fn dead_letters(flow: &Flow) -> Vec<DeadLetter> {
    dead_letter::all(flow.app(), &operator()).await.unwrap()
}

async fn replay(flow: &Flow, id: &str) -> bool {
    dead_letter::replay(flow.app(), &operator(), id, "Olivia Hart").await.unwrap()
}

/// Switches a client's key in the file vault, as its owner would in Key Vault.
fn revoke(flow: &Flow, tenant: assay::tenancy::TenantId, revoked: bool) {
    let file = flow.test.folder().join("vault").join(format!("{tenant}.json"));
    let mut key: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    key["revoked"] = json!(revoked);
    std::fs::write(&file, key.to_string()).unwrap();
}

async fn ticket_is_there(store: &assay::tenancy::Store<'_, ClientPlace>) -> bool {
    for shard in 0..assay::tenancy::place::EVIDENCE_SHARDS {
        if all::<Evidence, _>(store, ClientPlace::Evidence(shard)).await.iter().any(|e| e.source_key.contains(":ticket:")) {
            return true;
        }
    }
    false
}
