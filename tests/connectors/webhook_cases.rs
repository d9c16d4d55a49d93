//! Every webhook case of every vendor that is built. Other cases of the same form run from the folder in `ASSAY_CASES`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use assay::{
    connectors::{
        Credentials, Vendor,
        apply::{self, Arrival, Seen},
        connection::{self, PreviousSecret},
        event::{Entity, Fields},
        health,
        known::{Change, Version},
        owner::OwnedRecord,
    },
    evidence::Evidence,
    platform::ports::HttpRequest,
    tenancy::{DeploymentPlace, Roster, Scope},
};
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::world::{World, autotask_with, connectwise};
use crate::support::{http::response, shared};

#[tokio::test]
async fn every_webhook_case_comes_out_as_it_says() {
    let Some(folder) = shared::dir("ASSAY_CASES", "connectors") else { return };
    let cases = cases(&folder, &["webhook", "handshake"]);
    assert!(!cases.is_empty(), "no webhook case of a vendor that is built in {}", folder.display());
    let mut wrong = Vec::new();
    for (vendor, case) in &cases {
        let problems = Box::pin(run(*vendor, case)).await;
        println!("{} {}", if problems.is_empty() { "ok  " } else { "FAIL" }, name(case));
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", name(case))));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The cases of these kinds, by vendor; folders of vendors that are not built are skipped by name.
pub(super) fn cases(folder: &Path, kinds: &[&str]) -> Vec<(Vendor, Value)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    let mut found = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let folder = path.parent().and_then(Path::file_name).unwrap().to_string_lossy();
        let named = case["case"].as_str().and_then(|case| case.split_once('/')).map(|(vendor, _)| vendor);
        let vendor = Vendor::of_slug(&folder).or_else(|| named.and_then(Vendor::of_slug));
        let kind = case["kind"].as_str().unwrap_or_default();
        match vendor {
            Some(vendor) if kinds.contains(&kind) => found.push((vendor, case)),
            Some(_) => {}
            None => println!("skipped: {folder} is not built yet"),
        }
    }
    found
}

pub(super) fn name(case: &Value) -> &str {
    case["case"].as_str().unwrap_or("a case without a name")
}

fn moment(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

async fn run(vendor: Vendor, case: &Value) -> Vec<String> {
    let received_at = moment(&case["received_at"]);
    let mut world = World::mapped(credentials(vendor, case, received_at)).await;
    if let Some(host) = case["configured_host"].as_str().or_else(|| case["secret"]["configured_host"].as_str()) {
        world.connection.host = host.into();
        connection::change(&world.deployment().await, world.connection.clone()).await.unwrap();
    }
    world.test.clock.set(received_at);
    Box::pin(lay_prior_state(&world, case)).await;
    let broken = lay_stubs(&world, case);

    let request = &case["request"];
    let headers: Vec<(String, String)> =
        request["headers"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let rest = suffix(request["path"].as_str().unwrap_or_default());
    let body = request["body_utf8"].as_str().unwrap();
    let reply = world.post(&rest, request["query"].as_str().unwrap_or_default(), &headers, body.as_bytes()).await;
    world.pump().await;

    let mut problems = broken.lock().unwrap().clone();
    compare(&world, case, reply.status, &mut problems).await;
    problems
}

fn credentials(vendor: Vendor, case: &Value, received_at: OffsetDateTime) -> Credentials {
    let secret = &case["secret"];
    match vendor {
        Vendor::ConnectwiseManage => {
            let mut credentials = connectwise();
            if let (Credentials::ConnectwiseManage { company, .. }, Some(given)) = (&mut credentials, secret["company"].as_str()) {
                given.clone_into(company);
            }
            credentials
        }
        Vendor::Autotask => {
            let guids: Vec<String> = match &secret["webhook_guids"] {
                Value::Array(guids) => guids.iter().map(|guid| guid.as_str().unwrap().to_owned()).collect(),
                _ => vec![secret["webhook_guid"].as_str().unwrap().to_owned()],
            };
            autotask_with(secret["secret_key"].as_str().unwrap(), earlier_secret(case, received_at), &guids)
        }
    }
}

/// A secret that was in use before, however the case spells it.
fn earlier_secret(case: &Value, received_at: OffsetDateTime) -> Option<PreviousSecret> {
    let names = ["old_secrets", "old_secret", "old_secret_key", "previous_secrets", "previous_secret", "previous_secret_key"];
    let given = [&case["prior_state"], &case["secret"]]
        .into_iter()
        .flat_map(|place| names.iter().map(move |name| &place[*name]))
        .find(|value| !value.is_null())?;
    let given = given.as_array().and_then(|list| list.first()).unwrap_or(given);
    let secret = given.as_str().or_else(|| ["secret_key", "secret", "key"].iter().find_map(|name| given[*name].as_str()))?;
    let until = ["valid_until", "until", "expires_at"].iter().find_map(|name| given[*name].as_str().map(|_| moment(&given[*name])));
    let rotated = ["rotated_at", "replaced_at", "retired_at"].iter().find_map(|name| given[*name].as_str().map(|_| moment(&given[*name])));
    let until = until.or_else(|| rotated.map(|at| at + connection::ROTATION_OVERLAP)).unwrap_or(received_at + Duration::minutes(5));
    Some(PreviousSecret { secret: assay::connectors::Secret(secret.into()), until })
}

/// What follows the tenant's segment of the case's path.
fn suffix(path: &str) -> String {
    path.trim_matches('/').split('/').skip(3).collect::<Vec<_>>().join("/")
}

fn entity_of(word: &str) -> Entity {
    if word.to_lowercase().contains("ticket") { Entity::Ticket } else { Entity::Configuration }
}

async fn lay_prior_state(world: &World, case: &Value) {
    let prior = &case["prior_state"];
    if prior.is_null() {
        return;
    }
    let id = world.connection.id;
    let (company, owner) = match world.connection.vendor() {
        Vendor::ConnectwiseManage => ("250", 0),
        Vendor::Autotask => ("174", 1),
    };
    let entry = world.map(company, owner).await;
    let store = world.deployment().await;
    let lay_owner = async |entity: Entity, vendor_id: &str| {
        let record = format!("{}:{vendor_id}", entity.word());
        let place = OwnedRecord::place(id, &record);
        if store.read::<OwnedRecord>(place, &record).await.unwrap().is_none() {
            let mut batch = store.batch(place);
            let version = Version { at: OffsetDateTime::UNIX_EPOCH, sequence: 0, hash: String::new() };
            batch.create(&OwnedRecord::of(&record, company, &version));
            batch.commit().await.unwrap();
        }
    };
    for (key, at) in prior["last_applied"].as_object().into_iter().flatten() {
        let (entity, vendor_id) = key.split_once(':').unwrap();
        let version = Version { at: moment(at), sequence: 0, hash: "0".repeat(64) };
        let arrival = Arrival {
            entity: entity_of(entity),
            id: vendor_id,
            change: Change { version, whole: true, deleted: false, undated: false, heard: None, fields: Fields::new(), raw: None },
            dedupe_key: "laid before",
            delivery: uuid::Uuid::nil(),
            collected_at: moment(at),
        };
        let roster = Roster::read(&world.deployment().await).await.unwrap();
        let scope = Scope::of_client_map(&entry, &roster, "case").unwrap();
        apply::apply(world.app(), &scope, &world.connection, &arrival).await.unwrap();
        lay_owner(entity_of(entity), vendor_id).await;
    }
    let body: Value = serde_json::from_str(case["request"]["body_utf8"].as_str().unwrap()).unwrap_or_default();
    for key in prior["seen_dedupe_keys"].as_array().into_iter().flatten() {
        let entity = entity_of(body["Type"].as_str().or_else(|| body["EntityType"].as_str()).unwrap_or_default());
        let vendor_id = [&body["ID"], &body["Id"]].into_iter().find(|id| !id.is_null()).unwrap().to_string();
        let place = Evidence::place(&apply::source_key(id, entity, vendor_id.trim_matches('"')));
        let client = world.client(owner).await;
        let mut batch = client.batch(place);
        batch.create(&Seen {
            connection: id,
            dedupe_key: key.as_str().unwrap().into(),
            delivery: uuid::Uuid::nil(),
            at: OffsetDateTime::UNIX_EPOCH,
        });
        batch.commit().await.unwrap();
        lay_owner(entity, vendor_id.trim_matches('"')).await;
    }
}

/// Answers as the case says, and notes calls that must not be made or lack a header.
fn lay_stubs(world: &World, case: &Value) -> Arc<Mutex<Vec<String>>> {
    let broken = Arc::new(Mutex::new(Vec::new()));
    let stubs: Vec<Value> = case["outbound_stubs"].as_array().cloned().unwrap_or_default();
    let noted = broken.clone();
    world.test.http.answer_with(move |request: &HttpRequest| {
        let stub = stubs.iter().find(|stub| stub["url"].as_str() == Some(request.url.as_str()))?;
        if stub["must_not_be_called"] == true {
            noted.lock().unwrap().push(format!("called {}", request.url));
        }
        for (name, value) in stub["must_send_headers"].as_object().into_iter().flatten() {
            let sent = request.headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
            // A value in angle brackets stands for one of the connection's own.
            let expected = value.as_str().filter(|value| !value.starts_with('<'));
            if sent.is_none_or(str::is_empty) || expected.is_some_and(|expected| sent != Some(expected)) {
                noted.lock().unwrap().push(format!("header {name} was {sent:?}"));
            }
        }
        let answer = &stub["response"];
        let status = u16::try_from(answer["status"].as_u64().unwrap_or(200)).unwrap();
        let body = answer["body"].as_str().map_or_else(|| answer["body"].to_string(), str::to_owned);
        Some(Ok(response(status, &[("content-type", answer["content_type"].as_str().unwrap_or("application/json"))], body)))
    });
    broken
}

async fn compare(world: &World, case: &Value, status: u16, problems: &mut Vec<String>) {
    let expect = &case["expect"];
    let outcome = expect["outcome"].as_str().unwrap_or_default();
    let reason = expect["reason"].as_str();
    let mut differ = |what: &str, got: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
        problems.push(format!("{what}: got {got:?}, expected {wanted:?}"));
    };

    let expected_status = expect["http_status"].as_u64().unwrap_or(match (&expect["verified"], outcome) {
        (_, "hint_only") | (Value::Bool(true), _) => 200,
        (_, "retry_later") | (Value::Null, _) => 503,
        _ if reason.is_some_and(|reason| reason.contains("malformed")) => 400,
        _ => 401,
    });
    if u64::from(status) != expected_status {
        differ("status", &status, &expected_status);
    }
    let verified = expect["verified"] == true;
    let deliveries = world.deliveries().await;
    if verified {
        let Some(delivery) = deliveries.first() else { return differ("delivery record", &"none", &outcome) };
        if delivery.outcome.word() != outcome {
            differ("outcome", &delivery.outcome.word(), &outcome);
        }
        if reason.is_some() && delivery.reason.as_deref() != reason {
            differ("reason", &delivery.reason, &reason);
        }
        if let Some(key) = expect["dedupe_key"].as_str()
            && delivery.dedupe_key.as_deref() != Some(key)
        {
            differ("dedupe key", &delivery.dedupe_key, &key);
        }
        let wanted = expect["events"].as_array().cloned().unwrap_or_default();
        let same = wanted.len() == delivery.events.len() && wanted.iter().zip(&delivery.events).all(|(wanted, got)| holds(got, wanted));
        if !same {
            differ("events", &delivery.events, &wanted);
        }
        return;
    }
    if !deliveries.is_empty() || world.raw_blobs().await > 0 || !world.test.queue.bodies("intake").is_empty() {
        differ("what was kept", &deliveries, &"nothing");
    }
    if expect["must_not_fetch_key_url_if_unparseable"] == true && !world.test.http.calls().is_empty() {
        differ("calls", &world.test.http.called(), &"none");
    }
    let store = world.deployment().await;
    let noted: Vec<String> = if outcome == "hint_only" {
        let alerts = store.all::<health::Alert>(DeploymentPlace::Operations, "").await.unwrap();
        alerts.into_iter().map(|held| held.value.reason).collect()
    } else {
        let rejects = health::rejects(&store, Some(world.connection.id)).await.unwrap();
        rejects.into_iter().map(|reject| reject.reason).collect()
    };
    if let Some(reason) = reason
        && noted != [reason]
        && outcome != "retry_later"
    {
        differ("reason", &noted, &reason);
    }
}

/// Whether everything that is wanted is there; more is fine.
fn holds(got: &Value, wanted: &Value) -> bool {
    wanted.as_object().unwrap().iter().all(|(name, value)| {
        let got = &got[name.as_str()];
        got == value || got.to_string().trim_matches('"') == value.to_string().trim_matches('"')
    })
}
