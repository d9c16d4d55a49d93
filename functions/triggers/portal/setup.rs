//! Setup: the steps of a first day, each read from what is there, for owners.
//!
//! No step is ever stored as done. The one thing that is recorded here is a deed of a person: that the copies of the logs are
//! locked, with what Azure answered.

mod azure;
mod facts;
mod installation;
mod people;
mod step;
mod tools;

use self::facts::{Essentials, Facts};
use super::{Reader, connections};
use crate::{
    audit::anchor_lock::{self, LockError},
    gate::policy,
    web::{
        Problem, Reply,
        pages::{Section, SetupPage, paths},
        reply,
    },
};

const LOCK: &str = "record the lock";
/// The gate's kind of the deed.
const LOCK_KIND: &str = "lock_worm";
/// The field of what Azure answered.
const ANSWER: &str = "azure-says";

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    page(reader, None).await
}

/// The form's own address, opened again, is the page.
pub(super) fn back(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    Ok(reply::redirect(&paths::setup()))
}

/// What nothing can be approved without and is not there, as titles of steps; for the first page that an owner sees.
pub(super) fn missing(
    reader: &Reader<'_>,
    healths: &[crate::connectors::health::Health],
    serving: &[connections::Serving<'_>],
) -> Vec<&'static str> {
    Essentials::of(reader, healths, serving).missing.iter().map(|one| one.title()).collect()
}

/// An owner has locked the container, and gives what Azure says of it.
pub(super) async fn record_lock(reader: &Reader<'_>) -> Result<Reply, Problem> {
    must_own(reader)?;
    reader.must_be_own_form(&[LOCK])?;
    let Some(account) = azure::storage_account(reader.app) else {
        return Err(Problem::conflict("The copies are kept in a folder here, which has no lock: there is nothing to record."));
    };
    let level = policy::floor(LOCK_KIND).word();
    let answer = reader.field(ANSWER);
    match anchor_lock::record_lock(&reader.deployment().await?, reader.person.id, level, &account, &answer).await {
        Ok(()) => Ok(reader.back_to(&paths::setup(), "done", "lock")),
        Err(LockError::NotShown(why)) => page(reader, Some((ANSWER, why))).await,
        Err(LockError::Store(error)) => Err(error.into()),
    }
}

async fn page(reader: &Reader<'_>, error: Option<(&'static str, String)>) -> Result<Reply, Problem> {
    let facts = Facts::read(reader).await?;
    let steps = step::all(reader, &facts, error.as_ref());
    let page = SetupPage {
        frame: reader.frame(Section::Setup).await?,
        done: steps.iter().filter(|step| step.state.is_done()).count(),
        counted: steps.iter().filter(|step| step.state.is_counted()).count(),
        steps: steps.into_iter().map(|step| step.view).collect(),
        health_href: paths::health(),
        notice: reader
            .done("done")
            .filter(|_| error.is_none())
            .map(|_| "Recorded, with your name. It stands in the installation\u{2019}s audit trail."),
        errors: error.into_iter().collect(),
    };
    Ok(reply::page(if page.errors.is_empty() { 200 } else { 422 }, &page))
}

fn must_own(reader: &Reader<'_>) -> Result<(), Problem> {
    if reader.person.is_owner {
        return Ok(());
    }
    Err(Problem::forbidden("Only an owner sets this installation up. Nothing was done; ask them."))
}
