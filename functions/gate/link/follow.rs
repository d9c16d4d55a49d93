//! Follows a link for somebody who is signed in: where it leads, and what they should know first. Changes nothing.
//!
//! What they may see and do there is what their own grant says; the link adds no right. A link that does not count says so
//! in one sentence, whatever is wrong with it.

use super::{
    token::AUDIENCE_VIEW,
    verify::{LinkKey, Refused, Signed, open},
};
use crate::{
    app::App,
    gate::{delivery::EVERYBODY, inbox::Reader, notify::Notified, proposal::Proposal, state::State},
    tenancy::{
        ClientPlace, Passed, PersonId, ProposalId, Scope, StoreError, TenantId, Wanted,
        signing::{self, SigningUse},
    },
};

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    Proposal {
        tenant: TenantId,
        id: ProposalId,
        first: Option<Notice>,
    },
    /// Its time is over. What still waits for this person is in the inbox.
    Expired,
    /// It does not count, or not for this person.
    Nowhere,
}

/// What to say before the proposal is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A later version than the mail showed is open.
    Changed { version: u32 },
    /// The proposal no longer stands.
    Superseded { why: &'static str, by: Option<ProposalId> },
    /// Somebody else was mailed.
    Theirs,
}

pub async fn follow(app: &App, reader: Reader<'_>, token: &str) -> Result<Followed, StoreError> {
    let keys = keys(app, token).await?;
    let claims = match open(token, &keys, app.now(), &app.config.origin(), AUDIENCE_VIEW) {
        Ok(claims) => claims,
        Err(Refused::Expired) => return Ok(Followed::Expired),
        Err(refused) => {
            tracing::debug!(%refused, "a link does not count");
            return Ok(Followed::Nowhere);
        }
    };
    let ids = (claims.tid.parse::<TenantId>(), claims.sub.parse::<ProposalId>(), claims.oid.parse::<PersonId>());
    let (Ok(tenant), Ok(id), Ok(approver)) = ids else { return Ok(Followed::Nowhere) };
    // A client without a grant looks like one that does not exist.
    let Some(grant) = reader.grant_for(tenant) else { return Ok(Followed::Nowhere) };
    let store = Scope::of_person(grant, reader.correlation).store(app).await?;
    let key = id.to_string();
    let wanted = vec![Wanted::one::<Proposal>(&key), Wanted::all::<Notified>(&format!("{key}:"))];
    let found = store.gather(ClientPlace::Assessment, wanted).await?;
    let Some(held) = found.one::<Proposal>(&key).await? else { return Ok(Followed::Nowhere) };
    // One that cannot be read has no link that counts, and the others have.
    let notices = Passed::default().all(found.all_of_each::<Notified>(&format!("{key}:")).await?)?;
    let rows = notices.iter().flat_map(|held| &held.value.links);
    let known = rows.into_iter().any(|row| row.jti == claims.jti && row.approver == approver);
    if !known {
        return Ok(Followed::Nowhere);
    }
    Ok(Followed::Proposal { tenant, id, first: first(&held.value, &claims.act, [reader.person.id, EVERYBODY].contains(&approver)) })
}

/// The proposal to which a link leads whoever may see it; `None` where it does not count.
pub async fn leads_to(app: &App, token: &str) -> Result<Option<(TenantId, ProposalId)>, StoreError> {
    let keys = keys(app, token).await?;
    let Ok(claims) = open(token, &keys, app.now(), &app.config.origin(), AUDIENCE_VIEW) else { return Ok(None) };
    Ok(claims.tid.parse().ok().zip(claims.sub.parse().ok()))
}

fn first(proposal: &Proposal, seen: &str, is_theirs: bool) -> Option<Notice> {
    match &proposal.state {
        State::Superseded { by, cause, .. } => Some(Notice::Superseded { why: cause.sentence(by.is_some()), by: *by }),
        State::Open if !is_theirs => Some(Notice::Theirs),
        State::Open if proposal.hash != seen => Some(Notice::Changed { version: proposal.version }),
        _ => None,
    }
}

/// The keys that may have signed this token: those of the vault, looked at again when it names a newer one.
pub(super) async fn keys(app: &App, token: &str) -> Result<Vec<LinkKey>, StoreError> {
    let kid = Signed::parse(token).ok().and_then(|parts| parts.kid()).unwrap_or_default();
    Ok(signing::verifying_key(app, SigningUse::Links, &kid).await?.into_iter().map(LinkKey::from).collect())
}
