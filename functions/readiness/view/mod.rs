//! What pages show of readiness: the client list's row, a client, a requirement. Reads only (design I10).
//!
//! A client is one small record here (`Standing`) plus the open proposals, so a page does not grow with the evidence.
//! What other areas know (health of connections) is left empty for `triggers/portal` to fill.

mod client;
mod proposal;
mod requirement;

pub use client::{client_page, client_row};
pub use proposal::{OwnProposal, own_proposal, wanted};
pub use requirement::{FormToken, requirement_page};

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    catalogue::{Requirement, catalogue},
    mark::MARK,
    objective::{self, Found, Objective},
    score::{Answer, Reading, Score, requirement_answer},
    standing::{self, Standing},
    suggest::Outcome,
};
use crate::{
    app::App,
    gate::{Decision, Proposal, State, inbox, proposal::OpenMark},
    tenancy::{ClientPlace, Scope, Store, StoreError, directory::Grant},
    web::pages::{Readings, Standing as Sign},
};

/// What every page about a client reads.
struct Client<'a> {
    store: Store<'a, ClientPlace>,
    standing: Standing,
    open: Arc<Vec<OpenMark>>,
    now: OffsetDateTime,
}

impl<'a> Client<'a> {
    async fn read(app: &'a App, grant: &Grant, correlation: &str) -> Result<Self, StoreError> {
        let store = Scope::of_person(grant, correlation).store(app).await?;
        let standing = standing::read(&store).await?.value;
        let mut client = Self { store, standing, open: inbox::open(app, grant, correlation).await?, now: app.now() };
        client.leave_out_rejected().await?;
        Ok(client)
    }

    /// A suggestion that an approver rejected is likely no more. The gate's records say which; few are asked for, because
    /// nearly everything that is likely waits or is decided.
    async fn leave_out_rejected(&mut self) -> Result<(), StoreError> {
        for determination in &catalogue().objectives {
            let id = determination.id;
            let known = self.standing.known(id, self.now);
            if !known.likely_met || known.found != Answer::Undecided || self.waits(id).is_some() {
                continue;
            }
            match self.is_rejected(id).await {
                Ok(false) => {}
                Ok(true) => self.standing.reject(id),
                // Nobody knows what was answered, and what is unknown does not count (design I8).
                Err(error) if error.concerns_one_record() => self.standing.forget(id),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether an approver said no to marking it MET as the rule asked, not as a person did, who may have shown something
    /// else. Had the suggestion changed since, it would have been asked anew.
    async fn is_rejected(&self, objective: &str) -> Result<bool, StoreError> {
        let record = objective::read(&self.store, objective).await?.value;
        match &record.last_proposal {
            Some(last) if last.by_hand => Ok(last.rule_rejected),
            Some(last) if last.found == Found::Met => Ok(self.rejection(&record).await?.is_some()),
            _ => Ok(false),
        }
    }

    /// The last proposal about an objective and who rejected it, if somebody did.
    async fn rejection(&self, record: &Objective) -> Result<Option<(Proposal, Decision)>, StoreError> {
        let last = objective::last_proposal(&self.store, record).await?.map(|held| held.value);
        let last = last.filter(|proposal| matches!(proposal.state, State::Rejected { .. }));
        Ok(last.and_then(|proposal| proposal.rejection().cloned().map(|no| (proposal, no))))
    }

    fn readings(&self) -> Readings {
        let [today, likely, best] = Reading::ALL.map(|reading| self.standing.reckon(reading, self.now).score);
        Readings {
            today: today.points(),
            likely: likely.points(),
            best: best.points(),
            ssp_accepted: matches!(today, Score::Of(_)),
            complete: catalogue().objectives.iter().all(|o| self.standing.found(o.id) != Answer::Undecided),
        }
    }

    fn answer(&self, requirement: &Requirement) -> Answer {
        requirement_answer(catalogue(), requirement.id, |id| self.standing.found(id))
    }

    fn met(&self) -> usize {
        catalogue().requirements.iter().filter(|r| self.answer(r).counts_as_met()).count()
    }

    /// The open proposal to mark an objective.
    fn waits(&self, objective: &str) -> Option<&OpenMark> {
        self.open.iter().find(|mark| mark.kind == MARK && mark.subject == objective)
    }

    /// Where a requirement stands, and why.
    fn requirement(&self, requirement: &Requirement) -> (Sign, String) {
        let tally = self.tally(requirement);
        let all = tally.objectives;
        match self.answer(requirement) {
            Answer::Met => (Sign::Met, format!("{} decided", of(all, all))),
            Answer::NotApplicable => (Sign::NotApplicable, "Decided as not applicable, which counts as MET".into()),
            Answer::Partial => (Sign::NotMet, format!("{}: partial credit, three points lost", tally.failed.join(", "))),
            Answer::NotMet => (Sign::NotMet, format!("{} NOT MET", tally.failed.join(", "))),
            Answer::Undecided => {
                let sign = match (tally.waiting, tally.decided, tally.read) {
                    (1.., _, _) => Sign::Waiting,
                    (_, 1.., _) => Sign::Partly,
                    (_, _, 1..) => Sign::Suggested,
                    _ => Sign::Unread,
                };
                (sign, tally.words())
            }
        }
    }

    fn objective(&self, id: &str) -> Sign {
        match self.standing.found(id) {
            Answer::Met => Sign::Met,
            Answer::NotApplicable => Sign::NotApplicable,
            Answer::NotMet | Answer::Partial => Sign::NotMet,
            Answer::Undecided if self.waits(id).is_some() => Sign::Waiting,
            Answer::Undecided if self.standing.suggested(id).is_some() => Sign::Suggested,
            Answer::Undecided => Sign::Unread,
        }
    }

    fn tally(&self, requirement: &Requirement) -> Tally {
        let mut tally = Tally::default();
        for objective in catalogue().objectives_of(requirement.id) {
            tally.objectives += 1;
            let found = self.standing.found(objective.id);
            let suggested = self.standing.suggested(objective.id);
            tally.decided += usize::from(found != Answer::Undecided);
            tally.waiting += usize::from(self.waits(objective.id).is_some());
            tally.read += usize::from(suggested.is_some());
            if matches!(found, Answer::NotMet | Answer::Partial) {
                tally.failed.push(format!("[{}]", objective.letter()));
            }
            if found == Answer::Undecided {
                tally.likely += usize::from(self.standing.known(objective.id, self.now).likely_met);
                tally.rejected += usize::from(suggested.is_some_and(|s| s.rejected));
                tally.contradicted += usize::from(suggested.is_some_and(|s| s.result == Outcome::Contradicted));
            }
        }
        tally
    }
}

#[derive(Default)]
struct Tally {
    objectives: usize,
    decided: usize,
    waiting: usize,
    read: usize,
    likely: usize,
    rejected: usize,
    contradicted: usize,
    /// Letters of those found NOT MET.
    failed: Vec<String>,
}

impl Tally {
    fn words(&self) -> String {
        let mut parts = vec![format!("{} decided", of(self.decided, self.objectives))];
        let counted = [
            (self.waiting, "waiting for an approver"),
            (self.contradicted, "contradicted by what was observed"),
            (self.likely, "supported in part, as suggested"),
            (self.rejected, "suggested, and rejected by an approver"),
        ];
        parts.extend(counted.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        if self.decided == 0 && self.read == 0 {
            parts.push("nothing read yet".into());
        }
        parts.join("; ")
    }
}

fn of(some: usize, all: usize) -> String {
    if all == 1 { format!("{some} of 1 objective") } else { format!("{some} of {all} objectives") }
}

/// `5`, `3 or 5`, `none`.
fn weight(requirement: &Requirement) -> String {
    match (requirement.partial, requirement.weight) {
        (Some(partial), Some(weight)) => format!("{partial} or {weight}"),
        (None, Some(weight)) => weight.to_string(),
        (_, None) => "none".into(),
    }
}
