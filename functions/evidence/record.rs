//! The evidence record and the short reference to it that suggestions, proposals and findings carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::tenancy::{ClientPlace, ConnectionId, PersonId, Record};

/// One thing observed or filed, in its latest state. Its shard is [`Evidence::place`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What makes two reports the same thing, in unreserved characters and colons:
    /// `{connection}:{entity}:{vendor id}`, `{connection}:population:{record type}` or `filed:{uuid}`.
    pub source_key: String,
    /// A record type of the evidence map, such as `rmm_device_inventory`; `None` when the connection's settings do not
    /// say what this is.
    pub record_type: Option<String>,
    /// For people: `HPM-CNC-07`, `Access request policy, version 3`.
    pub title: String,
    pub origin: Origin,
    /// When the source says it was so.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// When Assay read it.
    #[serde(with = "time::serde::rfc3339")]
    pub collected_at: OffsetDateTime,
    pub population: Population,
    /// SHA-256 of the raw bytes (observed) or of the file (filed), lower-case hex.
    pub hash: String,
    /// The source deleted it; kept, because that is a fact too.
    pub deleted: bool,
    /// Rises with every write; sealed with it and said in the log, so that an older state that somebody puts back is found
    /// (`ledger`). 0: by a release that did not count.
    #[serde(default)]
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Observed(Observed),
    Filed(Filed),
}

/// Read from a vendor's tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub connection: ConnectionId,
    /// The vendor for people: `ConnectWise PSA`.
    pub system: String,
    /// `ticket`, `configuration`, `population`.
    pub entity: String,
    /// The vendor's id of it.
    pub vendor_id: String,
    /// Normalized facts worth showing, named in words: `status` -> `Closed - Verified`.
    pub facts: BTreeMap<String, String>,
    /// The raw blob it was read from; `None` when no bytes are kept.
    pub raw: Option<String>,
}

impl Observed {
    /// For people: `ConnectWise PSA, ticket 918204`; a population is all there is of its kind.
    pub fn source(&self) -> String {
        if self.entity == "population" {
            format!("{}, everything of this kind", self.system)
        } else {
            format!("{}, {} {}", self.system, self.entity, self.vendor_id)
        }
    }
}

/// Filed by a person as a link-out: Assay keeps name, place and hash, never the file (design I12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filed {
    /// Where the file is kept, as the client would find it.
    pub place: String,
    /// The day the document was approved; a draft is never evidence (32 CFR 170.24(b)(1)).
    pub approved_on: Date,
    pub filed_by: PersonId,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Population {
    /// Nobody said how many there are: a webhook shows one record and no total.
    Unknown,
    /// `read` of `total` were read; complete when they are equal and the read came to its end.
    Of { read: u64, total: u64 },
}

impl Population {
    pub fn is_complete(self) -> bool {
        matches!(self, Self::Of { read, total } if read == total && total > 0)
    }

    /// For people: `43 of 43`, `unknown`.
    pub fn words(self) -> String {
        match self {
            Self::Unknown => "unknown".into(),
            Self::Of { read, total } => format!("{read} of {total}"),
        }
    }
}

impl Evidence {
    pub fn place(source_key: &str) -> ClientPlace {
        ClientPlace::evidence_of(source_key)
    }

    /// This state as the one that follows `before`. Not below the moment it was collected (milliseconds of Unix time): so
    /// what is read anew is never behind the log, also when what was there is gone, was put back, or counted nothing.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let moment = u64::try_from(self.collected_at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let next = before.map_or(0, |before| before.revision) + 1;
        Self { revision: next.max(moment), ..self }
    }

    pub fn reference(&self) -> EvidenceRef {
        EvidenceRef {
            source_key: self.source_key.clone(),
            title: self.title.clone(),
            hash: self.hash.clone(),
            collected_at: self.collected_at,
            population: self.population,
            fresh_until: None,
            filed_by: if let Origin::Filed(filed) = &self.origin { Some(filed.filed_by) } else { None },
        }
    }
}

impl Record for Evidence {
    const KIND: &'static str = "evidence";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.source_key.clone()
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

/// What `analyze` is asked to do: look at this record, which was written in the batch of this message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalyzeV1 {
    pub source_key: String,
}

/// What a suggestion, proposal or finding says of a record: enough to show it and to prove which state of it was meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRef {
    pub source_key: String,
    pub title: String,
    pub hash: String,
    #[serde(with = "time::serde::rfc3339")]
    pub collected_at: OffsetDateTime,
    pub population: Population,
    /// Until when it counts, as the area says that cites it. `None`: no end. A filed document counts from the day of its
    /// approval on, until somebody files a newer one; a record without a type has no rule.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<OffsetDateTime>,
    /// Whose evidence it is: who filed it does not decide what rests on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed_by: Option<PersonId>,
}

impl EvidenceRef {
    /// Whether it is too old to count at this moment.
    pub fn is_stale(&self, now: OffsetDateTime) -> bool {
        self.fresh_until.is_some_and(|until| now > until)
    }
}
