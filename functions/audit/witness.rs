//! An outside witness (C2SP tlog-witness): it cosigns each checkpoint that extends the last one it saw, so that two stories
//! of one log cannot both carry its line.
//!
//! Optional, and behind the publication: a checkpoint stands with our own two lines first, and gets the witness's line as
//! soon as it answers. One that is away holds nothing up; since when it is away is shown. One that says the log is not the
//! log it knew is an alarm. Sent to it are ids, hashes and signatures, never content.

use std::time::Duration as StdDuration;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    Event,
    chain::Hash,
    entry::{Alarm, HEAD_KEY},
    log_key::Signer,
    publisher::Published,
    record, tiles,
    tlog::{Checkpoint, Note, VerifierKey, proof::Plan},
};
use crate::{
    app::App,
    config::WitnessSettings,
    platform::ports::{BlobContainer, HeldBlob, HttpMethod, HttpRequest, HttpResponse, Replacing},
    tenancy::{Held, Place, Record, Store, StoreError, Wanted, place::AuditPart},
};

/// How far the witness has cosigned an owner's log, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The length of the last checkpoint that it cosigned for us; 0: none.
    pub size: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// Since when it does not cosign, and why: it is away, or does not know the log.
    pub away: Option<Alarm>,
    /// It knows another log than this one.
    pub apart: Option<Alarm>,
}

impl Record for Witnessed {
    const KIND: &'static str = "witnessed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

pub const KEY: &str = "log";

/// An answer takes a signature; who needs longer is away.
const TIMEOUT: StdDuration = StdDuration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 16 * 1024;
/// One that is away is asked again so often, however often the log is published.
const AGAIN: StdDuration = StdDuration::from_mins(1);
/// One that did not answer is asked for no log for so long: a sweep has many logs and not the time to wait for each.
const LEFT_ALONE: StdDuration = StdDuration::from_mins(4);
const UNREACHED: &str = "witness/unreached";
/// A witness that lost our last question to a crash knows another length, once.
const TRIES: usize = 3;

/// Why there is no cosignature.
enum Lack {
    Away(String),
    Apart(String),
    /// Another run publishes or asks at the same time: it does it.
    Overtaken,
}

/// The witness's key, if one is configured and its key is one.
pub fn key(app: &App) -> Option<VerifierKey> {
    app.config.witness.as_ref()?.key.parse().ok().filter(VerifierKey::is_witness)
}

/// Has the newest checkpoint cosigned and publishes the line, if a witness is configured and it was not done.
pub async fn cosign<P: Place>(store: &Store<'_, P>) -> Result<(), StoreError> {
    let (app, owner) = (store.app(), store.owner());
    let Some(settings) = &app.config.witness else { return Ok(()) };
    let found = store.gather(P::audit(AuditPart::Head), vec![Wanted::one::<Witnessed>(KEY)]).await?;
    let held = found.one::<Witnessed>(KEY).await?;
    let known = held.as_ref().map(|held| held.value.clone()).unwrap_or_default();
    let name = tiles::name(owner, tiles::CHECKPOINT);
    let Some(blob) = app.blobs.read_held(BlobContainer::Log, &name).await? else { return Ok(()) };
    let (Some(signer), Some(key)) = (Signer::find(app, owner).await?, key(app)) else { return Ok(()) };
    // What is wrong with a checkpoint the publisher says.
    let Ok(checkpoint) = Checkpoint::open(&blob.bytes, &[signer.ed25519()]) else { return Ok(()) };
    let is_cosigned = Note::parse(&blob.bytes).is_ok_and(|note| note.verify(&key).is_ok());
    if is_cosigned && known.size >= checkpoint.size && known.away.is_none() {
        return Ok(());
    }
    let is_wrong = known.away.is_some() || known.apart.is_some();
    // One that does not answer at all holds up no other log either.
    if !is_cosigned && app.cache.get(UNREACHED, app.now()).is_some() {
        return Ok(());
    }
    if !is_cosigned && is_wrong && !app.cache.allow(&format!("witness/{owner}"), 1, app.now(), AGAIN) {
        return Ok(());
    }
    let asked = Asked { store, settings, key: &key, checkpoint: &checkpoint, blob: &blob };
    let outcome = if is_cosigned { Ok(()) } else { asked.line(known.size).await? };
    let now = app.now();
    let next = match outcome {
        Ok(()) => Witnessed { size: checkpoint.size, at: Some(now), away: None, apart: None },
        Err(Lack::Overtaken) => return Ok(()),
        Err(Lack::Away(what)) => {
            // The minute begins with the answer that did not come.
            let _ = app.cache.allow(&format!("witness/{owner}"), 1, now, AGAIN);
            Witnessed { away: Some(since(known.away.as_ref(), what, now)), ..known.clone() }
        }
        Err(Lack::Apart(what)) => Witnessed {
            away: None,
            apart: Some(since(known.apart.as_ref().filter(|apart| apart.is(&what)), what.clone(), now)),
            ..known.clone()
        },
    };
    write(store, held, &known, next).await
}

/// The alarm that stands, in its words of now, or this one from now on.
fn since(known: Option<&Alarm>, what: String, now: OffsetDateTime) -> Alarm {
    Alarm::new(what, known.map_or(now, |known| known.since))
}

async fn write<P: Place>(
    store: &Store<'_, P>,
    held: Option<Held<Witnessed>>,
    known: &Witnessed,
    next: Witnessed,
) -> Result<(), StoreError> {
    if next == *known {
        return Ok(());
    }
    let mut batch = store.batch(P::audit(AuditPart::Head));
    if let Some(apart) = next.apart.as_ref().filter(|_| known.apart.is_none()) {
        tracing::error!(owner = %store.owner(), what = apart.what, "ALARM: the witness knows another log");
        record(&mut batch, Event::new("log.alarm", "log", json!({ "why": apart.what })));
    }
    if let Some(away) = next.away.as_ref().filter(|_| known.away.is_none()) {
        tracing::warn!(owner = %store.owner(), what = away.what, "the witness does not cosign");
    }
    batch.put(next, held.map(|held| held.etag));
    batch.commit_unless_overtaken().await.map(drop)
}

struct Asked<'s, 'a, P> {
    store: &'s Store<'a, P>,
    settings: &'s WitnessSettings,
    key: &'s VerifierKey,
    checkpoint: &'s Checkpoint,
    blob: &'s HeldBlob,
}

impl<P: Place> Asked<'_, '_, P> {
    /// Gets the line and publishes it; `known`: the length that it cosigned last, as far as we know.
    async fn line(&self, known: u64) -> Result<Result<(), Lack>, StoreError> {
        let size = self.checkpoint.size;
        let mut old = known;
        for _ in 0..TRIES {
            if old > size {
                return self.behind(old).await.map(Err);
            }
            let Some(proof) = self.proof(old).await? else {
                return Ok(Err(Lack::Away("a tile of the published log is not there, so the witness cannot be shown that it grew".into())));
            };
            let answer = match self.send(old, &proof).await {
                Ok(answer) => answer,
                Err(why) => {
                    let app = self.store.app();
                    app.cache.put(UNREACHED, Zeroizing::new(Vec::new()), app.now(), LEFT_ALONE);
                    return Ok(Err(Lack::Away(why)));
                }
            };
            match (answer.status, cosigned_size(&answer)) {
                (200, _) => return self.publish(&answer).await,
                (409, Some(other)) if other != old => old = other,
                (409, _) if old == size => {
                    return Ok(Err(Lack::Apart(format!(
                        "the witness cosigned a checkpoint of {old} entries with another root: two histories of this log were told"
                    ))));
                }
                (422, _) => {
                    return Ok(Err(Lack::Apart(format!(
                        "the witness finds that this log does not extend the {old} entries that it cosigned: the history was written anew"
                    ))));
                }
                (404, _) => {
                    return Ok(Err(Lack::Away(
                        "the witness does not know this log: give its operator the log's name and its Ed25519 key".into(),
                    )));
                }
                (403, _) => {
                    return Ok(Err(Lack::Away(
                        "the witness does not take the log's signature: give its operator the log's Ed25519 key as it is now".into(),
                    )));
                }
                (status, _) => return Ok(Err(Lack::Away(format!("the witness answered {status}")))),
            }
        }
        Ok(Err(Lack::Overtaken))
    }

    /// The witness knows more entries than this checkpoint has: another run is ahead, or the log was put back.
    async fn behind(&self, theirs: u64) -> Result<Lack, StoreError> {
        let published = self.store.read::<Published>(P::audit(AuditPart::Head), HEAD_KEY).await?;
        if published.is_some_and(|published| published.value.tree.size() >= theirs) {
            return Ok(Lack::Overtaken);
        }
        let size = self.checkpoint.size;
        Ok(Lack::Apart(format!("the witness cosigned {theirs} entries of this log, which has {size}: an earlier state of it was put back")))
    }

    /// That the log of `old` entries is the beginning of this one; `None` when a tile is missing.
    async fn proof(&self, old: u64) -> Result<Option<Vec<Hash>>, StoreError> {
        match Plan::consistency(old, self.checkpoint.size) {
            Some(plan) => tiles::carry_out(self.store.app(), self.store.owner(), &plan).await,
            None => Ok(None),
        }
    }

    async fn send(&self, old: u64, proof: &[Hash]) -> Result<HttpResponse, String> {
        let proof: String = proof.iter().map(|hash| BASE64.encode(hash.bytes()) + "\n").collect();
        let note = str::from_utf8(&self.blob.bytes).map_err(|_| "the checkpoint is not text".to_owned())?;
        let mut url = self.settings.url.clone();
        url.path_segments_mut().map_err(|()| "its address takes no path".to_owned())?.pop_if_empty().push("add-checkpoint");
        let request = HttpRequest {
            method: HttpMethod::Post,
            url,
            headers: vec![("content-type".into(), "text/plain; charset=utf-8".into())],
            body: Bytes::from(format!("old {old}\n{proof}\n{note}")),
            timeout: TIMEOUT,
            max_response_bytes: MAX_ANSWER_BYTES,
        };
        // The address stays in the program's own log.
        self.store.app().http.send(request).await.map_err(|error| {
            tracing::warn!(error = %error, "the witness was not reached");
            format!("the witness is not reached: {}", error.kind)
        })
    }

    /// Puts the line of our witness under the checkpoint, behind our own two; lines of others are left out.
    async fn publish(&self, answer: &HttpResponse) -> Result<Result<(), Lack>, StoreError> {
        let no_line = || Ok(Err(Lack::Away("what the witness answered is no cosignature by the key of ASSAY_WITNESS_KEY".into())));
        let Ok(lines) = str::from_utf8(&answer.body) else { return no_line() };
        let Ok(note) = str::from_utf8(&self.blob.bytes) else { return no_line() };
        let ours = lines.split_inclusive('\n').find_map(|line| {
            let with = format!("{note}{line}");
            Note::parse(with.as_bytes()).is_ok_and(|note| note.verify(self.key).is_ok()).then_some(with)
        });
        let Some(with) = ours else { return no_line() };
        let name = tiles::name(self.store.owner(), tiles::CHECKPOINT);
        let etag = Some(self.blob.etag.clone());
        Ok(match self.store.app().blobs.replace(BlobContainer::Log, &name, with.into(), etag).await? {
            Replacing::Replaced => Ok(()),
            Replacing::Moved => Err(Lack::Overtaken),
        })
    }
}

/// The length that a witness says it cosigned last (`text/x.tlog.size`).
fn cosigned_size(answer: &HttpResponse) -> Option<u64> {
    let is_size =
        answer.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("content-type") && value.starts_with("text/x.tlog.size"));
    let text = str::from_utf8(&answer.body).ok()?.strip_suffix('\n')?;
    text.parse::<u64>().ok().filter(|size| is_size && size.to_string() == text)
}
