//! Who may do what for a client: only the owner says it, and a change that somebody else made meanwhile is not
//! overwritten unseen.

use super::Reader;
use crate::{
    connectors::client::{self, ClientError},
    tenancy::{
        PersonId, TenantId,
        directory::{self, Grant, Person, Role, Tenant},
        seal::sha256,
    },
    web::{
        Problem, Reply,
        pages::{PeoplePage, PersonRow, Section, paths},
        reply,
    },
};

pub(super) async fn show(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let client = owned(reader, tenant).await?;
    let grants = directory::grants_of(&reader.deployment().await?, client.id).await?;
    let may = |person: PersonId, role| grants.iter().any(|grant| grant.person == person && grant.has(role));
    page(reader, &client, &grants, &may, None).await
}

pub(super) async fn change(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let client = owned(reader, tenant).await?;
    reader.must_be_own_form(&words(&client).each_ref().map(String::as_str))?;
    let store = reader.deployment().await?;
    let people = directory::people(&store).await?;
    let grants = directory::grants_of(&store, client.id).await?;
    let wanted = roles(reader, &people);
    let again = "Somebody changed this meanwhile. What stands there now is shown below; change it again if it is not what you want.";
    if reader.field("seen") != fingerprint(&grants) {
        let may = |person: PersonId, role| grants.iter().any(|grant| grant.person == person && grant.has(role));
        return page(reader, &client, &grants, &may, Some((409, again.into()))).await;
    }
    match client::change_grants(&store, client.id, wanted).await {
        Ok(()) => Ok(reply::redirect(&format!("{}?saved=1", paths::people(client.id)))),
        Err(ClientError::Form(error)) => {
            page(reader, &client, &grants, &|person, role| checked(reader, role, person), Some((422, error.message))).await
        }
        Err(ClientError::Store(error)) => Err(error.into()),
    }
}

async fn page(
    reader: &Reader<'_>,
    client: &Tenant,
    grants: &[Grant],
    may: &(dyn Fn(PersonId, Role) -> bool + Sync),
    error: Option<(u16, String)>,
) -> Result<Reply, Problem> {
    let (status, error) = error.map_or((200, None), |(status, error)| (status, Some(error)));
    let people = directory::people(&reader.deployment().await?).await?;
    let page = PeoplePage {
        frame: reader.frame(Section::Clients).await?,
        client: client.name.clone(),
        clients_href: paths::clients(),
        client_href: reader.grants.iter().any(|grant| grant.tenant == client.id).then(|| paths::client(client.id)),
        action: paths::people(client.id),
        token: reader.token(&words(client).each_ref().map(String::as_str)),
        seen: fingerprint(grants),
        people: people.into_iter().map(|person| row(person, may)).collect(),
        notice: (error.is_none() && reader.request.query_value("saved").is_some()).then_some("This is what holds now."),
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

async fn owned(reader: &Reader<'_>, tenant: &str) -> Result<Tenant, Problem> {
    if !reader.person.is_owner {
        return Err(Problem::forbidden("Only the owner says who may do what for a client. Nothing was done; ask them."));
    }
    let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    directory::tenant(&reader.deployment().await?, id).await?.ok_or_else(Problem::not_found)
}

fn words(client: &Tenant) -> [String; 2] {
    ["people".into(), client.id.to_string()]
}

fn fingerprint(grants: &[Grant]) -> String {
    let lines: Vec<String> = grants.iter().map(|grant| format!("{} {:?}", grant.person, grant.roles)).collect();
    sha256(lines.join("\n").as_bytes())
}
