//! From a vendor's body to the right client's evidence, on good days and bad ones.

use assay::{
    audit::dead_letter,
    connectors::{
        delivery::{Outcome, Quarantined, Waiting},
        file, health, mapping,
    },
    evidence::{Evidence, Origin},
    platform::ports::{BatchOutcome, BlobContainer, Container, Op, Partition, Queue as _},
    tenancy::{ConnectionPlace, DeploymentPlace, DeploymentScope, PersonId, Scope, directory::Grant, outbox},
};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use time::{Duration, macros::date};

use super::world::{KEY_URL, World, autotask, callback, connectwise, hook, ticket};
use crate::support::{faults::Fault, http::response};

fn fact<'a>(evidence: &'a Evidence, name: &str) -> Option<&'a str> {
    match &evidence.origin {
        Origin::Observed(observed) => observed.facts.get(name).map(String::as_str),
        Origin::Filed(_) => None,
    }
}

#[tokio::test]
async fn a_ticket_becomes_evidence_of_its_client_without_its_description() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    let reply = world.send(&ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z")).await;
    assert_eq!(reply.status, 200);
    assert_eq!((world.raw_blobs().await, world.evidence(0).await.len()), (1, 0), "accept only keeps and queues");
    world.pump().await;

    let evidence = world.evidence(0).await;
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].record_type.as_deref(), Some("psa_ticket_remediation"));
    assert_eq!(fact(&evidence[0], "status"), Some("New"));
    assert!(!serde_json::to_string(&evidence).unwrap().contains("never kept"));
    assert!(world.evidence(1).await.is_empty());
    assert_eq!(world.test.queue.bodies("analyze").len(), 1);
}

#[tokio::test]
async fn the_vendor_sending_again_is_a_duplicate_and_our_own_redelivery_is_not() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    let body = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
    world.send(&body).await;
    let message = world.test.queue.bodies("intake").remove(0);
    world.pump().await;
    let before = world.evidence(0).await;

    world.test.queue.send("intake", message, std::time::Duration::ZERO).await.unwrap();
    world.pump().await;
    assert_eq!(world.deliveries().await.len(), 1);
    assert_eq!(world.deliveries().await[0].outcome, Outcome::Accept);

    world.test.clock.advance(Duration::seconds(30));
    world.send(&body).await;
    world.pump().await;
    assert_eq!(world.deliveries().await[0].outcome, Outcome::Duplicate);
    assert_eq!(world.raw_blobs().await, 1, "the same bytes are kept once");
    assert_eq!(world.evidence(0).await, before);
    assert_eq!(world.test.queue.bodies("analyze").len(), 1);
}

/// Bodies of one story: a ticket's life told in parts, as Autotask does, and a configuration that is deleted.
fn life(start: time::OffsetDateTime) -> Vec<Value> {
    let at = |seconds| start + Duration::seconds(seconds);
    let mut gone = hook(45, "Delete", 9, &json!({}), at(5));
    gone["EntityType"] = json!("ConfigurationItem");
    let mut made = hook(40, "Create", 9, &json!({ "CompanyID": "174", "ReferenceTitle": "RC-LT-22" }), at(0));
    made["EntityType"] = json!("InstalledProduct");
    // It goes to another client and comes back, twice within one second.
    let moves = |sequence, company: &str, status: &str, seconds| {
        hook(sequence, "Update", 8, &json!({ "CompanyID": company, "Title": "Key card", "Status": status }), at(seconds))
    };
    vec![
        hook(41, "Create", 7, &json!({ "CompanyID": "174", "Title": "AV out of date", "Status": "1" }), at(0)),
        hook(42, "Update", 7, &json!({ "Status": "8" }), at(1)),
        hook(43, "Update", 7, &json!({ "Priority": "2" }), at(1)),
        hook(44, "Update", 7, &json!({ "Status": "5", "CompletedDate": "2026-03-02T09:00:02Z" }), at(2)),
        made,
        gone,
        moves(46, "250", "1", 0),
        moves(47, "174", "2", 1),
        moves(48, "250", "3", 1),
        // And this one is deleted after it moved.
        hook(49, "Create", 11, &json!({ "CompanyID": "174", "Title": "Badge" }), at(0)),
        hook(50, "Update", 11, &json!({ "CompanyID": "250", "Title": "Badge" }), at(3)),
        hook(51, "Delete", 11, &json!({}), at(4)),
    ]
}

#[test]
fn duplicates_and_reordered_deliveries_end_in_the_same_evidence() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Each with the call at which the process stops while it works off what came first, if it has so many.
    let run = |order: &[(usize, Option<usize>)]| {
        runtime.block_on(async {
            let mut world = World::mapped(autotask()).await;
            let bodies = life(world.app().now());
            for (at, stop) in order {
                world.send(&bodies[*at]).await;
                if let Some(call) = stop {
                    world.pump_once_and_stop(*call).await;
                }
                // Some orders work off at once, others all at the end.
                if at % 2 == 0 {
                    world.pump().await;
                }
            }
            world.pump_through().await;
            let store = world.deployment().await;
            // As the sweep does: what a stop left unsent.
            for place in ConnectionPlace::all() {
                outbox::flush(&store, DeploymentPlace::Connection(world.connection.id, place)).await.unwrap();
            }
            world.pump_through().await;
            assert!(mapping::unmapped(&store, world.connection.id).await.unwrap().is_empty(), "nothing is left waiting");
            // Whether a client that a ticket has left saw it at all depends on the order.
            let stays = |evidence: &Evidence| !evidence.deleted || evidence.source_key.contains(":configuration:");
            let evidence = [world.evidence(0).await, world.evidence(1).await];
            // How often a record was written on the way to where it ended depends on the order too.
            let ended = |evidence: Evidence| Evidence { revision: 0, ..evidence };
            evidence.map(|evidence| evidence.into_iter().filter(stays).map(ended).collect::<Vec<_>>())
        })
    };
    let undisturbed = run(&(0..12).map(|at| (at, None)).collect::<Vec<_>>());
    let came_back: Vec<_> = undisturbed[0].iter().map(|evidence| (evidence.title.as_str(), fact(evidence, "status"))).collect();
    assert_eq!(came_back, [("Key card", Some("3"))]);
    assert_eq!(undisturbed[1].len(), 2);
    let ticket = undisturbed[1].iter().find(|evidence| evidence.source_key.contains(":ticket:")).unwrap();
    assert_eq!((fact(ticket, "status"), fact(ticket, "priority"), ticket.title.as_str()), (Some("5"), Some("2"), "AV out of date"));
    assert!(undisturbed[1].iter().find(|evidence| evidence.source_key.contains(":configuration:")).unwrap().deleted);

    let order = Just((0..12).chain(0..12).collect::<Vec<usize>>()).prop_shuffle();
    let stops = prop::collection::vec(prop::option::weighted(0.3, 0..40usize), 24);
    let orders = (order, stops).prop_map(|(order, stops)| order.into_iter().zip(stops).collect::<Vec<_>>());
    let mut runner = TestRunner::new(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() });
    runner
        .run(&orders, |order| {
            prop_assert_eq!(&run(&order), &undisturbed);
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_company_that_nobody_mapped_waits_sealed_and_goes_on_when_it_is_mapped() {
    let world = World::unmapped(connectwise()).await;
    world.serve_signing_key();
    for number in 0..25 {
        world.send(&ticket(&format!("m{number}"), number, 250, "New", "2026-03-02T08:59:00Z")).await;
    }
    world.send(&ticket("late", 3, 250, "Closed", "2026-03-02T08:59:30Z")).await;
    world.pump().await;
    let waiting = mapping::unmapped(&world.deployment().await, world.connection.id).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].company.as_str(), waiting[0].name.as_deref(), waiting[0].waiting), ("250", Some("Company 250"), 25));
    assert!(world.deliveries().await.iter().all(|delivery| delivery.reason.as_deref() == Some("waits_for_mapping")));

    world.map("250", 0).await;
    let evidence = world.evidence(0).await;
    assert_eq!(evidence.len(), 25);
    let closed = evidence.iter().find(|evidence| evidence.source_key.ends_with(":ticket:3")).unwrap();
    assert_eq!(fact(closed, "status"), Some("Closed"));
    assert!(mapping::unmapped(&world.deployment().await, world.connection.id).await.unwrap().is_empty());
    assert!(world.deliveries().await.iter().all(|delivery| delivery.reason.is_none()));
}

#[tokio::test]
async fn of_a_busy_record_the_newest_changes_wait_and_what_was_let_go_is_counted_and_audited() {
    let world = World::unmapped(autotask()).await;
    let start = world.app().now();
    for number in 0..25u64 {
        let fields = json!({ "CompanyID": "174", "Title": "AV out of date", "Status": number.to_string() });
        world.send(&hook(number, "Update", 7, &fields, start + Duration::seconds(number.try_into().unwrap()))).await;
        world.test.clock.advance(Duration::seconds(1));
    }
    world.pump().await;
    let waiting = mapping::unmapped(&world.deployment().await, world.connection.id).await.unwrap();
    assert_eq!((waiting[0].waiting, waiting[0].let_go), (1, 5));
    assert_eq!(world.audited("intake.crowded_out").await, 5);
    let let_go = |deliveries: &[assay::connectors::delivery::Delivery]| {
        deliveries.iter().map(|delivery| delivery.reason.as_deref() == Some("crowded_out_while_waiting")).collect::<Vec<_>>()
    };
    // Newest first.
    assert_eq!(let_go(&world.deliveries().await), [vec![false; 20], vec![true; 5]].concat());

    world.map("174", 1).await;
    assert_eq!(fact(&world.evidence(1).await[0], "status"), Some("24"));
    assert_eq!(let_go(&world.deliveries().await), [vec![false; 20], vec![true; 5]].concat());
}

#[tokio::test]
async fn a_stop_while_an_older_change_is_let_go_counts_it_once_and_says_so_once() {
    let ready = World::unmapped(autotask()).await.at_rest();
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        // The newest change lets the oldest go; one older than all that wait goes itself.
        for late in [false, true] {
            let mut call = 0;
            loop {
                let mut world = ready.copied();
                let start = world.app().now();
                let send = async |world: &World, number: u64| {
                    let fields = json!({ "CompanyID": "174", "Title": "AV out of date", "Status": number.to_string() });
                    let at = start + Duration::seconds(number.try_into().unwrap());
                    world.send(&hook(number, "Update", 7, &fields, at)).await;
                    world.test.clock.advance(Duration::seconds(1));
                };
                if late {
                    send(&world, 0).await;
                    let away = world.test.queue.receive("intake", 1, std::time::Duration::from_mins(5)).await.unwrap();
                    assert_eq!(away.len(), 1, "its message comes later");
                }
                for number in 1..=20 {
                    send(&world, number).await;
                }
                world.pump().await;
                if late {
                    world.test.clock.advance(Duration::minutes(5));
                } else {
                    send(&world, 21).await;
                }
                world.test.faults.stop_at(call, fault);
                while matches!(world.pump_once().await, Ok(true)) {}
                let struck = world.test.faults.struck();
                world.test.faults.mend();
                world.test.restart();
                world.pump_through().await;

                let seen = format!("{fault:?} at call {call}, late: {late}");
                let waiting = mapping::unmapped(&world.deployment().await, world.connection.id).await.unwrap();
                assert_eq!((waiting[0].waiting, waiting[0].let_go), (1, 1), "{seen}");
                assert_eq!(world.audited("intake.crowded_out").await, 1, "{seen}");
                let deliveries = world.deliveries().await;
                let let_go = deliveries.iter().filter(|delivery| delivery.reason.as_deref() == Some("crowded_out_while_waiting"));
                assert_eq!((let_go.count(), deliveries.len()), (1, 21), "{seen}");
                if !struck {
                    break;
                }
                call += 1;
            }
        }
    }
}

#[tokio::test]
async fn what_waited_and_cannot_be_read_becomes_a_dead_letter_and_holds_up_nothing() {
    let world = World::unmapped(connectwise()).await;
    world.serve_signing_key();
    for number in 1..=25 {
        world.send(&ticket(&format!("m{number}"), number, 250, "New", "2026-03-02T08:59:00Z")).await;
    }
    world.pump().await;
    let store = world.deployment().await;
    let place = DeploymentPlace::Connection(world.connection.id, ConnectionPlace::Mapping);
    let blob = store.read::<Waiting>(place, "250:ticket:1").await.unwrap().unwrap().value.deliveries.remove(0).blob;
    world.app().blobs.delete(BlobContainer::Raw, &blob).await.unwrap();
    // Damaged on the disk.
    let partition =
        Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/connection/{}/mapping", world.connection.id));
    let damaged = world.app().documents.read(&partition, "waiting:250:ticket:2").await.unwrap().unwrap();
    let whole = damaged.body.clone();
    let write = async |body: Value| {
        let held = world.app().documents.read(&partition, "waiting:250:ticket:2").await.unwrap().unwrap();
        let replace = Op::Replace { id: held.id, body, if_match: held.etag };
        assert!(matches!(world.app().documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
    };
    write(json!({ "schema": 1, "kind": "waiting", "sealed": "AAAA" })).await;
    assert_eq!(mapping::unmapped(&store, world.connection.id).await.unwrap()[0].waiting, 25, "people still see that it waits");

    world.map("250", 0).await;
    assert_eq!(world.evidence(0).await.len(), 23, "all the others");
    let operator = || DeploymentScope::of_function("portal", "story");
    let letters = dead_letter::all(world.app(), &operator()).await.unwrap();
    let mut reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].starts_with("raw bytes") && reasons[1].contains("waiting:250:ticket:2 cannot be opened"), "{reasons:?}");
    let unreadable = world.deliveries().await.iter().filter(|delivery| delivery.reason.as_deref() == Some("unreadable")).count();
    assert_eq!(unreadable, 1);

    // Restored from a backup, and sent again by a person.
    write(whole).await;
    let letter = letters.iter().find(|letter| letter.reason.contains("ticket:2")).unwrap();
    assert!(dead_letter::replay(world.app(), &operator(), &letter.id, "Olivia Hart").await.unwrap());
    world.pump().await;
    assert_eq!(world.evidence(0).await.len(), 24);
}

#[tokio::test]
async fn a_mapping_is_never_turned_to_another_client() {
    let world = World::mapped(connectwise()).await;
    let store = world.deployment().await;
    let id = world.connection.id;
    let problem = mapping::confirm(&store, id, "250", "", world.clients[1].id).await.unwrap_err();
    assert_eq!(problem.status, 409);
    assert!(mapping::confirm(&store, id, "unknown", "", world.clients[1].id).await.is_err());
    assert!(mapping::confirm(&store, id, "../250", "", world.clients[1].id).await.is_err());
}

#[tokio::test]
async fn a_record_that_moves_to_another_client_is_gone_for_the_first_one() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    world.send(&ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z")).await;
    world.pump().await;
    world.send(&ticket("m2", 7, 174, "New", "2026-03-02T08:59:30Z")).await;
    world.pump().await;
    assert!(world.evidence(0).await[0].deleted);
    assert!(!world.evidence(1).await[0].deleted);
    // News from before the move is news of nobody.
    world.send(&ticket("m3", 7, 250, "Old", "2026-03-02T08:59:10Z")).await;
    world.pump().await;
    assert_eq!(world.deliveries().await[0].outcome, Outcome::Stale);
    // A delete names no company: it follows the owner.
    world.send(&callback("m4", "ticket", "deleted", 7, &Value::Null)).await;
    world.pump().await;
    assert!(world.evidence(1).await[0].deleted);
}

#[tokio::test]
async fn a_body_with_a_cui_marking_is_held_back_and_never_becomes_evidence() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    let record = json!({ "id": 7, "summary": "Drawing", "company": { "id": 250 }, "notes": "\u{ff23}\u{ff35}\u{ff29}//SP-CTI" });
    world.send(&callback("m1", "ticket", "added", 7, &Value::String(record.to_string()))).await;
    world.pump().await;
    let delivery = &world.deliveries().await[0];
    assert_eq!((delivery.outcome, delivery.events.len()), (Outcome::Quarantined, 0));
    assert!(world.evidence(0).await.is_empty());
    assert_eq!(Quarantined::each(&world.deployment().await, world.connection.id).await.unwrap().0.len(), 1);
    assert_eq!(world.audited("evidence.quarantined").await, 1);
    assert_eq!(world.raw_blobs().await, 1, "nothing is deleted");
}

/// What is held back, as the page names it, and can be destroyed.
async fn is_held_back_and_can_be_destroyed(world: &World, record: &str) {
    let store = world.deployment().await;
    let id = world.connection.id;
    let (held_back, _) = Quarantined::each(&store, id).await.unwrap();
    assert_eq!(held_back.iter().map(|held_back| held_back.record.as_str()).collect::<Vec<_>>(), [record]);
    assert_eq!(world.raw_blobs().await, 1);
    Quarantined::purge(&store, id, record, "Olivia Hart", |_| true).await.unwrap();
    assert_eq!(world.raw_blobs().await, 0, "our only copy");
}

#[tokio::test]
async fn a_cui_marking_is_seen_in_bodies_that_are_not_collected_too_old_or_not_understood() {
    for (kind, outcome, record) in [("time", Outcome::Ignore, "time:55"), ("ticket", Outcome::Reject, "ticket:55")] {
        let world = World::mapped(connectwise()).await;
        world.serve_signing_key();
        // A ticket must come with its record.
        let record_of = if kind == "time" { json!("{\"notes\":\"CUI//SP-CTI\"}") } else { json!("CUI//SP-CTI") };
        for _ in 0..2 {
            world.send(&callback("m1", kind, "updated", 55, &record_of)).await;
            world.pump().await;
        }
        assert_eq!(world.deliveries().await[0].outcome, outcome);
        is_held_back_and_can_be_destroyed(&world, record).await;
    }
    for (entity, late, outcome, record) in
        [("TicketNotes", Duration::ZERO, Outcome::Ignore, "ticketnotes:7"), ("Tickets", Duration::minutes(16), Outcome::Stale, "ticket:7")]
    {
        let world = World::mapped(autotask()).await;
        let mut note = hook(41, "Update", 7, &json!({ "Description": "CUI//SP-CTI" }), world.app().now() - late);
        note["EntityType"] = json!(entity);
        world.send(&note).await;
        world.pump().await;
        assert_eq!(world.deliveries().await[0].outcome, outcome);
        is_held_back_and_can_be_destroyed(&world, record).await;
    }
}

#[tokio::test]
async fn when_the_key_host_is_down_nothing_is_stored_and_the_sender_is_told_to_come_back() {
    let world = World::mapped(connectwise()).await;
    world.test.http.lay_outage(KEY_URL);
    let body = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
    assert_eq!(world.send(&body).await.status, 503);
    world.test.http.clear();
    world.test.http.lay_response(KEY_URL, 200, &[], "<html>we are down</html>");
    assert_eq!(world.send(&body).await.status, 503);
    assert_eq!((world.raw_blobs().await, world.test.queue.bodies("intake").len()), (0, 0));

    world.test.http.clear();
    world.serve_signing_key();
    assert_eq!(world.send(&body).await.status, 200);
}

#[tokio::test]
async fn a_signing_key_is_kept_for_an_hour_and_fetched_once_more_when_it_does_not_hold() {
    let world = World::mapped(connectwise()).await;
    world.test.http.lay(KEY_URL, Ok(response(200, &[], json!({ "signing_key": "the key before" }).to_string())));
    let body = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
    assert_eq!(world.send(&body).await.status, 401);
    assert_eq!(world.test.http.calls().len(), 1);
    // The vendor changed its key; a forged flood does not make us ask for every body.
    world.test.http.clear();
    world.serve_signing_key();
    assert_eq!(world.send(&body).await.status, 401);
    assert_eq!(world.test.http.calls().len(), 0);
    world.test.clock.advance(Duration::minutes(1));
    assert_eq!(world.send(&body).await.status, 200);
    assert_eq!(world.test.http.calls().len(), 1);
    assert_eq!(world.send(&body).await.status, 200);
    assert_eq!(world.test.http.calls().len(), 1, "kept");
    world.test.clock.advance(Duration::hours(1));
    assert_eq!(world.send(&body).await.status, 200);
    assert_eq!(world.test.http.calls().len(), 2, "asked again after an hour");
}

/// A body about ticket `id` that names a key address of the vendor's which nobody has seen before.
fn forged(id: u64) -> Value {
    let mut body = ticket(&format!("forged {id}"), id, 250, "New", "2026-03-02T08:59:00Z");
    body["Metadata"]["key_url"] = KEY_URL.replace("id=5b0d2a60", &format!("id={id}")).into();
    body
}

#[tokio::test]
async fn forged_bodies_with_ever_new_key_addresses_cost_a_few_calls_and_lose_no_true_callback() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    let known = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
    assert_eq!(world.send(&known).await.status, 200);
    // Keys that are there and do not hold, as far as anybody can tell from outside.
    world.test.http.answer_with(|request| {
        let own = request.url.as_str() == KEY_URL || request.url.query().is_some_and(|query| query.ends_with("=second"));
        let key = if own { super::world::SIGNING_KEY } else { "another key" };
        Some(Ok(response(200, &[], json!({ "signing_key": key }).to_string())))
    });
    let flood = async || {
        for id in 0..20 {
            assert!(matches!(world.send(&forged(id)).await.status, 401 | 503));
        }
    };
    world.test.clock.advance(Duration::minutes(1));
    let before = world.test.http.calls().len();
    flood().await;
    assert_eq!(world.test.http.calls().len() - before, 4, "per connection, whatever the addresses");

    // What was verified before needs no luck, also when its key must be fetched anew.
    world.test.clock.advance(Duration::hours(1));
    flood().await;
    assert_eq!(world.send(&known).await.status, 200);
    // What is seen for the first time is sent again by the vendor, and taken when there is room.
    let mut second = ticket("m2", 8, 250, "New", "2026-03-02T08:59:00Z");
    second["Metadata"]["key_url"] = KEY_URL.replace("id=5b0d2a60", "id=second").into();
    assert_eq!(world.send(&second).await.status, 503);
    world.test.clock.advance(Duration::seconds(30));
    assert_eq!(world.send(&second).await.status, 200);
}

#[tokio::test]
async fn a_key_address_of_another_company_or_of_another_page_is_never_called() {
    let world = World::mapped(connectwise()).await;
    for address in [
        KEY_URL.replace("companyName=northgateit&", ""),
        KEY_URL.replace("northgateit", "somebodyelse"),
        format!("{KEY_URL}&companyName=somebodyelse"),
        KEY_URL.replace("callbackkey/index.rails", "files/download.rails"),
    ] {
        let mut body = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
        body["Metadata"]["key_url"] = address.clone().into();
        assert_eq!(world.send(&body).await.status, 401, "{address}");
    }
    assert!(world.test.http.calls().is_empty());
}

#[tokio::test]
async fn a_redirecting_key_host_is_not_followed() {
    let world = World::mapped(connectwise()).await;
    world.test.http.lay_response(KEY_URL, 302, &[("location", "https://attacker.example/key")], "");
    assert_eq!(world.send(&ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z")).await.status, 401);
    assert_eq!(world.test.http.calls().len(), 1);
}

#[tokio::test]
async fn a_flood_of_forged_bodies_is_counted_and_not_multiplied() {
    let world = World::mapped(autotask()).await;
    for _ in 0..20 {
        assert_eq!(world.post("", "", &[], b"{}").await.status, 401);
    }
    let rejects = health::rejects(&world.deployment().await, Some(world.connection.id)).await.unwrap();
    assert_eq!((rejects.len(), rejects[0].count), (1, 20));
    assert_eq!(world.audited("webhook.rejected").await, 1);
    world.test.clock.advance(Duration::hours(1));
    world.post("", "", &[], b"{}").await;
    assert_eq!(world.audited("webhook.rejected").await, 2);
}

#[tokio::test]
async fn an_address_of_no_connection_is_not_found_and_leaves_one_count() {
    let world = World::mapped(autotask()).await;
    let request = |path: &str| assay::web::Request {
        method: assay::web::Method::Post,
        path: path.into(),
        query: String::new(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        invocation_id: "story".into(),
    };
    let id = world.connection.id.to_string();
    let other = uuid::Uuid::from_u128(7).simple().to_string();
    for (connector, connection, rest) in [
        ("autotask", other.as_str(), ""),
        ("autotask", "../x", ""),
        ("halopsa", &id, ""),
        ("connectwise_manage", &id, ""),
        ("autotask", &id, "more"),
    ] {
        let reply = assay::connectors::accept::accept(world.app(), request("webhooks"), connector, connection, rest).await;
        assert_eq!(reply.status, 404, "{connector} {connection} {rest}");
    }
    assert_eq!(health::rejects(&world.deployment().await, None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stop_at_any_call_loses_nothing_and_doubles_nothing() {
    let ready = World::mapped(connectwise()).await.at_rest();
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let mut world = ready.copied();
            world.serve_signing_key();
            let body = ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z");
            world.test.faults.stop_at(call, fault);
            let mut answered = world.send(&body).await.status;
            let stopped_in_intake = answered == 200 && world.pump_once().await.is_err();
            let struck = world.test.faults.struck();
            world.test.faults.mend();
            world.test.restart();
            if answered != 200 {
                // The sender sends again.
                assert_eq!(answered, 503, "call {call}");
                answered = world.send(&body).await.status;
            }
            assert_eq!(answered, 200);
            world.pump().await;
            let evidence = world.evidence(0).await;
            assert_eq!(evidence.len(), 1, "{fault:?} at call {call}");
            assert_eq!(world.raw_blobs().await, 1);
            assert!(!world.test.queue.bodies("analyze").is_empty(), "{fault:?} at call {call}: the next step is asked for");
            let accepted = world.deliveries().await.iter().filter(|delivery| delivery.outcome == Outcome::Accept).count();
            assert_eq!(accepted, 1, "{fault:?} at call {call}, stopped in intake: {stopped_in_intake}");
            if !struck {
                assert!(call > 20, "the way has more calls than {call}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_engineer_files_a_document_once_as_a_link_out() {
    let world = World::mapped(connectwise()).await;
    let grant = Grant::of(world.clients[0].id, PersonId(uuid::Uuid::from_u128(1)), Vec::new());
    let store = Scope::of_person(&grant, "story").store(world.app()).await.unwrap();
    let link = file::LinkOut {
        name: "Access request policy, version 3".into(),
        place: "SharePoint: Security/Policies".into(),
        hash: "ab".repeat(32),
        approved_on: date!(2026 - 02 - 01),
        form: uuid::Uuid::from_u128(2),
    };
    let first = file::file(&store, link.clone()).await.unwrap();
    assert_eq!(file::file(&store, link.clone()).await.unwrap(), first);
    assert_eq!(world.evidence(0).await, [first]);
    let early = file::LinkOut { approved_on: date!(2027 - 01 - 01), ..link };
    assert!(file::file(&store, early).await.is_err());
}

#[tokio::test]
async fn an_unsigned_deactivation_notice_is_shown_as_unverified_for_a_week_and_is_no_alarm() {
    let world = World::mapped(autotask()).await;
    for _ in 0..3 {
        assert_eq!(world.post("deactivated", "", &[], b"not even json").await.status, 200);
    }
    let store = world.deployment().await;
    let alerts = store.all::<health::Alert>(DeploymentPlace::Operations, "").await.unwrap();
    assert_eq!((alerts.len(), alerts[0].value.count), (1, 3));
    assert_eq!(world.audited("alert.raised").await, 1);
    assert!(world.deliveries().await.is_empty());
    let shown = async || {
        let health = health::of_all(&store).await.unwrap().remove(0);
        (health.alerts.len(), health.hints.len())
    };
    assert_eq!(shown().await, (0, 1));
    world.test.clock.advance(Duration::days(7));
    assert_eq!(shown().await, (0, 0), "it lasts no longer than a week");
    world.post("deactivated", "", &[], b"").await;
    assert_eq!(shown().await, (0, 1));
    health::clear(&store, world.connection.id, health::Alarm::UnverifiedDeactivation).await.unwrap();
    assert_eq!(shown().await, (0, 0));
}

#[tokio::test]
async fn a_signed_deactivation_notice_is_an_alarm_until_a_person_has_seen_to_it() {
    let world = World::mapped(autotask()).await;
    assert_eq!(world.send(&hook(1, "Deactivated", 7, &json!({}), world.app().now())).await.status, 200);
    world.pump().await;
    let store = world.deployment().await;
    world.test.clock.advance(Duration::days(30));
    let alerts = health::of_all(&store).await.unwrap().remove(0).alerts;
    assert_eq!(alerts[0].alarm, health::Alarm::DeactivationNotice);
    health::clear(&store, world.connection.id, health::Alarm::DeactivationNotice).await.unwrap();
    assert!(health::of_all(&store).await.unwrap()[0].alerts.is_empty());
    assert_eq!(world.audited("alert.cleared").await, 1);
}
