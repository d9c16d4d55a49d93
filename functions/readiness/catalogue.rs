//! The catalogue: 14 families, 110 requirements, 320 objectives, their weights and POA&M rules.
//!
//! Data, never memory (design I9): parsed once from the files in `catalogue/`, whose texts are our own paraphrase of NIST
//! SP 800-171 r2 and SP 800-171A. Totals are tested here; item by item it is compared with the rule's sources in `tests`.
//! No I/O: the files are part of the program.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

#[derive(Debug)]
pub struct Catalogue {
    pub families: Vec<Family>,
    /// In the order of their numbers.
    pub requirements: Vec<Requirement>,
    /// In the order of their requirements.
    pub objectives: Vec<Determination>,
    requirement_index: HashMap<&'static str, usize>,
    objective_index: HashMap<&'static str, usize>,
    /// Where a requirement's objectives stand in `objectives`.
    spans: HashMap<&'static str, std::ops::Range<usize>>,
}

/// The one catalogue of this release: NIST SP 800-171 revision 2, as 32 CFR part 170 assesses it.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::of_this_release);
    &CATALOGUE
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// `AC`.
    pub code: &'static str,
    /// `3.1`.
    pub number: &'static str,
    pub name: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// `3.1.1`.
    pub id: &'static str,
    /// `AC.L2-3.1.1`.
    pub cmmc_id: &'static str,
    /// The family's code.
    pub family: &'static str,
    /// Points lost when it is not met; none for 3.12.4, which decides whether there is a score at all
    /// (32 CFR 170.24(c)(2)(i)(B)).
    pub weight: Option<u8>,
    /// Points lost in the partial state: 3.5.3 and 3.13.11 only.
    pub partial: Option<u8>,
    pub poam: PoamRule,
    pub title: &'static str,
    pub statement: &'static str,
}

/// Whether a requirement may be on a plan of action and milestones (32 CFR 170.21(a)(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoamRule {
    Yes,
    /// Only in its partial state (3.13.11: encryption is employed, but not FIPS-validated).
    Conditional,
    Never,
}

/// One of the 320 assessment objectives: a determination statement of NIST SP 800-171A.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Determination {
    /// `3.1.1[a]`.
    pub id: &'static str,
    pub evidence: EvidenceClass,
    /// Among the 18 that an assessor considers looking at in person.
    pub on_site: bool,
    pub text: &'static str,
}

/// What an assessor usually wants to see for an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum EvidenceClass {
    Document,
    #[serde(rename = "Screen Share")]
    ScreenShare,
    Artifact,
    #[serde(rename = "Physical Review")]
    PhysicalReview,
    #[serde(rename = "Artifact and Screen Share")]
    ArtifactAndScreenShare,
}

impl EvidenceClass {
    pub fn words(self) -> &'static str {
        match self {
            Self::Document => "an approved document",
            Self::ScreenShare => "a look at the running system",
            Self::Artifact => "a record the system or a process left behind",
            Self::PhysicalReview => "a look in person",
            Self::ArtifactAndScreenShare => "a record and a look at the running system",
        }
    }
}

impl Determination {
    /// `3.1.1`.
    pub fn requirement(&self) -> &'static str {
        requirement_of(self.id)
    }

    /// `a`.
    pub fn letter(&self) -> &'static str {
        self.id.split_once('[').map_or("", |(_, letter)| letter.trim_end_matches(']'))
    }

    /// `AC.L2-3.1.1[a]`, as the field writes it.
    pub fn cmmc_id(&self) -> String {
        let requirement = catalogue().requirement(self.requirement()).map_or("", |r| r.cmmc_id);
        format!("{requirement}[{}]", self.letter())
    }
}

/// `3.1.1[a]` -> `3.1.1`.
pub fn requirement_of(objective: &str) -> &str {
    objective.split_once('[').map_or(objective, |(requirement, _)| requirement)
}

impl Catalogue {
    pub fn requirement(&self, id: &str) -> Option<&Requirement> {
        self.requirement_index.get(id).map(|&at| &self.requirements[at])
    }

    pub fn objective(&self, id: &str) -> Option<&Determination> {
        self.objective_index.get(id).map(|&at| &self.objectives[at])
    }

    /// The objectives of a requirement, in the order of their letters.
    pub fn objectives_of(&self, requirement: &str) -> &[Determination] {
        self.spans.get(requirement).map_or(&[], |span| &self.objectives[span.clone()])
    }

    pub fn requirements_of(&self, family: &str) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter().filter(move |r| r.family == family)
    }

    fn of_this_release() -> Self {
        let requirements: RequirementsFile = parse(include_str!("catalogue/requirements.json"));
        let objectives: ObjectivesFile = parse(include_str!("catalogue/objectives.json"));
        let mut spans: HashMap<&'static str, std::ops::Range<usize>> = HashMap::new();
        for (at, objective) in objectives.objectives.iter().enumerate() {
            spans.entry(objective.requirement()).or_insert(at..at).end = at + 1;
        }
        Self {
            requirement_index: requirements.requirements.iter().enumerate().map(|(at, r)| (r.id, at)).collect(),
            objective_index: objectives.objectives.iter().enumerate().map(|(at, o)| (o.id, at)).collect(),
            spans,
            families: requirements.families,
            requirements: requirements.requirements,
            objectives: objectives.objectives,
        }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct RequirementsFile {
    families: Vec<Family>,
    requirements: Vec<Requirement>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
struct ObjectivesFile {
    objectives: Vec<Determination>,
}

/// Parses a file that is part of the program; a test reads every one of them.
pub(super) fn parse<T: Deserialize<'static>>(text: &'static str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| unreachable!("a data file of this program is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count<T>(items: &[T], wanted: impl Fn(&T) -> bool) -> usize {
        items.iter().filter(|item| wanted(item)).count()
    }

    #[test]
    fn there_are_14_families_110_requirements_and_320_objectives() {
        let c = catalogue();
        assert_eq!((c.families.len(), c.requirements.len(), c.objectives.len()), (14, 110, 320));
        assert_eq!((c.requirement_index.len(), c.objective_index.len(), c.spans.len()), (110, 320, 110), "no id twice");
    }

    #[test]
    fn the_weights_are_44_fives_14_threes_51_ones_and_none_for_the_ssp() {
        let all = &catalogue().requirements;
        let of = |weight| count(all, |r| r.weight == weight);
        assert_eq!((of(Some(5)), of(Some(3)), of(Some(1)), of(None)), (44, 14, 51, 1));
        assert_eq!(all.iter().filter_map(|r| r.weight).map(u32::from).sum::<u32>(), 313);
        assert_eq!(catalogue().requirement("3.12.4").expect("the SSP").weight, None);
        assert_eq!(
            all.iter().filter(|r| r.partial.is_some()).map(|r| (r.id, r.partial)).collect::<Vec<_>>(),
            [("3.5.3", Some(3)), ("3.13.11", Some(3))]
        );
    }

    #[test]
    fn a_poam_takes_46_requirements_one_on_a_condition_and_63_never() {
        let of = |rule| count(&catalogue().requirements, |r| r.poam == rule);
        assert_eq!((of(PoamRule::Yes), of(PoamRule::Conditional), of(PoamRule::Never)), (46, 1, 63));
    }

    #[test]
    fn the_evidence_classes_are_126_93_82_18_and_1_and_18_objectives_are_looked_at_on_site() {
        let all = &catalogue().objectives;
        let of = |class| count(all, |o| o.evidence == class);
        assert_eq!(
            (of(EvidenceClass::Document), of(EvidenceClass::ScreenShare), of(EvidenceClass::Artifact), of(EvidenceClass::PhysicalReview)),
            (126, 93, 82, 18)
        );
        assert_eq!(of(EvidenceClass::ArtifactAndScreenShare), 1);
        assert_eq!(count(all, |o| o.on_site), 18);
    }

    #[test]
    fn every_objective_belongs_to_a_requirement_and_every_requirement_to_a_family() {
        let c = catalogue();
        assert!(c.objectives.iter().all(|o| c.requirement(o.requirement()).is_some()));
        assert!(c.requirements.iter().all(|r| c.families.iter().any(|f| f.code == r.family && r.id.starts_with(f.number))));
        assert_eq!(c.requirements.iter().map(|r| c.objectives_of(r.id).len()).sum::<usize>(), 320);
        assert_eq!(c.objective("3.4.1[d]").expect("there").cmmc_id(), "CM.L2-3.4.1[d]");
    }
}
