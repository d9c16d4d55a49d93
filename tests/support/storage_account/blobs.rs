//! The blob service: block blobs put whole or in blocks, append blobs, read by range, listed in pages, held, deleted.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use azure_core::{http::Method, time::to_rfc7231};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use time::OffsetDateTime;

use super::{
    Answer, Call,
    leases::{self, Lease},
    refused,
};

#[derive(Default)]
pub(super) struct Containers {
    containers: BTreeMap<String, Container>,
    made: u64,
    short_pages: bool,
}

#[derive(Default)]
struct Container {
    blobs: BTreeMap<String, Blob>,
    /// Blocks of blobs that are not put together yet, by blob and block id.
    blocks: HashMap<(String, String), Bytes>,
    /// Headers that tell of a policy against changes: of the container, and of its blobs.
    pub(super) policy: (Option<&'static str>, Vec<(&'static str, &'static str)>),
}

struct Blob {
    bytes: Bytes,
    etag: String,
    modified_at: OffsetDateTime,
    /// How often something was appended; `None` for a block blob.
    appends: Option<u32>,
    lease: Option<Lease>,
}

/// Blocks of an append blob.
const MOST_APPENDS: u32 = 50_000;

impl Containers {
    pub(super) fn make<const N: usize>(&mut self, names: [&str; N]) {
        self.containers.extend(names.map(|name| (name.to_owned(), Container::default())));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.containers.remove(name);
    }

    /// A policy against changes: whether the container has one, and what each blob says of it.
    pub(super) fn hold(&mut self, container: &str, whole: bool, blobs: Vec<(&'static str, &'static str)>) {
        let policy = (Some(if whole { "true" } else { "false" }), blobs);
        self.containers.get_mut(container).expect("a container").policy = policy;
    }

    pub(super) fn give_short_pages(&mut self) {
        self.short_pages = true;
    }

    pub(super) fn all(&self, container: &str) -> Vec<(String, Bytes)> {
        self.containers[container].blobs.iter().map(|(name, blob)| (name.clone(), blob.bytes.clone())).collect()
    }

    pub(super) fn put(&mut self, container: &str, name: &str, bytes: Bytes, now: OffsetDateTime) {
        self.insert(container, name, Blob { bytes, etag: String::new(), modified_at: now, appends: None, lease: None });
    }

    pub(super) fn put_grown(&mut self, container: &str, name: &str, bytes: Bytes, appends: u32, now: OffsetDateTime) {
        self.insert(container, name, Blob { bytes, etag: String::new(), modified_at: now, appends: Some(appends), lease: None });
    }

    fn insert(&mut self, container: &str, name: &str, blob: Blob) {
        self.made += 1;
        let blob = Blob { etag: format!("\"0x8D{:012X}\"", self.made), ..blob };
        self.containers.get_mut(container).expect("a container").blobs.insert(name.to_owned(), blob);
    }

    pub(super) fn answer(&mut self, call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
        let (container, name) = match call.path()[..] {
            [container] => (container, None),
            [container, name] => (container, Some(name)),
            _ => return Err(refused(400, "InvalidUri", "The requested URI does not represent any resource on the server.")),
        };
        let Some(held) = self.containers.get_mut(container) else {
            return Err(refused(404, "ContainerNotFound", "The specified container does not exist."));
        };
        match (call.method, name, call.query.get("comp").map(String::as_str)) {
            (Method::Get, None, Some("list")) => held.list(container, self.short_pages, call),
            (Method::Get, None, None) if call.query.get("restype").is_some_and(|what| what == "container") => {
                Ok(Answer::new(200, "").with("x-ms-has-immutability-policy", held.policy.0.unwrap_or("false")))
            }
            (Method::Get, Some(name), None) => held.read(name, call),
            (Method::Head, Some(name), None) => {
                let blob = held.blobs.get(name).ok_or_else(|| Answer { body: Bytes::new(), ..absent() })?;
                let answer = blob.described(Answer::new(200, "")).with("content-length", blob.bytes.len().to_string());
                Ok(held.policy.1.iter().fold(answer, |answer, (name, value)| answer.with(name, *value)))
            }
            (Method::Delete, Some(name), None) => held.delete(name, call, now),
            (Method::Put, Some(name), Some("lease")) => leases::act(&mut held.blobs.get_mut(name).ok_or_else(absent)?.lease, call, now),
            (Method::Put, Some(name), Some("appendblock")) => {
                let grown = held.grown(name, call, now)?;
                let (at, appends) = (held.blobs[name].bytes.len(), grown.appends.unwrap_or_default());
                self.insert(container, name, grown);
                Ok(self
                    .created(container, name)
                    .with("x-ms-blob-append-offset", at.to_string())
                    .with("x-ms-blob-committed-block-count", appends.to_string()))
            }
            (Method::Put, Some(name), Some("block")) => {
                let id = call.query.get("blockid").cloned().unwrap_or_default();
                held.blocks.insert((name.to_owned(), id), call.body.clone());
                Ok(Answer::new(201, ""))
            }
            (Method::Put, Some(name), Some("blocklist")) => {
                held.check_conditions(name, call)?;
                let whole = held.assemble(name, &call.body)?;
                self.put(container, name, whole, now);
                Ok(self.created(container, name))
            }
            (Method::Put, Some(name), None) => {
                check_length(call)?;
                held.check_conditions(name, call)?;
                match call.header("x-ms-blob-type")? {
                    "BlockBlob" => self.put(container, name, call.body.clone(), now),
                    "AppendBlob" if call.body.is_empty() => self.put_grown(container, name, Bytes::new(), 0, now),
                    _ => return Err(not_in_form()),
                }
                Ok(self.created(container, name))
            }
            _ => Err(refused(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")),
        }
    }

    fn created(&self, container: &str, name: &str) -> Answer {
        let blob = &self.containers[container].blobs[name];
        Answer::new(201, "")
            .with("etag", &blob.etag)
            .with("last-modified", to_rfc7231(&blob.modified_at))
            .with("x-ms-request-server-encrypted", "true")
    }
}

impl Container {
    fn check_conditions(&self, name: &str, call: &Call) -> Result<(), Answer> {
        let etag = self.blobs.get(name).map(|blob| blob.etag.as_str());
        if call.optional_header("if-match").is_some_and(|wanted| Some(wanted) != etag) {
            return Err(refused(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."));
        }
        if call.optional_header("if-none-match") == Some("*") && self.blobs.contains_key(name) {
            return Err(refused(409, "BlobAlreadyExists", "The specified blob already exists."));
        }
        Ok(())
    }

    /// The blocks that the list names, in its order.
    fn assemble(&mut self, name: &str, list: &[u8]) -> Result<Bytes, Answer> {
        let list = String::from_utf8_lossy(list).into_owned();
        let ids: Vec<&str> = list.split("<Latest>").skip(1).filter_map(|rest| rest.split("</Latest>").next()).collect();
        let mut whole = Vec::new();
        for id in ids {
            let block = self.blocks.remove(&(name.to_owned(), id.to_owned()));
            whole.extend(block.ok_or_else(|| refused(400, "InvalidBlockList", "The specified block list is invalid."))?);
        }
        Ok(whole.into())
    }

    fn read(&self, name: &str, call: &Call) -> Result<Answer, Answer> {
        let blob = self.blobs.get(name).ok_or_else(absent)?;
        if call.optional_header("if-match").is_some_and(|etag| etag != blob.etag) {
            return Err(refused(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."));
        }
        let all = blob.bytes.len();
        let range = call.optional_header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let answer = match range.map(|(from, to)| (from.parse().unwrap_or(0), to.parse().unwrap_or(usize::MAX))) {
            None => Answer::new(200, blob.bytes.clone()),
            Some((from, _)) if from >= all => {
                return Err(refused(416, "InvalidRange", "The range specified is invalid for the current size of the resource."));
            }
            Some((from, to)) => {
                let end = to.saturating_add(1).min(all);
                Answer::new(206, blob.bytes.slice(from..end)).with("content-range", format!("bytes {from}-{}/{all}", end - 1))
            }
        };
        Ok(blob.described(answer))
    }

    fn delete(&mut self, name: &str, call: &Call, now: OffsetDateTime) -> Result<Answer, Answer> {
        leases::check_change(self.blobs.get(name).ok_or_else(absent)?.lease, call, now)?;
        self.blobs.remove(name);
        Ok(Answer::new(202, ""))
    }

    /// The blob with what the call appends.
    fn grown(&self, name: &str, call: &Call, now: OffsetDateTime) -> Result<Blob, Answer> {
        let blob = self.blobs.get(name).ok_or_else(absent)?;
        leases::check_change(blob.lease, call, now)?;
        let Some(appends) = blob.appends else {
            return Err(refused(409, "InvalidBlobType", "The blob type is invalid for this operation."));
        };
        check_length(call)?;
        if call.body.is_empty() {
            return Err(not_in_form());
        }
        if appends >= MOST_APPENDS {
            let message = "The committed block count cannot exceed the maximum limit of 50,000 blocks.";
            return Err(refused(409, "BlockCountExceedsLimit", message));
        }
        if call.optional_header("x-ms-blob-condition-appendpos").is_some_and(|at| at != blob.bytes.len().to_string()) {
            let message = "The append position condition specified was not met.";
            return Err(refused(412, "AppendPositionConditionNotMet", message));
        }
        Ok(Blob {
            bytes: [&blob.bytes[..], &call.body[..]].concat().into(),
            etag: String::new(),
            modified_at: now,
            appends: Some(appends + 1),
            lease: leases::after_change(blob.lease, now),
        })
    }

    fn list(&self, container: &str, short: bool, call: &Call) -> Result<Answer, Answer> {
        let asked = usize::try_from(call.number("maxresults", 5000, 1..=5000)?).expect("a small number");
        let (prefix, marker) = (call.query.get("prefix").cloned().unwrap_or_default(), call.query.get("marker"));
        let limit = match (short, marker) {
            (false, _) => asked,
            (true, None) => 0,
            (true, Some(_)) => asked / 3,
        };
        let from = marker.map(|marker| after(marker)).transpose()?.unwrap_or_else(|| prefix.clone());
        let mut names = self.blobs.range(from..).take_while(|(name, _)| name.starts_with(&prefix));
        let mut list = String::new();
        for (name, blob) in names.by_ref().take(limit) {
            let times = to_rfc7231(&blob.modified_at);
            let _ = write!(
                list,
                "<Blob><Name>{name}</Name><Properties><Creation-Time>{times}</Creation-Time><Last-Modified>{times}</Last-Modified><Etag>{}</Etag><Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>{}</BlobType><ServerEncrypted>true</ServerEncrypted></Properties><OrMetadata /></Blob>",
                blob.etag.trim_matches('"'),
                blob.bytes.len(),
                blob.kind()
            );
        }
        let next =
            names.next().map_or_else(|| "<NextMarker />".into(), |(name, _)| format!("<NextMarker>2!{}</NextMarker>", BASE64.encode(name)));
        let text = format!(
            "<EnumerationResults ServiceEndpoint=\"https://{}/\" ContainerName=\"{container}\"><Prefix>{prefix}</Prefix><MaxResults>{asked}</MaxResults><Blobs>{list}</Blobs>{next}</EnumerationResults>",
            call.host
        );
        Ok(Answer::xml(200, &text))
    }
}

impl Blob {
    fn kind(&self) -> &'static str {
        if self.appends.is_some() { "AppendBlob" } else { "BlockBlob" }
    }

    fn described(&self, answer: Answer) -> Answer {
        answer
            .with("content-type", "application/octet-stream")
            .with("etag", &self.etag)
            .with("last-modified", to_rfc7231(&self.modified_at))
            .with("x-ms-blob-type", self.kind())
            .with("x-ms-creation-time", to_rfc7231(&self.modified_at))
            .with("x-ms-server-encrypted", "true")
    }
}

/// Where the marker says that the next page begins.
fn after(marker: &str) -> Result<String, Answer> {
    let name = marker.strip_prefix("2!").and_then(|name| BASE64.decode(name).ok()).and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| refused(400, "OutOfRangeInput", "One of the request inputs is out of range."))
}

fn check_length(call: &Call) -> Result<(), Answer> {
    if call.header("content-length")? == call.body.len().to_string() { Ok(()) } else { Err(not_in_form()) }
}

pub(super) fn not_in_form() -> Answer {
    refused(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
}

fn absent() -> Answer {
    refused(404, "BlobNotFound", "The specified blob does not exist.")
}
