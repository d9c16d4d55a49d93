//! One connection as its page shows it: is it heard, what was refused, how the last whole read went and what to do.
//!
//! A read that failed, waits or held rows back never looks like one that is well.

use super::Reader;
use crate::{
    connectors::{
        Connection, Vendor,
        delivery::{Delivery, Outcome, UNREADABLE},
        health,
        pull::{Cause, Report, State},
        trial, unlisted,
    },
    web::pages::{AlarmView, ConnectionView, LastPull, PostForm, RejectCount, Tag, Tone, UnlistedType, paths},
};

pub(super) fn view(
    reader: &Reader<'_>,
    health: &health::Health,
    rejects: &[health::Reject],
    clients: usize,
    unmapped: usize,
) -> ConnectionView {
    let Connection { id, name, .. } = &health.connection;
    let (tag, note) = heard(health.alerts.is_empty(), health.last_delivery.as_ref());
    ConnectionView {
        name: name.clone(),
        change_href: paths::connection(*id),
        system: health.connection.vendor().word().into(),
        health: tag,
        health_note: note,
        alarms: health.alerts.iter().chain(&health.hints).map(|alert| alarm(reader, alert)).collect(),
        last_delivery: health.last_delivery.as_ref().map(|delivery| delivery.received_at),
        rejects: rejects
            .iter()
            .map(|reject| RejectCount { reason: reject.reason.replace('_', " "), count: reject.count, last: reject.last_at })
            .collect(),
        last_pull: health.pull.as_ref().map(last_pull),
        unlisted: unlisted_types(&health.unlisted),
        tested: trial::last(reader.app, &health.connection).map(|trial| {
            let tag = if trial.outcome.is_good() { Tag::new(Tone::Met, "Answers") } else { Tag::new(Tone::Not, "Look here") };
            (tag, trial.outcome.words(health.connection.vendor()), trial.at)
        }),
        test: PostForm {
            action: paths::test_connection(*id),
            token: reader.token(&["test", &id.to_string()]),
            fields: vec![],
            label: "Test it now".into(),
        },
        pull: Some(PostForm {
            action: paths::pull(*id),
            token: reader.token(&["pull", &id.to_string()]),
            fields: vec![],
            label: "Read configurations now".into(),
        }),
        register: match health.connection.vendor() {
            Vendor::ConnectwiseManage => "Register it in ConnectWise as a callback for tickets and one for configurations, level owner.",
            Vendor::Autotask => {
                "Register it in Autotask as a webhook for tickets and one for configuration items, with the webhook secret; \
                 the same address with /deactivated behind it is the deactivation address. Then enter the GUIDs that Autotask gives \
                 under Change: until then its events are refused."
            }
        },
        webhook_address: reader.app.config.link(&health.connection.webhook_path()),
        clients,
        unmapped,
    }
}

/// Whether events arrive and are taken in. One that is verified is answered 200 even if it is refused: only here is it seen.
fn heard(is_well: bool, last: Option<&Delivery>) -> (Tag, Option<String>) {
    let refusal = last.filter(|last| last.outcome == Outcome::Reject).map(|last| refusal(last.reason.as_deref().unwrap_or_default()));
    match last {
        _ if !is_well => (Tag::new(Tone::Not, "Look here"), refusal),
        Some(_) if refusal.is_some() => (Tag::new(Tone::Not, "Refused"), refusal),
        Some(_) => (Tag::new(Tone::Met, "Heard from"), None),
        None => (
            Tag::new(Tone::Unknown, "Silent"),
            Some("Nothing has arrived yet: give the vendor the address below, then change a ticket there.".into()),
        ),
    }
}

fn refusal(reason: &str) -> String {
    let (why, next) = match reason {
        "unknown_webhook_guid" => (
            "its webhook's GUID is not entered here",
            "Enter the GUID that Autotask gives under Change. What was refused is not taken in later: change a ticket there for it to \
             come, and read the configurations once.",
        ),
        "malformed" => ("it is not JSON", "Look at the webhook's settings in the tool."),
        "no_record_id" | "no_record" => ("it shows no record", "Look in the tool that the webhook is for tickets or configurations."),
        UNREADABLE => ("it waited for its company and could not be read then", "See it under Dead letters, and try again."),
        other => return format!("The last event was refused: {}. Look at the webhook's settings in the tool.", other.replace('_', " ")),
    };
    format!("The last event was refused: {why}. {next}")
}

fn alarm(reader: &Reader<'_>, alert: &health::Alert) -> AlarmView {
    let (id, key) = (alert.connection, alert.alarm.key());
    AlarmView {
        tag: if alert.alarm.is_hint() { Tag::new(Tone::Unknown, "Unverified") } else { Tag::new(Tone::Not, "Alarm") },
        words: alert.alarm.words().into(),
        count: alert.count,
        last: alert.last_at,
        clear: PostForm {
            action: paths::clear_alarm(id, key),
            token: reader.token(&["clear alarm", &id.to_string(), key]),
            fields: vec![],
            label: "I have seen to it".into(),
        },
    }
}

pub(super) fn unlisted_types(seen: &[unlisted::Seen]) -> Vec<UnlistedType> {
    let named = |seen: &unlisted::Seen| match (&seen.name, &seen.id) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "without a name".into(),
        (None, None) => "Without a type".into(),
    };
    seen.iter().map(|seen| UnlistedType { id: seen.id.clone(), name: named(seen), count: seen.count }).collect()
}

fn last_pull(report: &Report) -> LastPull {
    let records = count(report.records, "record");
    let left = u64::try_from(report.companies_left).unwrap_or(u64::MAX);
    let to_go = if left == 0 { String::new() } else { format!(", {} to go", companies(left)) };
    let mut notes = Vec::new();
    let (tone, word, until) = match &report.state {
        State::Finished if report.held_back == 0 && report.clients_skipped == 0 => (Tone::Met, format!("{records} read"), None),
        State::Finished => (Tone::Wait, format!("{records} read, not complete"), None),
        State::Running => (Tone::Wait, format!("Reading: {records} so far{to_go}"), None),
        State::Waiting { until, why } => {
            notes.push(format!("The vendor could not be read on ({why}). Reading goes on by itself."));
            (Tone::Wait, format!("Waiting: {records} so far{to_go}"), Some(*until))
        }
        State::Failed { why, cause } => {
            let next = match cause {
                Cause::Refused => "Check the credentials and the rights of the API user, then read again.",
                Cause::GaveUp => "Look whether the tool is up and what else uses its API allowance, then read again.",
            };
            notes.push(format!("The read ended early: {why}. {next}"));
            notes.push("Until a read comes to its end, the inventory stays as it was and grows old.".into());
            (Tone::Not, format!("Failed after {records}{to_go}"), None)
        }
    };
    if report.held_back > 0 {
        notes.push(format!(
            "{} CUI marking and {} not kept, so the inventory is not complete. Take the marked text out of the tool; the next read counts {}.",
            if report.held_back == 1 { "1 record carries a".into() } else { format!("{} records carry a", report.held_back) },
            if report.held_back == 1 { "was" } else { "were" },
            if report.held_back == 1 { "it" } else { "them" },
        ));
    }
    if report.clients_skipped > 0 {
        notes.push(format!(
            "Left out: {}, because the key cannot be used or a record cannot be read. The alarm and the audit trail say which; have it mended, then read again.",
            count(u64::try_from(report.clients_skipped).unwrap_or(u64::MAX), "client"),
        ));
    }
    LastPull { at: report.progress_at, result: Tag::new(tone, word), until, notes }
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn companies(number: u64) -> String {
    if number == 1 { "1 company".into() } else { format!("{number} companies") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::{Duration, OffsetDateTime};

    #[test]
    fn a_connection_whose_last_event_was_refused_is_not_well_and_says_why_and_what_to_do() {
        let delivery = |outcome, reason: Option<&str>| Delivery {
            id: uuid::Uuid::nil(),
            received_at: OffsetDateTime::UNIX_EPOCH,
            outcome,
            reason: reason.map(str::to_owned),
            dedupe_key: None,
            events: Vec::new(),
            blob: String::new(),
        };
        let refused = delivery(Outcome::Reject, Some("unknown_webhook_guid"));
        for (is_well, word) in [(true, "Refused"), (false, "Look here")] {
            let (tag, note) = heard(is_well, Some(&refused));
            assert_eq!((tag.tone, tag.word.as_str()), (Tone::Not, word));
            assert!(note.is_some_and(|note| note.contains("GUID is not entered here. Enter the GUID")));
        }
        let other = heard(true, Some(&delivery(Outcome::Reject, Some("some_reason")))).1;
        assert!(other.is_some_and(|note| note.contains("refused: some reason.")));
        for outcome in [Outcome::Accept, Outcome::Duplicate, Outcome::Stale, Outcome::Ignore] {
            assert_eq!(heard(true, Some(&delivery(outcome, None))).0.tone, Tone::Met);
        }
    }

    fn report(state: State, held_back: u64) -> Report {
        let at = OffsetDateTime::UNIX_EPOCH;
        Report { started_at: at, progress_at: at, companies_left: 2, records: 1, held_back, clients_skipped: 0, state }
    }

    fn failed(why: &str, cause: Cause) -> Report {
        report(State::Failed { why: why.into(), cause }, 0)
    }

    #[test]
    fn only_a_read_that_came_to_its_end_and_kept_all_is_shown_as_good() {
        let shown = |state, held_back| last_pull(&report(state, held_back)).result;
        let until = OffsetDateTime::UNIX_EPOCH + Duration::minutes(5);
        let good = shown(State::Finished, 0);
        assert_eq!((good.tone, good.word.as_str()), (Tone::Met, "1 record read"));
        assert_eq!(last_pull(&failed("the vendor refused: credentials or rights", Cause::Refused)).result.tone, Tone::Not);
        let without_a_client = Report { clients_skipped: 1, ..report(State::Finished, 0) };
        assert_eq!(last_pull(&without_a_client).result.tone, Tone::Wait);
        for (state, held_back) in [(State::Finished, 1), (State::Running, 0), (State::Waiting { until, why: "throttled".into() }, 0)] {
            assert_eq!(shown(state, held_back).tone, Tone::Wait);
        }
    }

    #[test]
    fn what_went_wrong_and_what_to_do_are_said() {
        let refused = last_pull(&failed("the vendor refused: credentials or rights", Cause::Refused));
        assert!(refused.notes[0].contains("credentials or rights") && refused.notes[0].contains("then read again"), "{refused:?}");
        let throttled = last_pull(&failed("the vendor did not let us read in 60 tries: throttled", Cause::GaveUp));
        assert!(!throttled.notes[0].contains("credentials"), "{throttled:?}");
        let until = OffsetDateTime::UNIX_EPOCH + Duration::minutes(5);
        assert_eq!(last_pull(&report(State::Waiting { until, why: "throttled".into() }, 0)).until, Some(until));
        assert!(last_pull(&report(State::Finished, 3)).notes[0].starts_with("3 records carry a CUI marking"));
    }
}
