//! Makes links: signed under the vault's key for links, with a row that the notice keeps.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::token::{AUDIENCE_VIEW, Claims, MAX_LIFE, signed};
use crate::{
    app::App,
    gate::proposal::Proposal,
    tenancy::{
        PersonId, ProposalId, StoreError, TenantId,
        seal::sha256,
        signing::{self, SigningUse},
    },
};

/// The longest address that a link may be: mail filters write addresses anew, longer than they were.
pub const MAX_LINK_BYTES: usize = 1800;

/// A link that was sent, kept in the notice that says so: without its row a link counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub jti: String,
    pub approver: PersonId,
    /// What the mail showed.
    pub version: u32,
    pub hash: String,
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// The row of the link to this proposal for this approver in the notice of this key; the same however often it is asked,
/// so that a notice which is sent again after a crash needs no second row.
pub fn row(tenant: TenantId, proposal: &Proposal, approver: PersonId, notice: &str, now: OffsetDateTime) -> Row {
    let parts = format!("assay link 1|{tenant}|{notice}|{approver}");
    Row {
        jti: sha256(parts.as_bytes())[..32].to_owned(),
        approver,
        version: proposal.version,
        hash: proposal.hash.clone(),
        expires_at: now + MAX_LIFE,
    }
}

/// Its address. Made from configuration, never from a request (I10).
pub async fn link(app: &App, tenant: TenantId, proposal: &Proposal, row: &Row) -> Result<String, StoreError> {
    let about = About { tenant, proposal: proposal.id, hash: &proposal.hash, person: row.approver };
    let claims = claims(app, AUDIENCE_VIEW, row.jti.clone(), about, row.expires_at.max(app.now() + Duration::HOUR));
    let token = sign(app, &claims).await?;
    Ok(app.config.link(&format!("portal/link?token={token}")))
}

/// What a token is about, and for whom.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) tenant: TenantId,
    pub(super) proposal: ProposalId,
    pub(super) hash: &'a str,
    pub(super) person: PersonId,
}

pub(super) fn claims(app: &App, audience: &str, jti: String, about: About<'_>, until: OffsetDateTime) -> Claims {
    let seconds = |at: OffsetDateTime| u64::try_from(at.unix_timestamp()).unwrap_or_default();
    let now = seconds(app.now());
    Claims {
        iss: app.config.origin(),
        aud: audience.into(),
        tid: about.tenant.to_string(),
        sub: about.proposal.to_string(),
        oid: about.person.to_string(),
        act: about.hash.into(),
        jti,
        iat: now,
        nbf: now,
        exp: seconds(until),
    }
}

/// The token of these claims under the newest key.
pub(super) async fn sign(app: &App, claims: &Claims) -> Result<String, StoreError> {
    let keys = signing::verifying_keys(app, SigningUse::Links).await?;
    let mut kid = keys.first().map(|key| key.kid().to_owned()).unwrap_or_default();
    loop {
        let text = claims.to_sign(&kid);
        let made = signing::sign(app, SigningUse::Links, text.as_bytes()).await?;
        if made.kid == kid {
            return Ok(signed(&text, &made.signature));
        }
        // Rotated since: the header names the key, so it is signed anew.
        kid = made.kid;
    }
}
