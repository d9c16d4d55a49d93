//! Whole reads: populations, waiting, what a lost webhook left behind.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use assay::{
    connectors::{
        Connection, connection, health, mapping,
        pull::{self, Cause, Requested, State},
    },
    evidence::Population,
    platform::ports::{Container, Ids as _, Op, Partition, Query, Queue as _},
    tenancy::ConnectionId,
};
use serde_json::{Value, json};
use time::Duration;

use super::world::{World, autotask, callback, connectwise};
use crate::support::{faults::Fault, http::response};

pub(super) fn configuration(id: u64, updated: &str) -> Value {
    json!({ "id": id, "name": format!("HPM-{id}"), "type": { "id": 17, "name": "Managed Workstation" }, "activeFlag": true,
        "company": { "id": 250 }, "_info": { "lastUpdated": updated } })
}

/// Serves these rows of company 250 in pages of `size`; other companies have none.
pub(super) fn serve(world: &World, rows: Vec<Value>, size: usize) {
    world.test.http.answer_with(move |request| {
        if request.url.path().starts_with("/login/companyinfo/") {
            return Some(Ok(response(200, &[], r#"{"Codebase":"v2026_1/"}"#)));
        }
        if !request.url.path().ends_with("/company/configurations") {
            return None;
        }
        let value = |name: &str| request.url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        if value("conditions").as_deref() != Some("company/id=250") {
            return Some(Ok(response(200, &[], "[]")));
        }
        let page: usize = value("page").map_or(1, |page| page.parse().unwrap());
        let rows_of_page: Vec<&Value> = rows.iter().skip((page - 1) * size).take(size).collect();
        let link = format!("<https://api-na.myconnectwise.net/x?conditions=company%2Fid%3D250&page={}>; rel=\"next\"", page + 1);
        let headers: &[(&str, &str)] = if page * size < rows.len() { &[("Link", link.as_str())] } else { &[] };
        Some(Ok(response(200, headers, serde_json::to_string(&rows_of_page).unwrap())))
    });
}

pub(super) async fn read_all(world: &World) -> pull::Report {
    let store = world.deployment().await;
    assert_eq!(pull::request_pull(&store, world.connection.id).await.unwrap(), Requested::Started);
    world.pump_through().await;
    pull::report(&store, world.connection.id).await.unwrap().unwrap()
}

pub(super) async fn population(world: &World) -> assay::evidence::Evidence {
    world.evidence(0).await.into_iter().find(|evidence| evidence.source_key.ends_with(":population:rmm_device_inventory")).unwrap()
}

#[tokio::test]
async fn a_whole_read_gives_a_complete_population_and_a_second_one_changes_nothing() {
    let world = World::mapped(connectwise()).await;
    let rows: Vec<Value> = (0..130).map(|id| configuration(id, "2026-03-01T00:00:00Z")).collect();
    serve(&world, rows, 50);
    let report = read_all(&world).await;
    assert_eq!((report.state, report.records), (State::Finished, 130));
    assert_eq!(population(&world).await.population, Population::Of { read: 130, total: 130 });
    let before = world.evidence(0).await;
    assert_eq!(before.len(), 131);
    assert_eq!(world.test.queue.bodies("analyze").len(), 2, "one per client's population, none per row");

    world.test.clock.advance(Duration::minutes(30));
    read_all(&world).await;
    assert_eq!(world.evidence(0).await, before);
    world.test.clock.advance(Duration::hours(2));
    read_all(&world).await;
    let after = population(&world).await;
    assert!(after.collected_at > before[0].collected_at && after.hash == population_of(&before).hash, "only how fresh it is");
}

fn population_of(evidence: &[assay::evidence::Evidence]) -> &assay::evidence::Evidence {
    evidence.iter().find(|evidence| evidence.source_key.contains(":population:")).unwrap()
}

#[tokio::test]
async fn the_record_of_a_run_stays_small_however_many_devices_a_client_has_and_nothing_is_left_behind() {
    let world = World::mapped(connectwise()).await;
    let rows: Vec<Value> = (0..900).map(|id| configuration(id, "2026-03-01T00:00:00Z")).collect();
    serve(&world, rows, 150);
    let place = Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/connection/{}/mapping", world.connection.id));
    let pages = async || world.app().documents.query(&place, &Query::prefix("pull-lines:")).await.unwrap().documents.len();
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    let mut most = 0;
    while world.pump_once().await.unwrap() {
        let run = world.app().documents.read(&place, "pull:configurations").await.unwrap().unwrap();
        assert!(run.body.to_string().len() < 4096, "{} bytes", run.body.to_string().len());
        most = most.max(pages().await);
    }
    assert_eq!((most, pages().await), (5, 0), "the sixth page ends the client");
    assert_eq!(population(&world).await.population, Population::Of { read: 900, total: 900 });
}

#[tokio::test]
async fn what_an_abandoned_run_had_read_is_no_part_of_the_next_one() {
    let world = World::mapped(connectwise()).await;
    serve(&world, (0..4).map(|id| configuration(id, "2026-03-01T00:00:00Z")).collect(), 2);
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    world.pump_once().await.unwrap();
    // Its next message is lost with its queue.
    let lost = world.test.queue.receive("intake", 1, std::time::Duration::ZERO).await.unwrap().remove(0);
    world.test.queue.delete("intake", &lost).await.unwrap();
    world.test.clock.advance(Duration::hours(7));
    serve(&world, vec![configuration(2, "2026-03-01T00:00:00Z")], 2);
    read_all(&world).await;
    assert_eq!(population(&world).await.population, Population::Of { read: 1, total: 1 });
    let place = Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/connection/{}/mapping", world.connection.id));
    assert!(world.app().documents.query(&place, &Query::prefix("pull-lines:")).await.unwrap().documents.is_empty());
}

#[tokio::test]
async fn what_a_lost_webhook_deleted_is_found_gone_by_the_next_read() {
    let world = World::mapped(connectwise()).await;
    serve(&world, vec![configuration(1, "2026-03-01T00:00:00Z"), configuration(2, "2026-03-01T00:00:00Z")], 50);
    read_all(&world).await;
    world.test.clock.advance(Duration::minutes(1));
    serve(&world, vec![configuration(2, "2026-03-01T00:00:00Z")], 50);
    read_all(&world).await;
    let gone: Vec<bool> = world.evidence(0).await.iter().filter(|e| e.source_key.contains(":configuration:")).map(|e| e.deleted).collect();
    assert_eq!(gone, [true, false]);
    assert_eq!(population(&world).await.population, Population::Of { read: 1, total: 1 });
}

#[tokio::test]
async fn a_row_with_a_cui_marking_is_counted_and_makes_the_population_incomplete() {
    let world = World::mapped(connectwise()).await;
    let mut marked = configuration(2, "2026-03-01T00:00:00Z");
    marked["vendorNotes"] = json!("(CUI) keep inside");
    serve(&world, vec![configuration(1, "2026-03-01T00:00:00Z"), marked], 50);
    let report = read_all(&world).await;
    assert_eq!(report.held_back, 1);
    assert_eq!(population(&world).await.population, Population::Of { read: 1, total: 2 });
}

#[tokio::test]
async fn a_population_that_lacks_a_row_never_has_the_hash_of_the_complete_one() {
    let world = World::mapped(connectwise()).await;
    let rows = vec![configuration(1, "2026-03-01T00:00:00Z"), configuration(2, "2026-03-01T00:00:00Z")];
    serve(&world, rows.clone(), 50);
    read_all(&world).await;
    let complete = population(&world).await;
    world.test.clock.advance(Duration::minutes(1));
    serve(&world, [rows, vec![json!({ "name": "a row without an id" })]].concat(), 50);
    read_all(&world).await;
    let lacking = population(&world).await;
    assert_eq!(lacking.population, Population::Of { read: 2, total: 3 });
    assert_ne!(lacking.hash, complete.hash, "or what was approved on the complete one would run");
}

#[tokio::test]
async fn only_types_that_people_mapped_count_and_the_others_are_named_for_them() {
    let world = World::mapped(connectwise()).await;
    let of_type = |id: u64, kind: Value| {
        let mut row = configuration(id, "2026-03-01T00:00:00Z");
        row["type"] = kind;
        row
    };
    let printer = || json!({ "id": 40, "name": "Printer" });
    let rows = vec![
        configuration(1, "2026-03-01T00:00:00Z"),
        of_type(2, printer()),
        of_type(3, json!({ "id": 41, "name": "UPS" })),
        of_type(4, printer()),
        of_type(5, Value::Null),
    ];
    serve(&world, rows, 2);
    read_all(&world).await;
    assert_eq!(population(&world).await.population, Population::Of { read: 1, total: 1 });
    let seen = health::of_all(&world.deployment().await).await.unwrap().remove(0).unlisted;
    let seen: Vec<_> = seen.iter().map(|seen| (seen.id.as_deref(), seen.name.as_deref(), seen.count)).collect();
    assert_eq!(seen, [(Some("40"), Some("Printer"), 2), (None, None, 1), (Some("41"), Some("UPS"), 1)]);
}

#[tokio::test]
async fn what_is_not_in_use_is_left_out_of_the_count_and_said() {
    let world = World::mapped(connectwise()).await;
    let mut retired = configuration(2, "2026-03-01T00:00:00Z");
    retired["activeFlag"] = json!(false);
    serve(&world, vec![configuration(1, "2026-03-01T00:00:00Z"), retired.clone()], 50);
    read_all(&world).await;
    let stated = population(&world).await;
    assert_eq!(stated.population, Population::Of { read: 1, total: 1 });
    assert!(stated.title.ends_with("1 of 1, 1 inactive left out"), "{}", stated.title);
    assert_eq!(world.evidence(0).await.len(), 3, "it is a record all the same");

    world.test.clock.advance(Duration::minutes(1));
    retired["activeFlag"] = json!(true);
    serve(&world, vec![configuration(1, "2026-03-01T00:00:00Z"), retired], 50);
    read_all(&world).await;
    assert_eq!(population(&world).await.population, Population::Of { read: 2, total: 2 });
}

#[tokio::test]
async fn a_delete_by_webhook_finds_the_client_that_the_read_found() {
    let world = World::mapped(connectwise()).await;
    serve(&world, vec![configuration(1, "2026-03-01T00:00:00Z")], 50);
    read_all(&world).await;
    world.test.http.clear();
    world.serve_signing_key();
    assert_eq!(world.send(&callback("m1", "configuration", "deleted", 1, &Value::Null)).await.status, 200);
    world.pump().await;
    assert!(world.evidence(0).await.iter().any(|evidence| evidence.source_key.ends_with(":configuration:1") && evidence.deleted));
}

#[tokio::test]
async fn a_throttled_read_comes_back_when_the_vendor_said_and_not_before() {
    let world = World::mapped(connectwise()).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    world.test.http.answer_with(move |request| {
        if request.url.path().starts_with("/login/companyinfo/") {
            return Some(Ok(response(200, &[], r#"{"Codebase":"v2026_1/"}"#)));
        }
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        Some(Ok(if first { response(429, &[("Retry-After", "7")], "error code: 1015") } else { response(200, &[], "[]") }))
    });
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    world.pump().await;
    assert!(matches!(pull::report(&store, world.connection.id).await.unwrap().unwrap().state, State::Waiting { .. }));
    assert_eq!(pull::request_pull(&store, world.connection.id).await.unwrap(), Requested::AlreadyRunning);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(world.pump_through().await, Duration::seconds(7));
}

#[tokio::test]
async fn refused_credentials_end_the_run_with_an_alert_and_no_population() {
    let world = World::mapped(connectwise()).await;
    world.test.http.answer_with(|_| Some(Ok(response(401, &[], ""))));
    let report = read_all(&world).await;
    assert!(matches!(report.state, State::Failed { .. }));
    assert!(world.evidence(0).await.is_empty());
    let health = health::of_all(&world.deployment().await).await.unwrap();
    assert_eq!(health[0].alerts.len(), 1);
}

#[tokio::test]
async fn a_vendor_that_only_asks_us_to_wait_is_not_said_to_have_refused() {
    let world = World::mapped(connectwise()).await;
    world.test.http.answer_with(|_| Some(Ok(response(429, &[("Retry-After", "60")], ""))));
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    for _ in 0..70 {
        world.pump().await;
        world.test.clock.advance(Duration::minutes(15));
    }
    let state = pull::report(&store, world.connection.id).await.unwrap().unwrap().state;
    let State::Failed { why, cause } = state else { panic!("{state:?}") };
    assert_eq!(cause, Cause::GaveUp);
    assert!(why.contains("throttled") && !why.contains("refused"), "{why}");
    let alarms: Vec<_> = health::of_all(&store).await.unwrap().remove(0).alerts.into_iter().map(|alert| alert.alarm).collect();
    assert_eq!(alarms, [health::Alarm::PullGaveUp]);
}

#[tokio::test]
async fn a_client_whose_key_is_revoked_is_left_out_and_holds_up_no_other() {
    let world = World::mapped(connectwise()).await;
    world.test.http.answer_with(|request| {
        if request.url.path().starts_with("/login/companyinfo/") {
            return Some(Ok(response(200, &[], r#"{"Codebase":"v2026_1/"}"#)));
        }
        Some(Ok(response(200, &[], json!([configuration(1, "2026-03-01T00:00:00Z")]).to_string())))
    });
    read_all(&world).await;
    let read_at = |evidence: Vec<assay::evidence::Evidence>| population_of(&evidence).collected_at;
    let before = (read_at(world.evidence(0).await), read_at(world.evidence(1).await));

    let vault = world.test.folder().join("vault").join(format!("{}.json", world.clients[0].id));
    let key = std::fs::read_to_string(&vault).unwrap();
    let mut revoked: Value = serde_json::from_str(&key).unwrap();
    revoked["revoked"] = json!(true);
    std::fs::write(&vault, revoked.to_string()).unwrap();
    world.test.clock.advance(Duration::hours(2));
    let report = read_all(&world).await;
    assert_eq!((report.state, report.clients_skipped, report.companies_left), (State::Finished, 1, 0));
    assert!(read_at(world.evidence(1).await) > before.1, "the other client was read");
    assert_eq!(world.audited("pull.client_skipped").await, 1);
    let alarms: Vec<_> =
        health::of_all(&world.deployment().await).await.unwrap().remove(0).alerts.into_iter().map(|alert| alert.alarm).collect();
    assert_eq!(alarms, [health::Alarm::ClientSkipped]);

    std::fs::write(&vault, key).unwrap();
    world.test.clock.advance(Duration::hours(2));
    assert_eq!(read_all(&world).await.clients_skipped, 0);
    assert!(read_at(world.evidence(0).await) > before.0);
}

#[tokio::test]
async fn a_connection_whose_read_cannot_be_started_does_not_hold_up_the_others() {
    let world = World::mapped(connectwise()).await;
    let store = world.deployment().await;
    let second = Connection { id: ConnectionId(world.test.ids.uuid()), name: "The second".into(), ..world.connection.clone() };
    connection::add(&store, &second).await.unwrap();
    mapping::confirm(&store, second.id, "250", "", world.clients[0].id).await.unwrap();
    // As a newer release would have left it, before somebody put this one back.
    let body = json!({ "schema": 99, "kind": "pull", "sealed": "" });
    let place = Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/connection/{}/mapping", world.connection.id));
    let create = Op::Create { id: "pull:configurations".into(), body };
    assert!(matches!(world.app().documents.batch(&place, vec![create]).await.unwrap(), assay::platform::ports::BatchOutcome::Committed(_)));

    pull::run_due(world.app(), "story").await.unwrap_err();
    assert!(pull::report(&store, second.id).await.unwrap().is_some(), "the second one has begun");
}

#[tokio::test]
async fn autotask_slows_at_half_of_the_allowance_and_stops_at_sixty_percent() {
    let world = World::unmapped(autotask()).await;
    world.map("174", 0).await;
    let used = Arc::new(AtomicUsize::new(6100));
    let now_used = used.clone();
    world.test.http.answer_with(move |request| {
        let path = request.url.path();
        let count = now_used.load(Ordering::Relaxed);
        let body = if path.ends_with("/zoneInformation") {
            json!({ "url": "https://webservices5.autotask.net/ATServicesRest/" })
        } else if path.ends_with("/ThresholdInformation") {
            json!({ "externalRequestThreshold": 10000, "currentTimeframeRequestCount": count })
        } else {
            json!({ "items": [], "pageDetails": { "nextPageUrl": null } })
        };
        Some(Ok(response(200, &[], body.to_string())))
    });
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    world.pump().await;
    assert!(!world.test.http.called().iter().any(|call| call.contains("ConfigurationItems")), "nothing is read above 60 %");
    used.store(5210, Ordering::Relaxed);
    assert_eq!(world.pump_through().await, Duration::seconds(300));
    assert_eq!(pull::report(&store, world.connection.id).await.unwrap().unwrap().state, State::Finished);
}

#[tokio::test]
async fn the_daily_read_starts_once_a_day_and_only_where_a_company_is_mapped() {
    let world = World::unmapped(connectwise()).await;
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 0);
    world.map("250", 0).await;
    serve(&world, Vec::new(), 50);
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 1);
    world.pump_through().await;
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 0);
    world.test.clock.advance(Duration::hours(24));
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 1);
}

#[tokio::test]
async fn a_moved_codebase_is_asked_for_once_more() {
    let world = World::mapped(connectwise()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    world.test.http.answer_with(move |request| {
        if request.url.path().starts_with("/login/companyinfo/") {
            let codebase = if counted.fetch_add(1, Ordering::Relaxed) == 0 { "v2026_1/" } else { "v2026_2/" };
            return Some(Ok(response(200, &[], json!({ "Codebase": codebase }).to_string())));
        }
        let status = if request.url.path().starts_with("/v2026_2/") { 200 } else { 404 };
        Some(Ok(response(status, &[], "[]")))
    });
    assert_eq!(read_all(&world).await.state, State::Finished);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_stop_at_any_call_of_a_read_ends_in_the_same_evidence() {
    let ready = {
        let world = World::unmapped(connectwise()).await;
        world.map("250", 0).await;
        world.at_rest()
    };
    let rows = || {
        vec![configuration(1, "2026-03-01T00:00:00Z"), configuration(2, "2026-03-01T00:00:00Z"), configuration(3, "2026-03-01T00:00:00Z")]
    };
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        let mut call = 0;
        loop {
            let mut world = ready.copied();
            serve(&world, rows(), 2);
            world.test.faults.stop_at(call, fault);
            let started = {
                let scope = assay::tenancy::DeploymentScope::of_function("sweep", "story");
                match scope.store(world.app()).await {
                    Ok(store) => pull::request_pull(&store, world.connection.id).await.is_ok(),
                    Err(_) => false,
                }
            };
            while started && matches!(world.pump_once().await, Ok(true)) {}
            let struck = world.test.faults.struck();
            world.test.faults.mend();
            world.test.restart();
            if !started {
                pull::request_pull(&world.deployment().await, world.connection.id).await.unwrap();
            }
            world.pump_through().await;
            let evidence = world.evidence(0).await;
            assert_eq!(evidence.len(), 4, "{fault:?} at call {call}");
            assert_eq!(population(&world).await.population, Population::Of { read: 3, total: 3 }, "{fault:?} at call {call}");
            if !struck {
                break;
            }
            call += 3;
        }
    }
}
