//! The page of one requirement: each objective in words, what is suggested, what a human decided, and the evidence.

use super::{Client, weight};
use crate::{
    app::App,
    evidence::{Cards, EvidenceRef},
    gate::proposal::OpenMark,
    readiness::{
        catalogue::{Catalogue, Determination, PoamRule, Requirement, catalogue},
        map::{Grade, evidence_map},
        mark::ROLL_BACK,
        objective::{self, Finding, Found, Objective, readable},
        propose::MAX_REASON,
        score::{Answer, may_be_not_applicable},
        suggest::Outcome,
    },
    tenancy::{
        ClientPlace, Roster, StoreError, TenantId,
        directory::{Grant, Role},
    },
    web::pages::{
        Choice, EvidenceCard, FindingView, Frame, Link, ObjectiveView, ProposeForm, RejectionView, RequirementPage, Standing,
        SuggestionView, Tag, Tone, paths,
    },
};

/// Makes the anti-forgery token of a form, which is bound to these words: `["propose", tenant, requirement]`.
pub type FormToken<'a> = &'a (dyn Fn(&[&str]) -> String + Send + Sync);

/// The page of a requirement by its CMMC id (`CM.L2-3.4.1`); `None` when there is no such requirement.
pub async fn requirement_page(
    app: &App,
    grant: &Grant,
    roster: &Roster,
    requirement: &str,
    correlation: &str,
    frame: Frame,
    token: FormToken<'_>,
) -> Result<Option<RequirementPage>, StoreError> {
    let catalogue = catalogue();
    let Some(at) = catalogue.requirements.iter().position(|r| r.cmmc_id == requirement) else { return Ok(None) };
    let requirement = &catalogue.requirements[at];
    let client = Box::pin(Client::read(app, grant, correlation)).await?;
    let is_engineer = grant.has(Role::Engineer);
    let mut cards = Cards::of(&client.store, roster);
    let found = client.store.gather(ClientPlace::Assessment, vec![objective::wanted_of(requirement.id)]).await?;
    let mut objectives = Vec::new();
    for determination in catalogue.objectives_of(requirement.id) {
        let record = objective::among(&found, determination.id).await?.value;
        let roll_back = record.finding.as_ref().and_then(|finding| roll_back(&client, grant, determination, finding));
        let evidence = Box::pin(evidence_of(&mut cards, determination, &record)).await?;
        let mut shown = view(&client, grant.tenant(), determination, &record, evidence, roll_back);
        let rejection = readable(client.rejection(&record).await)?.flatten();
        shown.rejection = rejection.map(|(proposal, decision)| RejectionView {
            by: decision.name,
            at: decision.at,
            comment: decision.comment,
            proposal: Link::new(paths::proposal(grant.tenant(), proposal.id), proposal.draft.question),
        });
        objectives.push(shown);
    }
    let propose = is_engineer.then(|| {
        let choices = open_to_propose(&client, catalogue, requirement);
        let token = token(&["propose", &grant.tenant().to_string(), requirement.cmmc_id]);
        ProposeForm::new(paths::propose(grant.tenant(), requirement.cmmc_id), token, choices, answers(requirement), MAX_REASON)
    });
    let (standing, why) = client.requirement(requirement);
    let neighbor = |at: Option<usize>| {
        at.and_then(|at| catalogue.requirements.get(at)).map(|r| Link::new(paths::requirement(grant.tenant(), r.cmmc_id), r.cmmc_id))
    };
    Ok(Some(RequirementPage {
        frame,
        client: roster.client_name(grant.tenant()),
        client_href: paths::client(grant.tenant()),
        id: requirement.cmmc_id.into(),
        title: requirement.title.into(),
        statement: requirement.statement.into(),
        family: catalogue.families.iter().find(|f| f.code == requirement.family).map_or("", |f| f.name).into(),
        weight: match requirement.weight {
            Some(1) => "1 point".into(),
            Some(_) => format!("{} points", weight(requirement)),
            None => "no points: without it there is no score".into(),
        },
        poam: poam(requirement).into(),
        standing,
        why,
        objectives,
        propose,
        previous: neighbor(at.checked_sub(1)),
        next: neighbor(at.checked_add(1)),
    }))
}

fn view(
    client: &Client<'_>,
    tenant: TenantId,
    determination: &Determination,
    record: &Objective,
    evidence: Vec<EvidenceCard>,
    roll_back: Option<Link>,
) -> ObjectiveView {
    let standing = client.objective(determination.id);
    ObjectiveView {
        id: determination.cmmc_id(),
        letter: determination.letter().into(),
        text: sentence(determination.text),
        standing,
        suggestion: record.suggestion.as_ref().map(|suggestion| SuggestionView {
            result: match (suggestion.result, suggestion.is_fresh(client.now)) {
                (Outcome::Contradicted, _) => Tag::new(Tone::Not, "contradicted"),
                (_, false) => Tag::new(Tone::Unknown, "too old to count"),
                (Outcome::LikelyMet, true) => Tag::new(Tone::Wait, "supported in part"),
                (Outcome::NotEnough, true) => Tag::new(Tone::Unknown, "not enough evidence"),
            },
            by: "by rule".into(),
            at: suggestion.made_at,
            reasons: suggestion.reasons.clone(),
            limits: suggestion.limits.clone(),
        }),
        finding: record.finding.as_ref().map(|finding| FindingView {
            result: match standing {
                Standing::NotMet => Tag::new(Tone::Not, finding.found.words()),
                other => other.tag(),
            },
            by: finding.name.clone(),
            at: finding.decided_at,
            reason: finding.reason.clone(),
            comment: finding.comment.clone(),
            restored: finding.restored.as_ref().map(|restored| (restored.name.clone(), restored.at)),
            proposal: Some(Link::new(paths::proposal(tenant, finding.proposal), "The decision")),
            roll_back,
        }),
        rejection: None,
        open_proposal: client.waits(determination.id).map(|mark| Link::new(paths::proposal(tenant, mark.proposal), mark.question.clone())),
        evidence,
    }
}

/// Where it waits for an approver that a finding is taken back, or where an engineer can ask for it.
fn roll_back(client: &Client<'_>, grant: &Grant, determination: &Determination, finding: &Finding) -> Option<Link> {
    let asked = client.open.iter().find(|mark| mark.kind == ROLL_BACK && mark.subject == determination.id);
    if let Some(mark) = asked {
        return Some(Link::new(paths::proposal(grant.tenant(), mark.proposal), mark.question.clone()));
    }
    let form = format!("{}#take-back", paths::proposal(grant.tenant(), finding.proposal));
    grant.has(Role::Engineer).then(|| Link::new(form, "Ask to take it back"))
}

/// What Assay raised by itself can be contested; what a person asked for is decided first.
fn open_to_propose(client: &Client<'_>, catalogue: &Catalogue, requirement: &Requirement) -> Vec<Choice> {
    let open = catalogue.objectives_of(requirement.id).iter().filter(|o| !client.waits(o.id).is_some_and(OpenMark::is_by_hand));
    let today = |id: &str| match client.standing.found(id) {
        Answer::Undecided => String::new(),
        found => format!(" (today {})", found.words()),
    };
    open.map(|o| Choice { value: o.id.into(), label: format!("[{}] {}{}", o.letter(), o.text, today(o.id)) }).collect()
}

/// What a person may find of the objectives of a requirement (32 CFR 170.24(b)).
fn answers(requirement: &Requirement) -> Vec<Choice> {
    let objectives = || catalogue().objectives_of(requirement.id).iter();
    let words = |found: Found| match found {
        Found::Met => Some("MET: the document shows it".to_owned()),
        Found::NotMet => Some("NOT MET: something is missing".to_owned()),
        Found::NotApplicable => objectives()
            .all(|o| may_be_not_applicable(o.id))
            .then(|| "NOT APPLICABLE: nothing in scope that it could apply to; it counts as MET".to_owned()),
        Found::Partial => {
            objectives().find_map(|o| Some(format!("NOT MET with partial credit, for [{}]: {}", o.letter(), Found::partial_state(o.id)?)))
        }
    };
    let offered = [Found::Met, Found::NotMet, Found::Partial, Found::NotApplicable].into_iter();
    offered.filter_map(|found| Some(Choice { value: found.key().into(), label: words(found)? })).collect()
}

fn poam(requirement: &Requirement) -> &'static str {
    match requirement.poam {
        PoamRule::Yes => "may be on it",
        PoamRule::Conditional => "may be on it only while encryption is in use and just its FIPS validation is missing",
        PoamRule::Never => "may never be on it",
    }
}

/// What a finding rests on and what a suggestion cites, newest first, with how far each goes for this objective.
async fn evidence_of(
    cards: &mut Cards<'_, '_>,
    determination: &Determination,
    objective: &Objective,
) -> Result<Vec<EvidenceCard>, StoreError> {
    let of_finding = objective.finding.iter().flat_map(|f| &f.evidence);
    let mut references: Vec<EvidenceRef> = Vec::new();
    for reference in of_finding.chain(objective.suggestion.iter().flat_map(|s| &s.citations)) {
        if references.iter().all(|known| known.source_key != reference.source_key) {
            references.push(reference.clone());
        }
    }
    references.sort_by_key(|reference| std::cmp::Reverse(reference.collected_at));
    let mut shown = Vec::new();
    for (mut card, record) in cards.cards(&references).await? {
        let entry = record.and_then(|record| record.record_type).and_then(|record_type| evidence_map().entry(&record_type));
        if let Some((entry, (_, grade))) = entry.and_then(|e| Some((e, e.objectives().find(|(id, _)| *id == determination.id)?))) {
            card.grade = Some(grade_in_words(grade).into());
            card.limits = vec![entry.limits.into()];
        }
        shown.push(card);
    }
    Ok(shown)
}

fn grade_in_words(grade: Grade) -> &'static str {
    match grade {
        Grade::Partial => "Partial: shows the objective in part",
        Grade::Supporting => "Supporting: corroborates, more is needed",
        Grade::Weak => "Weak: never counts alone",
    }
}

fn sentence(text: &str) -> String {
    let mut words = text.to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words.push('.');
    words
}
