//! The golden cases of the envelopes: what the stand-in builds is what the real host sends, member by member.

use assay::host::local::{
    appfolder::{DataType, Function, Trigger},
    envelope::{ScheduleStatus, Sys, of_queue_message, of_timer},
    queues::Leased,
};
use bytes::Bytes;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};
use uuid::uuid;

use super::support::{function, golden};

fn name_of(case: &Value) -> String {
    case["request"]["path"].as_str().unwrap().trim_start_matches('/').to_owned()
}

fn sys(name: &str) -> Sys<'_> {
    Sys { function: name, now: datetime!(2026-03-02 09:15:04.123_456_7 UTC), random: uuid!("0b9a7f6e-2f57-4f0a-9a0e-6d1f2c3b4a59") }
}

/// The real pop receipt is base64 of its own; ours is a GUID. Everything else must be equal.
fn without_receipt(mut envelope: Value) -> Value {
    let receipt = envelope["Metadata"].as_object_mut().unwrap().remove("PopReceipt");
    assert!(receipt.is_none_or(|r| r.as_str().unwrap().starts_with('"')), "double encoded");
    envelope
}

#[test]
fn host_golden_req_queue_envelopes_are_the_real_ones() {
    for (name, case) in golden("req-queue-") {
        let Function { trigger: Trigger::Queue { binding, data_type, .. }, .. } = function("ProcessWork", &case["function_json"]) else {
            panic!("{name}")
        };
        let metadata = &case["request"]["body"]["Metadata"];
        let count: Value = serde_json::from_str(metadata["DequeueCount"].as_str().unwrap()).unwrap();
        let message = Leased {
            id: uuid!("5f0f7f7e-6b7a-4f0e-8d0a-2f1f0a9c7b11"),
            pop_receipt: uuid!("5f0f7f7e-6b7a-4f0e-8d0a-2f1f0a9c7b12"),
            body: Bytes::copy_from_slice(case["queue_message_text"].as_str().unwrap().as_bytes()),
            dequeue_count: count.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            inserted_at: datetime!(2026-03-02 09:15:02.5 UTC),
            expires_at: datetime!(2026-03-09 09:15:02.5 UTC),
            next_visible_at: datetime!(2026-03-02 09:25:03.9 UTC),
        };
        let built = of_queue_message(&binding, data_type, &message, &sys("ProcessWork")).unwrap();
        assert_eq!(without_receipt(built), without_receipt(case["request"]["body"].clone()), "{name}");
    }
}

#[test]
fn host_golden_req_timer_envelopes_are_the_real_ones() {
    for (name, case) in golden("req-timer") {
        if !case["function_json"]["retry"].is_null() {
            continue; // retry policies are not imitated, and the help says so
        }
        let function_name = name_of(&case);
        let Function { trigger: Trigger::Timer { binding, use_monitor, .. }, .. } = function(&function_name, &case["function_json"]) else {
            panic!("{name}")
        };
        let data = &case["request"]["body"]["Data"]["timer"];
        let at = |member: &str| {
            let text = data["ScheduleStatus"][member].as_str().unwrap();
            (!text.starts_with("0001")).then(|| OffsetDateTime::parse(text, &Rfc3339).unwrap())
        };
        let status = use_monitor.then(|| ScheduleStatus { last: at("Last"), next: at("Next"), last_updated: at("LastUpdated") });
        let built = of_timer(&binding, status.as_ref(), data["IsPastDue"] == true, &sys(&function_name));
        assert_eq!(built, case["request"]["body"], "{name}");
    }
}

#[test]
fn text_that_is_not_utf8_never_becomes_a_string_envelope() {
    let message = Leased {
        id: uuid!("5f0f7f7e-6b7a-4f0e-8d0a-2f1f0a9c7b11"),
        pop_receipt: uuid!("5f0f7f7e-6b7a-4f0e-8d0a-2f1f0a9c7b12"),
        body: Bytes::from_static(&[0xFF, 0x00]),
        dequeue_count: 1,
        inserted_at: datetime!(2026-03-02 09:15 UTC),
        expires_at: datetime!(2026-03-09 09:15 UTC),
        next_visible_at: datetime!(2026-03-02 09:25 UTC),
    };
    assert_eq!(of_queue_message("item", DataType::Text, &message, &sys("F")), None);
    assert_eq!(of_queue_message("item", DataType::Binary, &message, &sys("F")).unwrap()["Data"]["item"], "/wA=");
}
