//! Times for people: relative in the text, exact in `<time datetime>` and its title. Always UTC (design I13).

use std::fmt;

use askama::filters::HtmlSafe;
use time::{Date, OffsetDateTime, UtcOffset};

/// `38 minutes ago`.
#[derive(Clone, Copy, Debug)]
pub struct Ago {
    pub at: OffsetDateTime,
    pub now: OffsetDateTime,
}

/// `in 4 days, Tue 1 Dec 2026 17:00 UTC`.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub at: OffsetDateTime,
    pub now: OffsetDateTime,
}

impl Ago {
    /// Without the element around it.
    pub fn words(&self) -> String {
        relative(self.at, self.now)
    }
}

impl Deadline {
    pub fn words(&self) -> String {
        format!("{}, {}", relative(self.at, self.now), exact(self.at))
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        element(f, self.at, &self.words())
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        element(f, self.at, &self.words())
    }
}

// Made of numbers and names of days and months.
impl HtmlSafe for Ago {}
impl HtmlSafe for Deadline {}

fn element(f: &mut fmt::Formatter<'_>, at: OffsetDateTime, words: &str) -> fmt::Result {
    let at = at.to_offset(UtcOffset::UTC);
    let (date, (hour, minute, second)) = (at.date(), at.to_hms());
    write!(
        f,
        r#"<time datetime="{date}T{hour:02}:{minute:02}:{second:02}Z" title="{date} {hour:02}:{minute:02}:{second:02} UTC">{words}</time>"#
    )
}

/// Rounded down (days that are ahead: to the nearest), in the largest unit that says enough; the day itself beyond four weeks.
fn relative(at: OffsetDateTime, now: OffsetDateTime) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let distance = at - now;
    let ahead = distance.is_positive();
    let seconds = distance.unsigned_abs().as_secs();
    let amount = match seconds {
        0..MINUTE => return if ahead { "in less than a minute".into() } else { "just now".into() },
        MINUTE..HOUR => count(seconds / MINUTE, "minute"),
        HOUR..DAY => count(seconds / HOUR, "hour"),
        // What is ahead is never said to be nearer than it is by the better part of a day.
        _ if seconds <= 28 * DAY => count(if ahead { (seconds + DAY / 2) / DAY } else { seconds / DAY }, "day"),
        _ => return format!("on {}", day(at.to_offset(UtcOffset::UTC).date())),
    };
    if ahead { format!("in {amount}") } else { format!("{amount} ago") }
}

fn count(n: u64, unit: &str) -> String {
    if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") }
}

/// `Tue 1 Dec 2026 17:00 UTC`.
fn exact(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {} {:02}:{:02} UTC", &at.weekday().to_string()[..3], day(at.date()), at.hour(), at.minute())
}

/// `1 Dec 2026`.
pub fn day(date: Date) -> String {
    format!("{} {} {}", date.day(), &date.month().to_string()[..3], date.year())
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-25 02:52:09 UTC);

    fn ago(distance: Duration) -> String {
        Ago { at: NOW - distance, now: NOW }.words()
    }

    #[test]
    fn the_past_is_said_in_the_unit_that_says_enough() {
        let said: Vec<String> = [
            Duration::ZERO,
            Duration::seconds(59),
            Duration::minutes(1),
            Duration::minutes(38),
            Duration::minutes(119),
            Duration::hours(23),
            Duration::hours(24),
            Duration::days(28),
            Duration::days(42),
        ]
        .into_iter()
        .map(ago)
        .collect();
        assert_eq!(
            said,
            [
                "just now",
                "just now",
                "1 minute ago",
                "38 minutes ago",
                "1 hour ago",
                "23 hours ago",
                "1 day ago",
                "28 days ago",
                "on 14 Oct 2026"
            ]
        );
    }

    #[test]
    fn a_clock_that_runs_ahead_is_not_called_the_past() {
        assert_eq!(ago(Duration::minutes(-5)), "in 5 minutes");
        assert_eq!(ago(Duration::seconds(-5)), "in less than a minute");
    }

    #[test]
    fn a_deadline_says_both_the_distance_and_the_day() {
        let at = datetime!(2026-12-01 17:00 UTC);
        assert_eq!(Deadline { at, now: datetime!(2026-11-27 16:00 UTC) }.words(), "in 4 days, Tue 1 Dec 2026 17:00 UTC");
        assert_eq!(Deadline { at, now: datetime!(2026-12-03 17:00 UTC) }.words(), "2 days ago, Tue 1 Dec 2026 17:00 UTC");
        assert_eq!(Deadline { at, now: datetime!(2026-10-01 17:00 UTC) }.words(), "on 1 Dec 2026, Tue 1 Dec 2026 17:00 UTC");
    }

    #[test]
    fn the_element_carries_the_exact_time_in_utc_whatever_the_offset() {
        let at = datetime!(2026-11-25 03:14:09 +01:00);
        assert_eq!(
            Ago { at, now: NOW }.to_string(),
            r#"<time datetime="2026-11-25T02:14:09Z" title="2026-11-25 02:14:09 UTC">38 minutes ago</time>"#
        );
    }
}
