//! Who may do what for a client: only the owner says it, and a change that somebody else made meanwhile is not
//! overwritten unseen.

use time::{Date, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::Reader;
use crate::{
    connectors::client::{self, Access, ClientError, Given},
    tenancy::{
        PersonId, TenantId,
        directory::{Person, Role},
        seal::sha256,
    },
    web::{
        Problem, Reply,
        pages::{PeoplePage, PersonRow, RoleBox, Section, paths},
        reply,
    },
};

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let access = owned(reader, tenant).await?;
    page(reader, &access, None).await
}

pub(super) async fn change(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let access = owned(reader, tenant).await?;
    reader.must_be_own_form(&words(&access).each_ref().map(String::as_str))?;
    let store = reader.deployment().await?;
    let Some(wanted) = given(reader, reader.roster.people_who_may_sign_in(&reader.app.config, reader.app.now())) else {
        return page(reader, &access, Some(Returned::Wrong(NO_DAY.into()))).await;
    };
    let done = reader.back_to(&paths::people(access.client.value.id), "saved", "1");
    // The same form sent twice.
    if access.gives(&wanted) {
        return Ok(done);
    }
    if reader.field("seen") != fingerprint(&access) {
        return page(reader, &access, Some(Returned::Overtaken)).await;
    }
    match client::change_access(&store, &access, &wanted).await {
        Ok(()) => Ok(done),
        Err(ClientError::Form(error)) => page(reader, &access, Some(Returned::Wrong(error.message))).await,
        Err(ClientError::Store(error)) if error.is_conflict() => {
            page(reader, &owned(reader, tenant).await?, Some(Returned::Overtaken)).await
        }
        Err(ClientError::Store(error)) => Err(error.into()),
    }
}

/// Why the form comes back.
enum Returned {
    /// With what was ticked.
    Wrong(String),
    /// With what stands there now.
    Overtaken,
}

async fn page(reader: &Reader<'_>, access: &Access, returned: Option<Returned>) -> Result<Reply, Problem> {
    let client = &access.client.value;
    let now = |person: PersonId| {
        let grant = access.grants().find(|grant| grant.person == person);
        grant.map_or_else(Typed::default, |grant| Typed {
            roles: grant.roles.clone(),
            until: grant.until.map_or_else(String::new, last_day),
        })
    };
    let typed = |person: PersonId| typed(reader, person);
    let (status, holds, error): (_, &(dyn Fn(PersonId) -> Typed + Sync), _) = match returned {
        None => (200, &now, None),
        Some(Returned::Wrong(message)) => (422, &typed, Some(message)),
        Some(Returned::Overtaken) => (
            409,
            &now,
            Some(
                "Somebody changed this meanwhile. What stands there now is shown below; change it again if it is not what you want.".into(),
            ),
        ),
    };
    let page = PeoplePage {
        frame: reader.frame(Section::Clients).await?,
        client: client.name.clone(),
        clients_href: paths::clients(),
        client_href: reader.grants.iter().any(|grant| grant.tenant() == client.id).then(|| paths::client(client.id)),
        keys_href: paths::keys(client.id),
        offboarding_href: paths::offboarding(client.id),
        action: paths::people(client.id),
        token: reader.token(&words(access).each_ref().map(String::as_str)),
        seen: fingerprint(access),
        people: reader
            .roster
            .people_who_may_sign_in(&reader.app.config, reader.app.now())
            .cloned()
            .map(|person| row(person, holds))
            .collect(),
        notice: (error.is_none() && reader.done("saved").is_some()).then_some("Saved. This is what holds now."),
        error,
    };
    Ok(reply::page(status, &page))
}

/// The roles that can be given here; those of the training come with it.
const OFFERED: [Role; 4] = [Role::Engineer, Role::Approver, Role::Auditor, Role::Assessor];

/// What the form holds of one person.
#[derive(Default)]
pub(super) struct Typed {
    roles: Vec<Role>,
    /// The last day, as it was typed.
    until: String,
}

pub(super) fn row(person: Person, holds: &(dyn Fn(PersonId) -> Typed + Sync)) -> PersonRow {
    let Typed { roles, until } = holds(person.id);
    let boxes = OFFERED.map(|role| RoleBox { field: field(role), word: role.word(), checked: roles.contains(&role) });
    PersonRow { id: person.id.to_string(), roles: boxes.into(), until, name: person.name }
}

/// What the form gives these people; who gets nothing is left out. `None` when a day is none.
pub(super) fn given<'p>(reader: &Reader<'_>, people: impl IntoIterator<Item = &'p Person>) -> Option<Vec<Given>> {
    let of = |person: &Person| {
        let Typed { roles, until } = typed(reader, person.id);
        let until = if until.is_empty() { Some(None) } else { end_of_day(&until).map(Some) };
        (!roles.is_empty()).then_some(until.map(|until| Given { person: person.id, roles, until }))
    };
    people.into_iter().filter_map(of).collect()
}

pub(super) const NO_DAY: &str = "A last day is no date: write it as 2027-03-31, or leave it empty.";

pub(super) fn typed(reader: &Reader<'_>, person: PersonId) -> Typed {
    let checked = |role: &Role| !reader.field(&format!("{}-{person}", field(*role))).is_empty();
    Typed { roles: OFFERED.into_iter().filter(checked).collect(), until: reader.field(&format!("until-{person}")) }
}

fn field(role: Role) -> &'static str {
    match role {
        Role::Engineer => "engineer",
        Role::Approver => "approver",
        Role::Auditor => "auditor",
        Role::Assessor => "assessor",
        Role::TrainingManager => "training-manager",
        Role::Learner => "learner",
    }
}

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Through the whole of the day that was typed, in UTC.
pub(super) fn end_of_day(text: &str) -> Option<OffsetDateTime> {
    Date::parse(text, DAY).ok()?.next_day().map(|day| day.midnight().assume_utc())
}

pub(super) fn last_day(until: OffsetDateTime) -> String {
    until.date().previous_day().and_then(|day| day.format(DAY).ok()).unwrap_or_default()
}

async fn owned(reader: &Reader<'_>, tenant: &str) -> Result<Access, Problem> {
    if !reader.person.is_owner {
        return Err(Problem::forbidden("Only the owner says who may do what for a client. Nothing was done; ask them."));
    }
    let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    Access::read(&reader.deployment().await?, id).await?.ok_or_else(Problem::not_found)
}

fn words(access: &Access) -> [String; 2] {
    ["people".into(), access.client.value.id.to_string()]
}

fn fingerprint(access: &Access) -> String {
    let lines: Vec<String> = access.grants().map(|grant| format!("{} {:?} {:?}", grant.person, grant.roles, grant.until)).collect();
    sha256(lines.join("\n").as_bytes())
}
