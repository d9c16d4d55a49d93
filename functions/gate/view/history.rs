//! What became of a proposal until now, line by line.

use crate::{
    gate::{
        delivery::{Channel, EVERYBODY, Outcome, Posted},
        event::Verdict,
        inbox::asked_by,
        notify::{Mailed, Notified},
        proposal::Proposal,
        state::{Cause, Decision, State},
    },
    tenancy::Roster,
    web::pages::TimelineEntry,
};

pub(super) fn history(proposal: &Proposal, roster: &Roster, notified: &[Notified]) -> Vec<TimelineEntry> {
    let entry = |at, actor: &str, text: String, note: Option<String>| TimelineEntry {
        at,
        actor: actor.into(),
        text,
        href: None,
        note: note.filter(|note| !note.is_empty()),
        proof: None,
        proof_href: None,
    };
    let mut history = vec![entry(proposal.staged_at, &asked_by(roster, &proposal.requester), "asked".into(), None)];
    for one in notified {
        let verb = one.occasion.verb();
        let cards = one.links.iter().any(|row| row.approver == EVERYBODY);
        for posted in &one.posted {
            history.push(entry(posted.at, "Assay", posted_words(posted, roster), None));
        }
        let whom = match one.mailed.is_empty() {
            // What came of it has a line of its own.
            true if cards => continue,
            true => "nobody: there is no approver who can be mailed".into(),
            false => names(&one.mailed),
        };
        let unreachable = (!one.unreachable.is_empty()).then(|| format!("No usable address: {}.", names(&one.unreachable)));
        history.push(entry(one.at, "Assay", format!("{verb} {whom}"), unreachable));
    }
    for decision in &proposal.decisions {
        let said = match decision.verdict {
            Verdict::Approve if decision.broke_glass => "approved it alone, in an emergency",
            Verdict::Approve => "approved it",
            Verdict::Reject => "rejected it",
            Verdict::Done => "did it and recorded that here",
            Verdict::Uphold => "reviewed it: it stands",
            Verdict::Override => "ordered it to be undone",
            Verdict::Escalate => "asked others to review it",
        };
        history.push(entry(decision.at, &decision.names(), said.into(), Some(decision.comment.clone())));
    }
    match &proposal.state {
        State::Open | State::Cleared { .. } | State::Approved { .. } | State::Rejected { .. } | State::Recorded { .. } => {}
        State::Expired { at, .. } => history.push(entry(*at, "Assay", "let it expire".into(), None)),
        State::Withdrawn { at } => history.push(entry(*at, &asked_by(roster, &proposal.requester), "took it back".into(), None)),
        State::Superseded { at, cause, .. } => {
            let (actor, text) = match cause {
                Cause::NewEvidence => ("Assay", "withdrew it: new evidence changed the picture"),
                Cause::EvidenceTooOld => ("Assay", "withdrew it: its evidence became too old to count"),
                Cause::ScoreChanged => ("Assay", "withdrew it: the score is another one by now"),
                Cause::AskedByHand => ("A colleague", "asked about the same by hand, and that took its place"),
            };
            history.push(entry(*at, actor, text.into(), None));
        }
        State::Executing { since } => history.push(entry(*since, "Assay", "began to carry it out".into(), None)),
        State::Executed { at, .. } | State::Undoing { ran_at: at, .. } => history.push(entry(*at, "Assay", "carried it out".into(), None)),
        State::RolledBack { at, ran_at, .. } => {
            history.push(entry(*ran_at, "Assay", "carried it out".into(), None));
            history.push(entry(*at, "Assay", "took it back, as was decided".into(), None));
        }
        State::NotUndone { at, ran_at, why } => {
            history.push(entry(*ran_at, "Assay", "carried it out".into(), None));
            history.push(entry(*at, "Assay", "could not undo it".into(), Some(why.clone())));
        }
        State::Failed { at, why } => history.push(entry(*at, "Assay", "could not carry it out".into(), Some(why.clone()))),
        State::Refused { at, why, .. } => history.push(entry(*at, "Assay", "did not carry it out".into(), Some(why.clone()))),
    }
    history.sort_by_key(|entry| entry.at);
    history
}

fn posted_words(posted: &Posted, roster: &Roster) -> String {
    let to = match posted.channel {
        Channel::Teams => "the Teams channel".to_owned(),
        Channel::Mail => roster.person_name(posted.to),
    };
    match &posted.outcome {
        Outcome::Accepted if posted.together > 1 => format!("told {to}, together with {} others", posted.together - 1),
        Outcome::Accepted => format!("told {to}"),
        Outcome::Refused { why } => format!("could not tell {to}: {why}"),
        Outcome::SignedIn => format!("did not mail {to}, who had looked at it"),
        Outcome::TooLate => format!("could not tell {to}: its time was over by then"),
    }
}

/// `Priya Nair, Sam Okafor and Dana Whitfield`.
fn names(people: &[Mailed]) -> String {
    listed(&people.iter().map(|one| one.name.clone()).collect::<Vec<_>>())
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

pub(super) fn names_of<'d>(decisions: impl Iterator<Item = &'d Decision>) -> String {
    let names: Vec<String> = decisions.map(Decision::names).collect();
    listed(&names)
}
