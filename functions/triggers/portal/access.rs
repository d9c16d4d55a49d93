//! The review of access: the owner looks over who may do what, client by client, and says that it is still right.

use super::{Reader, policy};
use crate::{
    connectors::{
        client::ClientError,
        review::{self, Review},
    },
    tenancy::{
        TenantId,
        directory::{Grant, Person},
    },
    web::{
        Problem, Reply,
        pages::{AccessPage, AccessRow, PostForm, ReviewView, Section, paths},
        reply,
    },
};

const CONFIRM: &str = "confirm access";

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    page(reader, None).await
}

pub(super) async fn confirm(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&[CONFIRM, tenant])?;
    let id: TenantId = tenant.parse().map_err(|_| Problem::not_found())?;
    match review::confirm(&reader.deployment().await?, id, &reader.field("seen")).await {
        Ok(()) => Ok(reader.back_to(&paths::access(), "confirmed", &reader.roster.client_name(id))),
        Err(ClientError::Store(error)) if error.is_conflict() => page(reader, Some(reader.roster.client_name(id))).await,
        Err(ClientError::Store(error)) => Err(error.into()),
        Err(ClientError::Form(error)) => Err(Problem::bad_request(error.message)),
    }
}

/// `overtaken`: the client whose access changed since the form was opened.
async fn page(reader: &Reader<'_>, overtaken: Option<String>) -> Result<Reply, Problem> {
    let reviews = review::all(&reader.deployment().await?).await?;
    let done = reader.done("confirmed").filter(|_| overtaken.is_none());
    let page = AccessPage {
        frame: reader.frame(Section::People).await?,
        clients_href: paths::clients(),
        reviews: reviews.iter().map(|review| view(reader, review)).collect(),
        notice: done.map(|client| format!("Confirmed for {client}. It is due again in 90 days.")),
        error: overtaken.map(|client| {
            format!("Somebody changed who may do what for {client} since you opened this page, so nothing was confirmed. Look at it again below.")
        }),
    };
    Ok(reply::page(if page.error.is_some() { 409 } else { 200 }, &page))
}

fn view(reader: &Reader<'_>, review: &Review) -> ReviewView {
    let id = review.client.id;
    ReviewView {
        client: review.client.name.clone(),
        change_href: paths::people(id),
        confirmed_at: review.confirmed_at,
        is_due: review.is_due,
        short: policy::short_of(reader, id),
        rows: review.grants.iter().map(|(grant, person)| row(reader, grant, person.as_ref())).collect(),
        confirm: PostForm {
            action: paths::confirm_access(id),
            token: reader.token(&[CONFIRM, &id.to_string()]),
            fields: vec![("seen".into(), review.fingerprint())],
            label: "All of this is still right".into(),
        },
    }
}

fn row(reader: &Reader<'_>, grant: &Grant, person: Option<&Person>) -> AccessRow {
    let (now, words) = (reader.app.now(), grant.roles.iter().map(|role| role.word()).collect::<Vec<_>>());
    let why_not = match person {
        None => Some("nobody of this id is known"),
        Some(person) if !person.may_sign_in(&reader.app.config) => Some("cannot sign in"),
        Some(_) if !grant.holds(now) => Some("has ended"),
        Some(_) => None,
    };
    let human = reader.roster.human(grant.person);
    let other = (human != grant.person).then(|| reader.roster.person_name(human));
    AccessRow {
        name: person.map_or_else(|| "Unknown".into(), |person| person.name.clone()),
        roles: words.join(", "),
        until: grant.until,
        confirmed_at: grant.confirmed_at,
        why_not,
        same_human_as: other,
    }
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only the owner looks over who may do what. Nothing was done; ask them."))
}
