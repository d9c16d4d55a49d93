//! Who may do what for a client: only the owner says it, and a change that somebody else made meanwhile is not
//! overwritten unseen.

use super::Reader;
use crate::{
    connectors::client::{self, Access, ClientError},
    tenancy::{
        PersonId, TenantId,
        directory::{Person, Role},
        seal::sha256,
    },
    web::{
        Problem, Reply,
        pages::{PeoplePage, PersonRow, Section, paths},
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
    let wanted = roles(reader, reader.roster.people_who_may_sign_in(&reader.app.config));
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
    let stands = |person: PersonId, role| access.grants().any(|grant| grant.person == person && grant.has(role));
    let typed = |person: PersonId, role| checked(reader, role, person);
    let (status, may, error): (_, &(dyn Fn(PersonId, Role) -> bool + Sync), _) = match returned {
        None => (200, &stands, None),
        Some(Returned::Wrong(message)) => (422, &typed, Some(message)),
        Some(Returned::Overtaken) => (
            409,
            &stands,
            Some(
                "Somebody changed this meanwhile. What stands there now is shown below; change it again if it is not what you want.".into(),
            ),
        ),
    };
    let page = PeoplePage {
        frame: reader.frame(Section::Clients).await?,
        client: client.name.clone(),
        clients_href: paths::clients(),
        client_href: reader.grants.iter().any(|grant| grant.tenant == client.id).then(|| paths::client(client.id)),
        action: paths::people(client.id),
        token: reader.token(&words(access).each_ref().map(String::as_str)),
        seen: fingerprint(access),
        people: reader.roster.people_who_may_sign_in(&reader.app.config).cloned().map(|person| row(person, may)).collect(),
        notice: (error.is_none() && reader.done("saved").is_some()).then_some("Saved. This is what holds now."),
        error,
    };
    Ok(reply::page(status, &page))
}

pub(super) fn row(person: Person, may: &(dyn Fn(PersonId, Role) -> bool + Sync)) -> PersonRow {
    PersonRow {
        id: person.id.to_string(),
        engineer: may(person.id, Role::Engineer),
        approver: may(person.id, Role::Approver),
        name: person.name,
    }
}

/// What the form's checkboxes give these people; who gets nothing is left out.
pub(super) fn roles<'p>(reader: &Reader<'_>, people: impl IntoIterator<Item = &'p Person>) -> Vec<(PersonId, Vec<Role>)> {
    let of = |person: &Person| {
        let roles: Vec<Role> = [Role::Engineer, Role::Approver].into_iter().filter(|role| checked(reader, *role, person.id)).collect();
        (!roles.is_empty()).then_some((person.id, roles))
    };
    people.into_iter().filter_map(of).collect()
}

pub(super) fn checked(reader: &Reader<'_>, role: Role, person: PersonId) -> bool {
    let role = role.word().to_lowercase();
    !reader.field(&format!("{role}-{person}")).is_empty()
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
    let lines: Vec<String> = access.grants().map(|grant| format!("{} {:?}", grant.person, grant.roles)).collect();
    sha256(lines.join("\n").as_bytes())
}
