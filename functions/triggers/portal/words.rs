//! The audit trail in words: each entry as a sentence without its actor. What a kind means is said by the schema of the
//! events; here stand the sentences that say more, from the entry's own content. A kind that the schema does not have (of a
//! newer release) is shown as it stands in the log, so that nothing is ever hidden.

use serde_json::Value;

use crate::{
    audit::{schema, trail::Shown},
    gate::policy,
};

pub(super) fn sentence(shown: &Shown) -> String {
    let detail = &shown.detail;
    let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
    match shown.kind.as_str() {
        "evidence.observed" => match detail["records"].as_array().map(Vec::len) {
            Some(1) => "reported 1 record of an inventory".into(),
            Some(n) => format!("reported {n} records of an inventory"),
            None if detail["deleted"] == true => format!("deleted {}", thing(&shown.object)),
            None => format!("reported {}{}", thing(&shown.object), population(detail)),
        },
        "evidence.missed" => format!("did not list {}; the next read decides whether it is gone", thing(&shown.object)),
        "evidence.put_back" => format!("found that an older state of {} was put back in the database", thing(&shown.object)),
        "evidence.quarantined" => {
            let kept = if detail["kept"] == false { ", so nothing of it was kept" } else { "" };
            format!("set {} aside: it carries a CUI marking{kept}", text("record").replace(':', " "))
        }
        "evidence.purge_ordered" => format!("ordered Assay's sealed copy of {} to be destroyed", text("record").replace(':', " ")),
        "evidence.purged" => format!("destroyed Assay's sealed copy of {}, which carries a CUI marking", text("record").replace(':', " ")),
        "evidence.seen_to" => format!("saw to {}, which carries a CUI marking", text("record").replace(':', " ")),
        "analysis.recorded" => match detail["changed"].as_array().map_or(0, Vec::len) {
            0 => format!("looked at new {}: no suggestion changed", type_words(&text("record_type"))),
            1 => format!("looked at new {}: 1 suggestion changed", type_words(&text("record_type"))),
            n => format!("looked at new {}: {n} suggestions changed", type_words(&text("record_type"))),
        },
        "proposal.staged" => match kind_words(&text("kind")) {
            Some(words) => format!("asked: {words} objective {}", text("subject")),
            None => format!("asked: {}", other_words(&text("kind"))),
        },
        "proposal.notified" => told(detail, "mailed", "about a proposal"),
        "proposal.reminded" => told(detail, "reminded", "of a proposal"),
        "proposal.escalated_notice" => told(detail, "told", "that a proposal was not decided yet"),
        "proposal.glass_told" => told(detail, "told", "that one person approved a proposal alone"),
        "proposal.ran_told" => told(detail, "told", "of what was done without asking"),
        "proposal.failure_told" => told(detail, "told", "that something was not carried out, or not undone"),
        "proposal.change_told" => told(detail, "told", "that what they had approved changed"),
        "proposal.review_overdue" => told(detail, "told", "that a review is overdue"),
        "notice.accepted" => format!("told {} about a proposal", channel_words(&text("channel"))),
        "notice.refused" => format!("could not tell {} about a proposal: {}", channel_words(&text("channel")), text("why")),
        "notice.too_late" => format!("could not tell {} about a proposal before its time was over", channel_words(&text("channel"))),
        "notice.in_the_way" => "found something that Assay had not written where a notice is kept, and took it away".into(),
        "proposal.undone" => format!("undid what was carried out: {}", done_words(&text("kind"))),
        "policy.changed" => format!("changed the approval policy; version {} stands", detail["version"]),
        "policy.signed" => format!("signed version {} of the approval policy, which an earlier release had stored", detail["version"]),
        "policy.unsound" => format!("found that the approval policy is not as it was approved: {}", text("why")),
        "policy.restored" => format!("put back version {} of the approval policy, as it was approved", detail["version"]),
        "proposal.executed" if detail["level"] == "L0" || detail["level"] == "L1" => {
            format!("carried out by rule: {} {}", kind_words(&text("kind")).unwrap_or("an action about"), shown.object)
        }
        "proposal.executed" => format!("carried out what was approved: {}", done_words(&text("kind"))),
        "proposal.superseded" if detail["cause"] == "evidence_too_old" => {
            "withdrew a proposal: its evidence became too old to count".into()
        }
        "proposal.superseded" if detail["cause"] == "score_changed" => "withdrew a proposal: the score is another one by now".into(),
        "proposal.superseded" if detail["cause"] == "asked_by_hand" => "set a proposal aside: a person asked about the same".into(),
        "proposal.revised" if detail["level_before"].is_string() => {
            "brought to people what would have run by itself: overrides, or the policy, ask for that now".into()
        }
        "objective.marked" => format!("marked {} as {}; it was {}", shown.object, text("after"), text("before")),
        "objective.rolled_back" => format!("took back a finding: {} was {} and is {} again", shown.object, text("before"), text("after")),
        "key.rotated" => format!("gave these records a further data key, number {}", detail["after"]),
        "key.put_back" if !detail["destroyed_at"].is_null() => {
            "found that a record of the client's data keys was put back after they were destroyed, and overwrote it again".into()
        }
        "key.put_back" => format!(
            "found that an earlier record of the client's data keys was put back: data key {} seals again, in place of {}",
            detail["after"], detail["before"]
        ),
        "key.signed" => "signed the record of the data keys with a newer key of the vault".into(),
        "key.rewrapped" if detail["before"]["key"] != detail["after"]["key"] => "wrapped the data keys with another key of a vault".into(),
        "key.vault_key_changed" => {
            format!("let another key of a vault wrap the data keys of a client: {} instead of {}", text("after"), text("before"))
        }
        "key.resealed" => match detail["unreadable"].as_u64() {
            None | Some(0) => format!("sealed {} records again under the newest data key", detail["documents"]),
            Some(left) => {
                format!("sealed {} records again under the newest data key; {left} do not open and stay as they are", detail["documents"])
            }
        },
        "key.regions_changed" => format!("changed the regions in which the client's records may be read to: {}", anywhere(&text("after"))),
        "key.rotation_ordered" if shown.object == "installation" => {
            format!("ordered a further data key for the installation, number {}: {}", detail["after"], text("reason"))
        }
        "key.rotation_ordered" => format!("ordered a further data key for the client, number {}: {}", detail["after"], text("reason")),
        "sharing.changed" if detail["takes_part"] == true => {
            "let a client's counts of decisions be added to those of others, without telling whose they are".into()
        }
        "sharing.changed" => "stopped adding a client's counts of decisions to those of others".into(),
        "rule.gate_changed" => gate_changed(detail, &shown.object),
        "rule.accepted" => format!("let {} run at {}, as was proposed and approved", text("rule").replace('_', " "), text("level")),
        "rule.gates_replayed" => format!(
            "counted the log anew, and gates {} rule{} otherwise for it",
            detail["rules"].as_array().map_or(0, Vec::len),
            if detail["rules"].as_array().is_some_and(|rules| rules.len() == 1) { "" } else { "s" }
        ),
        "sample.reviewed" if detail["test_item"] == true => {
            format!("{} a test item with a known error", if detail["agrees"] == true { "did not notice" } else { "noticed" })
        }
        "sample.reviewed" if detail["agrees"] == true => {
            format!("looked at what ran without an approval ({}): it holds", text("rule"))
        }
        "sample.reviewed" => format!("looked at what ran without an approval ({}): it does not hold", text("rule")),
        "sample.lapsed" => format!(
            "took {} from the list of what ran without an approval: nobody had looked in 30 days",
            detail["items"].as_array().map_or(0, Vec::len)
        ),
        "log.gap" => format!("found that something of the log was taken away: {}", text("why")),
        "session.ended" if detail["why"].is_string() => format!("closed a session: {}", text("why")),
        "key.unavailable" => {
            format!("was refused a client's records, whose key cannot be used: {}", text("why").rsplit(':').next().unwrap_or_default())
        }
        "webhook.delivery" => format!("delivered an event: {}", text("outcome").replace('_', " ")),
        "webhook.rejected" => format!("refused a webhook call: {}", last_part(&shown.object)),
        "alert.raised" => format!("raised an alarm: {}", last_part(&shown.object)),
        "alert.cleared" => format!("saw to an alarm: {}", text("alarm").replace('_', " ")),
        "pull.client_skipped" => format!("left a client out of a read: {}", text("reason")),
        "pull.finished" => match detail["held_back"].as_u64() {
            None | Some(0) => format!("read all configurations: {} records", detail["records"]),
            Some(held_back) => format!("read all configurations: {} records, {held_back} of them set aside", detail["records"]),
        },
        "pull.failed" => match detail.pointer("/state/failed/why").and_then(Value::as_str) {
            Some(why) => format!("stopped reading configurations: {why}"),
            None => "stopped reading configurations".into(),
        },
        "connection.tested" => format!("tested the connection {}: {}", text("name"), text("outcome").replace('_', " ")),
        "delivery.tested" => match (text("teams"), text("mail")) {
            (teams, mail) if mail.is_empty() => format!("tested how people are told: card {}", teams.replace('_', " ")),
            (teams, mail) if teams.is_empty() => format!("tested how people are told: mail {}", mail.replace('_', " ")),
            (teams, mail) => format!("tested how people are told: card {}, mail {}", teams.replace('_', " "), mail.replace('_', " ")),
        },
        "anchors.lock_recorded" => {
            format!("recorded that the copies of the logs are locked for {} days, as they saw it in Azure", detail["days"])
        }
        "metering.counted" => format!(
            "counted {} for metered billing in {}, {} of them above what the base fee includes",
            clients(detail["clients"].as_array().map_or(0, Vec::len)),
            text("month"),
            detail["billable"]
        ),
        "metering.put_back" => format!(
            "found that {} counted in {} had been taken out of the database, and took them from the log",
            clients(&detail["clients"]),
            text("month")
        ),
        "metering.sent" => {
            let took = if detail["unshown"] == true { "has an event of that hour, without showing its number" } else { "took it" };
            format!("reported {} of {} for metered billing, and the Marketplace {took}", clients(&detail["quantity"]), text("month"))
        }
        "metering.missed" => format!(
            "could not report {} of {} for metered billing, and never will: {}",
            clients(&detail["quantity"]),
            text("month"),
            text("why")
        ),
        "connection.added" => format!("added the connection {}", text("name")),
        "connection.changed" if detail["credentials_changed"] == true => {
            format!("changed the connection {}, its credentials too", text("name"))
        }
        "connection.changed" => format!("changed the connection {}", text("name")),
        "access.put_back" => format!("found access in the database that is not as the log tells it: {}", text("why")),
        "person.added" if detail["owner"] == true => format!("made {} an owner: {}", text("name"), text("why")),
        "person.asked" => format!("asked to be let in: {}", text("name")),
        "person.turned_away" => format!("did not let {} in", text("name")),
        "person.changed" => changed_person(detail),
        "person.ownership_ended" => format!("is no owner any more: {} ({})", text("name"), text("why")),
        "person.ownership_noted" => format!("is an owner as before: {} ({})", text("name"), text("why")),
        "people.access_reviewed" => format!("looked over who can sign in: {}", reviewed(detail)),
        "person.access_ended" if detail["why"].is_string() => format!("took away the access of {}: {}", text("name"), text("why")),
        "person.access_ended" => format!("took away the access of {}", text("name")),
        "person.added" => format!("added {}", text("name")),
        "client.offboarding.begun" => format!("began to offboard the client {}: {}", text("name"), text("reason")),
        "client.offboarding.exported" => format!("took a copy of everything of the client {}: {} files", text("name"), detail["files"]),
        "client.offboarding.not_exportable" => format!(
            "said that no export of the client {} can be made, since its key cannot be used ({}); earlier copies: {}",
            text("name"),
            text("why"),
            text("copies")
        ),
        "client.offboarding.kept" => format!("said where the copy of the client {} is kept: {}", text("name"), text("kept_at")),
        "client.offboarding.switched_off" => format!("switched the client {} off", text("name")),
        "client.offboarding.taken_back" if detail["was_off"] == true => {
            format!("took the offboarding of the client {} back, and switched it on again", text("name"))
        }
        "client.offboarding.taken_back" => format!("took the offboarding of the client {} back", text("name")),
        "client.offboarding.destroyed" => format!("destroyed the data keys of the client {}, {} of them", text("name"), detail["epochs"]),
        "client.offboarding.raw_deleted" => format!("deleted the raw bytes behind the records of the client {}", text("name")),
        "client.offboarding.vault_key_gone" => format!("found that the vault key of the client {} is deleted", text("name")),
        "client.offboarding.vault_key_stated" => format!(
            "recorded that the vault key of the client {} is deleted since {}, as {} states; Assay could not look: {}",
            text("name"),
            text("since"),
            text("who"),
            text("why")
        ),
        "client.offboarding.vault_key_back" => {
            format!("found that the vault key of the client {} is there again; its days begin anew when it is deleted", text("name"))
        }
        "client.offboarding.certified" => format!("issued the certificate of destruction for the client {}", text("name")),
        "client.access_reviewed" => format!("looked over who may do what for the client: {}", reviewed(detail)),
        "client.added" => format!("added the client {}", text("name")),
        "company.mapped" => format!("said which client company {} is", text("company")),
        "message.dead" => format!("could not process a message: {}", text("reason")),
        "message.seen_to" => format!("saw to a message that could not be processed: {}", text("reason")),
        kind => schema::find(kind).map_or_else(|| shown.text(), |kind| kind.says.to_owned()),
    }
}

/// `1 client`
fn clients(count: impl std::fmt::Display) -> String {
    let count = count.to_string();
    format!("{count} client{}", if count == "1" { "" } else { "s" })
}

fn anywhere(regions: &str) -> &str {
    if regions.is_empty() { "any" } else { regions }
}

/// Who was told of something: mailed at once, or by notices that were put in the queue; or nobody, and why.
fn told(detail: &Value, verb: &str, what: &str) -> String {
    let people = |name: &str| detail[name].as_array().map_or(0, Vec::len);
    let queued = detail["queued"].as_u64().or_else(|| detail["cards"].as_u64()).unwrap_or_default();
    match (people("mailed"), queued) {
        (0, 0) if people("unreachable") > 0 => format!("told nobody {what}: none of them has an address that can be mailed"),
        (0, 0) => format!("told nobody {what}: there is nobody to tell, or neither mails nor cards are set up"),
        (0, 1) => format!("put a notice {what} in the queue"),
        (0, n) => format!("put {n} notices {what} in the queue"),
        (1, _) => format!("{verb} 1 approver {what}"),
        (n, _) => format!("{verb} {n} approvers {what}"),
    }
}

/// `rule mark_objective 3.4.1[d]`
fn gate_changed(detail: &Value, object: &str) -> String {
    let rule = object.rsplit(' ').next().unwrap_or_default();
    let of =
        format!("{} override{} of {} decisions", detail["overrides"], if detail["overrides"] == 1 { "" } else { "s" }, detail["labels"]);
    let [before, after] = ["before", "after"].map(|side| detail[side]["level"].as_str().unwrap_or_default());
    if detail["sign"] == "recovered" {
        return format!("no longer asks people to look at what Assay suggests about {rule}: {of}");
    }
    if before == after {
        return format!("asks people to look at what Assay suggests about {rule}: {of}");
    }
    format!("gates what Assay suggests about {rule} at {after} instead of {before}: {of}")
}

/// Under the name they had; addresses stay in the log.
fn changed_person(detail: &Value) -> String {
    let [before, after] = ["before", "after"].map(|side| &detail[side]);
    let name = |side: &Value| side["name"].as_str().unwrap_or_default().to_owned();
    let mut changes = Vec::new();
    if before["name"] != after["name"] {
        changes.push(format!("now called {}", name(after)));
    }
    if before["email"] != after["email"] {
        changes.push("with another e-mail address".into());
    }
    if before["operates"] != after["operates"] {
        changes.push(if after["operates"] == true { "now runs the MSP's tools" } else { "runs the MSP's tools no more" }.into());
    }
    format!("changed {}: {}", name(before), changes.join(", "))
}

/// `{connection}:492013:mac_mismatch` -> `mac mismatch`.
fn last_part(object: &str) -> String {
    object.rsplit(':').next().unwrap_or_default().replace('_', " ")
}

/// The proposal that an entry is about.
pub(super) fn proposal_of(shown: &Shown) -> Option<&str> {
    shown.object.strip_prefix("proposal ").filter(|_| shown.kind.starts_with("proposal."))
}

/// `{connection}:ticket:918204` -> `ticket 918204`.
fn thing(source_key: &str) -> String {
    let mut parts = source_key.splitn(3, ':').skip(1);
    match (parts.next(), parts.next()) {
        (Some("population"), Some(record_type)) => format!("how many {} there are", type_words(record_type)),
        (Some(entity), Some(id)) => format!("{entity} {id}"),
        _ => "a record".into(),
    }
}

fn population(detail: &Value) -> String {
    match detail["population"].as_str() {
        None | Some("unknown") => String::new(),
        Some(words) => format!(": {words}"),
    }
}

fn type_words(record_type: &str) -> String {
    match record_type {
        "rmm_device_inventory" => "devices".into(),
        "psa_ticket_incident" => "incident tickets".into(),
        "psa_ticket_change" => "change tickets".into(),
        "psa_ticket_remediation" => "remediation tickets".into(),
        other => other.replace('_', " "),
    }
}

fn channel_words(channel: &str) -> &'static str {
    if channel == "teams" { "the Teams channel" } else { "an approver by mail" }
}

/// What is done to an objective; `None` where it is about none.
fn kind_words(kind: &str) -> Option<&'static str> {
    match kind {
        "mark_objective" => Some("mark"),
        "roll_back_objective" => Some("take back the finding of"),
        _ => None,
    }
}

/// `mark an objective`
fn done_words(kind: &str) -> String {
    kind_words(kind).map_or_else(|| other_words(kind), |words| format!("{words} an objective"))
}

/// `Change this policy`
fn other_words(kind: &str) -> String {
    policy::words(kind).map_or_else(|| kind.replace('_', " "), str::to_owned)
}

/// What a review of access said of the people; an earlier release confirmed all of them.
fn reviewed(detail: &Value) -> String {
    let count = |name: &str| detail[name].as_array().map(Vec::len);
    match (count("kept"), count("ended"), count("changed")) {
        (Some(kept), Some(ended), Some(changed)) => format!("kept {kept}, ended {ended}, gave {changed} another last day"),
        _ => "confirmed it".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::tenancy::Actor;

    fn shown(kind: &str, object: &str, detail: Value) -> Shown {
        Shown {
            place: None,
            at: datetime!(2026-11-25 02:52:09 UTC),
            kind: kind.into(),
            object: object.into(),
            actor: Actor::Function("execute".into()),
            correlation: "c".into(),
            detail,
        }
    }

    #[test]
    fn every_kind_has_a_sentence_whatever_its_entry_says_and_one_of_a_newer_release_is_shown_as_it_stands() {
        for kind in schema::kinds() {
            let entry = shown(kind.name, "object", json!({}));
            assert_ne!(sentence(&entry), entry.text(), "{}", kind.name);
        }
        let newer = shown("moon.landed", "moon 1", json!({}));
        assert_eq!(sentence(&newer), "moon landed: moon 1");
    }

    #[test]
    fn sentences_say_what_was_written() {
        let mark = json!({ "objective": "3.4.1[d]", "before": "undecided", "after": "MET" });
        let back = json!({ "objective": "3.4.1[d]", "before": "MET", "after": "undecided" });
        let failed = json!({ "state": { "failed": { "why": "the credentials are refused" } }, "records": 3, "held_back": 0 });
        let cases = [
            ("objective.marked", "objective 3.4.1[d]", mark, "marked objective 3.4.1[d] as MET; it was undecided"),
            ("objective.rolled_back", "objective 3.4.1[d]", back, "took back a finding: objective 3.4.1[d] was MET and is undecided again"),
            ("proposal.staged", "proposal 1", json!({ "kind": "mark_objective", "subject": "3.4.1[d]" }), "asked: mark objective 3.4.1[d]"),
            ("proposal.staged", "proposal 1", json!({ "kind": "submit_sprs_score", "subject": "SPRS" }), "asked: Submit the score to SPRS"),
            ("pull.failed", "connection 1", failed, "stopped reading configurations: the credentials are refused"),
            (
                "pull.finished",
                "connection 1",
                json!({ "state": "finished", "records": 12, "held_back": 1 }),
                "read all configurations: 12 records, 1 of them set aside",
            ),
            ("alert.raised", "7d3f:pull_refused", json!({ "at": 1 }), "raised an alarm: pull refused"),
            ("webhook.rejected", "7d3f:492013:mac_mismatch", json!({ "at": 1 }), "refused a webhook call: mac mismatch"),
            (
                "person.changed",
                "person 1",
                json!({ "before": { "name": "Priya Nair", "email": "", "operates": false }, "after": { "name": "Priya Shah", "email": "p@x", "operates": true } }),
                "changed Priya Nair: now called Priya Shah, with another e-mail address, now runs the MSP's tools",
            ),
            ("proposal.notified", "proposal 1", json!({ "mailed": ["a", "b"] }), "mailed 2 approvers about a proposal"),
            (
                "metering.counted",
                "month 2026-03",
                json!({ "month": "2026-03", "clients": ["a", "b", "c"], "billable": 1 }),
                "counted 3 clients for metered billing in 2026-03, 1 of them above what the base fee includes",
            ),
            (
                "metering.sent",
                "month 2026-03",
                json!({ "month": "2026-03", "quantity": 1 }),
                "reported 1 client of 2026-03 for metered billing, and the Marketplace took it",
            ),
            (
                "metering.sent",
                "month 2026-03",
                json!({ "month": "2026-03", "quantity": 2, "unshown": true }),
                "reported 2 clients of 2026-03 for metered billing, and the Marketplace has an event of that hour, without showing its number",
            ),
            (
                "metering.put_back",
                "month 2026-03",
                json!({ "month": "2026-03", "clients": 2 }),
                "found that 2 clients counted in 2026-03 had been taken out of the database, and took them from the log",
            ),
            (
                "evidence.quarantined",
                "connection 1 ticket:9",
                json!({ "record": "ticket:9" }),
                "set ticket 9 aside: it carries a CUI marking",
            ),
        ];
        for (kind, object, detail, said) in cases {
            assert_eq!(sentence(&shown(kind, object, detail)), said);
        }
    }
}
