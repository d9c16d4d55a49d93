//! NCRONTAB schedules of timer functions: six fields, seconds first, Sunday is 0, UTC.

use std::cmp::Ordering;

use croner::{
    CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

#[derive(Clone, Debug)]
pub struct Schedule(Box<Cron>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a schedule has six fields: second, minute, hour, day, month, day of week")]
pub struct NotASchedule;

impl Schedule {
    pub fn parse(text: &str) -> Result<Self, NotASchedule> {
        // What the cron crate knows beyond NCRONTAB (nicknames, L, W, #, ?) would pass here and fail in Azure.
        let words = text.split_whitespace().flat_map(|field| field.split([',', '-', '/']));
        let known =
            |word: &str| word == "*" || word.bytes().all(|b| b.is_ascii_digit()) || NAMES.contains(&word.to_ascii_uppercase().as_str());
        if text.split_whitespace().count() != 6 || !words.into_iter().all(|word| !word.is_empty() && known(word)) {
            return Err(NotASchedule);
        }
        // NCRONTAB wants both day fields to hold.
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        parser.parse(text).map(|cron| Self(Box::new(cron))).map_err(|_| NotASchedule)
    }

    /// The first time strictly after `at`; `None` when there is none in sight (30 February).
    pub fn next_after(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        self.0.find_next_occurrence(&Utc(at.to_offset(UtcOffset::UTC)), false).ok().map(|next| next.0)
    }

    /// The real host monitors a schedule by default when its runs are at least a minute apart.
    pub fn is_monitored_by_default(&self) -> bool {
        let first = self.next_after(OffsetDateTime::UNIX_EPOCH);
        let second = first.and_then(|first| self.next_after(first));
        matches!((first, second), (Some(first), Some(second)) if second - first >= time::Duration::minutes(1))
    }
}

const NAMES: &[&str] =
    &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Lets the cron search run on `time`'s dates.
#[derive(Clone)]
struct Utc(OffsetDateTime);

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let (hour, minute, second) = self.0.to_hms();
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(self.0.year(), u32::from(u8::from(self.0.month())), u32::from(self.0.day())),
            CivilTime::from_parts_unchecked(hour.into(), minute.into(), second.into()),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().number_days_from_sunday()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let small = |n: u32| u8::try_from(n).map_err(|_| CronError::InvalidDate);
        let month = Month::try_from(small(civil.month())?).map_err(|_| CronError::InvalidDate)?;
        let date = Date::from_calendar_date(civil.year(), month, small(civil.day())?).map_err(|_| CronError::InvalidDate)?;
        let time =
            Time::from_hms(small(civil.hour())?, small(civil.minute())?, small(civil.second())?).map_err(|_| CronError::InvalidTime)?;
        Ok(Resolution::Single(Self(OffsetDateTime::new_utc(date, time))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(time::Duration::seconds(seconds)).map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_next_run_is_strictly_later_and_sunday_is_zero() {
        let next = |text, at| Schedule::parse(text).ok().and_then(|s| s.next_after(at));
        let at = datetime!(2026-03-02 09:15:00.5 UTC);
        assert_eq!(next("0 */5 * * * *", at), Some(datetime!(2026-03-02 09:20 UTC)));
        assert_eq!(next("0 */5 * * * *", datetime!(2026-03-02 09:15 UTC)), Some(datetime!(2026-03-02 09:20 UTC)));
        assert_eq!(next("*/10 * * * * *", at), Some(datetime!(2026-03-02 09:15:10 UTC)));
        assert_eq!(next("0 30 6 * * 0", at), Some(datetime!(2026-03-08 06:30 UTC)));
        assert_eq!(next("0 0 0 1 * MON", at), Some(datetime!(2026-06-01 00:00 UTC)), "both day fields must hold");
    }

    #[test]
    fn only_six_plain_fields_are_a_schedule() {
        for bad in ["", "*/5 * * * *", "@daily", "0 0 0 L * *", "0 0 0 * * 1#2", "0 61 * * * *", "0 0 0 * * * 2026", "00:05:00"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn schedules_under_a_minute_are_not_monitored_by_default() {
        let monitored = |text| Schedule::parse(text).is_ok_and(|s| s.is_monitored_by_default());
        assert!(monitored("0 */5 * * * *") && !monitored("*/10 * * * * *"));
    }
}
