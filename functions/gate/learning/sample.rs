//! The audit sample: which of the actions that ran without an approval a person looks at afterwards.
//!
//! What runs by rule is nobody's approval, so without a sample a rule that was promoted would never be judged again. The
//! choice is a hash of the item's id, and a replay chooses the same. Whoever chooses the id, as a vendor's tool does of its
//! records, could compute it beforehand.

use aws_lc_rs::digest::{Context, SHA256};

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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

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
