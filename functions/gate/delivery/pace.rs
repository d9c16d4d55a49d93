//! How much may be sent: a counter per channel in the store, because every process sends and none may count alone. A part
//! is kept for emergencies, so that however much else goes out, people hear of one at once.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Channel;
use crate::app::App;
use crate::config::{Delivery, MailService};
use crate::tenancy::{DeploymentPlace, Held, Record, Store, StoreError};

/// Most notices of a channel; from a domain of one's own Azure Communication Services takes 30 a minute and 100 an hour to
/// begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub per_minute: u32,
    pub per_hour: u32,
}

/// Most mails from a domain that Azure manages, of a whole subscription; nobody raises these (learn.microsoft.com, "Service
/// limits for Azure Communication Services", Email).
const MANAGED: Limits = Limits { per_minute: 5, per_hour: 10 };
/// What every such domain ends with.
const MANAGED_DOMAIN: &str = ".azurecomm.net";

impl Limits {
    pub fn of(app: &App, channel: Channel) -> Self {
        let Delivery { per_minute, per_hour, service, .. } = &app.config.delivery;
        let said = Self { per_minute: *per_minute, per_hour: *per_hour };
        match service {
            Some(MailService::Acs(settings)) if channel == Channel::Mail => said.mailed_from(&settings.from),
            _ => said,
        }
    }

    /// What of it Azure Communication Services takes from there.
    fn mailed_from(self, from: &str) -> Self {
        if !from.to_ascii_lowercase().ends_with(MANAGED_DOMAIN) {
            return self;
        }
        Self { per_minute: self.per_minute.min(MANAGED.per_minute), per_hour: self.per_hour.min(MANAGED.per_hour) }
    }

    fn tests(self) -> u32 {
        TESTS.min((self.per_hour / 4).max(1))
    }

    /// What there is for this one.
    fn for_one(self, urgency: Urgency) -> Self {
        let Self { per_minute, per_hour } = self;
        match urgency {
            Urgency::Emergency => self,
            Urgency::Usual | Urgency::Test => Self { per_minute: per_minute - kept_of(per_minute), per_hour: per_hour - kept_of(per_hour) },
        }
    }
}

/// A fifth is kept for emergencies: one at least, where there are two.
fn kept_of(limit: u32) -> u32 {
    (limit / 5).max(u32::from(limit > 1))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gate) enum Urgency {
    Usual,
    /// A delivery test, of which there are [`TESTS`] an hour: they go from what approvers are sent.
    Test,
    /// What [is one](super::Occasion::is_emergency).
    Emergency,
}

/// Delivery tests of a channel in one hour, at most; and of what may be sent usually a quarter.
const TESTS: u32 = 10;

/// What a channel sent in the running minute and hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    pub channel: Channel,
    /// Since 1970.
    minute: i64,
    in_minute: u32,
    hour: i64,
    in_hour: u32,
    /// Of these.
    #[serde(default, skip_serializing_if = "is_zero")]
    tests: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Record for Pace {
    const KIND: &'static str = "pace";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.channel.word().into()
    }
}

impl Pace {
    fn new(channel: Channel) -> Self {
        Self { channel, minute: 0, in_minute: 0, hour: 0, in_hour: 0, tests: 0 }
    }

    /// Counts one more, or says when there is room again; then nothing was counted.
    fn take(&mut self, urgency: Urgency, limits: Limits, now: OffsetDateTime) -> Result<(), OffsetDateTime> {
        let seconds = now.unix_timestamp();
        let (minute, hour) = (seconds.div_euclid(60), seconds.div_euclid(3600));
        if minute != self.minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        if hour != self.hour {
            (self.hour, self.in_hour, self.tests) = (hour, 0, 0);
        }
        let limits = limits.for_one(urgency);
        let start_of = |unit: i64, seconds: i64| OffsetDateTime::from_unix_timestamp((unit + 1) * seconds).unwrap_or(now + Duration::HOUR);
        if self.in_hour >= limits.per_hour || urgency == Urgency::Test && self.tests >= limits.tests() {
            return Err(start_of(hour, 3600));
        }
        if self.in_minute >= limits.per_minute {
            return Err(start_of(minute, 60));
        }
        self.in_minute += 1;
        self.in_hour += 1;
        self.tests += u32::from(urgency == Urgency::Test);
        Ok(())
    }
}

/// How often a lost race is tried again; then the message waits a moment.
const ATTEMPTS: usize = 4;
const A_MOMENT: Duration = Duration::seconds(5);

/// A place among what may be sent now, or when there is one.
pub(in crate::gate) async fn take(
    store: &Store<'_, DeploymentPlace>,
    (channel, urgency): (Channel, Urgency),
    limits: Limits,
) -> Result<Result<(), OffsetDateTime>, StoreError> {
    let now = store.app().now();
    for _ in 0..ATTEMPTS {
        let held = match store.read::<Pace>(DeploymentPlace::Operations, channel.word()).await {
            // A count that cannot be read holds nothing back, and begins anew.
            Err(error) if error.concerns_one_record() => {
                tracing::error!(error = %error, "what was sent cannot be read, and is counted anew");
                let mut batch = store.batch(DeploymentPlace::Operations);
                batch.remove::<Pace>(channel.word());
                batch.commit().await?;
                None
            }
            other => other?,
        };
        let mut pace = held.as_ref().map_or_else(|| Pace::new(channel), |held| held.value.clone());
        if let Err(when) = pace.take(urgency, limits, now) {
            return Ok(Err(when));
        }
        let mut batch = store.batch(DeploymentPlace::Operations);
        match held {
            Some(held) => batch.replace(&Held { value: pace, etag: held.etag }),
            None => batch.create(&pace),
        };
        match batch.commit().await {
            Ok(()) => return Ok(Ok(())),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Err(now + A_MOMENT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const LIMITS: Limits = Limits { per_minute: 30, per_hour: 100 };

    #[test]
    fn a_full_minute_waits_for_the_next_and_a_full_hour_for_the_next_hour() {
        let now = datetime!(2026-11-25 09:15:40 UTC);
        let mut pace = Pace::new(Channel::Teams);
        for _ in 0..30 {
            assert_eq!(pace.take(Urgency::Emergency, LIMITS, now), Ok(()));
        }
        assert_eq!(pace.take(Urgency::Emergency, LIMITS, now), Err(datetime!(2026-11-25 09:16 UTC)));
        for minute in [1, 2] {
            for _ in 0..30 {
                assert_eq!(pace.take(Urgency::Emergency, LIMITS, now + Duration::minutes(minute)), Ok(()));
            }
        }
        for _ in 0..10 {
            assert_eq!(pace.take(Urgency::Emergency, LIMITS, now + Duration::minutes(3)), Ok(()));
        }
        assert_eq!(pace.take(Urgency::Emergency, LIMITS, now + Duration::minutes(3)), Err(datetime!(2026-11-25 10:00 UTC)));
        assert_eq!(pace.take(Urgency::Emergency, LIMITS, datetime!(2026-11-25 10:00 UTC)), Ok(()));
    }

    #[test]
    fn a_fifth_is_left_for_emergencies() {
        let now = datetime!(2026-11-25 09:15:40 UTC);
        let mut pace = Pace::new(Channel::Mail);
        let mut taken = |urgency, at| (0..LIMITS.per_hour).filter(|_| pace.take(urgency, LIMITS, at).is_ok()).count();
        assert_eq!((taken(Urgency::Usual, now), taken(Urgency::Emergency, now)), (24, 6), "of 30 a minute");
        for minute in 1..=3 {
            taken(Urgency::Usual, now + Duration::minutes(minute));
        }
        let later = now + Duration::minutes(4);
        assert_eq!((taken(Urgency::Usual, later), taken(Urgency::Emergency, later)), (0, 20), "of 100 an hour");
        let few = Limits { per_minute: 1, per_hour: 4 };
        assert_eq!(few.for_one(Urgency::Usual), Limits { per_minute: 1, per_hour: 3 });
    }

    #[test]
    fn a_domain_of_azures_own_sends_ten_an_hour_however_many_are_allowed() {
        assert_eq!(LIMITS.mailed_from("DoNotReply@01234567.AzureComm.net"), Limits { per_minute: 5, per_hour: 10 });
        assert_eq!(LIMITS.mailed_from("assay@northgate.example"), LIMITS);
        assert_eq!(LIMITS.mailed_from("assay@azurecomm.net.example"), LIMITS);
        let few = Limits { per_minute: 2, per_hour: 100 };
        assert_eq!(few.mailed_from("DoNotReply@01234567.azurecomm.net"), Limits { per_minute: 2, per_hour: 10 });
        assert_eq!(MANAGED.for_one(Urgency::Usual), Limits { per_minute: 4, per_hour: 8 }, "a fifth is left for emergencies");
    }

    #[test]
    fn tests_leave_room_for_approvers_where_an_hour_holds_ten_mails() {
        let now = datetime!(2026-11-25 09:15:40 UTC);
        let mut pace = Pace::new(Channel::Mail);
        let mut taken = |urgency, at| (0..20).filter(|_| pace.take(urgency, MANAGED, at).is_ok()).count();
        assert_eq!((taken(Urgency::Test, now), taken(Urgency::Usual, now)), (2, 2), "of four a minute");
        assert_eq!((taken(Urgency::Test, now + Duration::minutes(1)), taken(Urgency::Usual, now + Duration::minutes(1))), (0, 4));
        assert_eq!(taken(Urgency::Emergency, now + Duration::minutes(2)), 2);
    }

    #[test]
    fn an_hour_holds_ten_tests_and_what_approvers_are_sent_goes_on() {
        let now = datetime!(2026-11-25 09:15:40 UTC);
        let mut pace = Pace::new(Channel::Mail);
        let mut taken = |urgency, at| (0..20).filter(|_| pace.take(urgency, LIMITS, at).is_ok()).count();
        assert_eq!((taken(Urgency::Test, now), taken(Urgency::Usual, now)), (10, 14));
        assert_eq!(taken(Urgency::Test, now + Duration::minutes(1)), 0);
        assert_eq!(taken(Urgency::Test, now + Duration::hours(1)), 10);
    }

    proptest! {
        #[test]
        fn no_hour_and_no_minute_ever_holds_more(steps in proptest::collection::vec(0_i64..40, 1..400)) {
            let (mut pace, mut now, mut taken) = (Pace::new(Channel::Teams), datetime!(2026-11-25 09:00 UTC), Vec::new());
            for step in steps {
                now += Duration::seconds(step);
                match pace.take(Urgency::Emergency, LIMITS, now) {
                    Ok(()) => taken.push(now.unix_timestamp()),
                    Err(when) => prop_assert!(when > now && when - now <= Duration::HOUR),
                }
            }
            for (unit, most) in [(60, 30), (3600, 100)] {
                let mut counts = std::collections::BTreeMap::new();
                for at in &taken {
                    *counts.entry(at.div_euclid(unit)).or_insert(0) += 1;
                }
                prop_assert!(counts.values().all(|count| *count <= most));
            }
        }
    }
}
