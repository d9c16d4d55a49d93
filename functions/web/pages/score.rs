//! The three readings of the score, and where they stand on the bar from -203 to 110 (32 CFR 170.24(c)).

/// Today: what a human decided, all else NOT MET. Likely: open suggestions as suggested, all else NOT MET. Best: all
/// that is undecided counted as MET. While the SSP (3.12.4) is not accepted there is no score: pages show the same
/// arithmetic as "if the SSP is accepted" (design I8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    pub today: i32,
    pub likely: i32,
    pub best: i32,
    /// 3.12.4 is decided MET.
    pub ssp_accepted: bool,
    /// Every objective is decided, so the three are one.
    pub complete: bool,
}

/// Lowest and highest score, and what a conditional status needs (32 CFR 170.21(a)(2)(i): 80 % of 110).
pub(super) const LOWEST: i32 = -203;
pub(super) const HIGHEST: i32 = 110;
pub(super) const CONDITIONAL: i32 = 88;

/// The bar's drawing area: x of the lowest and of the highest score.
const LEFT: i32 = 24;
const RIGHT: i32 = 576;

impl Readings {
    pub fn today_text(&self) -> String {
        signed(self.today)
    }

    pub fn likely_text(&self) -> String {
        signed(self.likely)
    }

    pub fn best_text(&self) -> String {
        signed(self.best)
    }

    /// In words, for the bar's label.
    pub(super) fn sentence(&self) -> String {
        let condition = if self.ssp_accepted { "" } else { "If the SSP is accepted: " };
        let minus = |score: i32| if score < 0 { format!("minus {}", -score) } else { score.to_string() };
        format!(
            "{condition}{} today, {} likely, {} best, on a scale from minus 203 to 110; 88 is needed for conditional status",
            minus(self.today),
            minus(self.likely),
            minus(self.best)
        )
    }

    pub(super) fn today_x(&self) -> i32 {
        x(self.today)
    }

    pub(super) fn likely_x(&self) -> i32 {
        x(self.likely)
    }

    pub(super) fn best_x(&self) -> i32 {
        x(self.best)
    }

    #[expect(clippy::unused_self, reason = "the form templates can call")]
    pub(super) fn conditional_x(&self) -> i32 {
        x(CONDITIONAL)
    }
}

fn x(score: i32) -> i32 {
    LEFT + (score.clamp(LOWEST, HIGHEST) - LOWEST) * (RIGHT - LEFT) / (HIGHEST - LOWEST)
}

/// With a true minus sign.
fn signed(score: i32) -> String {
    if score < 0 { format!("\u{2212}{}", score.unsigned_abs()) } else { score.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_goes_from_the_lowest_to_the_highest_score_and_never_beyond() {
        assert_eq!((x(LOWEST), x(HIGHEST)), (LEFT, RIGHT));
        assert_eq!((x(-1000), x(1000)), (LEFT, RIGHT));
        assert!(x(CONDITIONAL) < RIGHT && x(CONDITIONAL) > x(87));
    }

    #[test]
    fn without_an_accepted_ssp_the_words_say_so() {
        let readings = Readings { today: -41, likely: 18, best: 93, ssp_accepted: false, complete: false };
        assert!(readings.sentence().starts_with("If the SSP is accepted: minus 41 today"));
        assert_eq!(readings.today_text(), "\u{2212}41");
    }
}
