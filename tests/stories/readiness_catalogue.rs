//! The catalogue, item by item, against the sources of the rules, where they lie beside the repository.

use std::collections::{HashMap, HashSet};

use assay::readiness::catalogue::{EvidenceClass, PoamRule, catalogue};
use serde_json::Value;

use crate::support::shared;

fn items(file: &str, list: &str) -> Option<Vec<Value>> {
    let path = shared::dir("ASSAY_CMMC", "cmmc")?.join(file);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    Some(json[list].as_array().unwrap().clone())
}

#[test]
fn every_requirement_has_the_ids_weight_poam_rule_and_family_of_the_source() {
    let Some(sources) = items("requirements.json", "requirements") else { return };
    let ours = catalogue();
    assert_eq!(sources.len(), ours.requirements.len());
    for (source, our) in sources.iter().zip(&ours.requirements) {
        assert_eq!(source["id"], our.id);
        assert_eq!(source["cmmc_id"], our.cmmc_id);
        assert_eq!(source["family"], our.family, "{}", our.id);
        assert_eq!(source["weight"].as_u64(), our.weight.map(u64::from), "{}", our.id);
        assert_eq!(source["partial"]["weight"].as_u64(), our.partial.map(u64::from), "{}", our.id);
        let poam = match our.poam {
            PoamRule::Yes => "yes",
            PoamRule::Conditional => "conditional",
            PoamRule::Never => "never",
        };
        assert_eq!(source["poam"]["allowed"], poam, "{}", our.id);
        assert_eq!(source["objectives"].as_u64().unwrap(), ours.objectives_of(our.id).len() as u64, "{}", our.id);
        let family = ours.families.iter().find(|f| f.code == our.family).unwrap();
        assert_eq!(source["family_name"].as_str().unwrap().replace('&', "and"), family.name);
    }
}

#[test]
fn every_objective_has_the_id_evidence_class_and_on_site_flag_of_the_source() {
    let Some(sources) = items("objectives.json", "objectives") else { return };
    let ours = catalogue();
    assert_eq!(sources.len(), ours.objectives.len());
    for (source, our) in sources.iter().zip(&ours.objectives) {
        assert_eq!(source["id"], our.id);
        assert_eq!(source["cmmc_id"], our.cmmc_id());
        assert_eq!(source["requirement"], our.requirement());
        let class = match our.evidence {
            EvidenceClass::Document => "Document",
            EvidenceClass::ScreenShare => "Screen Share",
            EvidenceClass::Artifact => "Artifact",
            EvidenceClass::PhysicalReview => "Physical Review",
            EvidenceClass::ArtifactAndScreenShare => "Artifact and Screen Share",
        };
        assert_eq!(source["evidence_standard"], class, "{}", our.id);
        assert_eq!(source["onsite_candidate"].as_bool().unwrap_or(false), our.on_site, "{}", our.id);
    }
}

#[test]
fn no_text_of_ours_shares_a_run_of_six_words_with_the_source() {
    let (Some(requirements), Some(objectives)) = (items("requirements.json", "requirements"), items("objectives.json", "objectives"))
    else {
        return;
    };
    let source_texts = requirements.iter().map(|r| &r["statement"]).chain(objectives.iter().map(|o| &o["text"]));
    let runs: HashSet<Vec<String>> = source_texts.flat_map(|text| runs_of_six(text.as_str().unwrap())).collect();
    let titles: HashMap<&str, &Value> = requirements.iter().map(|r| (r["id"].as_str().unwrap(), &r["title"])).collect();
    let ours = catalogue();
    for requirement in &ours.requirements {
        assert_ne!(titles[requirement.id].as_str().unwrap(), requirement.title);
    }
    let texts = ours.requirements.iter().map(|r| (r.id, r.statement)).chain(ours.objectives.iter().map(|o| (o.id, o.text)));
    let copied: Vec<_> = texts.filter(|(_, text)| runs_of_six(text).any(|run| runs.contains(&run))).collect();
    assert!(copied.is_empty(), "{copied:#?}");
}

fn runs_of_six(text: &str) -> impl Iterator<Item = Vec<String>> {
    let words: Vec<String> =
        text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect();
    words.windows(6).map(<[String]>::to_vec).collect::<Vec<_>>().into_iter()
}
