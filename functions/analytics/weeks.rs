//! Throughput by week, for the chart: what was staged, decided and carried out in each of the last weeks.

use time::{Date, Duration, OffsetDateTime};

use super::tally::Item;

/// As many as the window of the figures holds whole.
const WEEKS: usize = 13;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Week {
    /// Its first day; it ends seven days later, the last one today.
    pub begins: Date,
    pub staged: u64,
    pub decided: u64,
    pub executed: u64,
}

/// The last weeks, oldest first; days are those of UTC.
pub fn weeks<'i>(items: impl IntoIterator<Item = &'i Item>, now: OffsetDateTime) -> Vec<Week> {
    let today = now.date();
    let mut weeks: Vec<Week> = (0..WEEKS)
        .rev()
        .filter_map(|ago| today.checked_sub(Duration::days(i64::try_from(ago).ok()? * 7 + 6)))
        .map(|begins| Week { begins, staged: 0, decided: 0, executed: 0 })
        .collect();
    let mut count = |at: OffsetDateTime, add: fn(&mut Week)| {
        let day = at.date();
        if let Some(week) = weeks.iter_mut().rev().find(|week| week.begins <= day).filter(|_| day <= today) {
            add(week);
        }
    };
    for item in items {
        count(item.staged_at, |week| week.staged += 1);
        item.decisions.iter().for_each(|given| count(given.at, |week| week.decided += 1));
        if let Some(at) = item.executed_at {
            count(at, |week| week.executed += 1);
        }
    }
    weeks
}

#[cfg(test)]
mod tests {
    use super::{
        super::tally::tests::{Log, START},
        *,
    };

    #[test]
    fn every_event_stands_in_its_week_and_today_in_the_last() {
        let mut log = Log::default();
        let first = log.staged("a", true);
        log.passes(Duration::days(1)).decided(first, 1, true, None).carried_out(first, "a", false, true);
        log.passes(Duration::days(6)).staged("b", true);
        let weeks = weeks(log.tally().items(), START + log.now);
        assert_eq!(weeks.len(), WEEKS);
        let counts: Vec<_> = weeks.iter().map(|week| (week.staged, week.decided, week.executed)).collect();
        // Today is the eighth day: the first one fell out of the last week by one day.
        assert_eq!(counts[WEEKS - 2..], [(1, 0, 0), (1, 1, 1)]);
        assert_eq!(weeks[WEEKS - 1].begins, (START + log.now).date() - Duration::days(6));
        assert!(counts[..WEEKS - 2].iter().all(|count| *count == (0, 0, 0)));
    }
}
