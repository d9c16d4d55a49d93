//! Records that change company, are deleted, or both at the same moment, with stops in between: only the client they are
//! with keeps them as live evidence, and nothing waits for ever.

use assay::connectors::{delivery::Outcome, mapping, pull};
use bytes::Bytes;
use serde_json::{Value, json};
use time::Duration;

use super::{
    pull_stories::{configuration, read_all, serve},
    world::{KEY_URL, Ready, World, callback, connectwise, ticket},
};
use assay::platform::ports::Queue as _;

use crate::support::faults::Fault;

/// Clients of which the record is live evidence.
async fn live(world: &World, record: &str) -> Vec<usize> {
    let mut clients = Vec::new();
    for client in 0..world.clients.len() {
        if world.evidence(client).await.iter().any(|evidence| evidence.source_key.ends_with(record) && !evidence.deleted) {
            clients.push(client);
        }
    }
    clients
}

async fn nothing_waits(world: &World) -> bool {
    mapping::unmapped(&world.deployment().await, world.connection.id).await.unwrap().is_empty()
}

/// The message of this body, taken off the queue.
async fn message_of(world: &World, body: &Value) -> Bytes {
    assert_eq!(world.send(body).await.status, 200);
    take(world).await
}

async fn take(world: &World) -> Bytes {
    let received = world.test.queue.receive("intake", 1, std::time::Duration::ZERO).await.unwrap().remove(0);
    world.test.queue.delete("intake", &received).await.unwrap();
    received.body
}

/// Again when another one was faster, as the queue does.
async fn work_off(world: &World, message: &Bytes) {
    for _ in 0..5 {
        match world.work_off(message).await {
            Ok(()) => return,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    panic!("five tries");
}

/// Works the message off, and does the other thing while it waits before its call of this number; whether it has one.
async fn meanwhile(world: &World, message: &Bytes, call: usize, other: impl Future<Output = ()>) -> bool {
    let hold = world.test.faults.hold_at(call);
    let first = async {
        work_off(world, message).await;
        hold.let_go();
    };
    let second = async {
        hold.reached().await;
        other.await;
        hold.let_go();
    };
    tokio::join!(first, second);
    world.test.faults.mend();
    hold.struck()
}

fn opened() -> Value {
    ticket("m1", 7, 250, "New", "2026-03-02T08:59:00Z")
}

fn moved() -> Value {
    ticket("m2", 7, 174, "New", "2026-03-02T08:59:30Z")
}

fn deleted() -> Value {
    callback("m3", "ticket", "deleted", 7, &Value::Null)
}

async fn ready() -> Ready {
    World::mapped(connectwise()).await.at_rest()
}

fn world(ready: &Ready) -> World {
    let world = ready.copied();
    world.serve_signing_key();
    world
}

#[tokio::test]
async fn a_ticket_whose_first_message_stopped_half_way_and_came_again_after_its_move_stays_moved() {
    let ready = ready().await;
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let mut world = world(&ready);
            let first = message_of(&world, &opened()).await;
            world.test.faults.stop_at(call, fault);
            let _ = world.work_off(&first).await;
            let struck = world.test.faults.struck();
            world.test.faults.mend();
            world.test.restart();
            world.send(&moved()).await;
            world.pump().await;
            work_off(&world, &first).await;
            assert_eq!(live(&world, ":ticket:7").await, [1], "{fault:?} at call {call}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_stop_at_any_call_of_a_move_ends_with_the_new_client() {
    let ready = ready().await;
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let mut world = world(&ready);
            world.send(&opened()).await;
            world.pump().await;
            let second = message_of(&world, &moved()).await;
            world.test.faults.stop_at(call, fault);
            let _ = world.work_off(&second).await;
            let struck = world.test.faults.struck();
            world.test.faults.mend();
            world.test.restart();
            work_off(&world, &second).await;
            assert_eq!(live(&world, ":ticket:7").await, [1], "{fault:?} at call {call}");
            assert_eq!(world.deliveries().await[0].outcome, Outcome::Accept);
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_opened_and_moved_at_once_is_the_new_clients_and_its_delete_finds_it() {
    let ready = ready().await;
    for bodies in [[opened(), moved()], [moved(), opened()]] {
        for call in 0.. {
            let world = world(&ready);
            let [first, second] = [message_of(&world, &bodies[0]).await, message_of(&world, &bodies[1]).await];
            let struck = Box::pin(meanwhile(&world, &first, call, work_off(&world, &second))).await;
            assert_eq!(live(&world, ":ticket:7").await, [1], "call {call}");
            world.send(&deleted()).await;
            world.pump().await;
            assert_eq!(live(&world, ":ticket:7").await, Vec::<usize>::new(), "call {call}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_ticket_moved_and_deleted_at_once_or_in_either_order_is_gone_for_both() {
    let ready = ready().await;
    for bodies in [[moved(), deleted()], [deleted(), moved()]] {
        for call in 0.. {
            let world = world(&ready);
            world.send(&opened()).await;
            world.pump().await;
            let [first, second] = [message_of(&world, &bodies[0]).await, message_of(&world, &bodies[1]).await];
            let struck = Box::pin(meanwhile(&world, &first, call, work_off(&world, &second))).await;
            world.pump().await;
            assert_eq!(live(&world, ":ticket:7").await, Vec::<usize>::new(), "call {call}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_delete_that_races_with_the_first_event_of_its_ticket_does_not_wait_for_ever() {
    let ready = ready().await;
    for bodies in [[opened(), deleted()], [deleted(), opened()]] {
        for call in 0.. {
            let world = world(&ready);
            let [first, second] = [message_of(&world, &bodies[0]).await, message_of(&world, &bodies[1]).await];
            let struck = Box::pin(meanwhile(&world, &first, call, work_off(&world, &second))).await;
            world.pump().await;
            assert!(nothing_waits(&world).await, "call {call}");
            assert_eq!(live(&world, ":ticket:7").await, Vec::<usize>::new(), "call {call}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_delete_holds_although_the_vendors_clock_is_an_hour_ahead_of_ours() {
    let ahead = || ticket("m1", 7, 250, "New", "2026-03-02T10:00:00Z");
    let late = || ticket("m0", 7, 250, "Old", "2026-03-02T09:58:00Z");
    let ready = ready().await;
    for bodies in [[ahead(), deleted(), late()], [deleted(), late(), ahead()], [late(), deleted(), ahead()]] {
        let world = world(&ready);
        for body in [&bodies[0], &bodies[1], &bodies[2], &bodies[0]] {
            world.send(body).await;
            world.pump().await;
        }
        assert_eq!(live(&world, ":ticket:7").await, Vec::<usize>::new());
        assert_eq!(world.evidence(0).await.len(), 1);
    }
}

fn of_company(company: u64, updated: &str) -> Value {
    let mut row = configuration(9, updated);
    row["company"] = json!({ "id": company });
    callback("m1", "configuration", "updated", 9, &Value::String(row.to_string()))
}

/// Company 250 is known and 174 is not.
async fn half_mapped() -> Ready {
    let world = World::unmapped(connectwise()).await;
    world.map("250", 0).await;
    world.at_rest()
}

/// A world whose next intake message reads this row of company 250.
async fn about_to_read(ready: &Ready, row: Value) -> (World, Bytes) {
    let world = ready.copied();
    serve(&world, vec![row], 50);
    world
        .test
        .http
        .lay(KEY_URL, Ok(crate::support::http::response(200, &[], json!({ "signing_key": super::world::SIGNING_KEY }).to_string())));
    pull::request_pull(&world.deployment().await, world.connection.id).await.unwrap();
    let read = take(&world).await;
    (world, read)
}

/// The vendor's clock is right, or a little slow: a move during the read bears a time before it.
const STAMPS: [&str; 2] = ["2026-03-02T09:00:01Z", "2026-03-02T08:59:59Z"];

#[tokio::test]
async fn a_device_that_moves_while_its_row_is_read_is_live_with_its_new_client_only() {
    let ready = half_mapped().await;
    for stamp in STAMPS {
        for call in 0.. {
            let (world, read) = Box::pin(about_to_read(&ready, configuration(9, "2026-03-01T00:00:00Z"))).await;
            world.map("174", 1).await;
            let other = async {
                world.test.clock.advance(Duration::seconds(2));
                let moved = message_of(&world, &of_company(174, stamp)).await;
                work_off(&world, &moved).await;
            };
            let struck = Box::pin(meanwhile(&world, &read, call, other)).await;
            assert_eq!(live(&world, ":configuration:9").await, [1], "{stamp}, call {call}");
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_device_that_is_first_heard_of_during_a_read_is_not_gone_for_lack_of_a_row() {
    let ready = half_mapped().await;
    for stamp in STAMPS {
        let (world, read) = Box::pin(about_to_read(&ready, configuration(8, "2026-03-01T00:00:00Z"))).await;
        world.test.clock.advance(Duration::seconds(2));
        let new = message_of(&world, &of_company(250, stamp)).await;
        work_off(&world, &new).await;
        work_off(&world, &read).await;
        world.pump_through().await;
        assert_eq!(live(&world, ":configuration:9").await, [0], "{stamp}");
    }
}

#[tokio::test]
async fn a_delete_during_the_read_that_finds_the_devices_move_is_a_delete_for_its_new_client() {
    let world = World::mapped(connectwise()).await;
    world.serve_signing_key();
    world.send(&of_company(174, "2026-03-01T00:00:00Z")).await;
    world.pump().await;
    assert_eq!(live(&world, ":configuration:9").await, [1]);

    world.test.clock.advance(Duration::minutes(1));
    serve(&world, vec![configuration(9, "2026-03-01T01:00:00Z")], 50);
    world.serve_signing_key();
    pull::request_pull(&world.deployment().await, world.connection.id).await.unwrap();
    let read = take(&world).await;
    let deleted = message_of(&world, &callback("m3", "configuration", "deleted", 9, &Value::Null)).await;
    work_off(&world, &deleted).await;
    work_off(&world, &read).await;
    world.pump_through().await;
    assert_eq!(world.evidence(0).await.iter().filter(|evidence| evidence.source_key.ends_with(":configuration:9")).count(), 1);
    assert_eq!(live(&world, ":configuration:9").await, Vec::<usize>::new());
}

#[tokio::test]
async fn a_move_from_before_a_read_that_is_worked_off_after_it_is_no_old_news() {
    let world = World::mapped(connectwise()).await;
    serve(&world, vec![configuration(9, "2026-03-01T00:00:00Z")], 50);
    read_all(&world).await;
    world.test.http.clear();
    world.serve_signing_key();
    world.send(&of_company(174, "2026-03-02T08:59:59Z")).await;
    world.pump().await;
    assert_eq!(world.deliveries().await[0].outcome, Outcome::Accept);
    assert_eq!(live(&world, ":configuration:9").await, [1]);
}

#[tokio::test]
async fn a_row_without_a_time_does_not_undo_what_happened_while_it_was_on_its_way() {
    let ready = half_mapped().await;
    let undated = || {
        let mut row = configuration(9, "");
        row["_info"] = json!({});
        row
    };
    let (world, read) = Box::pin(about_to_read(&ready, undated())).await;
    world.test.faults.mend();
    work_off(&world, &read).await;
    let asks = world.test.faults.calls().iter().rposition(|call| *call == "http.send").unwrap();

    let (world, read) = Box::pin(about_to_read(&ready, undated())).await;
    let other = async {
        world.test.clock.advance(Duration::seconds(2));
        let mut renamed = configuration(9, "2026-03-02T09:00:01Z");
        renamed["name"] = json!("HPM-RENAMED");
        let news = callback("m1", "configuration", "updated", 9, &Value::String(renamed.to_string()));
        let news = message_of(&world, &news).await;
        work_off(&world, &news).await;
        world.test.clock.advance(Duration::seconds(2));
    };
    assert!(Box::pin(meanwhile(&world, &read, asks, other)).await);
    let evidence = world.evidence(0).await;
    let device = evidence.iter().find(|evidence| evidence.source_key.ends_with(":configuration:9")).unwrap();
    assert_eq!(device.title, "HPM-RENAMED");
}
