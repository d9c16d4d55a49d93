//! The alarm for a rule that got worse: a cumulative sum over its labels, one after another.
//!
//! Page's test for a rate of overrides that goes from 2 % to 10 %: an override adds `ln(0.10 / 0.02)`, an agreement
//! `ln(0.90 / 0.98)`, never below zero; at 4.5 it is an alarm. Simulated: a rule that went bad is found within some 41
//! labels in median, one that stayed at 2 % is accused once in some 3,100. In whole millionths, so that a replay of the
//! log ends in the same bits everywhere (design I11).

use serde::{Deserialize, Serialize};

/// Millionths of `ln(0.10 / 0.02)`.
const OVERRIDE: u32 = 1_609_438;
/// Millionths of `ln(0.98 / 0.90)`, taken off.
const AGREED: u32 = 85_158;
/// 4.5, in millionths.
const ALARM: u32 = 4_500_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cusum(u32);

impl Cusum {
    /// The sum after one more label.
    #[must_use]
    pub fn after(self, overridden: bool) -> Self {
        Self(if overridden { self.0.saturating_add(OVERRIDE) } else { self.0.saturating_sub(AGREED) })
    }

    /// Reached is passed: a tie goes to the safer gate.
    pub fn is_alarm(self) -> bool {
        self.0 >= ALARM
    }

    /// In millionths, for the evidence of a change.
    pub fn millionths(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 with a fixed seed: the same runs on every machine.
    struct Random(u64);

    impl Random {
        fn overridden(&mut self, per_mille: u64) -> bool {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % 1000 < per_mille
        }
    }

    #[test]
    fn three_overrides_in_a_row_are_an_alarm_and_a_sum_that_just_reaches_it_is_one_too() {
        let two = Cusum::default().after(true).after(true);
        assert!(!two.is_alarm() && two.after(true).is_alarm());
        assert!(Cusum(ALARM).is_alarm() && !Cusum(ALARM - 1).is_alarm());
        assert_eq!(Cusum::default().after(false), Cusum::default(), "never below zero");
    }

    /// sle-012: 2 % up to item 1,000, then 10 %.
    #[test]
    fn sle_012_a_rule_that_drifts_is_found_within_sixty_items_in_median_and_seldom_accused_before() {
        let mut random = Random(7);
        let mut delays = Vec::new();
        while delays.len() < 2_000 {
            let mut sum = Cusum::default();
            // Runs that were accused before the drift began say nothing about how soon it is found.
            if (0..1_000).any(|_| {
                sum = sum.after(random.overridden(20));
                sum.is_alarm()
            }) {
                continue;
            }
            let mut delay = 0;
            while !sum.is_alarm() {
                sum = sum.after(random.overridden(100));
                delay += 1;
            }
            delays.push(delay);
        }
        delays.sort_unstable();
        let median = delays[delays.len() / 2];
        assert!((36..=46).contains(&median), "found after {median} items in median");

        let (mut items, runs) = (0_u64, 4_000);
        for _ in 0..runs {
            let mut sum = Cusum::default();
            while !sum.is_alarm() {
                sum = sum.after(random.overridden(20));
                items += 1;
            }
        }
        assert!(items / runs > 3_000, "a false alarm every {} items", items / runs);
    }
}
