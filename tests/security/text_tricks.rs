//! Text from people, vendors and directories, at every place that shows or keeps it.
//!
//! Whatever a text is, the same holds: pages and mails show its hidden characters and none of its markup, a link in it
//! leads nowhere, a log record stays one line, JSON holds exactly what came. What a case expects more is looked at by word.

use std::{
    fmt::Write as _,
    io::{Cursor, Read as _},
};

use assay::{
    connectors::demo::What,
    evidence::{Evidence, EvidenceRef, Filed, Origin, Population},
    gate::{self, Draft},
    readiness::{catalogue::catalogue, map::evidence_map, suggest::suggest, topic::Topic},
    tenancy::{ClientPlace, DeploymentPlace, Held, PersonId, ProposalId, Scope, directory::Person, outbox},
    web::{Method, visible::is_hidden},
};
use serde_json::Value;
use time::OffsetDateTime;

use super::cases::{Outcome, expects, files, id};
use crate::support::{
    browser::{Browser, text as html_of},
    flow::{Extent, Flow, HARBOR, mails_to, person},
    lines::Lines,
};

/// Where a text can come in, by the words of a case's `where`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Finding,
    Comment,
    Evidence,
    Person,
    Body,
    ControlId,
}

fn source(place: &str) -> Option<Source> {
    Some(match place {
        "finding title" => Source::Finding,
        "approver comment" => Source::Comment,
        "ticket summary from PSA" => Source::Evidence,
        "Entra display name" => Source::Person,
        "request body" => Source::Body,
        "control id" => Source::ControlId,
        _ => return None,
    })
}

#[tokio::test]
async fn security_cases_text_tricks() {
    let Some(files) = files("text_tricks") else { return };
    let mut flow = Flow::new(Extent::Small).await;
    let mut outcome = Outcome::default();
    for (file, lines) in files {
        for case in lines {
            for place in case["where"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let Some(source) = source(place) else {
                    outcome.skip(&format!("{place} is not built"));
                    continue;
                };
                let problem = Box::pin(run(&mut flow, &case, source)).await.err();
                outcome.add(&format!("{file} {} as {place}", id(&case)), problem);
            }
        }
    }
    outcome.skip("CSV is not built");
    outcome.end("texts");
}

async fn run(flow: &mut Flow, case: &Value, source: Source) -> Result<(), String> {
    let Some(text) = case["text"].as_str() else { return not_text(flow, case).await };
    match source {
        Source::Body => return Err("a body of text has no property of its own".into()),
        Source::ControlId => return control_id(flow, text).await,
        Source::Finding | Source::Comment | Source::Evidence | Source::Person => {}
    }
    one_log_record(text)?;
    if source == Source::Evidence {
        no_title_changes_a_suggestion(text, flow.app().now())?;
    }
    let asked = Box::pin(ask(flow, text, source)).await;
    shown(case, text, &asked.seen)?;
    mailed(text, &asked.mails)?;
    let json = asked.copy.lines().any(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| holds(&line, text.trim())));
    if source == Source::Comment && !json {
        return Err("the log's copy does not hold the comment as it was".into());
    }
    Ok(())
}

struct Asked {
    /// Pages that show the text.
    seen: Vec<String>,
    mails: Vec<String>,
    /// The log's copy.
    copy: String,
}

/// Somebody proposes with this text, the approver is mailed, opens what there is to open, and decides.
async fn ask(flow: &mut Flow, text: &str, source: Source) -> Asked {
    let (_, grant) = flow.reader(person(What::Engineer), HARBOR).await.unwrap();
    let is = |wanted: Source, otherwise: &str| if source == wanted { text.to_owned() } else { otherwise.to_owned() };
    if source == Source::Person {
        rename(flow, person(What::Engineer).id, text).await;
    }
    let evidence = EvidenceRef {
        source_key: "psa:ticket:1".into(),
        title: is(Source::Evidence, "Ticket 1"),
        hash: "c".repeat(64),
        collected_at: flow.app().now(),
        population: Population::Unknown,
        fresh_until: None,
        filed_by: None,
    };
    let draft = Draft {
        kind: "mark".into(),
        subject: "3.1.1[a]".into(),
        question: is(Source::Finding, "Mark AC.L2-3.1.1[a] as MET?"),
        explanation: is(Source::Finding, "The people who may use the system."),
        action: "{}".into(),
        evidence: vec![evidence],
        reasons: vec![if source == Source::Finding || source == Source::Evidence { text.into() } else { "All match.".into() }],
        limits: vec![is(Source::Finding, "No limits are shown.")],
        before: "Not read yet".into(),
        after: is(Source::Finding, "MET"),
        approve_verb: "mark MET".into(),
        on_approve: is(Source::Finding, "It becomes MET."),
        on_reject: "Nothing changes.".into(),
        undo: None,
    };
    let id = stage(flow, &Scope::of_person(&grant, "story"), draft).await;
    flow.pump().await;
    let mails: Vec<String> =
        mails_to(&flow.test, person(What::Approver), HARBOR).into_iter().filter(|mail| mail.contains(&id.to_string())).collect();
    let page = format!("portal/proposals/{HARBOR}/{id}");
    let browser = Browser::of(flow, What::Approver).await;
    let mut seen = vec![html_of(&browser.get(&page).await)];
    if source == Source::Finding || source == Source::Person {
        seen.push(html_of(&browser.get("portal/inbox").await));
    }
    let comment = if source == Source::Comment { text } else { "No." };
    let reply = browser
        .fill_in(&page, &format!("{page}/decide"), &[("decision", "reject"), ("because", "model_wrong"), ("comment", comment)])
        .await;
    assert_eq!(reply.status, 303, "{}", html_of(&reply));
    if source == Source::Comment {
        seen.clear();
    }
    seen.push(html_of(&browser.get(&page).await));
    assay::audit::sequence(&flow.client(HARBOR).await, ClientPlace::with_outbox()).await.unwrap();
    let log = format!("portal/audit/{HARBOR}");
    if source == Source::Person || source == Source::Comment {
        seen.push(html_of(&browser.get(&log).await));
    }
    let copy = files_of(&browser.press(&log, &format!("{log}/export"), &[]).await.body);
    if source == Source::Person {
        rename(flow, person(What::Engineer).id, person(What::Engineer).name).await;
    }
    Asked { seen, mails, copy }
}

async fn stage(flow: &Flow, scope: &Scope, draft: Draft) -> ProposalId {
    let store = scope.store(flow.app()).await.unwrap();
    let mut batch = store.batch(ClientPlace::Assessment);
    let id = gate::stage(&mut batch, draft).await.unwrap();
    batch.commit().await.unwrap();
    outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
    id
}

async fn rename(flow: &Flow, id: PersonId, name: &str) {
    let store = flow.deployment().await;
    let mut held: Held<Person> = store.read(DeploymentPlace::Directory, &id.to_string()).await.unwrap().unwrap();
    held.value.name = name.into();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
}

/// On every page that shows it.
fn shown(case: &Value, text: &str, pages: &[String]) -> Result<(), String> {
    let marked = assay::web::visible::visible(text);
    let expected = escaped(&marked);
    for html in pages {
        if !html.contains(expected.trim()) {
            return Err(format!("a page does not show {expected:?}: {html}"));
        }
        if html.chars().any(is_hidden) {
            return Err("a page holds a character that nobody sees".into());
        }
        if text.contains('<') && html.contains(text) {
            return Err("a page holds its markup".into());
        }
        if html.contains("href=\"https://other.example") {
            return Err("a page links where it says".into());
        }
    }
    if expects(case, "controls made visible to the approver") && !marked.contains("[U+") {
        return Err("no control was marked".into());
    }
    Ok(())
}

/// The texts of an export, one after the other.
fn files_of(export: &[u8]) -> String {
    let mut files = zip::ZipArchive::new(Cursor::new(export)).unwrap();
    let mut texts = String::new();
    for number in 0..files.len() {
        let mut bytes = Vec::new();
        files.by_index(number).unwrap().read_to_end(&mut bytes).unwrap();
        texts.push_str(&String::from_utf8_lossy(&bytes));
        texts.push('\n');
    }
    texts
}

/// As our template engine writes it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '"' | '\'' => drop(write!(out, "&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn mailed(text: &str, mails: &[String]) -> Result<(), String> {
    if mails.is_empty() {
        return Err("nobody was mailed".into());
    }
    for mail in mails {
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        if body.chars().any(|c| is_hidden(c) && c != '\r') || head.chars().any(|c| is_hidden(c) && c != '\r') {
            return Err("a mail holds a character that nobody sees".into());
        }
        let html = body.split_once("text/html").unwrap().1;
        if text.contains('<') && html.contains(text) {
            return Err("a mail holds its markup".into());
        }
        if html.matches("<a href=").count() != 1 || html.contains("href=\"https://other.example") {
            return Err("a mail links elsewhere".into());
        }
    }
    Ok(())
}

fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => {
            found == text || serde_json::from_str::<Value>(found).is_ok_and(|inner| inner != *value && holds(&inner, text))
        }
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(members) => members.values().any(|value| holds(value, text)),
        _ => false,
    }
}

/// Instructions in a title are a title.
fn no_title_changes_a_suggestion(text: &str, now: OffsetDateTime) -> Result<(), String> {
    let verdict = |title: &str| {
        let evidence = Evidence {
            source_key: "rmm:population:rmm_device_inventory".into(),
            record_type: Some("rmm_device_inventory".into()),
            title: title.into(),
            origin: Origin::Filed(Filed { place: title.into(), approved_on: now.date(), filed_by: person(What::Engineer).id }),
            occurred_at: now,
            collected_at: now,
            population: Population::Of { read: 41, total: 43 },
            hash: "c".repeat(64),
            deleted: false,
            revision: 0,
        };
        let mut topic = Topic::new("rmm_device_inventory");
        topic.take_in(evidence_map().entry("rmm_device_inventory").unwrap(), &evidence);
        let suggestion = suggest(evidence_map(), catalogue().objective("3.4.1[d]").unwrap(), |_| Some(&topic), now).unwrap();
        (suggestion.result, suggestion.grade, suggestion.population_complete)
    };
    if verdict(text) == verdict("Full inventory") { Ok(()) } else { Err("a title changed the suggestion".into()) }
}

fn one_log_record(text: &str) -> Result<(), String> {
    let (lines, listening) = Lines::listen("info");
    tracing::warn!(title = text, "{text}");
    drop(listening);
    let written = lines.text();
    let record: Option<Value> = serde_json::from_str(&written).ok();
    let whole = record.is_some_and(|record| record["title"] == text && record["message"] == text);
    if whole && written.matches('\n').count() == 1 { Ok(()) } else { Err(format!("in the log: {written}")) }
}

/// Bytes that are no text, as they are and percent-encoded, in a form that is right otherwise.
async fn not_text(flow: &Flow, case: &Value) -> Result<(), String> {
    let hex = case["text_hex"].as_str().ok_or("neither text nor bytes")?;
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let browser = Browser::of(flow, What::Approver).await;
    let encoded = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02x}");
        text
    });
    for value in [bytes, encoded.into_bytes()] {
        for address in ["portal/sign-in", "portal/sign-out", &format!("portal/audit/{HARBOR}/export")] {
            let mut request = browser.request(Method::Post, address, "");
            request.body = [b"comment=".as_slice(), &value].concat().into();
            let reply = assay::triggers::portal::run(request, flow.app()).await;
            if !expects(case, &reply.status.to_string()) {
                return Err(format!("{address} answers {}", reply.status));
            }
        }
    }
    Ok(())
}

async fn control_id(flow: &Flow, text: &str) -> Result<(), String> {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let browser = Browser::of(flow, What::Engineer).await;
    let known = catalogue().requirement(text).is_some() || catalogue().objective(text).is_some();
    for id in [text, &encoded] {
        let page = format!("portal/clients/{HARBOR}/requirements/{id}");
        let statuses = [browser.get(&page).await.status, browser.post(&format!("{page}/propose"), &[("objective", text)]).await.status];
        if known || statuses.iter().any(|status| ![403, 404, 422].contains(status)) {
            return Err(format!("taken as a control id: {statuses:?}"));
        }
    }
    Ok(())
}
