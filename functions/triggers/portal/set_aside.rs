//! What was set aside because it carries a CUI marking, by client: which record, where, why, never what it says; and
//! what people did about it: destroyed our sealed copy, saw to the record in the tool.

use std::collections::BTreeMap;

use super::Reader;
use crate::{
    audit::Handled,
    connectors::{Connection, connection, delivery::Quarantined, mapping, owner::OwnedRecord},
    tenancy::{ConnectionId, StoreError, TenantId, directory::MappedCompany},
    web::{
        Problem, Reply,
        pages::{PostForm, Section, SetAsideGroup, SetAsidePage, SetAsideRecord, paths},
        reply,
    },
};

/// Records listed of one client.
const MOST: usize = 100;

/// A record with all that was held back of it, newest first.
pub(super) struct Listed {
    connection: Connection,
    newest: Quarantined,
    older: Vec<Quarantined>,
}

/// What a person can do with a row.
const DESTROY: &str = "destroy";
const SEE_TO: &str = "see-to";

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let mut groups: Vec<SetAsideGroup> = Vec::new();
    let All { groups: by_client, unreadable } = all(reader).await?;
    for (tenant, mut listed) in by_client {
        listed.sort_by_key(|listed| (listed.seen().is_some(), std::cmp::Reverse(listed.newest.at)));
        let more = listed.len().saturating_sub(MOST);
        let client = match tenant {
            Some(id) => reader.roster.client_name(id),
            None => "Of companies that are not mapped".into(),
        };
        let records = listed.into_iter().take(MOST).map(|listed| listed.view(reader)).collect();
        groups.push(SetAsideGroup { client, records, more });
    }
    groups.sort_by(|a, b| a.client.cmp(&b.client));
    let notice = match reader.done("done").as_deref() {
        Some(DESTROY) => Some("Our copy is destroyed. That you did it stands in the installation's audit trail."),
        Some(SEE_TO) => Some("Written down: the record stays listed here and is no longer counted."),
        _ => None,
    };
    let page = SetAsidePage { frame: reader.frame(Section::Clients).await?, clients_href: paths::clients(), groups, unreadable, notice };
    Ok(reply::page(200, &page))
}

pub(super) async fn destroy(reader: &Reader<'_>, connection: &str) -> Result<Reply, Problem> {
    let (connection, record) = named(reader, DESTROY, connection).await?;
    Quarantined::purge(&reader.deployment().await?, connection, &record, &reader.person.name, |_| true).await?;
    Ok(reader.back_to(&paths::set_aside(), "done", DESTROY))
}

pub(super) async fn see_to(reader: &Reader<'_>, connection: &str) -> Result<Reply, Problem> {
    let (connection, record) = named(reader, SEE_TO, connection).await?;
    Quarantined::see_to(&reader.deployment().await?, connection, &record, &reader.person.name).await?;
    Ok(reader.back_to(&paths::set_aside(), "done", SEE_TO))
}

/// The record of a form of ours, if it is on this reader's page.
async fn named(reader: &Reader<'_>, what: &str, connection: &str) -> Result<(ConnectionId, String), Problem> {
    reader.must_operate()?;
    let record = reader.request.form_value("record").unwrap_or_default();
    reader.must_be_own_form(&["set aside", what, connection, &record])?;
    let connection: ConnectionId = connection.parse().map_err(|_| Problem::not_found())?;
    let listed = all(reader).await?.groups.into_values().flatten().any(|l| l.connection.id == connection && l.newest.record == record);
    if listed { Ok((connection, record)) } else { Err(Problem::not_found()) }
}

impl Listed {
    /// A newer one that nobody has looked at is open, whatever was done about those before it.
    fn seen(&self) -> Option<&Handled> {
        self.newest.handling.seen.as_ref()
    }

    fn view(self, reader: &Reader<'_>) -> SetAsideRecord {
        let each = || std::iter::once(&self.newest).chain(&self.older);
        let copies = each().flat_map(Quarantined::copies).count();
        let destroyed = each().filter_map(|held_back| held_back.handling.purged.as_ref()).max_by_key(|purged| purged.at);
        let what = self.newest.record.replace(':', " ");
        let form = |what: &str, label: &str| {
            let connection = self.connection.id.to_string();
            PostForm {
                action: paths::handle_set_aside(self.connection.id, what),
                token: reader.token(&["set aside", what, &connection, &self.newest.record]),
                fields: vec![("record".into(), self.newest.record.clone())],
                label: label.into(),
            }
        };
        let words = |handled: &Handled| (handled.by.clone(), handled.at);
        SetAsideRecord {
            came: if self.newest.blob.is_some() || self.newest.never_kept { "by a webhook" } else { "in a whole read" },
            no_copy: if self.newest.never_kept {
                "None: its marking was found before anything was kept."
            } else {
                "None: of a whole read no bytes are kept."
            },
            marking: self.newest.marking.word(),
            at: self.newest.at,
            copies,
            destroyed: destroyed.map(words),
            destroy: (copies > 0 && reader.operates()).then(|| form(DESTROY, "Destroy our copy")),
            seen: self.seen().map(words),
            see_to: (self.seen().is_none() && reader.operates()).then(|| form(SEE_TO, "I have seen to it")),
            connection: self.connection.name.clone(),
            what,
        }
    }
}

/// Of this reader's: how many nobody has seen to, and how many are listed at all. What cannot be read counts as open.
pub(super) async fn counted(reader: &Reader<'_>) -> Result<(usize, usize), StoreError> {
    let All { groups, unreadable } = all(reader).await?;
    let listed: Vec<Listed> = groups.into_values().flatten().collect();
    let unreadable: usize = unreadable.iter().map(|(_, records)| records).sum();
    Ok((listed.iter().filter(|listed| listed.seen().is_none()).count() + unreadable, listed.len() + unreadable))
}

/// What this reader may see.
#[derive(Default)]
struct All {
    /// By client, for those that the reader has a grant for; `None` is of no client yet, for those who run the tools.
    groups: BTreeMap<Option<TenantId>, Vec<Listed>>,
    /// Connections with how many records cannot be read, for those who run the tools: nobody knows whose they are.
    unreadable: Vec<(String, usize)>,
}

async fn all(reader: &Reader<'_>) -> Result<All, StoreError> {
    let store = reader.deployment().await?;
    let mut all = All::default();
    for connection in connection::all(&store).await? {
        let (found, unreadable) = Quarantined::each(&store, connection.id).await?;
        if unreadable > 0 && reader.operates() {
            all.unreadable.push((connection.name.clone(), unreadable));
        }
        let records = by_record(found);
        if records.is_empty() {
            continue;
        }
        let mapped = mapping::mapped(&store, connection.id).await?;
        for mut older in records.into_values() {
            let newest = older.remove(0);
            let company = OwnedRecord::company_of(&store, connection.id, &newest).await?;
            let tenant = mapped.iter().find(|entry| Some(entry.company()) == company.as_deref()).map(MappedCompany::tenant);
            let may_see = match tenant {
                Some(id) => reader.grants.iter().any(|grant| grant.tenant() == id),
                None => reader.operates(),
            };
            if may_see {
                all.groups.entry(tenant).or_default().push(Listed { connection: connection.clone(), newest, older });
            }
        }
    }
    Ok(all)
}

/// A record that came several times is one record to look at: its messages, newest first.
fn by_record(mut all: Vec<Quarantined>) -> BTreeMap<String, Vec<Quarantined>> {
    all.sort_by_key(|held_back| std::cmp::Reverse(held_back.at));
    let mut records: BTreeMap<String, Vec<Quarantined>> = BTreeMap::new();
    for held_back in all {
        records.entry(held_back.record.clone()).or_default().push(held_back);
    }
    records
}
