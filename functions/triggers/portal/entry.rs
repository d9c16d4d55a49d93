//! One entry of a log: a page with its proof, and the two files that check it offline.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Reader,
    trail::{self, Names},
};
use crate::{
    audit::{
        anchor::{self, Anchored},
        proven::{self, Proven, Stands},
        schema::{self, Outcome},
    },
    tenancy::{Actor, PersonId, Place, Store, TenantId, place::AuditPart},
    web::{
        Problem, Reply, assets,
        pages::{AuditRecordPage, Link, ProofView, Reach, RecordField, RecordStands, Section, Tag, Tone, paths},
        reply,
    },
};

/// What of an entry is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Page,
    /// `.tlog-proof`.
    Proof,
    /// JSON with the entry's bytes, salt and content.
    Content,
}

pub(super) async fn of_client(reader: &Reader<'_>, tenant: &str, index: &str, part: Part) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let store = reader.scope(grant).store(reader.app).await?;
    answer(reader, &store, Some((tenant.id, tenant.name)), index, part).await
}

pub(super) async fn of_installation(reader: &Reader<'_>, index: &str, part: Part) -> Result<Reply, Problem> {
    if !reader.operates() {
        return Err(Problem::not_found());
    }
    let store = reader.deployment().await?;
    answer(reader, &store, None, index, part).await
}

async fn answer<P: Place>(
    reader: &Reader<'_>,
    store: &Store<'_, P>,
    client: Option<(TenantId, String)>,
    index: &str,
    part: Part,
) -> Result<Reply, Problem> {
    let number = index.parse::<u64>().ok().filter(|number| number.to_string() == index).ok_or_else(Problem::not_found)?;
    let proven = proven::read(store, number).await?.ok_or_else(Problem::not_found)?;
    match part {
        Part::Page => page(reader, store, client, proven).await,
        Part::Proof => match proven.stands {
            Stands::In { proof, .. } => Ok(download("text/plain; charset=utf-8", proof.text().into_bytes(), &proof_name(number))),
            Stands::NotYet | Stands::Broken(_) => Err(Problem::not_found()),
        },
        Part::Content => {
            let file = serde_json::to_vec(&proven.opened).map_err(|_| Problem::unavailable())?;
            Ok(download("application/json", file, &entry_name(number)))
        }
    }
}

fn download(content_type: &str, bytes: Vec<u8>, name: &str) -> Reply {
    reply::file(content_type, bytes).with("content-disposition", format!("attachment; filename=\"{name}\""))
}

fn proof_name(index: u64) -> String {
    format!("entry-{index}.tlog-proof")
}

fn entry_name(index: u64) -> String {
    format!("entry-{index}.json")
}

/// Longest content that lies in the page for its script to check; a page stays small.
const MOST_CONTENT: usize = 8000;
/// Longest value of a field that is shown, in characters.
const MOST_SHOWN: usize = 1200;

async fn page<P: Place>(
    reader: &Reader<'_>,
    store: &Store<'_, P>,
    client: Option<(TenantId, String)>,
    proven: Proven,
) -> Result<Reply, Problem> {
    let names = Names::read(reader).await?;
    let tenant = client.as_ref().map(|(id, _)| *id);
    let Proven { shown, opened, leaf_hash, stands } = proven;
    let index = opened.index;
    let anchored = store.read::<Anchored>(P::audit(AuditPart::Head), anchor::KEY).await?.map(|held| held.value);
    let entry = names.entry(tenant, &shown);
    let kind = schema::find(&shown.kind);
    let keys = trail::keys(reader, store.owner()).await;
    let (trail, own) = (paths::audit_of(tenant), paths::audit_entry(tenant, index));
    let who = match shown.actor {
        Actor::Person(id) => id.to_string(),
        Actor::Function(_) => "assay".into(),
        Actor::Connection(_) => "tools".into(),
    };
    let log_name = leaf_actor(&opened.leaf);
    let page = AuditRecordPage {
        frame: reader.frame(Section::Audit).await?,
        log: client.map_or_else(|| "This installation".into(), |(_, name)| name),
        back: Link::new(trail.as_str(), "Audit trail"),
        index,
        actor: entry.actor,
        actor_sort: match shown.actor {
            Actor::Person(_) => format!("a person; the log knows them as {log_name}"),
            Actor::Function(_) => format!("Assay itself, by rule; {log_name}"),
            Actor::Connection(_) => format!("a connected tool; {log_name}"),
        },
        same_actor: Link::new(format!("{trail}?who={who}"), "all of theirs"),
        text: entry.text,
        href: entry.href,
        note: entry.note,
        at: shown.at,
        kind: shown.kind.clone(),
        kind_href: format!("{}#{}", paths::audit_events(), shown.kind),
        outcome: outcome(kind.map(|kind| kind.outcome)),
        object: shown.object.clone(),
        context: context(&shown.detail),
        correlation: shown.correlation.clone(),
        fields: fields(kind, &shown.detail, &names),
        leaf_hash: leaf_hash.to_string(),
        stands: match stands {
            Stands::NotYet => RecordStands::NotYet,
            Stands::Broken(why) => RecordStands::Broken(why),
            Stands::In { checkpoint, proof } => RecordStands::In(ProofView {
                script: assets::check_path(),
                leaf: BASE64.encode(&opened.leaf),
                salt: opened.salt.to_string(),
                content: (opened.content.len() <= MOST_CONTENT).then(|| BASE64.encode(&opened.content)),
                hashes: proof.hashes.iter().map(|hash| BASE64.encode(hash.bytes())).collect(),
                note: BASE64.encode(&proof.checkpoint),
                vault_keys: keys.iter().filter(|key| key.is_of_vault).map(|key| key.text.clone()).collect(),
                size: checkpoint.size,
                root: checkpoint.root.to_string(),
            }),
        },
        leaf: opened.leaf,
        anchored: anchored.filter(|anchored| anchored.size > index).map(|anchored| Reach { entries: anchored.size, at: anchored.at }),
        keys,
        proof_file: Link::new(format!("{own}/proof"), proof_name(index)),
        entry_file: Link::new(format!("{own}/content"), entry_name(index)),
    };
    Ok(reply::page_with_script(&page, &reader.app.config.origin(), &assets::check_path()))
}

fn leaf_actor(leaf: &str) -> String {
    let leaf: Value = serde_json::from_str(leaf).unwrap_or_default();
    leaf["actor"].as_str().unwrap_or_default().to_owned()
}

fn outcome(outcome: Option<Outcome>) -> Tag {
    match outcome {
        Some(Outcome::Done) => Tag::new(Tone::Met, "Done"),
        Some(Outcome::Refused) => Tag::new(Tone::Not, "Refused"),
        Some(Outcome::Alarm) => Tag::new(Tone::Wait, "Needs a look"),
        None => Tag::new(Tone::Unknown, "Of a newer release"),
    }
}

/// How the person had proved who they are: of a sign-in, and of a decision by what was signed with it.
fn context(detail: &Value) -> Vec<(&'static str, String)> {
    let receipt = detail["receipt"]["statement"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let (person, proof) = (&receipt["said"]["person"], &detail["proof"]);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |value: &Value| {
        let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| words.join(", "))
    };
    let rows = [
        ("Signed in", text(&person["signed_in_at"]).or_else(|| text(&proof["at"]))),
        ("Sign-in met", text(&person["acrs"]).or_else(|| list(&proof["contexts"]))),
        ("Proved by", list(&proof["methods"])),
        ("Receipt", text(&detail["receipt"]["kid"]).map(|kid| format!("signed with key {kid}"))),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn fields(kind: Option<&'static schema::Kind>, detail: &Value, names: &Names) -> Vec<RecordField> {
    let Some(members) = detail.as_object() else { return Vec::new() };
    let field = |(name, value): (&String, &Value)| {
        let known = kind.and_then(|kind| kind.fields.iter().find(|field| field.name == name));
        let is_time = known.is_some_and(|field| field.form == schema::Form::Time);
        RecordField { name: name.clone(), value: shortened(shown(value, is_time, names)), meaning: known.map_or("", |field| field.meaning) }
    };
    members.iter().filter(|(_, value)| !value.is_null()).map(field).collect()
}

fn shown(value: &Value, is_time: bool, names: &Names) -> String {
    match value {
        Value::String(text) if text.is_empty() => "(nothing)".into(),
        Value::String(text) => named(text, names),
        Value::Number(number) if is_time => {
            let at = number.as_i64().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
            at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| number.to_string())
        }
        Value::Bool(flag) => (if *flag { "yes" } else { "no" }).into(),
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().filter_map(Value::as_str).map(|text| named(text, names)).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// An id of somebody who is known here, with their name.
fn named(text: &str, names: &Names) -> String {
    match text.parse::<PersonId>().ok().and_then(|id| names.person(id)) {
        Some(name) => format!("{name} ({text})"),
        None => text.to_owned(),
    }
}

fn shortened(text: String) -> String {
    if text.chars().count() <= MOST_SHOWN {
        return text;
    }
    let start: String = text.chars().take(MOST_SHOWN).collect();
    format!("{start}… (the whole is in the entry's file)")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_a_person_had_proved_who_they_are_is_read_of_the_receipt_or_of_the_sign_in() {
        let statement = json!({ "said": { "person": { "signed_in_at": "2026-03-01T09:00:00Z", "acrs": "c1" } } }).to_string();
        let decided = json!({ "receipt": { "statement": statement, "kid": "k1", "signature": "s" } });
        let expected = [("Signed in", "2026-03-01T09:00:00Z"), ("Sign-in met", "c1"), ("Receipt", "signed with key k1")]
            .map(|(n, v)| (n, v.to_owned()));
        assert_eq!(context(&decided), expected);
        let signed_in = json!({ "proof": { "at": "2026-03-01T09:00:00Z", "contexts": [], "methods": ["pwd", "mfa"] } });
        let expected = [("Signed in", "2026-03-01T09:00:00Z"), ("Proved by", "pwd, mfa")].map(|(n, v)| (n, v.to_owned()));
        assert_eq!(context(&signed_in), expected);
        assert!(context(&json!({ "receipt": { "statement": "by policy" }, "proof": null })).is_empty());
        assert!(context(&Value::Null).is_empty());
    }
}
