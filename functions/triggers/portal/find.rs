//! What a person looks for in a log: read from the address, put into the form again, and carried on from page to page.
//!
//! The first page has the form's own fields in its address. Where it goes on, the address has one sealed word: it opens
//! under this log's key only, so it leads nowhere else.

use serde::{Deserialize, Serialize};
use time::{Date, macros::format_description};

use super::Reader;
use crate::{
    audit::{
        schema::{self, Outcome},
        search::{Filter, Who},
    },
    tenancy::{Place, Store, TenantId},
    web::{
        Problem,
        pages::{Choice, FindForm, KindGroup, Link},
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

/// Which page of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    /// Entries before this one; `None`: the newest.
    pub(super) before: Option<u64>,
}

/// Name of the sealed word in an address, and what it is bound to.
const ON: &str = "on";
const CONTAINER: &str = "audit-page";

pub(super) async fn read<P: Place>(reader: &Reader<'_>, store: &Store<'_, P>) -> Result<Asked, Problem> {
    let of_another = || Problem::bad_request("This address is of another list, or was cut off. Open the audit trail and look anew.");
    let value = |name| reader.request.query_value(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    if let Some(on) = value(ON) {
        let sealed = BASE64URL.decode(on).map_err(|_| of_another())?;
        let opened = store.open_blob(CONTAINER, ON, sealed).await.map_err(|_| of_another())?;
        return serde_json::from_slice(&opened).map_err(|_| of_another());
    }
    let day = |name| match value(name) {
        None => Ok(None),
        Some(text) => Date::parse(&text, format_description!("[year]-[month]-[day]"))
            .map(Some)
            .map_err(|_| Problem::bad_request("Give days as year, month and day, such as 2026-03-01.")),
    };
    let who = match value("who").as_deref() {
        None => None,
        Some("people") => Some(Who::People),
        Some("assay") => Some(Who::Assay),
        Some("tools") => Some(Who::Tools),
        Some(id) => Some(Who::Person(id.parse().map_err(|_| of_another())?)),
    };
    let outcome = value("outcome").and_then(|word| Outcome::ALL.into_iter().find(|outcome| outcome.word() == word));
    let filter = Filter { kind: value("kind"), who, outcome, from: day("from")?, to: day("to")? };
    let before = value("before").and_then(|before| before.parse().ok());
    Ok(Asked { filter, before })
}

/// The address of the page that goes on from there; where nothing is looked for, one that says it openly.
pub(super) fn further<P: Place>(store: &Store<'_, P>, address: &str, asked: Asked) -> Result<String, Problem> {
    match asked {
        Asked { filter, before: None } if filter.is_empty() => Ok(address.to_owned()),
        Asked { filter, before: Some(before) } if filter.is_empty() => Ok(format!("{address}?before={before}")),
        asked => {
            let plain = serde_json::to_vec(&asked).map_err(|_| Problem::unavailable())?;
            let sealed = store.seal_blob(CONTAINER, ON, &plain)?;
            Ok(format!("{address}?{ON}={}", BASE64URL.encode(sealed)))
        }
    }
}

/// People who can be chosen: who has a role for the client, or who runs the tools; and whoever the address names, under the
/// name that what was found gives them.
pub(super) fn form(reader: &Reader<'_>, tenant: Option<TenantId>, address: &str, filter: &Filter, found: Option<&str>) -> FindForm {
    let roster = &reader.roster;
    let choice = |value: &str, label: &str| Choice { value: value.into(), label: label.into() };
    let mut who = vec![choice("people", "Any person"), choice("assay", "Assay, by rule"), choice("tools", "A connected tool")];
    let mut people: Vec<_> = roster
        .people
        .iter()
        .filter(|person| match tenant {
            Some(tenant) => roster.every_grant().any(|grant| grant.tenant() == tenant && grant.person == person.id),
            None => person.is_owner || person.operates,
        })
        .collect();
    people.sort_by(|a, b| a.name.cmp(&b.name));
    who.extend(people.iter().map(|person| choice(&person.id.to_string(), &person.name)));
    let chosen = match filter.who {
        None => String::new(),
        Some(Who::People) => "people".into(),
        Some(Who::Assay) => "assay".into(),
        Some(Who::Tools) => "tools".into(),
        Some(Who::Person(id)) => id.to_string(),
    };
    if let Some(Who::Person(id)) = filter.who
        && people.iter().all(|person| person.id != id)
    {
        who.push(choice(&chosen, found.unwrap_or("The person of this link")));
    }
    let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
    let label = |choices: &[Choice], value: &str| choices.iter().find(|choice| choice.value == value).map(|choice| choice.label.clone());
    let words: Vec<String> = [
        filter.kind.as_deref().map(kind_words),
        label(&who, &chosen),
        filter.outcome.map(|outcome| outcome.meaning().to_owned()),
        filter.from.map(|from| format!("from {from}")),
        filter.to.map(|to| format!("to {to}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let words = words.join("; ");
    FindForm {
        action: address.to_owned(),
        kinds: schema::AREAS.iter().map(group).collect(),
        kind: filter.kind.clone().unwrap_or_default(),
        who,
        chosen,
        outcomes: Outcome::ALL.map(|outcome| choice(outcome.word(), outcome.meaning())).to_vec(),
        outcome: filter.outcome.map_or("", Outcome::word),
        from: day(filter.from),
        to: day(filter.to),
        clear: (!filter.is_empty()).then(|| Link::new(address, "Show everything")),
        words,
    }
}

fn kind_words(kind: &str) -> String {
    match (schema::find(kind), schema::AREAS.iter().find(|area| area.name == kind)) {
        (Some(kind), _) => kind.says.to_owned(),
        (None, Some(area)) => format!("anything about: {}", area.title.to_lowercase()),
        (None, None) => kind.to_owned(),
    }
}

fn group(area: &schema::Area) -> KindGroup {
    let kinds = area.kinds.iter().map(|kind| Choice { value: kind.name.into(), label: kind.says.into() });
    KindGroup { name: area.name, title: area.title, kinds: kinds.collect() }
}
