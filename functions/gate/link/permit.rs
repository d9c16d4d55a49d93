//! The token of a decision form: made for somebody who is signed in and may decide, used up by one decision.
//!
//! That it is used up is a record with its id, made in the decision's own batch: a second use of it cannot be written,
//! whoever sends it. It says when the page was shown, so the decision's record can say how long it was looked at.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{
    follow::keys,
    make::{About, claims, sign},
    token::{AUDIENCE_DECIDE, Claims},
    verify::{Expected, Refused, verify},
};
use crate::{
    app::App,
    tenancy::{PersonId, ProposalId, Record, StoreError, TenantId},
};

/// As long as a sign-in: the form is bound to one anyway.
const LIFE: Duration = Duration::hours(8);

/// What a verified token of a form allows: one decision on this version by this person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub jti: String,
    pub shown_at: OffsetDateTime,
}

/// A permit that a decision used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    pub jti: String,
    pub proposal: ProposalId,
    pub person: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub shown_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Record for Spent {
    const KIND: &'static str = "spent";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.jti.clone()
    }
}

impl Permit {
    pub fn spent(&self, proposal: ProposalId, person: PersonId, at: OffsetDateTime) -> Spent {
        Spent { jti: self.jti.clone(), proposal, person, shown_at: self.shown_at, at }
    }

    /// A permit for the form of a page that shows this hash, and its token. Whether there is still time to decide, the
    /// machine says, in words.
    pub async fn make(
        app: &App,
        tenant: TenantId,
        proposal: ProposalId,
        person: PersonId,
        hash: &str,
    ) -> Result<(Self, String), StoreError> {
        let until = app.now() + LIFE;
        let about = About { tenant, proposal, hash, person };
        let claims = claims(app, AUDIENCE_DECIDE, app.ids.uuid().to_string(), about, until);
        let token = sign(app, &claims).await?;
        Ok((Self::of(claims), token))
    }

    /// The permit of a form that came back, for exactly this client, proposal, person and hash.
    pub async fn read(
        app: &App,
        tenant: TenantId,
        proposal: ProposalId,
        person: PersonId,
        hash: &str,
        token: &str,
    ) -> Result<Result<Self, Refused>, StoreError> {
        let (iss, tid, sub, oid) = (app.config.origin(), tenant.to_string(), proposal.to_string(), person.to_string());
        let expected = Expected { iss: &iss, aud: AUDIENCE_DECIDE, tid: &tid, oid: &oid, sub: &sub, act: hash };
        Ok(verify(token, &keys(app, token).await?, app.now(), &expected).map(Self::of))
    }

    fn of(claims: Claims) -> Self {
        let shown_at = i64::try_from(claims.iat).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        Self { jti: claims.jti, shown_at: shown_at.unwrap_or(OffsetDateTime::UNIX_EPOCH) }
    }
}
