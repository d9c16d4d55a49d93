//! What several clients together say about a rule, without telling of any of them.
//!
//! Only clients that opted in, and only those that had before the quarter began: within a quarter the cohort is fixed, so
//! nobody can subtract one answer from another. At least five clients with labels, none with more than half of the labels
//! or of the overrides; else nothing is said. What is said is a level, with counts rounded to fives; never a client, a
//! rate, or a count of one. It is a hint beside a client's own numbers and moves no gate.

use time::{Date, Month};

use super::bounds;
use crate::tenancy::TenantId;

/// Fewer clients say too much about each.
pub const FEWEST_CLIENTS: usize = 5;
/// What is shown is rounded to multiples of this.
const BASE: u64 = 5;

/// One client's count for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub tenant: TenantId,
    /// Labels, and the overrides among them.
    pub n: u64,
    pub k: u64,
    /// Since when the client takes part; `None` if it does not.
    pub opted_in: Option<Date>,
    /// When it stopped to take part.
    pub opted_out: Option<Date>,
}

/// How often the rule is overridden elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Often {
    /// Below 2 %.
    Seldom,
    /// Below 10 %.
    Sometimes,
    Often,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub often: Often,
    /// Rounded to fives.
    pub n: u64,
    pub k: u64,
}

/// What the clients of the quarter's cohort say together; `None` when that would tell too much.
pub fn pool(cells: &[Cell], quarter: Date) -> Option<Pooled> {
    let began = start_of_quarter(quarter)?;
    let member = |cell: &&Cell| cell.opted_in.is_some_and(|day| day < began) && cell.opted_out.is_none_or(|day| day >= began);
    let cohort: Vec<&Cell> = cells.iter().filter(member).collect();
    // Who leaves is left out at once. So that the rest cannot be subtracted from what was said before, nothing more is
    // said in this quarter.
    if cohort.iter().any(|cell| cell.opted_out.is_some_and(|day| day <= quarter)) {
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
        Often::Seldom
    } else if upper < 0.10 {
        Often::Sometimes
    } else {
        Often::Often
    };
    Some(Pooled { often, n: rounded(n), k: rounded(k) })
}

/// To the nearest multiple of five.
fn rounded(count: u64) -> u64 {
    (count + BASE / 2) / BASE * BASE
}

fn start_of_quarter(day: Date) -> Option<Date> {
    let month = match day.month() {
        Month::January | Month::February | Month::March => Month::January,
        Month::April | Month::May | Month::June => Month::April,
        Month::July | Month::August | Month::September => Month::July,
        Month::October | Month::November | Month::December => Month::October,
    };
    Date::from_calendar_date(day.year(), month, 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::date;
    use uuid::Uuid;

    use super::*;

    const DAY: Date = date!(2026 - 11 - 25);

    fn cells(counts: &[(u64, u64)]) -> Vec<Cell> {
        let cell = |(id, (n, k)): (usize, &(u64, u64))| Cell {
            tenant: TenantId(Uuid::from_u128(id as u128)),
            n: *n,
            k: *k,
            opted_in: Some(date!(2026 - 09 - 30)),
            opted_out: None,
        };
        counts.iter().enumerate().map(cell).collect()
    }

    #[test]
    fn five_clients_of_which_none_dominates_give_a_level_and_rounded_counts() {
        let even = [(40, 1), (40, 0), (40, 1), (41, 0), (42, 1)];
        assert_eq!(pool(&cells(&even), DAY), Some(Pooled { often: Often::Sometimes, n: 205, k: 5 }));
        assert_eq!(pool(&cells(&even[..4]), DAY), None, "four");
        assert_eq!(pool(&cells(&[(40, 1), (40, 1), (40, 1), (40, 1), (0, 0)]), DAY), None, "four with labels");
        assert_eq!(pool(&cells(&[(170, 1), (40, 1), (40, 1), (40, 1), (40, 1)]), DAY), None, "one has more than half of the labels");
        assert_eq!(pool(&cells(&[(40, 5), (40, 1), (40, 1), (40, 1), (40, 1)]), DAY), None, "one has more than half of the overrides");
        assert_eq!(pool(&cells(&[(40, 1), (40, 0), (40, 0), (40, 0), (40, 0)]), DAY), None, "the only override is one client's");
    }

    #[test]
    fn who_did_not_opt_in_before_the_quarter_counts_from_the_next_one_on() {
        let mut late = cells(&[(40, 1); 5]);
        late[4].opted_in = Some(date!(2026 - 10 - 01));
        assert_eq!(pool(&late, DAY), None);
        assert!(pool(&late, date!(2027 - 01 - 01)).is_some());
        late[4].opted_in = None;
        assert_eq!(pool(&late, date!(2027 - 01 - 01)), None, "never without opting in");
    }

    proptest! {
        /// Differencing: two answers of one quarter never differ by one client's counts.
        #[test]
        fn leaving_or_joining_within_a_quarter_never_gives_a_second_answer(
            counts in prop::collection::vec((0_u64..200, 0_u64..9), 5..9), who in 0_usize..9, joins in any::<bool>(),
        ) {
            let all = cells(&counts.iter().map(|(n, k)| (*n, *k.min(n))).collect::<Vec<_>>());
            let before = pool(&all, DAY);
            let mut changed = all.clone();
            let who = who % all.len();
            if joins {
                changed.push(Cell { tenant: TenantId(Uuid::from_u128(99)), opted_in: Some(date!(2026 - 10 - 20)), ..all[who] });
                prop_assert_eq!(pool(&changed, DAY), before);
            } else {
                changed[who].opted_out = Some(date!(2026 - 11 - 01));
                prop_assert_eq!(pool(&changed, DAY), None);
            }
        }

        #[test]
        fn what_is_shown_is_a_multiple_of_five_of_at_least_five_clients(
            counts in prop::collection::vec((0_u64..200, 0_u64..9), 0..9),
        ) {
            if let Some(pooled) = pool(&cells(&counts.iter().map(|(n, k)| (*n, *k.min(n))).collect::<Vec<_>>()), DAY) {
                prop_assert!(pooled.n % 5 == 0 && pooled.k % 5 == 0);
                let n: u64 = counts.iter().map(|(n, _)| n).sum();
                prop_assert!(counts.iter().filter(|(n, _)| *n > 0).count() >= FEWEST_CLIENTS);
                prop_assert!(counts.iter().all(|(own, _)| own * 2 <= n));
            }
        }
    }
}
