//! Names from outside at every place where a name could become a path, a blob, a file, a record's key or a header.
//!
//! Wherever a name is taken at all, it is taken under an id of ours or checked by one rule; so the properties are the same
//! for every name, and other names run without a change here.

use std::{collections::BTreeSet, fs, path::Path};

use assay::{
    evidence::{Evidence, Filed, Origin, Population},
    gate::mail::{Block, Mail, Mailbox},
    platform::ports::{BlobContainer, Container, Partition},
    tenancy::{ClientPlace, DeploymentPlace, Held, PersonId, Record as _, directory::Tenant},
    web::session::Next,
};
use serde_json::Value;
use time::macros::datetime;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::cases::{Outcome, files, id};
use crate::support::{
    browser::Browser,
    flow::{Extent, Flow, HARBOR},
};
use assay::connectors::demo::What;

/// A place, and the words by which cases name it in `use_as`.
const PLACES: &[(&str, &[&str])] = &[
    ("blob", &["blob", "upload", "evidence", "attachment", "file name", "filename"]),
    ("record", &["record", "document", "key", "id"]),
    ("vault", &["vault", "secret"]),
    ("header", &["header", "disposition", "download"]),
    ("mail", &["mail"]),
    ("address", &["path", "url", "route", "tenant", "client"]),
];

#[tokio::test]
async fn security_cases_path_names() {
    let Some(files) = files("path_names") else { return };
    let flow = Flow::new(Extent::Small).await;
    let mut outcome = Outcome::default();
    for (file, lines) in files {
        for case in lines {
            let Some(name) = case["name"].as_str() else {
                outcome.skip("a case without a name");
                continue;
            };
            for place in places(&case, &mut outcome) {
                let problem = Box::pin(refused_or_kept_inside(&flow, place, name)).await;
                outcome.add(&format!("{file} {} as {place}", id(&case)), problem);
            }
        }
    }
    outcome.end("names");
}

/// Where this name is tried: everywhere, or where the case says.
fn places(case: &Value, outcome: &mut Outcome) -> Vec<&'static str> {
    let asked: Vec<&str> = match &case["use_as"] {
        Value::Null => return PLACES.iter().map(|(place, _)| *place).collect(),
        Value::String(one) => vec![one],
        many => many.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let mut places = Vec::new();
    for asked in asked {
        let words = asked.to_lowercase();
        match PLACES.iter().find(|(_, names)| names.iter().any(|name| words.contains(name))) {
            Some((place, _)) => places.push(*place),
            None => outcome.skip(&format!("{asked} is not built")),
        }
    }
    places
}

async fn refused_or_kept_inside(flow: &Flow, place: &str, name: &str) -> Option<String> {
    match place {
        "blob" => Box::pin(blob(flow, name)).await,
        "record" => Box::pin(record(flow, name)).await,
        "vault" => Box::pin(vault(flow, name)).await,
        "header" => Box::pin(header(flow, name)).await,
        "mail" => mail(name),
        _ => Box::pin(address(flow, name)).await,
    }
}

/// Either refused, or there under exactly this name and nowhere else.
async fn blob(flow: &Flow, name: &str) -> Option<String> {
    let blobs = &flow.app().blobs;
    for container in [BlobContainer::Raw, BlobContainer::Mailbox] {
        let before = tree(flow.test.folder());
        let names = blobs.list(container, "", None).await.unwrap().names;
        match blobs.create(container, name, "x".into()).await {
            Err(_) if tree(flow.test.folder()) == before => {
                if blobs.read(container, name).await.is_ok() || blobs.delete(container, name).await.is_ok() {
                    return Some("refused to write and not to read or delete".into());
                }
            }
            Err(_) => return Some("refused, and yet something was written".into()),
            Ok(_) => {
                let mut expected = names;
                expected.push(name.into());
                expected.sort();
                let found = blobs.list(container, "", None).await.unwrap().names;
                let more: Vec<_> = tree(flow.test.folder()).difference(&before).cloned().collect();
                let inside = more.iter().all(|path| path.starts_with("mailbox/") && path.len() == "mailbox/".len() + name.len());
                blobs.delete(container, name).await.unwrap();
                if found != expected || !inside {
                    return Some(format!("stored as {found:?}, {more:?}"));
                }
            }
        }
    }
    None
}

fn tree(folder: &Path) -> BTreeSet<String> {
    fn walk(base: &Path, folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(base, &path, found);
            } else {
                found.insert(path.strip_prefix(base).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(folder, folder, &mut found);
    found
}

/// Evidence of this name: the name is kept as text, its key and shard are ours; as an id of a document it is checked.
async fn record(flow: &Flow, name: &str) -> Option<String> {
    let now = flow.app().now();
    let evidence = Evidence {
        source_key: format!("filed:{}", Uuid::from_u128(7)),
        record_type: None,
        title: name.into(),
        origin: Origin::Filed(Filed { place: name.into(), approved_on: now.date(), filed_by: PersonId(Uuid::from_u128(1)) }),
        occurred_at: now,
        collected_at: now,
        population: Population::Unknown,
        hash: "c".repeat(64),
        deleted: false,
        revision: 0,
    };
    let store = flow.client(HARBOR).await;
    let place = Evidence::place(&evidence.source_key);
    let mut batch = store.batch(place);
    batch.create(&evidence);
    batch.commit().await.unwrap();
    let held: Held<Evidence> = store.read(place, &evidence.key()).await.unwrap().unwrap();
    let mut batch = store.batch(place);
    batch.delete(&held);
    batch.commit().await.unwrap();
    if held.value != evidence {
        return Some("the name was changed".into());
    }
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'\\' | b'?' | b'#'));
    let partition = Partition::reserved_for_tenancy(Container::Clients, format!("{HARBOR}/assessment"));
    match flow.app().documents.read(&partition, name).await {
        Ok(None) if plain => None,
        Err(_) if !plain => None,
        other => Some(format!("as an id of a document: {other:?}")),
    }
}

/// No key and no secret of that name, and no file made for it outside the vault's folder.
async fn vault(flow: &Flow, name: &str) -> Option<String> {
    let before = tree(flow.test.folder());
    if flow.app().vault.secret(name).await.is_ok() {
        return Some("gave a secret".into());
    }
    let wrapped = flow.app().vault.wrap(name, b"x").await;
    let more: Vec<_> = tree(flow.test.folder()).difference(&before).cloned().collect();
    let plain = name.len() <= 127 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match wrapped {
        Err(_) if more.is_empty() => None,
        Ok(_) if plain && more.iter().all(|path| path.ends_with(&format!("/{name}.json"))) => None,
        _ => Some(format!("wrapped under it: {more:?}")),
    }
}

/// A client of this name: its files are named by its id.
async fn header(flow: &Flow, name: &str) -> Option<String> {
    let store = flow.deployment().await;
    let mut held: Held<Tenant> = store.read(DeploymentPlace::Directory, &HARBOR.to_string()).await.unwrap().unwrap();
    held.value.name = name.into();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.replace(&held);
    batch.commit().await.unwrap();
    let browser = Browser::of(flow, What::Engineer).await;
    let page = format!("portal/audit/{HARBOR}");
    assay::audit::sequence(&flow.client(HARBOR).await, ClientPlace::with_outbox()).await.unwrap();
    let reply = browser.press(&page, &format!("{page}/export"), &[]).await;
    let expected = format!("attachment; filename=\"audit-{HARBOR}.");
    if reply.status != 200 || !reply.header("content-disposition").is_some_and(|value| value.starts_with(&expected)) {
        return Some(format!("{} {:?}", reply.status, reply.header("content-disposition")));
    }
    for reply in [reply, browser.get(&page).await, browser.get("portal/clients").await] {
        if let Some((header, value)) = reply.headers.iter().find(|(_, value)| !value.bytes().all(|b| (0x20..0x7f).contains(&b))) {
            return Some(format!("header {header}: {value:?}"));
        }
    }
    None
}

/// A person and a client of this name: no header more than without it.
fn mail(name: &str) -> Option<String> {
    let mail = |name: &str| {
        let mail = Mail {
            from: Mailbox { name: name.into(), address: "assay@example.net".into() },
            to: Mailbox { name: name.into(), address: "priya@example.net".into() },
            subject: format!("{name}: approve"),
            at: datetime!(2026-11-25 09:00 UTC),
            message_id: "p.1@example.net".into(),
            blocks: vec![Block::Heading(name.into())],
        };
        String::from_utf8(mail.bytes()).unwrap()
    };
    let headers = |mail: String| -> Vec<String> {
        let head = mail.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        head.split("\r\n").filter(|line| !line.starts_with(' ')).filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
    };
    let (plain, hostile) = (headers(mail("Priya")), headers(mail(name)));
    (plain != hostile).then(|| format!("headers {hostile:?}"))
}

/// In an address of ours: nothing is there, nothing changes, and no reply leads elsewhere.
async fn address(flow: &Flow, name: &str) -> Option<String> {
    let browser = Browser::of(flow, What::Engineer).await;
    let encoded: String = byte_serialize(name.as_bytes()).collect();
    for form in [name, &encoded] {
        for address in ["portal/clients/", "portal/audit/", "portal/assets/", "portal/proposals/", "portal/connections/", "portal/people/"]
        {
            let reply = browser.get(&format!("{address}{form}")).await;
            let left = reply.header("location").is_some_and(|to| !to.starts_with("/api/portal/"));
            if left || !matches!(reply.status, 303 | 400 | 403 | 404) {
                return Some(format!("{address}{form}: {} {:?}", reply.status, reply.header("location")));
            }
        }
        if let Some(next) = Next::parse(form).filter(|next| !next.as_str().starts_with("/api/portal/")) {
            return Some(format!("taken as a way back: {next:?}"));
        }
    }
    None
}
