//! The row of the client list, and the page of one client.

use super::{Client, weight};
use crate::{
    app::App,
    gate::{Decision, Proposal},
    readiness::{
        catalogue::{PoamRule, Requirement, catalogue},
        objective::{self, Objective, readable},
        poam::Status,
        score::{Answer, OpenRequirement, Reading, Reckoning, Score, signed},
        suggest::Outcome,
    },
    tenancy::{StoreError, directory::Grant},
    web::pages::{Cell, ClientPage, ClientRow, Family, Fix, Frame, Tag, Tone, paths},
};

/// One row of the client list; `connections` is left empty.
pub async fn client_row(app: &App, grant: &Grant, name: &str, correlation: &str) -> Result<ClientRow, StoreError> {
    let client = Client::read(app, grant, correlation).await?;
    Ok(ClientRow {
        name: name.into(),
        href: paths::client(grant.tenant()),
        readings: client.readings(),
        met: client.met(),
        waiting: client.open.len(),
        newest_evidence: client.standing.newest_evidence,
        connections: Vec::new(),
    })
}

/// The page of one client; `connections` is left empty.
pub async fn client_page(app: &App, grant: &Grant, name: &str, correlation: &str, frame: Frame) -> Result<ClientPage, StoreError> {
    let client = Client::read(app, grant, correlation).await?;
    let signs: Vec<(&Requirement, _)> = catalogue().requirements.iter().map(|r| (r, client.requirement(r))).collect();
    let count = |wanted| signs.iter().filter(|(_, (sign, _))| *sign == wanted).count();
    let families = catalogue().families.iter().map(|family| Family {
        number: family.number.into(),
        name: family.name.into(),
        cells: signs
            .iter()
            .filter(|(requirement, _)| requirement.family == family.code)
            .map(|(requirement, (sign, why))| Cell {
                id: requirement.cmmc_id.into(),
                number: requirement.id.into(),
                title: requirement.title.into(),
                standing: *sign,
                weight: weight(requirement),
                why: why.clone(),
                href: paths::requirement(grant.tenant(), requirement.cmmc_id),
            })
            .collect(),
    });
    let today = client.standing.reckon(Reading::Today, client.now);
    Ok(ClientPage {
        frame,
        name: name.into(),
        readings: client.readings(),
        met: client.met(),
        not_met: count(crate::web::pages::Standing::NotMet),
        unread: count(crate::web::pages::Standing::Unread),
        waiting: client.open.len(),
        oldest_waiting: client.open.iter().map(|mark| mark.staged_at).min(),
        status: Some(status(&today)),
        newest_evidence: client.standing.newest_evidence,
        connections: Vec::new(),
        policy_href: paths::policy(grant.tenant()),
        people_href: None,
        sprs: None,
        families: families.collect(),
        fix_first: fix_first(&client, grant, &today).await?,
        inbox_href: paths::inbox(),
        audit_href: paths::client_audit(grant.tenant()),
    })
}

/// What status today's findings would give, in words.
fn status(today: &Reckoning) -> String {
    match (today.status, today.score) {
        (Status::Final, _) => "Every requirement is MET: Final status is possible.".into(),
        (Status::Conditional, _) => {
            "Conditional status is possible: what is open may be on a POA&M, to be closed within 180 days of the status date.".into()
        }
        (Status::None, Score::IfSspAccepted(_)) => {
            "No status is possible while a human has not found 3.12.4, the system security plan, MET.".into()
        }
        (Status::None, Score::Of(points)) => {
            let refused = today.poam_refused().count();
            let gate =
                if today.reaches_the_gate() { String::new() } else { format!("88 points are needed and {} are there. ", signed(points)) };
            let poam = match refused {
                0 => String::new(),
                1 => "One requirement that is not met may never be on a POA&M in this state.".into(),
                n => format!("{n} requirements that are not met may not be on a POA&M in this state."),
            };
            format!("Conditional status is not possible yet. {gate}{poam}").trim_end().into()
        }
    }
}

const FIXES: usize = 10;

/// What was read or decided and is not met: most points first, then what has the fewest objectives left.
async fn fix_first(client: &Client<'_>, grant: &Grant, today: &Reckoning) -> Result<Vec<Fix>, StoreError> {
    let mut candidates: Vec<(&OpenRequirement, &'static str, usize)> = today
        .open
        .iter()
        .filter_map(|open| Some((open, telling_objective(client, open.requirement)?, left(client, open.requirement))))
        .collect();
    candidates.sort_by_key(|(open, _, left)| (std::cmp::Reverse(open.points_lost), *left));
    let mut fixes = Vec::new();
    for (open, objective_id, _) in candidates.into_iter().take(FIXES) {
        let record = objective::read(&client.store, objective_id).await?.value;
        let is_rejected = client.standing.suggested(objective_id).is_some_and(|s| s.rejected);
        let rejection = if is_rejected { readable(client.rejection(&record).await)?.flatten() } else { None };
        let missing = missing(objective_id, &record, rejection.as_ref());
        let evidence = match record.suggestion.map(|s| (s.result, s.is_fresh(client.now))) {
            None => Tag::new(Tone::Unknown, "none"),
            Some((Outcome::Contradicted, _)) => Tag::new(Tone::Not, "contradicts"),
            Some((_, false)) => Tag::new(Tone::Unknown, "stale"),
            Some((Outcome::LikelyMet, true)) => Tag::new(Tone::Wait, "supported in part"),
            Some((Outcome::NotEnough, true)) => Tag::new(Tone::Wait, "not enough"),
        };
        fixes.push(Fix {
            id: open.requirement.cmmc_id.into(),
            href: paths::requirement(grant.tenant(), open.requirement.cmmc_id),
            title: open.requirement.title.into(),
            missing,
            points: open.points_lost.to_string(),
            poam: poam(open.requirement).into(),
            evidence,
        });
    }
    Ok(fixes)
}

/// What a human said stands before what a rule says.
fn missing(id: &str, record: &Objective, rejection: Option<&(Proposal, Decision)>) -> String {
    match (&record.finding, rejection, &record.suggestion) {
        (Some(finding), _, _) => match finding.said() {
            said if said.is_empty() => format!("{} found {id} {}.", finding.name, finding.found.words()),
            said => format!("{} found {id} {}: {said}", finding.name, finding.found.words()),
        },
        (None, Some((proposal, decision)), _) => {
            format!("{} rejected \u{201c}{}\u{201d}: {}", decision.name, proposal.draft.question, decision.comment)
        }
        (None, None, Some(suggestion)) => suggestion.reasons.first().map_or_else(String::new, |reason| format!("{id}: {reason}")),
        (None, None, None) => String::new(),
    }
}

/// The objective that says most about what is missing: found NOT MET, else rejected, else contradicted, else not enough.
fn telling_objective(client: &Client<'_>, requirement: &Requirement) -> Option<&'static str> {
    let rank = |id: &str| match (client.standing.found(id), client.standing.suggested(id).map(|s| (s.result, s.rejected))) {
        (Answer::NotMet | Answer::Partial, _) => Some(0),
        (Answer::Undecided, Some((_, true))) => Some(1),
        (Answer::Undecided, Some((Outcome::Contradicted, _))) => Some(2),
        (Answer::Undecided, Some((Outcome::NotEnough, _))) => Some(3),
        _ => None,
    };
    let ranked = catalogue().objectives_of(requirement.id).iter().filter_map(|o| Some((rank(o.id)?, o.id)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, id)| id)
}

fn left(client: &Client<'_>, requirement: &Requirement) -> usize {
    catalogue().objectives_of(requirement.id).iter().filter(|o| !client.standing.found(o.id).counts_as_met()).count()
}

fn poam(requirement: &Requirement) -> &'static str {
    match requirement.poam {
        PoamRule::Yes => "allowed",
        PoamRule::Conditional => "at 3 points only",
        PoamRule::Never => "not allowed",
    }
}
