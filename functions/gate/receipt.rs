//! Receipts: a named human's decision as a statement that the installation signed, under a key of its own (ES256,
//! [`SigningUse::Receipts`]). It signs policies and certificates of destruction too, each in a form that no other has.
//!
//! The statement is JSON text, made once and stored as it was signed. It names client, proposal, version, hash, verdict,
//! person and time, so it is worth nothing anywhere else. Who can write the database cannot sign: the executor counts
//! only receipts that verify and say what the decision says. What runs by its level carries the same, in Assay's name.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{event::Verdict, proposal::Proposal, state::Decision};
use crate::{
    app::App,
    tenancy::{
        PersonId, ProposalId, StoreError, TenantId,
        directory::Identity,
        seal::sha256,
        signing::{self, SigningUse},
    },
};

/// As it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedReceipt {
    /// The exact text that was signed: a [`Statement`].
    pub statement: String,
    pub kid: String,
    /// r and s, base64url without padding.
    pub signature: String,
}

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// [`FORM`].
    pub form: String,
    pub tenant: TenantId,
    pub proposal: ProposalId,
    pub version: u32,
    /// The hash of what was proposed, and the one that the page showed.
    pub action: String,
    pub seen: String,
    pub policy_version: u32,
    pub said: Said,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// By whom, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// Its level lets it run without an approval.
    ByPolicy,
    Person {
        person: PersonId,
        /// As Entra ID knows them; `None` for a demo person.
        identity: Option<Identity>,
        verdict: Verdict,
        on_behalf_of: Option<PersonId>,
        broke_glass: bool,
        #[serde(with = "time::serde::rfc3339::option")]
        signed_in_at: Option<OffsetDateTime>,
        acrs: Option<String>,
        /// SHA-256 of the comment as it is kept.
        comment: String,
        /// The hashes of what shows that it was done (L3).
        evidence: Vec<String>,
    },
}

pub const FORM: &str = "assay decision 1";

/// Signs what somebody decided about this proposal, as it stood when they did. `identity`: as whom they signed in.
pub async fn sign(
    app: &App,
    tenant: TenantId,
    proposal: &Proposal,
    decision: &Decision,
    identity: Option<Identity>,
) -> Result<SignedReceipt, StoreError> {
    signed(app, &statement(tenant, proposal, &decision.hash, said(decision, identity), decision.at)).await
}

/// Signs that the policy lets this proposal run.
pub async fn clear(app: &App, tenant: TenantId, proposal: &Proposal) -> Result<SignedReceipt, StoreError> {
    signed(app, &statement(tenant, proposal, &proposal.hash, Said::ByPolicy, proposal.staged_at)).await
}

/// Whether this decision's receipt verifies and says exactly this. A key of the vault that cannot be asked is an error, not
/// a no.
pub async fn holds(app: &App, tenant: TenantId, proposal: &Proposal, decision: &Decision) -> Result<bool, StoreError> {
    let Some(receipt) = &decision.receipt else { return Ok(false) };
    let Some(stated) = stated(app, receipt).await? else { return Ok(false) };
    let Said::Person { identity, .. } = &stated.said else { return Ok(false) };
    Ok(stated == statement(tenant, proposal, &decision.hash, said(decision, *identity), decision.at))
}

/// Whether Assay signed that this proposal may run by its level.
pub async fn is_cleared(app: &App, tenant: TenantId, proposal: &Proposal) -> Result<bool, StoreError> {
    let Some(receipt) = &proposal.clearance else { return Ok(false) };
    let stated = stated(app, receipt).await?;
    Ok(stated == Some(statement(tenant, proposal, &proposal.hash, Said::ByPolicy, proposal.staged_at)))
}

/// What a receipt says, if its signature holds.
async fn stated(app: &App, receipt: &SignedReceipt) -> Result<Option<Statement>, StoreError> {
    let Ok(signature) = BASE64URL.decode(&receipt.signature) else { return Ok(None) };
    let Some(key) = signing::verifying_key(app, SigningUse::Receipts, &receipt.kid).await? else { return Ok(None) };
    if !key.verifies(receipt.statement.as_bytes(), &signature) {
        return Ok(None);
    }
    Ok(serde_json::from_str(&receipt.statement).ok())
}

async fn signed(app: &App, statement: &Statement) -> Result<SignedReceipt, StoreError> {
    let statement = serde_json::to_string(statement)
        .map_err(|source| StoreError::Shape { document: "receipt".into(), source: std::sync::Arc::new(source) })?;
    let made = signing::sign(app, SigningUse::Receipts, statement.as_bytes()).await?;
    Ok(SignedReceipt { statement, kid: made.kid, signature: BASE64URL.encode(made.signature) })
}

fn statement(tenant: TenantId, proposal: &Proposal, seen: &str, said: Said, at: OffsetDateTime) -> Statement {
    Statement {
        form: FORM.into(),
        tenant,
        proposal: proposal.id,
        version: proposal.version,
        action: proposal.hash.clone(),
        seen: seen.into(),
        policy_version: proposal.terms.as_ref().map_or(0, |terms| terms.policy_version),
        said,
        at,
    }
}

fn said(decision: &Decision, identity: Option<Identity>) -> Said {
    Said::Person {
        person: decision.person,
        identity,
        verdict: decision.verdict,
        on_behalf_of: decision.on_behalf_of.as_ref().map(|seat| seat.person),
        broke_glass: decision.broke_glass,
        signed_in_at: decision.signed_in_at,
        acrs: decision.acrs.clone(),
        comment: sha256(decision.comment.as_bytes()),
        evidence: decision.evidence.iter().map(|record| record.hash.clone()).collect(),
    }
}
