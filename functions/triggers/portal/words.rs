//! The audit trail in words: each kind of entry as a sentence without its actor. A kind that is not known here is shown
//! as it stands in the log, so that nothing is ever hidden.

use serde_json::Value;

use crate::audit::trail::Shown;

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
        "evidence.filed" => "filed a document by its name, place and hash".into(),
        "evidence.quarantined" => format!("set {} aside: it carries a CUI marking", thing(&shown.object)),
        "analysis.recorded" => match detail["changed"].as_array().map_or(0, Vec::len) {
            0 => format!("looked at new {}: no suggestion changed", type_words(&text("record_type"))),
            1 => format!("looked at new {}: 1 suggestion changed", type_words(&text("record_type"))),
            n => format!("looked at new {}: {n} suggestions changed", type_words(&text("record_type"))),
        },
        "proposal.staged" => format!("asked: {} {}", kind_words(&text("kind")), text("subject")),
        "proposal.notified" => "mailed the approvers of a proposal".into(),
        "proposal.reminded" => "reminded the approvers of a proposal".into(),
        "proposal.approved" => "approved a proposal".into(),
        "proposal.rejected" => "rejected a proposal".into(),
        "proposal.executed" => format!("carried out what was approved: {}", kind_words(&text("kind"))),
        "proposal.refused" => "did not carry out what was approved: something no longer held".into(),
        "proposal.expired" => "closed a proposal whose time was over".into(),
        "proposal.superseded" if detail["cause"] == "evidence_too_old" => {
            "withdrew a proposal: its evidence became too old to count".into()
        }
        "proposal.superseded" if detail["cause"] == "asked_by_hand" => "set a proposal aside: a person asked about the same".into(),
        "proposal.superseded" => "withdrew a proposal: new evidence changed it".into(),
        "proposal.revised" => "brought a proposal up to date; its question is the same".into(),
        "objective.marked" => format!("marked {} as {}", shown.object, text("found").replace('_', " ").to_uppercase()),
        "log.exported" => "took a copy of this log".into(),
        "session.signed-in" => "signed in".into(),
        "session.signed-out" => "signed out".into(),
        "webhook.delivery" => format!("delivered an event: {}", text("outcome").replace('_', " ")),
        "webhook.rejected" => "was refused: a webhook call could not be verified".into(),
        "pull.started" => "began to read all configurations".into(),
        "pull.client_skipped" => "left a client out of a read: its key cannot be used".into(),
        "connection.added" => format!("added the connection {}", text("name")),
        "connection.changed" if detail["credentials_changed"] == true => {
            format!("changed the connection {}, its credentials too", text("name"))
        }
        "connection.changed" => format!("changed the connection {}", text("name")),
        "client.added" => format!("added the client {}", text("name")),
        "company.mapped" => "said which client a company is".into(),
        "intake.waiting" => "kept a record, sealed, until its company is mapped".into(),
        "intake.crowded_out" => "let an older change go: 20 newer ones of the same record wait for its company to be mapped".into(),
        "intake.released" => "took in a record that waited for its company".into(),
        "message.dead" => format!("could not process a message: {}", text("reason")),
        "message.replayed" => "sent a message again".into(),
        _ => shown.text(),
    }
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

fn kind_words(kind: &str) -> &'static str {
    match kind {
        "mark_objective" => "mark the objective",
        "roll_back_objective" => "take the finding back of",
        _ => "an action about",
    }
}
