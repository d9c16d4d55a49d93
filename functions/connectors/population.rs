//! What a read of configurations writes: a record of each row, and one of the whole population.
//!
//! Rows go into the same evidence records as webhooks do, under the same source keys. What did not change is not written
//! again, except that its collected time is lifted once a day (rows) or once an hour (the population): often enough for
//! every freshness limit of the evidence map, seldom enough to keep the log readable. Only the population asks for an
//! analysis: it stands for its rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    Connection,
    apply::{evidence_of, observed, source_key},
    delivery::{Handling, Quarantined},
    event::{Entity, TYPE, TYPE_NAME},
    gone::{self, Reading},
    known::{Change, Known, Version},
    mapping,
    owner::{self, Owned},
    page::{Page, Row},
};
use crate::{
    audit,
    evidence::{AnalyzeV1, Evidence, Observed, Origin, Population},
    tenancy::{
        ClientPlace, DeploymentPlace, Held, Store, StoreError, directory::MappedCompany, outbox, place::EVIDENCE_SHARDS, seal::sha256,
    },
};

/// One row that was read, as the run remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    pub hash: String,
    pub record_type: Option<String>,
    /// It carries a CUI marking: counted, not kept.
    pub held_back: bool,
    /// The vendor's id of the type, where the settings give it no meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The vendor says that it is not in use any more: it is kept as a record and left out of the count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inactive: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Read {
    pub lines: Vec<Line>,
    /// Rows without an id that could be read.
    pub unreadable: u64,
    /// The vendor's names of types that mean nothing, by their ids.
    pub type_names: BTreeMap<String, String>,
}

const REFRESH_ROWS_AFTER: time::Duration = time::Duration::hours(24);
const REFRESH_POPULATION_AFTER: time::Duration = time::Duration::hours(1);
/// Rows of one batch: two documents each, one audit item, below the 100 of a batch.
pub(super) const ROWS_PER_BATCH: usize = 40;

type Deployment<'a> = Store<'a, DeploymentPlace>;
type Client<'a> = Store<'a, ClientPlace>;

/// Writes the rows of a page into the client's evidence. It was asked for then: a row without a time of its own is not
/// newer than what happened while it was on its way.
pub async fn write_page(
    store: &Deployment<'_>,
    client: &Client<'_>,
    connection: &Connection,
    company: &str,
    began: OffsetDateTime,
    asked: OffsetDateTime,
    page: &Page,
) -> Result<Read, StoreError> {
    let now = store.app().now();
    // Before they are written, as with events: whoever comes meanwhile finds whose they are.
    let Owned { elsewhere, deleted } = owner::own_all(store, connection, company, began, asked, page).await?;
    let mut read = Read { unreadable: page.unreadable, ..Read::default() };
    let mut shards: BTreeMap<u8, Vec<(String, Change)>> = BTreeMap::new();
    for row in &page.rows {
        if let Some(marking) = row.marking {
            let held_back = Quarantined {
                record: row.event.record_key(),
                dedupe_key: row.hash.clone(),
                company: Some(company.to_owned()),
                marking,
                blob: None,
                at: now,
                handling: Handling::default(),
                never_kept: false,
            };
            held_back.save(store, connection.id).await?;
        } else if !elsewhere.contains(&row.event.id) {
            let key = source_key(connection.id, Entity::Configuration, &row.event.id);
            if let ClientPlace::Evidence(shard) = Evidence::place(&key) {
                shards.entry(shard).or_default().push((key, change_of(row, asked)));
            }
        }
        if elsewhere.contains(&row.event.id) {
            continue;
        }
        let line = line(connection, row);
        if let (Some(kind), Some(name)) = (&line.kind, row.event.fields.get(TYPE_NAME)) {
            read.type_names.insert(kind.clone(), name.clone());
        }
        read.lines.push(line);
    }
    for (shard, changes) in shards {
        write_shard(client, connection, shard, &changes, began).await?;
    }
    // The delete comes after the rows that it is of.
    for place in deleted {
        outbox::flush(store, place).await?;
    }
    owner::free_all(store, connection, page).await?;
    Ok(read)
}

fn line(connection: &Connection, row: &Row) -> Line {
    let kind = row.event.fields.get(TYPE);
    let record_type = connection.settings.of_configuration(kind.map(String::as_str));
    Line {
        id: row.event.id.clone(),
        hash: row.hash.clone(),
        record_type: record_type.map(str::to_owned),
        held_back: row.marking.is_some(),
        kind: kind.filter(|_| record_type.is_none()).cloned(),
        inactive: row.event.is_inactive(),
    }
}

pub(super) fn version_of(row: &Row, asked: OffsetDateTime) -> Version {
    Version { at: row.event.occurred_at.unwrap_or(asked), sequence: 0, hash: row.hash.clone() }
}

fn change_of(row: &Row, asked: OffsetDateTime) -> Change {
    Change {
        version: version_of(row, asked),
        whole: true,
        deleted: false,
        undated: row.event.occurred_at.is_none(),
        heard: None,
        fields: row.event.fields.clone(),
        raw: None,
    }
}

async fn write_shard(
    client: &Client<'_>,
    connection: &Connection,
    shard: u8,
    changes: &[(String, Change)],
    began: OffsetDateTime,
) -> Result<(), StoreError> {
    let now = client.app().now();
    let place = ClientPlace::Evidence(shard);
    let prefix = format!("{}:{}:", connection.id, Entity::Configuration.word());
    let mut known = by_key(client.all::<Known>(place, &prefix).await?, |known| known.source_key.clone());
    let mut evidence = by_key(client.all::<Evidence>(place, &prefix).await?, |evidence| evidence.source_key.clone());
    for portion in changes.chunks(ROWS_PER_BATCH) {
        let mut batch = client.batch(place);
        let mut written = Vec::new();
        for (key, change) in portion {
            let before = evidence.remove(key);
            let (after, etag, news) = match known.remove(key) {
                // Rows without a time of their own would be news at every read.
                Some(held) if held.value.is_as_listed(&change.version.hash) => (held.value, None, false),
                Some(mut held) => {
                    let news = held.value.listed(change, began);
                    (held.value, Some(held.etag), news)
                }
                None => (Known::first(key, change), None, true),
            };
            let collected = before.as_ref().map(|held| held.value.collected_at);
            if !news && collected.is_some_and(|at| now - at < REFRESH_ROWS_AFTER) {
                continue;
            }
            let id = key.strip_prefix(&prefix).unwrap_or(key);
            let record = evidence_of(connection, Entity::Configuration, id, &after, now).after(before.as_ref().map(|held| &held.value));
            written.push(json!({ "record": record.source_key, "hash": record.hash, "revision": record.revision }));
            batch.put(record, before.map(|held| held.etag));
            if news {
                batch.put(after, etag);
            }
        }
        if !written.is_empty() {
            let object = format!("{prefix}{shard:02}");
            audit::record(&mut batch, audit::Event::new("evidence.observed", object, json!({ "records": written })));
            batch.commit().await?;
        }
    }
    Ok(())
}

/// After the last page of the client's last company: what is gone is marked so, and the population is stated.
pub async fn write_population(
    store: &Deployment<'_>,
    client: &Client<'_>,
    connection: &Connection,
    reading: &Reading<'_>,
    read: &Read,
) -> Result<(), StoreError> {
    let populations = populations(connection);
    let mut types: BTreeSet<String> = read.lines.iter().filter_map(|line| line.record_type.clone()).collect();
    let settings = &connection.settings;
    types.extend(settings.configuration_types.values().chain(&settings.other_configurations).cloned());
    let present: HashSet<&str> = read.lines.iter().map(|line| line.id.as_str()).collect();
    for shard in 0..EVIDENCE_SHARDS {
        for held in client.all::<Evidence>(ClientPlace::Evidence(shard), &populations).await? {
            types.extend(held.value.record_type);
        }
        // A row that could not be read may be any of those that are missing.
        if read.unreadable == 0 {
            gone::mark(store, client, connection, shard, &present, reading).await?;
        }
    }
    let companies = mapping::mapped(store, connection.id).await?;
    let theirs = companies.iter().filter(|entry| entry.tenant() == reading.client).map(MappedCompany::company);
    let unread: BTreeSet<String> = theirs.filter(|company| !reading.has(company)).map(str::to_owned).collect();
    for record_type in types {
        state(client, connection, &record_type, reading.began, read, &unread).await?;
    }
    Ok(())
}

/// `read` of `total` of one record type, with a hash over the rows. What is not in use is left out, and said.
async fn state(
    client: &Client<'_>,
    connection: &Connection,
    record_type: &str,
    started_at: OffsetDateTime,
    read: &Read,
    unread: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let of_type = read.lines.iter().filter(|line| line.record_type.as_deref() == Some(record_type));
    let (inactive, mut lines): (Vec<&Line>, Vec<&Line>) = of_type.partition(|line| line.inactive);
    lines.sort_by(|a, b| a.id.cmp(&b.id));
    let kept = lines.iter().filter(|line| !line.held_back).count();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    // An unreadable row may be of any type: then no type is complete. Nor with a company whose rows nobody counted yet.
    let population = Population::Of { read: count(kept), total: count(lines.len()) + read.unreadable + count(unread.len()) };
    let mut listed: Vec<String> = lines.iter().map(|line| format!("{} {}", line.id, line.hash)).collect();
    listed.push(population.words());
    let left_out = left_out(inactive.len(), unread);
    if !left_out.is_empty() {
        listed.push(left_out.clone());
    }
    let hash = sha256(listed.join("\n").as_bytes());

    let source_key = format!("{}{record_type}", populations(connection));
    let place = Evidence::place(&source_key);
    let held = client.read::<Evidence>(place, &source_key).await?;
    let now = client.app().now();
    let unchanged = held.as_ref().is_some_and(|held| {
        held.value.hash == hash && held.value.population == population && now - held.value.collected_at < REFRESH_POPULATION_AFTER
    });
    if !unchanged {
        // A clock that was set back must not make this reading look older than the one it replaces.
        let (occurred_at, collected_at) = held.as_ref().map_or((started_at, now), |held| {
            let before = &held.value;
            (started_at.max(before.occurred_at + time::Duration::milliseconds(1)), now.max(before.collected_at))
        });
        let mut facts = BTreeMap::from([
            (INACTIVE.to_owned(), inactive.len().to_string()),
            ("Set aside for a CUI marking".to_owned(), (lines.len() - kept).to_string()),
        ]);
        if !unread.is_empty() {
            facts.insert(UNREAD.into(), joined(unread));
        }
        let evidence = Evidence {
            source_key: source_key.clone(),
            record_type: Some(record_type.to_owned()),
            title: title(connection, population, &left_out),
            origin: Origin::Observed(Observed {
                connection: connection.id,
                system: connection.vendor().word().into(),
                entity: "population".into(),
                vendor_id: record_type.to_owned(),
                facts,
                raw: None,
            }),
            occurred_at,
            collected_at,
            population,
            hash,
            deleted: false,
            revision: 0,
        };
        let evidence = evidence.after(held.as_ref().map(|held| &held.value));
        let mut batch = client.batch(place);
        audit::record(&mut batch, observed(&evidence, None));
        let request = AnalyzeV1 { source_key };
        outbox::send(&mut batch, "analyze", &request, std::time::Duration::ZERO)?;
        batch.put(evidence, held.map(|held| held.etag));
        batch.commit().await?;
    }
    outbox::flush(client, place).await?;
    Ok(())
}

/// A company was mapped: what was stated of its client before is not complete until a read has been there.
pub async fn add_unread(client: &Client<'_>, connection: &Connection, entry: &MappedCompany) -> Result<(), StoreError> {
    for shard in 0..EVIDENCE_SHARDS {
        let place = ClientPlace::Evidence(shard);
        for mut held in client.all::<Evidence>(place, &populations(connection)).await? {
            let evidence = &mut held.value;
            let (Origin::Observed(observed_as), Population::Of { read, total }) = (&mut evidence.origin, evidence.population) else {
                continue;
            };
            let said = observed_as.facts.get(UNREAD).map_or("", String::as_str);
            let mut unread: BTreeSet<String> = said.split(", ").filter(|company| !company.is_empty()).map(str::to_owned).collect();
            // A read that began after the mapping has been there; or this message came twice.
            if evidence.occurred_at >= entry.confirmed_at() || !unread.insert(entry.company().to_owned()) {
                continue;
            }
            let inactive = observed_as.facts.get(INACTIVE).and_then(|count| count.parse().ok()).unwrap_or_default();
            observed_as.facts.insert(UNREAD.into(), joined(&unread));
            evidence.population = Population::Of { read, total: total + 1 };
            evidence.title = title(connection, evidence.population, &left_out(inactive, &unread));
            evidence.hash = sha256(format!("{} without company {}", evidence.hash, entry.company()).as_bytes());
            // Later than what it replaces, and earlier than any read that comes.
            evidence.occurred_at += time::Duration::milliseconds(1);
            evidence.revision += 1;
            let mut batch = client.batch(place);
            audit::record(&mut batch, observed(evidence, None));
            let request = AnalyzeV1 { source_key: evidence.source_key.clone() };
            outbox::send(&mut batch, "analyze", &request, std::time::Duration::ZERO)?;
            batch.replace(&held);
            batch.commit().await?;
        }
        outbox::flush(client, place).await?;
    }
    Ok(())
}

const INACTIVE: &str = "Inactive there, left out of the count";
const UNREAD: &str = "Companies not read yet";

fn populations(connection: &Connection) -> String {
    format!("{}:population:", connection.id)
}

fn joined(companies: &BTreeSet<String>) -> String {
    companies.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn title(connection: &Connection, population: Population, left_out: &str) -> String {
    format!("All configurations in {}: {}{left_out}", connection.vendor().word(), population.words())
}

/// What the numbers leave out, in words. A company that was not read stands for one record at least.
fn left_out(inactive: usize, unread: &BTreeSet<String>) -> String {
    let inactive = if inactive == 0 { String::new() } else { format!(", {inactive} inactive left out") };
    match unread.len() {
        0 => inactive,
        1 => format!("{inactive}, 1 company not read yet and counted as one missing"),
        n => format!("{inactive}, {n} companies not read yet, each counted as one missing"),
    }
}

fn by_key<T>(held: Vec<Held<T>>, key: impl Fn(&T) -> String) -> HashMap<String, Held<T>> {
    held.into_iter().map(|held| (key(&held.value), held)).collect()
}
