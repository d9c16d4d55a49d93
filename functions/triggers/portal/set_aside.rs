//! What was set aside because it carries a CUI marking, by client: which record, where, why, never what it says.

use std::collections::BTreeMap;

use super::Reader;
use crate::{
    connectors::{
        connection,
        delivery::{OwnedRecord, Quarantined},
        mapping,
    },
    tenancy::{
        DeploymentPlace, Store, StoreError, TenantId,
        directory::{self, MappedCompany},
    },
    web::{
        Problem, Reply,
        pages::{Section, SetAsideGroup, SetAsidePage, SetAsideRecord, paths},
        reply,
    },
};

/// Records listed of one client.
const MOST: usize = 100;

pub(super) async fn list(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let tenants = directory::tenants(&reader.deployment().await?).await?;
    let mut groups: Vec<SetAsideGroup> = Vec::new();
    for (tenant, mut records) in of_reader(reader).await? {
        records.sort_by_key(|record| std::cmp::Reverse(record.at));
        let more = records.len().saturating_sub(MOST);
        records.truncate(MOST);
        let client = match tenant {
            Some(id) => tenants.iter().find(|tenant| tenant.id == id).map_or_else(|| "A client".into(), |tenant| tenant.name.clone()),
            None => "Of companies that are not mapped".into(),
        };
        groups.push(SetAsideGroup { client, records, more });
    }
    groups.sort_by(|a, b| a.client.cmp(&b.client));
    let page = SetAsidePage { frame: reader.frame(Section::Clients).await?, clients_href: paths::clients(), groups };
    Ok(reply::page(200, &page))
}

/// By client, for those that the reader has a grant for; `None` is of no client yet, for those who run the tools.
pub(super) async fn of_reader(reader: &Reader<'_>) -> Result<BTreeMap<Option<TenantId>, Vec<SetAsideRecord>>, StoreError> {
    let store = reader.deployment().await?;
    let mut groups: BTreeMap<Option<TenantId>, Vec<SetAsideRecord>> = BTreeMap::new();
    for connection in connection::all(&store).await? {
        let newest = newest(Quarantined::all(&store, connection.id).await?);
        if newest.is_empty() {
            continue;
        }
        let mapped = mapping::mapped(&store, connection.id).await?;
        for held_back in newest.into_values() {
            let company = match &held_back.company {
                Some(company) => Some(company.clone()),
                None => earlier_owner(&store, OwnedRecord::place(connection.id, &held_back.record), &held_back.record).await?,
            };
            let tenant = mapped.iter().find(|entry| Some(entry.company()) == company.as_deref()).map(MappedCompany::tenant);
            let may_see = match tenant {
                Some(id) => reader.grants.iter().any(|grant| grant.tenant == id),
                None => reader.operates(),
            };
            if may_see {
                groups.entry(tenant).or_default().push(SetAsideRecord {
                    what: held_back.record.replace(':', " "),
                    connection: connection.name.clone(),
                    came: if held_back.blob.is_some() { "by a webhook" } else { "in a whole read" },
                    marking: held_back.marking.word(),
                    at: held_back.at,
                });
            }
        }
    }
    Ok(groups)
}

/// A record that came several times is one record to look at.
fn newest(all: Vec<Quarantined>) -> BTreeMap<String, Quarantined> {
    let mut newest: BTreeMap<String, Quarantined> = BTreeMap::new();
    for held_back in all {
        if newest.get(&held_back.record).is_none_or(|known| known.at < held_back.at) {
            newest.insert(held_back.record.clone(), held_back);
        }
    }
    newest
}

async fn earlier_owner(store: &Store<'_, DeploymentPlace>, place: DeploymentPlace, record: &str) -> Result<Option<String>, StoreError> {
    Ok(store.read::<OwnedRecord>(place, record).await?.map(|held| held.value.company))
}
