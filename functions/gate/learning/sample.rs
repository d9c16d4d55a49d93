//! The audit sample: which of the actions that ran without an approval a person looks at afterwards.
//!
//! What runs by rule is nobody's approval, so without a sample a rule that was promoted would never be judged again. The
//! choice is a hash of the item's id, and a replay chooses the same. Whoever chooses the id, as a vendor's tool does of its
//! records, could compute it beforehand. A client with little to draw from is not left out: after so many actions in a row
//! of which none was drawn, the next one is.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::gate::level::Level;

/// The share of actions at L0 and L1 that goes to a person, per mille.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// Two to five of a hundred; what is outside is brought to the nearest.
    pub fn per_mille(rate: u64) -> Self {
        Self(rate.clamp(20, 50))
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self(30)
    }
}

/// Whether a person looks at this action afterwards, by the bytes of its id. Where people decide anyway there is nothing to sample.
pub fn is_sampled(item: &[u8], level: Level, rate: Rate) -> bool {
    if level > Level::L1 {
        return false;
    }
    let mut context = Context::new(&SHA256);
    context.update(b"assay audit sample 1");
    context.update(item);
    let digest = context.finish();
    let number = digest.as_ref().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    number % 1000 < rate.0
}

/// So many actions in a row are not drawn at most; with three in a hundred by the hash it is four in a hundred in all.
pub const LONGEST_GAP: u32 = 50;
/// Of a client's first actions, one of so many is drawn at the latest.
pub const FIRST_WITHIN: u32 = 20;

/// How far the drawing of one client's sample has come: part of the fold of its log, in the order of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draws {
    /// Actions since the last that was drawn.
    undrawn: u32,
}

impl Default for Draws {
    fn default() -> Self {
        Self { undrawn: LONGEST_GAP + 1 - FIRST_WITHIN }
    }
}

impl Draws {
    /// Whether the next action is drawn, by its id or because it is time.
    pub fn draws(&mut self, item: &[u8], level: Level, rate: Rate) -> bool {
        if level > Level::L1 {
            return false;
        }
        let is_drawn = is_sampled(item, level, rate) || self.undrawn >= LONGEST_GAP;
        self.undrawn = if is_drawn { 0 } else { self.undrawn + 1 };
        is_drawn
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    proptest::proptest! {
        #[test]
        fn of_however_few_actions_one_is_drawn_in_time_and_of_many_no_more_than_five_in_a_hundred(from in 0_u128..1 << 100, few in 20_u128..60) {
            let mut draws = Draws::default();
            let mut draw = |n: u128| draws.draws(Uuid::from_u128(from + n).as_bytes(), Level::L0, Rate::default());
            let first: Vec<bool> = (0..few).map(&mut draw).collect();
            proptest::prop_assert!(first[..20].contains(&true));
            let then: Vec<bool> = (few..few + 5_000).map(&mut draw).collect();
            proptest::prop_assert!(then.windows(51).all(|row| row.contains(&true)));
            let share = then.iter().filter(|drawn| **drawn).count();
            proptest::prop_assert!((120..=270).contains(&share), "{} of 5,000", share);
        }
    }

    #[test]
    fn the_share_is_what_was_asked_for_and_the_choice_is_the_same_every_time() {
        let ids: Vec<Uuid> = (0..50_000).map(Uuid::from_u128).collect();
        for (asked, share) in [(0, 20), (20, 20), (30, 30), (50, 50), (900, 50)] {
            let rate = Rate::per_mille(asked);
            let sampled = ids.iter().filter(|id| is_sampled(id.as_bytes(), Level::L1, rate)).count();
            assert!(sampled.abs_diff(50 * share) < 150, "{asked} per mille: {sampled} of 50,000");
        }
        let chosen = |rate| ids.iter().filter(|id| is_sampled(id.as_bytes(), Level::L0, rate)).collect::<Vec<_>>();
        let (few, many) = (chosen(Rate::per_mille(20)), chosen(Rate::per_mille(50)));
        assert!(few.iter().all(|id| many.contains(id)), "a higher rate adds, and takes nothing out");
        assert_eq!(few, chosen(Rate::per_mille(20)));
        assert!(
            !ids.iter()
                .any(|id| is_sampled(id.as_bytes(), Level::L2, Rate::default()) || is_sampled(id.as_bytes(), Level::L3, Rate::default()))
        );
    }
}
