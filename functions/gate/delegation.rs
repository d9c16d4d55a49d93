//! Delegation: an approver lets another approver of the same client answer in their place for a while.
//!
//! Depth 1: the seat is that of the person who holds the right, and nobody passes on what was passed to them. A decision
//! names both. Whoever stands for the one who asks is as excluded as that person.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{decide::DecideError, refusal::Refusal};
use crate::{
    app::App,
    audit,
    tenancy::{
        Actor, ClientPlace, Held, PersonId, Record, Scope,
        directory::{Grant, Role},
    },
};

/// The longest time box.
pub const LONGEST: Duration = Duration::days(30);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Whose seat.
    pub from: PersonId,
    pub to: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub begins_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
}

impl Delegation {
    /// Whether it holds at this moment. One longer than the longest time box holds for that long.
    pub fn holds(&self, now: OffsetDateTime) -> bool {
        self.from != self.to && self.begins_at <= now && now < self.ends_at.min(self.begins_at + LONGEST)
    }
}

/// The scope's person lets `to` answer in their place from now until then; a time that is over ends it. Both grants were
/// read for this request.
pub async fn delegate(app: &App, scope: &Scope, own: &Grant, to: &Grant, until: OffsetDateTime) -> Result<Delegation, DecideError> {
    let is_own = own.tenant == scope.tenant() && *scope.actor() == Actor::Person(own.person) && own.has(Role::Approver);
    let now = app.now();
    let holds = own.holds(now) && to.holds(now);
    if !is_own || !holds || to.tenant != scope.tenant() || !to.has(Role::Approver) || to.person == own.person {
        return Err(DecideError::Refused(Refusal::NotApprover));
    }
    let delegation = Delegation { from: own.person, to: to.person, begins_at: now, ends_at: until.min(now + LONGEST) };
    let store = scope.store(app).await?;
    let held: Option<Held<Delegation>> = store.read(ClientPlace::Assessment, &delegation.key()).await?;
    let mut batch = store.batch(ClientPlace::Assessment);
    let (from, detail) =
        (delegation.from, json!({ "from": delegation.from, "to": delegation.to, "until": delegation.ends_at.unix_timestamp() }));
    audit::record(&mut batch, audit::Event::new("approval.delegated", format!("person {from}"), detail));
    batch.put(delegation.clone(), held.map(|held| held.etag));
    batch.commit().await?;
    Ok(delegation)
}

impl Record for Delegation {
    const KIND: &'static str = "delegation";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}:{}", self.from, self.to)
    }
}
