//! Delegation: an approver asks another approver of the same client to answer in their place for a while.
//!
//! It holds from when the other one agrees: whoever stands in for the one who asks for an action does not approve it, so
//! nobody may be made a stand-in against their will and lose their own vote by it. Either of the two ends it at any time,
//! whatever else they or the other one may. Depth 1: the seat is that of the person who holds the right, and nobody passes
//! on what was passed to them. A decision names both. When it held stays in the record for as long as a proposal of that
//! time can live: ending it gives nobody back a vote about what was asked while it held.
//!
//! A decision goes by the record, a run by what the log tells ([`told`]): nothing runs by a record that somebody deletes or
//! puts back. That it was is found when the store is checked against the log (`gate/fold`), or when the run refuses.

pub mod told;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::{decide::DecideError, refusal::Refusal};
use crate::{
    app::App,
    audit,
    tenancy::{
        Actor, Batch, ClientPlace, Held, PersonId, Record, Scope, Store, StoreError,
        directory::{Grant, Role},
    },
};

/// The longest time box.
pub const LONGEST: Duration = Duration::days(30);
/// How long it is remembered that one held: longer than the longest times to decide, carry out and undo together
/// (`policy::Policy::check`: 90, 14 and 7 days).
pub const REMEMBERED: Duration = Duration::days(120);
/// Times of one pair that are remembered; with more, nobody agrees anew before the oldest is forgotten.
pub const MOST_SPANS: usize = 60;
/// How often a lost race over the record is tried again.
const ATTEMPTS: usize = 4;

/// Whether, when and until when one person stands in for another; one record for the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Whose seat.
    pub from: PersonId,
    pub to: PersonId,
    /// What `to` has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// When it held, as both agreed: oldest first, apart from each other. The last may hold still.
    #[serde(default)]
    pub held: Vec<Span>,
}

/// It was asked, and waits for an answer until the time that it is about is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    #[serde(with = "time::serde::rfc3339")]
    pub asked_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// From then on, and until then without that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    #[serde(with = "time::serde::rfc3339")]
    pub begins_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub ends_at: OffsetDateTime,
}

impl Span {
    /// One that says longer than the longest time box holds for that long.
    fn end(&self) -> OffsetDateTime {
        self.ends_at.min(self.begins_at + LONGEST)
    }

    fn holds(&self, at: OffsetDateTime) -> bool {
        self.begins_at <= at && at < self.end()
    }
}

impl Delegation {
    pub fn none(from: PersonId, to: PersonId) -> Self {
        Self { from, to, offer: None, held: vec![] }
    }

    /// Whether it holds at this moment, or held then.
    pub fn holds(&self, at: OffsetDateTime) -> bool {
        self.from != self.to && self.held.iter().any(|span| span.holds(at))
    }

    /// Whether it held at any moment from `since` to `now`, both with them.
    pub fn held_between(&self, since: OffsetDateTime, now: OffsetDateTime) -> bool {
        let touches = |span: &Span| span.begins_at < span.end() && span.begins_at <= now && since < span.end();
        self.from != self.to && self.held.iter().any(touches)
    }

    /// Until when, while it holds.
    pub fn until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let on = |end: Option<OffsetDateTime>, span: &Span| if span.holds(end.unwrap_or(now)) { Some(span.end()) } else { end };
        self.held.iter().fold(None, on).filter(|_| self.from != self.to)
    }

    /// From when and until when it holds, or will: a process whose clock was ahead may have written a time that is to come.
    pub fn lasts(&self, now: OffsetDateTime) -> Option<(OffsetDateTime, OffsetDateTime)> {
        let mut open = self.held.iter().filter(|span| now < span.end() && self.from != self.to);
        let first = open.next()?;
        Some((first.begins_at, open.next_back().unwrap_or(first).end()))
    }

    /// What waits for the answer of who is to stand in.
    pub fn offered(&self, now: OffsetDateTime) -> Option<Offer> {
        self.offer.filter(|offer| now < offer.until && self.from != self.to)
    }

    /// `from` asks for it until then. What is no longer than what was agreed to holds at once; a time that is over ends it.
    #[must_use]
    pub fn asked(&self, until: OffsetDateTime, now: OffsetDateTime) -> Self {
        // Whole seconds, as the log says them.
        let until = until.min(now + LONGEST).truncate_to_second();
        let agreed = self.until(now);
        if until <= now || agreed.is_some_and(|agreed| until <= agreed) {
            return self.ended(until.max(now), now);
        }
        Self { offer: Some(Offer { asked_at: now, until }), ..self.clone() }.remembering(now)
    }

    /// `to` agrees: it holds from now on. `None` where nothing is asked, or too many times are remembered.
    pub fn agreed(&self, now: OffsetDateTime) -> Option<Self> {
        let until = self.offered(now)?.until.min(now + LONGEST);
        let mut after = self.ended(now, now);
        after.held.push(Span { begins_at: now, ends_at: until });
        (after.held.len() <= MOST_SPANS).then_some(after)
    }

    /// Either of the two ends it, or lets it end at `at`; what is asked is asked no more. No time is left that goes on after
    /// that, whatever the clock said that began it.
    #[must_use]
    pub fn ended(&self, at: OffsetDateTime, now: OffsetDateTime) -> Self {
        Self { offer: None, ..self.clone() }.cut(at).remembering(now)
    }

    /// None of its times goes on after that.
    #[must_use]
    fn cut(mut self, at: OffsetDateTime) -> Self {
        self.held.iter_mut().for_each(|span| span.ends_at = span.end().min(at));
        self
    }

    /// Without the times that no proposal of today can have seen, and without those that took no time.
    fn remembering(mut self, now: OffsetDateTime) -> Self {
        self.held.retain(|span| span.begins_at < span.end() && now - REMEMBERED < span.end());
        self
    }

    fn words(&self, until: OffsetDateTime) -> Value {
        json!({ "from": self.from, "to": self.to, "until": until.unix_timestamp() })
    }
}

/// What a person who was asked to stand in, or does, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Agrees,
    /// Declines what is asked, or lays down what they agreed to.
    Declines,
}

/// The scope's person asks `to` to answer in their place until then; a time that is over ends it. Both grants were read for
/// this request.
pub async fn ask(app: &App, scope: &Scope, own: &Grant, to: &Grant, until: OffsetDateTime) -> Result<Delegation, DecideError> {
    let now = app.now();
    if until <= now && *scope.actor() == Actor::Person(own.person) {
        return end(app, scope, (own.person, to.person)).await;
    }
    if !is_own(app, scope, own) || !is_approver_here(app, scope, to) || to.person == own.person {
        return Err(DecideError::Refused(Refusal::NotApprover));
    }
    change(app, scope, (own.person, to.person), |was, batch| {
        let after = was.asked(until, now);
        if after == was.clone().remembering(now) {
            return Ok(None);
        }
        let (kind, until) = match after.offered(now) {
            Some(offer) => ("approval.stand_in_asked", offer.until),
            None => ("approval.stand_in_ended", after.until(now).unwrap_or(now)),
        };
        audit::record(batch, audit::Event::new(kind, format!("person {}", own.person), after.words(until)));
        Ok(Some(after))
    })
    .await
}

/// The scope's person is one of the two and ends it, or what is asked; that takes no right of either of them.
pub async fn end(app: &App, scope: &Scope, (from, to): (PersonId, PersonId)) -> Result<Delegation, DecideError> {
    let now = app.now();
    let (kind, person) = match *scope.actor() {
        Actor::Person(person) if person == from => ("approval.stand_in_ended", person),
        Actor::Person(person) if person == to => ("approval.stand_in_declined", person),
        _ => return Err(DecideError::Refused(Refusal::NotAskedToStandIn)),
    };
    change(app, scope, (from, to), |was, batch| {
        if was.offered(now).is_none() && was.lasts(now).is_none() {
            return Err(Refusal::NotAskedToStandIn);
        }
        let after = was.ended(now, now);
        audit::record(batch, audit::Event::new(kind, format!("person {person}"), after.words(now)));
        Ok(Some(after))
    })
    .await
}

/// The scope's person answers whom they are asked to stand in for, or lays it down; only to agree takes an approver.
pub async fn answer(app: &App, scope: &Scope, own: &Grant, from: PersonId, reply: Reply) -> Result<Delegation, DecideError> {
    let now = app.now();
    if reply == Reply::Declines {
        return end(app, scope, (from, own.person)).await;
    }
    if !is_own(app, scope, own) {
        return Err(DecideError::Refused(Refusal::NotApprover));
    }
    change(app, scope, (from, own.person), |was, batch| {
        if was.offered(now).is_none() {
            return Err(Refusal::NotAskedToStandIn);
        }
        let after = was.agreed(now).ok_or(Refusal::StoodInTooOften)?;
        let until = after.until(now).unwrap_or(now);
        audit::record(batch, audit::Event::new("approval.delegated", format!("person {}", own.person), after.words(until)));
        Ok(Some(after))
    })
    .await
}

/// The delegations of a client.
pub async fn all(store: &Store<'_, ClientPlace>) -> Result<Vec<Delegation>, StoreError> {
    let held = store.all::<Delegation>(ClientPlace::Assessment, "").await?;
    Ok(held.into_iter().map(|held| held.value).collect())
}

fn is_own(app: &App, scope: &Scope, own: &Grant) -> bool {
    is_approver_here(app, scope, own) && *scope.actor() == Actor::Person(own.person)
}

fn is_approver_here(app: &App, scope: &Scope, grant: &Grant) -> bool {
    grant.tenant() == scope.tenant() && grant.holds(app.now()) && grant.has(Role::Approver)
}

/// The record of the two after the change, in one batch with its audit item; `None` where it changes nothing.
async fn change(
    app: &App,
    scope: &Scope,
    (from, to): (PersonId, PersonId),
    change: impl Fn(&Delegation, &mut Batch<'_, '_, ClientPlace>) -> Result<Option<Delegation>, Refusal> + Send + Sync,
) -> Result<Delegation, DecideError> {
    let store = scope.store(app).await?;
    let mut tries = 0;
    loop {
        let none = Delegation::none(from, to);
        let held: Option<Held<Delegation>> = store.read(ClientPlace::Assessment, &none.key()).await?;
        let (was, etag) = held.map_or((none, None), |held| (held.value, Some(held.etag)));
        let mut batch = store.batch(ClientPlace::Assessment);
        let Some(after) = change(&was, &mut batch).map_err(DecideError::Refused)? else { return Ok(was) };
        batch.put(after.clone(), etag);
        match batch.commit().await {
            Ok(()) => return Ok(after),
            // The other of the two was faster.
            Err(error) if error.is_conflict() && tries < ATTEMPTS => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

impl Record for Delegation {
    const KIND: &'static str = "delegation";
    /// 2: the times it held, and what is asked; before, one time that nobody was asked about. It counted, so it counts as
    /// agreed to.
    const SCHEMA: u32 = 2;

    fn key(&self) -> String {
        format!("{}:{}", self.from, self.to)
    }

    fn upgrade(_: u32, mut body: Value) -> Value {
        body["held"] = json!([{ "begins_at": body["begins_at"].take(), "ends_at": body["ends_at"].take() }]);
        body
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-25 09:00 UTC);

    fn hours(n: i64) -> OffsetDateTime {
        START + Duration::hours(n)
    }

    fn pair() -> Delegation {
        Delegation::none(PersonId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(2)))
    }

    #[test]
    fn it_holds_from_the_yes_on_and_what_was_asked_alone_takes_nothing_from_anybody() {
        let asked = pair().asked(hours(48), hours(0));
        assert!(!asked.holds(hours(1)) && !asked.held_between(hours(0), hours(1)));
        assert!(asked.ended(hours(1), hours(1)).agreed(hours(2)).is_none(), "declined");
        assert!(asked.agreed(hours(48)).is_none(), "too late");
        let agreed = asked.agreed(hours(2)).expect("asked");
        assert!(!agreed.holds(hours(1)) && agreed.holds(hours(2)) && agreed.holds(hours(47)) && !agreed.holds(hours(48)));
        assert!(agreed.agreed(hours(3)).is_none(), "nothing more is asked");
    }

    #[test]
    fn shorter_needs_no_second_yes_and_longer_does() {
        let agreed = pair().asked(hours(48), hours(0)).agreed(hours(0)).expect("asked");
        assert_eq!(agreed.asked(hours(10), hours(1)).until(hours(1)), Some(hours(10)));
        let longer = agreed.asked(hours(90), hours(1));
        assert_eq!((longer.until(hours(1)), longer.offered(hours(1)).map(|offer| offer.until)), (Some(hours(48)), Some(hours(90))));
        assert_eq!(longer.agreed(hours(2)).and_then(|after| after.until(hours(2))), Some(hours(90)));
    }

    #[test]
    fn what_a_clock_that_was_ahead_began_is_ended_by_one_that_is_right() {
        let ahead = pair().asked(hours(72), hours(24)).agreed(hours(24)).expect("asked");
        assert_eq!((ahead.until(hours(0)), ahead.lasts(hours(0))), (None, Some((hours(24), hours(72)))));
        let ended = ahead.ended(hours(0), hours(0));
        assert_eq!((ended.lasts(hours(0)), ended.holds(hours(25))), (None, false));
        assert!(ahead.ended(hours(30), hours(30)).held_between(hours(24), hours(24)), "what has held is remembered");
    }

    #[test]
    fn what_took_no_time_takes_nobodys_vote() {
        let held_until = |end| Delegation { held: vec![Span { begins_at: hours(1), ends_at: end }], ..pair() };
        let held = |one: &Delegation| one.held_between(hours(0), hours(2));
        assert!(!held(&held_until(hours(0))) && !held(&held_until(hours(1))) && held(&held_until(hours(1) + Duration::SECOND)));
        assert!(!held_until(hours(1)).holds(hours(1)));
    }

    #[test]
    fn what_took_no_time_and_what_no_proposal_of_today_can_have_seen_is_not_remembered() {
        let ended = |ends_at: OffsetDateTime, length: Duration| Span { begins_at: ends_at - length, ends_at };
        let (now, oldest) = (hours(0), hours(0) - REMEMBERED);
        let seen = ended(oldest + Duration::SECOND, Duration::HOUR);
        let held = vec![ended(oldest, Duration::HOUR), seen, ended(now, Duration::ZERO)];
        assert_eq!(Delegation { held, ..pair() }.remembering(now).held, [seen]);
    }

    #[test]
    fn what_an_earlier_release_stored_held_and_is_remembered_as_that() {
        let stored = json!({
            "from": "00000000-0000-0000-0000-000000000001", "to": "00000000-0000-0000-0000-000000000002",
            "begins_at": "2026-11-25T09:00:00Z", "ends_at": "2026-11-27T09:00:00Z"
        });
        let read: Delegation = serde_json::from_value(Delegation::upgrade(1, stored)).expect("an old record");
        assert_eq!((read.until(hours(1)), read.offer), (Some(hours(48)), None));
    }

    #[derive(Clone, Copy, Debug)]
    enum Does {
        Asks(i64),
        Agrees,
        Ends,
    }

    fn does() -> impl Strategy<Value = (i64, Does)> {
        let what = prop_oneof![(-5_i64..800).prop_map(Does::Asks), Just(Does::Agrees), Just(Does::Agrees), Just(Does::Ends)];
        // Now and then the clock goes back: another process's was ahead.
        (prop_oneof![4 => 0_i64..200, 1 => -60_i64..0], what)
    }

    proptest! {
        /// Beside it a list of all hours, in which both stand by what they said: as long as a proposal can live, the record
        /// says of every moment, and of every time between two, what was so then.
        #[test]
        fn whatever_is_asked_agreed_and_ended_it_is_known_when_it_held(steps in prop::collection::vec(does(), 1..40), back in 0_i64..2_800) {
            let (mut pair, mut now, mut latest) = (pair(), 0_i64, 0_i64);
            let mut held: Vec<bool> = vec![false; 9_000];
            let mut offer: Option<i64> = None;
            for (wait, does) in steps {
                now = (now + wait).max(0);
                latest = latest.max(now);
                let end = |from: i64, held: &mut Vec<bool>| held.iter_mut().skip(usize::try_from(from).expect("hours")).for_each(|hour| *hour = false);
                let at = |hour: i64| usize::try_from(hour).expect("hours");
                match does {
                    Does::Asks(length) => {
                        let until = (now + length).min(now + 720);
                        let agreed = (now..9_000).find(|hour| !held[at(*hour)]).filter(|end| *end > now);
                        if until <= now || agreed.is_some_and(|agreed| until <= agreed) {
                            end(until.max(now), &mut held);
                            offer = None;
                        } else {
                            offer = Some(until);
                        }
                        pair = pair.asked(hours(now + length), hours(now));
                    }
                    Does::Agrees => match (pair.agreed(hours(now)), offer.filter(|until| now < *until)) {
                        (Some(after), Some(until)) => {
                            (pair, offer) = (after, None);
                            let until = until.min(now + 720);
                            end(now, &mut held);
                            held[at(now)..at(until)].fill(true);
                        }
                        (after, none) => prop_assert_eq!((after, none), (None, None)),
                    },
                    Does::Ends => {
                        pair = pair.ended(hours(now), hours(now));
                        end(now, &mut held);
                        offer = None;
                    }
                }
                prop_assert!(pair.held.len() <= MOST_SPANS && pair.held.windows(2).all(|two| two[0].end() <= two[1].begins_at));
                // What the latest clock let it forget, an earlier one does not bring back.
                let since = (latest - back).clamp(0, now);
                for hour in [since, since.midpoint(now), now] {
                    prop_assert_eq!(pair.holds(hours(hour)), held[at(hour)], "at {} of {}", hour, now);
                }
                prop_assert_eq!(pair.held_between(hours(since), hours(now)), held[at(since)..=at(now)].contains(&true), "since {} of {}", since, now);
            }
        }
    }
}
