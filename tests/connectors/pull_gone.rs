//! What a read makes of records that it does not list, or lists again, and of companies and clients that it left out.

use assay::{
    connectors::{
        health::{self, Alarm},
        mapping,
        pull::{self, Cause, State},
    },
    evidence::Population,
    platform::ports::{BatchOutcome, Container, Document, Op, Partition, Query},
};
use serde_json::{Value, json};
use time::Duration;

use super::{
    pull_stories::{configuration, population, read_all, serve},
    world::{World, autotask, callback, connectwise},
};
use crate::support::http::response;

const LONG_AGO: &str = "2026-03-01T00:00:00Z";

fn rows(ids: std::ops::RangeInclusive<u64>) -> Vec<Value> {
    ids.map(|id| configuration(id, LONG_AGO)).collect()
}

/// The vendor's ids of the first client's configurations that are gone.
async fn gone(world: &World) -> Vec<String> {
    let evidence = world.evidence(0).await.into_iter().filter(|evidence| evidence.deleted);
    evidence.map(|evidence| evidence.source_key.rsplit(':').next().unwrap().to_owned()).collect()
}

async fn later_read(world: &World, rows: Vec<Value>, size: usize) {
    world.test.clock.advance(Duration::minutes(1));
    serve(world, rows, size);
    assert_eq!(read_all(world).await.state, State::Finished);
}

#[tokio::test]
async fn a_device_that_vanished_and_comes_back_unchanged_is_there_again() {
    let world = World::mapped(connectwise()).await;
    later_read(&world, rows(1..=2), 50).await;
    later_read(&world, rows(2..=2), 50).await;
    assert_eq!(gone(&world).await, ["1"]);
    later_read(&world, rows(1..=2), 50).await;
    assert_eq!(gone(&world).await, Vec::<String>::new());
    assert_eq!(population(&world).await.population, Population::Of { read: 2, total: 2 });
    let before = world.evidence(0).await;
    later_read(&world, rows(1..=2), 50).await;
    assert_eq!(world.evidence(0).await, before, "and that is no news a second time");
}

#[tokio::test]
async fn a_device_that_a_webhook_called_deleted_and_the_vendor_still_lists_is_there() {
    let world = World::mapped(connectwise()).await;
    later_read(&world, rows(1..=2), 50).await;
    world.test.http.clear();
    world.serve_signing_key();
    assert_eq!(world.send(&callback("m1", "configuration", "deleted", 1, &Value::Null)).await.status, 200);
    world.pump().await;
    assert_eq!(gone(&world).await, ["1"]);
    later_read(&world, rows(1..=2), 50).await;
    assert_eq!(gone(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_row_that_slipped_between_two_pages_is_not_gone_until_the_next_read_misses_it_too() {
    let world = World::mapped(connectwise()).await;
    later_read(&world, rows(1..=5), 2).await;
    later_read(&world, rows(2..=5), 2).await;
    assert_eq!(gone(&world).await, Vec::<String>::new());
    assert_eq!(population(&world).await.population, Population::Of { read: 4, total: 4 });
    later_read(&world, rows(1..=5), 2).await;
    later_read(&world, rows(2..=5), 2).await;
    assert_eq!(gone(&world).await, Vec::<String>::new(), "listed in between: it counts from the start again");
    later_read(&world, rows(2..=5), 2).await;
    assert_eq!(gone(&world).await, ["1"]);
}

/// Serves these rows of these companies, one page each.
fn serve_companies(world: &World, companies: Vec<(&'static str, Vec<Value>)>) {
    world.test.http.answer_with(move |request| {
        if request.url.path().starts_with("/login/companyinfo/") {
            return Some(Ok(response(200, &[], r#"{"Codebase":"v2026_1/"}"#)));
        }
        let asked = request.url.query_pairs().find(|(name, _)| name == "conditions").map(|(_, value)| value.into_owned())?;
        let rows = companies.iter().find(|(company, _)| asked == format!("company/id={company}")).map(|(_, rows)| rows.clone());
        Some(Ok(response(200, &[], Value::Array(rows.unwrap_or_default()).to_string())))
    });
}

fn of_company(company: u64, id: u64) -> Value {
    let mut row = configuration(id, LONG_AGO);
    row["company"] = json!({ "id": company, "name": format!("Company {company}") });
    row
}

#[tokio::test]
async fn a_company_mapped_during_a_read_loses_nothing_and_its_inventory_comes_by_itself() {
    let world = World::mapped(connectwise()).await;
    world.test.clock.advance(Duration::minutes(1));
    // A device of a second company of the first client waits for its mapping.
    world.serve_signing_key();
    world.send(&callback("m1", "configuration", "updated", 9, &Value::String(of_company(251, 9).to_string()))).await;
    world.pump().await;

    serve_companies(&world, vec![("250", rows(1..=2)), ("251", vec![of_company(251, 9), of_company(251, 10)])]);
    let store = world.deployment().await;
    pull::request_pull(&store, world.connection.id).await.unwrap();
    world.test.clock.advance(Duration::seconds(1));
    mapping::confirm(&store, world.connection.id, "251", "", world.clients[0].id).await.unwrap();
    world.pump_through().await;
    assert_eq!(gone(&world).await, Vec::<String>::new());
    let stated = population(&world).await;
    assert!(!stated.population.is_complete() && stated.title.contains("1 company not read yet"), "{}", stated.title);

    world.test.clock.advance(Duration::minutes(5));
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 1);
    world.pump_through().await;
    assert_eq!(population(&world).await.population, Population::Of { read: 4, total: 4 });
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 0);
}

#[tokio::test]
async fn an_earlier_complete_population_is_not_complete_once_another_company_is_its_clients_too() {
    let world = World::mapped(connectwise()).await;
    serve_companies(&world, vec![("250", rows(1..=2)), ("251", vec![of_company(251, 9)])]);
    read_all(&world).await;
    assert!(population(&world).await.population.is_complete());
    world.test.clock.advance(Duration::minutes(1));
    let asked = world.test.queue.bodies("analyze").len();
    world.map("251", 0).await;
    let stated = population(&world).await;
    assert_eq!(stated.population, Population::Of { read: 2, total: 3 });
    assert!(stated.title.ends_with("2 of 3, 1 company not read yet and counted as one missing"), "{}", stated.title);
    assert_eq!(world.test.queue.bodies("analyze").len(), asked + 1, "what rested on it is looked at again");

    world.test.clock.advance(Duration::minutes(5));
    assert_eq!(pull::run_due(world.app(), "story").await.unwrap(), 1);
    world.pump_through().await;
    let stated = population(&world).await;
    assert_eq!(stated.population, Population::Of { read: 3, total: 3 });
    assert!(stated.title.ends_with("3 of 3"), "{}", stated.title);
}

#[tokio::test]
async fn a_device_that_moved_to_another_clients_company_is_gone_for_the_first_client() {
    let world = World::mapped(connectwise()).await;
    serve_companies(&world, vec![("250", rows(1..=2)), ("174", Vec::new())]);
    read_all(&world).await;
    for _ in 0..2 {
        world.test.clock.advance(Duration::minutes(1));
        serve_companies(&world, vec![("250", rows(2..=2)), ("174", vec![of_company(174, 1)])]);
        read_all(&world).await;
    }
    assert_eq!(gone(&world).await, ["1"]);
    assert!(world.evidence(1).await.iter().any(|evidence| evidence.source_key.ends_with(":configuration:1") && !evidence.deleted));
}

#[tokio::test]
async fn a_client_with_a_damaged_record_is_left_out_and_holds_up_no_other() {
    let world = World::mapped(connectwise()).await;
    let both = || vec![("250", rows(1..=1)), ("174", vec![of_company(174, 2)])];
    serve_companies(&world, both());
    read_all(&world).await;
    let (partition, whole) = known_of_first(&world).await;
    let write = async |body: Value| {
        let held = world.app().documents.read(&partition, &whole.id).await.unwrap().unwrap();
        let replace = Op::Replace { id: held.id, body, if_match: held.etag };
        assert!(matches!(world.app().documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
    };
    for damaged in [json!({ "schema": 1, "kind": "known", "sealed": "AAAA" }), json!({ "schema": 99, "kind": "known", "sealed": "" })] {
        write(damaged).await;
        world.test.clock.advance(Duration::hours(25));
        let report = read_all(&world).await;
        assert_eq!((report.state, report.clients_skipped, report.companies_left), (State::Finished, 1, 0));
    }
    let other = world.evidence(1).await;
    assert!(other.iter().all(|evidence| evidence.collected_at > world.app().now() - Duration::hours(1)), "the other client was read");
    assert_eq!(world.audited("pull.client_skipped").await, 2);
    let alerts = health::of_all(&world.deployment().await).await.unwrap().remove(0).alerts;
    assert_eq!(alerts.iter().map(|alert| alert.alarm).collect::<Vec<_>>(), [Alarm::ClientSkipped]);

    write(whole.body.clone()).await;
    world.test.clock.advance(Duration::hours(25));
    assert_eq!(read_all(&world).await.clients_skipped, 0);
}

/// What is known of the first client's device, where it lies.
async fn known_of_first(world: &World) -> (Partition, Document) {
    for shard in 0..assay::tenancy::place::EVIDENCE_SHARDS {
        let place = format!("{}/evidence/{shard:02}", world.clients[0].id);
        let partition = Partition::reserved_for_tenancy(Container::Clients, place);
        let page = world.app().documents.query(&partition, &Query::prefix("known:")).await.unwrap();
        if let Some(document) = page.documents.into_iter().next() {
            return (partition, document);
        }
    }
    panic!("no device of the first client")
}

#[tokio::test]
async fn autotask_secrets_go_to_no_other_zone_than_the_host_that_was_typed() {
    let mut world = World::unmapped(autotask()).await;
    world.map("174", 0).await;
    world.connection.host = "webservices6.autotask.net".into();
    assay::connectors::connection::change(&world.deployment().await, world.connection.clone()).await.unwrap();
    world.test.http.answer_with(|_| Some(Ok(response(200, &[], r#"{"url":"https://webservices5.autotask.net/ATServicesRest/"}"#))));
    let report = read_all(&world).await;
    let State::Failed { why, cause: Cause::Refused } = report.state else { panic!("{:?}", report.state) };
    assert!(why.contains("correct the API host"), "{why}");
    assert!(world.test.http.called().iter().all(|call| call.contains("zoneInformation")), "{:?}", world.test.http.called());
}
