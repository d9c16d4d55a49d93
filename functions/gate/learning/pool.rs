//! What several clients together say about a rule, without telling of any of them.
//!
//! Only clients that opted in before the quarter began, each counted once, as it stood at its beginning: the answer is the
//! same all quarter long, so nobody can subtract one answer from another. At least five clients with labels, none with more than
//! half of the labels or of the overrides; else nothing is said. What is said is a level, with counts rounded to fives;
//! never a client, a rate, or a count of one. It is a hint beside a client's own numbers and moves no gate.

use time::{Date, Month};

use super::bounds;

/// Fewer clients say too much about each.
pub const FEWEST_CLIENTS: usize = 5;
/// What is shown is rounded to multiples of this.
const BASE: u64 = 5;

/// One client's count for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Labels, and the overrides among them, when the quarter began that [`Cell::counted`] names.
    pub n: u64,
    pub k: u64,
    /// The first day of the quarter for which it was counted; `None` before the first time.
    pub counted: Option<Date>,
    /// Since when the client takes part; `None` if it does not.
    pub opted_in: Option<Date>,
    /// When it last stopped to take part.
    pub opted_out: Option<Date>,
}

/// How often the rule is overridden elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frequency {
    /// Surely below 2 %.
    Seldom,
    /// Surely below 10 %.
    Sometimes,
    Often,
}

impl Frequency {
    pub fn words(self) -> &'static str {
        match self {
            Self::Seldom => "seldom overridden",
            Self::Sometimes => "sometimes overridden",
            Self::Often => "often overridden, or too few decisions to say",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub often: Frequency,
    /// Rounded to fives.
    pub n: u64,
    pub k: u64,
}

/// What the clients of the quarter's cohort say together; `None` when that would tell too much.
pub fn pool(cells: &[Cell], today: Date) -> Option<Pooled> {
    let began = start_of_quarter(today);
    // Who left is left out at once. So that the rest cannot be subtracted from what was said before, nothing is said until
    // the next quarter; nor before all that take part were counted.
    if cells.iter().any(|cell| cell.opted_out.is_some_and(|day| day >= began)) {
        return None;
    }
    let cohort: Vec<&Cell> = cells.iter().filter(|cell| cell.opted_in.is_some_and(|day| day < began)).collect();
    if cohort.iter().any(|cell| cell.counted != Some(began)) {
        return None;
    }
    let with_labels: Vec<&&Cell> = cohort.iter().filter(|cell| cell.n > 0).collect();
    let (n, k) = with_labels.iter().fold((0, 0), |(n, k), cell| (n + cell.n, k + cell.k));
    let dominates = |cell: &&&Cell| cell.n * 2 > n || cell.k * 2 > k;
    if with_labels.len() < FEWEST_CLIENTS || with_labels.iter().any(dominates) {
        return None;
    }
    let upper = bounds::upper(k, n);
    let often = if upper < 0.02 {
        Frequency::Seldom
    } else if upper < 0.10 {
        Frequency::Sometimes
    } else {
        Frequency::Often
    };
    Some(Pooled { often, n: rounded(n), k: rounded(k) })
}

/// To the nearest multiple of five.
fn rounded(count: u64) -> u64 {
    (count + BASE / 2) / BASE * BASE
}

/// The first day of the quarter of a day.
pub fn start_of_quarter(day: Date) -> Date {
    let month = match day.month() {
        Month::January | Month::February | Month::March => Month::January,
        Month::April | Month::May | Month::June => Month::April,
        Month::July | Month::August | Month::September => Month::July,
        Month::October | Month::November | Month::December => Month::October,
    };
    // Every month has a first day.
    Date::from_calendar_date(day.year(), month, 1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;

    use super::*;

    const DAY: Date = date!(2026 - 11 - 25);
    const BEGAN: Date = date!(2026 - 10 - 01);

    fn cells(counts: &[(u64, u64)]) -> Vec<Cell> {
        let opted_in = Some(date!(2026 - 09 - 30));
        counts.iter().map(|(n, k)| Cell { n: *n, k: *k.min(n), counted: Some(BEGAN), opted_in, opted_out: None }).collect()
    }

    #[test]
    fn five_clients_of_which_none_dominates_give_a_level_and_rounded_counts() {
        let even = [(40, 1), (40, 0), (40, 1), (41, 0), (42, 1)];
        assert_eq!(pool(&cells(&even), DAY), Some(Pooled { often: Frequency::Sometimes, n: 205, k: 5 }));
        assert_eq!(pool(&cells(&even[..4]), DAY), None, "four");
        assert_eq!(pool(&cells(&[(40, 1), (40, 1), (40, 1), (40, 1), (0, 0)]), DAY), None, "four with labels");
        assert_eq!(pool(&cells(&[(170, 1), (40, 1), (40, 1), (40, 1), (40, 1)]), DAY), None, "one has more than half of the labels");
        assert_eq!(pool(&cells(&[(40, 5), (40, 1), (40, 1), (40, 1), (40, 1)]), DAY), None, "one has more than half of the overrides");
        assert_eq!(pool(&cells(&[(40, 1), (40, 0), (40, 0), (40, 0), (40, 0)]), DAY), None, "the only override is one client's");
        assert_eq!(pool(&cells(&[(0, 0); 9]), DAY), None, "nobody knows anything");
    }

    #[test]
    fn who_did_not_opt_in_before_the_quarter_counts_from_the_next_one_on() {
        let mut late = cells(&[(40, 1); 5]);
        late[4].opted_in = Some(BEGAN);
        assert_eq!(pool(&late, DAY), None);
        for cell in &mut late {
            cell.counted = Some(date!(2027 - 01 - 01));
        }
        assert!(pool(&late, date!(2027 - 01 - 01)).is_some());
        late[4].opted_in = None;
        assert_eq!(pool(&late, date!(2027 - 01 - 01)), None, "never without opting in");
    }

    #[test]
    fn quarters_begin_where_the_calendar_says() {
        let days = [date!(2026 - 01 - 01), date!(2026 - 03 - 31), date!(2026 - 04 - 01), date!(2026 - 09 - 30), date!(2026 - 12 - 31)];
        let starts = [date!(2026 - 01 - 01), date!(2026 - 01 - 01), date!(2026 - 04 - 01), date!(2026 - 07 - 01), BEGAN];
        assert_eq!(days.map(start_of_quarter), starts);
    }

    proptest! {
        /// Differencing: whoever joins or leaves within a quarter, there is one answer in it, or none.
        #[test]
        fn leaving_or_joining_within_a_quarter_never_gives_a_second_answer(
            counts in prop::collection::vec((0_u64..200, 0_u64..9), 5..9), who in 0_usize..9, what in 0_u8..4,
        ) {
            let all = cells(&counts);
            let before = pool(&all, DAY);
            let mut changed = all.clone();
            let who = who % all.len();
            let today = Some(date!(2026 - 11 - 01));
            match what {
                0 => changed.push(Cell { opted_in: today, counted: None, ..all[who] }),
                1 => changed[who] = Cell { opted_out: today, opted_in: None, ..all[who] },
                // Out and in again.
                2 => changed[who] = Cell { opted_out: today, opted_in: today, ..all[who] },
                _ => changed[who].counted = None,
            }
            let after = pool(&changed, DAY);
            prop_assert!(after.is_none() || after == before);
        }

        #[test]
        fn what_is_shown_is_a_multiple_of_five_of_at_least_five_clients(
            counts in prop::collection::vec((0_u64..200, 0_u64..9), 0..9),
        ) {
            if let Some(pooled) = pool(&cells(&counts), DAY) {
                prop_assert!(pooled.n % 5 == 0 && pooled.k % 5 == 0);
                let n: u64 = counts.iter().map(|(n, _)| n).sum();
                prop_assert!(counts.iter().filter(|(n, _)| *n > 0).count() >= FEWEST_CLIENTS);
                prop_assert!(counts.iter().all(|(own, _)| own * 2 <= n));
            }
        }
    }
}
