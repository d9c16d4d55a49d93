//! Whether somebody looked, signed in, at a proposal or at their inbox since they were told: then no mail follows the card.
//!
//! Looking at a page writes nothing (design I10), so there are two traces. A process remembers the pages that it showed;
//! that is lost with it, and another process does not know. A sign-in is written down with where it led. What neither
//! says counts as not looked at: a mail too many is better than one too few. That somebody signed in for anything else
//! says nothing.

use std::sync::Arc;

use time::OffsetDateTime;
use url::form_urlencoded;

use crate::{
    app::App,
    gate::link,
    tenancy::{DeploymentPlace, Passed, PersonId, ProposalId, Store, StoreError, TenantId, directory::Session},
    web::pages::paths,
};

/// A page that a person was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Inbox,
    Proposal(TenantId, ProposalId),
}

fn name(person: PersonId, page: Page) -> String {
    match page {
        Page::Inbox => format!("viewed {person} inbox"),
        Page::Proposal(tenant, proposal) => format!("viewed {person} {tenant} {proposal}"),
    }
}

/// The page was shown to them, signed in.
pub fn note(app: &App, person: PersonId, page: Page) {
    let name = name(person, page);
    app.memory.keep(&name, Arc::new(()), app.memory.moment(&name), app.now());
}

/// Their sign-ins that are not over; one that cannot be read led nowhere.
pub(super) async fn sign_ins(deployment: &Store<'_, DeploymentPlace>, person: PersonId) -> Result<Vec<Session>, StoreError> {
    let all = Passed::default().all(deployment.all_of_each::<Session>(DeploymentPlace::Directory, "").await?)?;
    Ok(all.into_iter().map(|held| held.value).filter(|session| session.person == person).collect())
}

/// Whether they were shown the proposal, or the inbox in which it waits, since then.
pub(super) async fn since(
    app: &App,
    (person, sign_ins): (PersonId, &[Session]),
    (tenant, proposal): (TenantId, ProposalId),
    since: OffsetDateTime,
) -> Result<bool, StoreError> {
    if [Page::Inbox, Page::Proposal(tenant, proposal)].iter().any(|page| app.memory.recall::<()>(&name(person, *page), since).is_some()) {
        return Ok(true);
    }
    for session in sign_ins.iter().filter(|session| session.signed_in_at >= since) {
        if let Some(next) = &session.led_to
            && leads_to(app, next, (tenant, proposal)).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether who comes to this address after sign-in sees the proposal, or the inbox.
async fn leads_to(app: &App, address: &str, (tenant, proposal): (TenantId, ProposalId)) -> Result<bool, StoreError> {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    if path == paths::inbox() || path == paths::proposal(tenant, proposal) {
        return Ok(true);
    }
    let mut words = form_urlencoded::parse(query.as_bytes()).filter(|_| path == format!("{}link", paths::BASE));
    let token = words.find(|(name, _)| name == "token").map(|(_, token)| token.into_owned());
    match token {
        Some(token) => Ok(link::follow::leads_to(app, &token).await? == Some((tenant, proposal))),
        None => Ok(false),
    }
}
