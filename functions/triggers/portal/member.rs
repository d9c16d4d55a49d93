//! One person who can sign in: an owner changes name, mail address, and whether they run the MSP's tools.

use super::{Reader, team};
use crate::{
    tenancy::{
        PersonId,
        directory::{self, Person},
    },
    web::{
        Problem, Reply,
        entra::{
            change::{self, Change, ChangeError, Changed},
            let_in,
        },
        pages::{Choice, FieldError, MemberPage, Section, ToolsField, paths},
        reply,
    },
};

const CHANGE: &str = "change person";

pub(super) async fn show(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    team::must_own(reader)?;
    let person = known(reader, id).await?;
    if person.has_access() { page(reader, person, None).await } else { Err(Problem::not_found()) }
}

pub(super) async fn change(reader: &Reader<'_>, id: &str) -> Result<Reply, Problem> {
    team::must_own(reader)?;
    reader.must_be_own_form(&[CHANGE, id])?;
    let person = known(reader, id).await?.id;
    let (name, email, operates) = typed(reader);
    let (seen, same_as) = (reader.field("seen"), reader.field("same-as"));
    let change = Change { seen: &seen, name: &name, email: &email, operates, same_as: &same_as };
    let done = |what| Ok(reader.back_to(&paths::team(), "done", what));
    let returned = match change::change(&reader.deployment().await?, person, change).await {
        Ok(Changed::AsTyped) => return done("changed"),
        Ok(Changed::Linked) => return done("linked"),
        Err(ChangeError::NoAccess) => return done("no-access"),
        Err(ChangeError::Form(errors)) => Returned::Wrong(errors),
        Err(ChangeError::Overtaken) => Returned::Overtaken,
        Err(ChangeError::Store(error)) => return Err(error.into()),
    };
    page(reader, known(reader, id).await?, Some(returned)).await
}

/// Why the form comes back, with what was typed.
enum Returned {
    Wrong(Vec<FieldError>),
    Overtaken,
}

async fn page(reader: &Reader<'_>, person: Person, returned: Option<Returned>) -> Result<Reply, Problem> {
    let (name, email, operates) =
        if returned.is_some() { typed(reader) } else { (person.name.clone(), person.email.clone(), person.operates) };
    let returned_any = returned.is_some();
    let (status, wrong, errors) = match returned {
        None => (200, vec![], vec![]),
        Some(Returned::Wrong(errors)) => (422, errors.clone(), errors),
        Some(Returned::Overtaken) => (409, vec![], vec![overtaken(&person)]),
    };
    let id = person.id.to_string();
    let chosen = if returned_any { reader.field("same-as") } else { person.same_as.map_or_else(String::new, |other| other.to_string()) };
    let page = MemberPage {
        same_as: MemberPage::same_as_field(chosen, others(reader, &person), &wrong),
        frame: reader.frame(Section::People).await?,
        clients_href: paths::clients(),
        team_href: paths::team(),
        action: paths::member(person.id),
        token: reader.token(&[CHANGE, &id]),
        seen: change::fingerprint(&person),
        name: MemberPage::name_field(name, &wrong),
        email: MemberPage::email_field(email, &wrong),
        tools: tools(reader, &person, operates),
        errors,
        who: person.identity.map(|identity| team::who(reader, identity, person.standing.is_guest, person.sign_in_name)),
        person: person.name,
    };
    Ok(reply::page(status, &page))
}

/// Whose other account it may be.
fn others(reader: &Reader<'_>, person: &Person) -> Vec<Choice> {
    let others = reader.roster.people.iter().filter(|other| other.id != person.id && other.has_access());
    let label = |other: &Person| match &other.sign_in_name {
        Some(account) => format!("{} ({account})", other.name),
        None => other.name.clone(),
    };
    let mut choices: Vec<Choice> = others.map(|other| Choice { value: other.id.to_string(), label: label(other) }).collect();
    choices.sort_by_key(|choice| choice.label.to_lowercase());
    choices
}

fn tools(reader: &Reader<'_>, person: &Person, operates: bool) -> ToolsField {
    if person.is_owner && person.id == reader.person.id {
        ToolsField::Fixed("You are an owner and run the MSP's tools; that is not changed here.")
    } else if person.is_owner {
        ToolsField::Fixed("They are an owner and run the MSP's tools; that is not changed here.")
    } else if person.identity.is_some_and(|identity| !let_in::is_own(reader.app, identity, person.standing.is_guest)) {
        ToolsField::Fixed("They belong to another organization, so they cannot run the MSP's tools.")
    } else {
        ToolsField::Choice(operates)
    }
}

fn overtaken(now: &Person) -> FieldError {
    let email = if now.email.is_empty() { "no address" } else { &now.email };
    let tools = if now.runs_the_tools() { "runs the tools" } else { "does not run the tools" };
    let message = format!(
        "Somebody changed this meanwhile. Now it says: {}, {email}, {tools}. What you typed is kept below; save it again if it is still right.",
        now.name
    );
    FieldError { field: "name", message }
}

fn typed(reader: &Reader<'_>) -> (String, String, bool) {
    (reader.field("name"), reader.field("email"), !reader.field("operates").is_empty())
}

/// Whoever has such an id, with or without access.
async fn known(reader: &Reader<'_>, id: &str) -> Result<Person, Problem> {
    let person: PersonId = id.parse().map_err(|_| Problem::not_found())?;
    directory::person(&reader.deployment().await?, person).await?.ok_or_else(Problem::not_found)
}
