//! The score by 32 CFR 170.24, in three readings until every objective is decided.
//!
//! Pure: answers in, a reckoning out. An objective's answer comes from a human's finding or, in two readings, from what
//! is assumed in its place; a requirement's answer follows from its objectives. There is no score while the SSP
//! (3.12.4) is undecided or NOT MET: then the points are only what they would be if the SSP were accepted (design I8).

use serde::{Deserialize, Serialize};

use super::{
    catalogue::{Catalogue, Requirement, catalogue, requirement_of},
    poam::{self, Eligibility, Status},
};

/// Where the count starts, and the lowest it can fall: 110 - 313 (32 CFR 170.24(c)(2)).
pub const HIGHEST: i32 = 110;
pub const LOWEST: i32 = -203;

/// The requirement without which an assessment cannot be completed: the system security plan.
pub const SSP: &str = "3.12.4";

/// What stands for an objective or a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Met,
    /// Counts as MET (32 CFR 170.24(b)).
    NotApplicable,
    /// NOT MET, in the state for which 3.5.3 and 3.13.11 lose three points and not five.
    Partial,
    NotMet,
    Undecided,
}

impl Answer {
    pub fn counts_as_met(self) -> bool {
        matches!(self, Self::Met | Self::NotApplicable)
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Met => "MET",
            Self::NotApplicable => "NOT APPLICABLE",
            Self::Partial => "NOT MET (partial credit)",
            Self::NotMet => "NOT MET",
            Self::Undecided => "undecided",
        }
    }
}

/// What is known of one objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// What a named human decided; [`Answer::Undecided`] when nobody did.
    pub found: Answer,
    /// Whether an open, fresh suggestion says that it is likely met.
    pub likely_met: bool,
}

impl Known {
    pub const NOTHING: Self = Self { found: Answer::Undecided, likely_met: false };

    /// The objective's answer in this reading; never undecided.
    pub fn read_as(self, reading: Reading) -> Answer {
        match (self.found, reading) {
            (Answer::Undecided, Reading::Today) => Answer::NotMet,
            (Answer::Undecided, Reading::Likely) if !self.likely_met => Answer::NotMet,
            (Answer::Undecided, Reading::Likely | Reading::Best) => Answer::Met,
            (decided, _) => decided,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What a human decided; all else NOT MET.
    Today,
    /// Open suggestions as suggested; all else NOT MET.
    Likely,
    /// All undecided MET.
    Best,
}

impl Reading {
    pub const ALL: [Self; 3] = [Self::Today, Self::Likely, Self::Best];

    pub fn word(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Likely => "likely",
            Self::Best => "best",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    Of(i32),
    /// No score: the SSP is undecided or NOT MET. The points are the arithmetic without it.
    IfSspAccepted(i32),
}

impl Score {
    pub fn points(self) -> i32 {
        match self {
            Self::Of(points) | Self::IfSspAccepted(points) => points,
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::Of(points) => signed(points),
            Self::IfSspAccepted(points) => format!("{} if the SSP is accepted", signed(points)),
        }
    }
}

/// With a true minus sign.
pub fn signed(points: i32) -> String {
    if points < 0 { format!("\u{2212}{}", points.unsigned_abs()) } else { points.to_string() }
}

/// All that follows from the answers of one reading.
#[derive(Clone, Debug)]
pub struct Reckoning {
    pub score: Score,
    /// NOT MET requirements, partial ones included, with what they cost and whether a POA&M may hold them.
    pub open: Vec<OpenRequirement>,
    pub status: Status,
}

#[derive(Clone, Copy, Debug)]
pub struct OpenRequirement {
    pub requirement: &'static Requirement,
    pub answer: Answer,
    /// 0 for the SSP alone.
    pub points_lost: u8,
    pub poam: Eligibility,
}

impl Reckoning {
    /// Whether the score opens the way to Conditional status: 0.8 of 110, so 88 points (32 CFR 170.21(a)(2)(i)).
    pub fn reaches_the_gate(&self) -> bool {
        matches!(self.score, Score::Of(points) if poam::reaches_the_gate(points))
    }

    pub fn poam_allowed(&self) -> impl Iterator<Item = &OpenRequirement> {
        self.open.iter().filter(|o| o.poam.is_allowed())
    }

    pub fn poam_refused(&self) -> impl Iterator<Item = &OpenRequirement> {
        self.open.iter().filter(|o| !o.poam.is_allowed())
    }
}

/// The reckoning of one reading; `known` answers for every objective id.
pub fn reckon(reading: Reading, known: impl Fn(&str) -> Known) -> Reckoning {
    let catalogue = catalogue();
    let read_as = |id: &str| match known(id).read_as(reading) {
        Answer::NotApplicable if !may_be_not_applicable(id) => Answer::NotMet,
        answer => answer,
    };
    let open: Vec<OpenRequirement> = catalogue
        .requirements
        .iter()
        .map(|requirement| (requirement, requirement_answer(catalogue, requirement.id, read_as)))
        .filter(|(_, answer)| !answer.counts_as_met())
        .map(|(requirement, answer)| OpenRequirement {
            requirement,
            answer,
            points_lost: points_lost(requirement, answer),
            poam: poam::eligibility(requirement, answer),
        })
        .collect();
    let points = HIGHEST - open.iter().map(|o| i32::from(o.points_lost)).sum::<i32>();
    // An assumed SSP is no SSP, and none that is declared not applicable either: only MET opens the score.
    let ssp_is_met = catalogue.objectives_of(SSP).iter().all(|objective| known(objective.id).found == Answer::Met);
    let score = if ssp_is_met { Score::Of(points) } else { Score::IfSspAccepted(points) };
    let status = poam::status(score, &open);
    Reckoning { score, open, status }
}

/// Whether N/A is an answer to this objective. Everybody who is assessed needs a system security plan: without one the
/// assessment cannot be completed, so N/A on 3.12.4 is none (32 CFR 170.24).
pub fn may_be_not_applicable(objective: &str) -> bool {
    requirement_of(objective) != SSP
}

/// One NOT MET objective fails the requirement; N/A counts as MET (32 CFR 170.24(b)). A requirement is partial when all
/// that is not met of it is in the partial state.
pub fn requirement_answer(catalogue: &Catalogue, requirement: &str, answer: impl Fn(&str) -> Answer) -> Answer {
    let has_partial = catalogue.requirement(requirement).is_some_and(|r| r.partial.is_some());
    let mut all_not_applicable = true;
    let mut result = Answer::Met;
    for objective in catalogue.objectives_of(requirement) {
        let this = match answer(objective.id) {
            Answer::Partial if !has_partial => Answer::NotMet,
            other => other,
        };
        all_not_applicable &= this == Answer::NotApplicable;
        result = match (result, this) {
            (Answer::NotMet, _) | (_, Answer::NotMet) => Answer::NotMet,
            (Answer::Undecided, _) | (_, Answer::Undecided) => Answer::Undecided,
            (Answer::Partial, _) | (_, Answer::Partial) => Answer::Partial,
            _ => Answer::Met,
        };
    }
    if all_not_applicable { Answer::NotApplicable } else { result }
}

/// 32 CFR 170.24(c)(2)(i)(B): the weight, or the three points of the partial state.
fn points_lost(requirement: &Requirement, answer: Answer) -> u8 {
    match answer {
        Answer::Met | Answer::NotApplicable => 0,
        Answer::Partial => requirement.partial.or(requirement.weight).unwrap_or(0),
        Answer::NotMet | Answer::Undecided => requirement.weight.unwrap_or(0),
    }
}
