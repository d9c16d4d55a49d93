//! Types of configurations that a whole read found and that mean nothing yet, counted, so that people see what to map.
//!
//! Counted over all clients of a connection, without a client's name; records that are not in use do not count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Settings, population::Read};
use crate::tenancy::{ConnectionId, ConnectionPlace, DeploymentPlace, Record, Store, StoreError};

/// What the last whole read of a connection found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unlisted {
    /// By the vendor's id of the type; empty for records without one.
    types: BTreeMap<String, Kind>,
    /// Records of further types: a tool with more types than this is not helped by a longer list.
    more: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kind {
    /// The vendor's name, where its answer has one.
    name: Option<String>,
    count: u64,
}

const MAX_TYPES: usize = 100;
const KEY: &str = "configurations";

impl Record for Unlisted {
    const KIND: &'static str = "unlisted";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        KEY.into()
    }
}

/// One type for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is typed to map it; `None` for records without a type, which cannot be mapped.
    pub id: Option<String>,
    pub name: Option<String>,
    pub count: u64,
}

impl Unlisted {
    /// Adds what was read of one client.
    pub fn add(&mut self, read: &Read) {
        for line in read.lines.iter().filter(|line| line.record_type.is_none() && !line.inactive) {
            let id = line.kind.clone().unwrap_or_default();
            if self.types.len() >= MAX_TYPES && !self.types.contains_key(&id) {
                self.more += 1;
                continue;
            }
            let kind = self.types.entry(id.clone()).or_default();
            kind.count += 1;
            if kind.name.is_none() {
                kind.name = read.type_names.get(&id).cloned();
            }
        }
    }

    /// What still means nothing under these settings, the most frequent first.
    fn seen(self, settings: &Settings) -> Vec<Seen> {
        let known = |id: &str| settings.of_configuration((!id.is_empty()).then_some(id)).is_some();
        let types = self.types.into_iter().filter(|(id, _)| !known(id));
        let mut seen: Vec<Seen> =
            types.map(|(id, kind)| Seen { id: (!id.is_empty()).then_some(id), name: kind.name, count: kind.count }).collect();
        seen.sort_by(|a, b| (b.count, &a.id).cmp(&(a.count, &b.id)));
        if self.more > 0 {
            seen.push(Seen { id: None, name: Some("further types".into()), count: self.more });
        }
        seen
    }
}

/// The types of the last whole read that mean nothing under these settings.
pub async fn seen(store: &Store<'_, DeploymentPlace>, connection: ConnectionId, settings: &Settings) -> Result<Vec<Seen>, StoreError> {
    let held = store.read::<Unlisted>(DeploymentPlace::Connection(connection, ConnectionPlace::Mapping), KEY).await?;
    Ok(held.map(|held| held.value.seen(settings)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::population::Line;

    fn line(kind: Option<&str>) -> Line {
        Line { kind: kind.map(str::to_owned), ..Line::default() }
    }

    #[test]
    fn a_type_is_counted_named_and_gone_when_it_is_mapped() {
        let mut unlisted = Unlisted::default();
        let lines = vec![line(Some("40")), line(Some("40")), line(None), Line { inactive: true, ..line(Some("41")) }];
        let type_names = BTreeMap::from([("40".to_owned(), "Printer".to_owned())]);
        unlisted.add(&Read { lines, unreadable: 0, type_names });
        let none = Settings::default();
        let printer = Seen { id: Some("40".into()), name: Some("Printer".into()), count: 2 };
        assert_eq!(unlisted.clone().seen(&none), [printer, Seen { id: None, name: None, count: 1 }]);
        let mapped = Settings { configuration_types: BTreeMap::from([("40".into(), "rmm_device_inventory".into())]), ..none };
        assert_eq!(unlisted.seen(&mapped).len(), 1);
    }

    #[test]
    fn a_tool_with_countless_types_does_not_grow_the_record() {
        let mut unlisted = Unlisted::default();
        let lines = (0..150).map(|id| line(Some(&id.to_string()))).collect();
        unlisted.add(&Read { lines, ..Read::default() });
        assert_eq!((unlisted.types.len(), unlisted.more), (MAX_TYPES, 50));
    }
}
