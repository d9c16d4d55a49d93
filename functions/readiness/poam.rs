//! The plan of action and milestones by 32 CFR 170.21: what it may hold, when Conditional status is possible, until when.
//!
//! Pure. The gate is on the score, never on the number of requirements met.

use time::{Date, Duration};

use super::{
    catalogue::{PoamRule, Requirement},
    score::{Answer, HIGHEST, OpenRequirement, SSP, Score},
};

/// Calendar days from the Conditional status date to the closeout (32 CFR 170.21(b)).
pub const CLOSEOUT: Duration = Duration::days(180);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eligibility {
    Allowed,
    /// With the reason for people.
    Refused(&'static str),
}

impl Eligibility {
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

/// What an assessment with these answers would end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every requirement is met.
    Final,
    /// The score reaches the gate and everything open may be on a POA&M.
    Conditional,
    None,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Conditional => "conditional",
            Self::None => "none",
        }
    }
}

/// Whether an open requirement may be on the POA&M (32 CFR 170.21(a)(2)(ii) and (iii)).
pub fn eligibility(requirement: &Requirement, answer: Answer) -> Eligibility {
    match (requirement.poam, answer) {
        (PoamRule::Yes, _) | (PoamRule::Conditional, Answer::Partial) => Eligibility::Allowed,
        (PoamRule::Conditional, _) => {
            Eligibility::Refused("allowed only while encryption is in use and only its FIPS validation is missing")
        }
        (PoamRule::Never, _) if requirement.id == SSP => Eligibility::Refused("without a system security plan there is no score"),
        (PoamRule::Never, _) if requirement.weight.is_some_and(|w| w > 1) => Eligibility::Refused("it weighs more than one point"),
        (PoamRule::Never, _) => Eligibility::Refused("the rule names it as never on a POA&M"),
    }
}

/// At least 0.8 of the highest score, so 88 points (32 CFR 170.21(a)(2)(i)).
pub fn reaches_the_gate(points: i32) -> bool {
    points * 10 >= HIGHEST * 8
}

pub fn status(score: Score, open: &[OpenRequirement]) -> Status {
    match score {
        Score::Of(_) if open.is_empty() => Status::Final,
        Score::Of(points) if reaches_the_gate(points) && open.iter().all(|o| o.poam.is_allowed()) => Status::Conditional,
        Score::Of(_) | Score::IfSspAccepted(_) => Status::None,
    }
}

/// The last day for the closeout assessment; `None` only at the end of the calendar.
pub fn close_by(status_date: Date) -> Option<Date> {
    status_date.checked_add(CLOSEOUT)
}
