//! What must hold across every change of a proposal, from the world's own record of what people said and when: the
//! sentences that the model and the random walks check. It trusts nothing that the proposal says of itself.

use std::collections::BTreeSet;

use assay::gate::{Level, Proposal, State, Verdict, policy::has_great_effect};

use super::world::{EVE, FOR_MARCO, MARCO, PRIYA, SAM, SAM_AGAIN, Said, Says, Step, UNDO_DAYS, World, ZOE};

/// What must hold across every change; see [`World::judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Must {
    HaveItsQuorum,
    NotBeSilence,
    NotRunADeed,
    EndOnce,
    KeepItsClocks,
    RunOnce,
    RunWhatWasStaged,
    BeCleared,
    BeUndoneInTime,
    OnlyRise,
    BeSeen,
    BeOthers,
}

impl Must {
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::HaveItsQuorum => "nothing runs at L2 without a quorum of valid approvals of that version by people who may",
            Self::NotBeSilence => "silence approves nothing and records no deed",
            Self::NotRunADeed => "what only a person does is never carried out",
            Self::EndOnce => "after an end nothing is approved, carried out or ended again: what ran is taken back, undone or looked at",
            Self::KeepItsClocks => "nothing is decided, carried out or undone after its clock ran out, and nothing expires before",
            Self::RunOnce => "one version runs once at most",
            Self::RunWhatWasStaged => "what runs is what was staged",
            Self::BeCleared => "what runs without an approval was cleared by its level",
            Self::BeUndoneInTime => "one person undoes what ran at L1, within its window, and nothing else",
            Self::OnlyRise => "versions only rise, and only where approvals begin anew",
            Self::BeSeen => "an answer is to the version and hash that stand, by somebody who may answer",
            Self::BeOthers => "nobody answers what they asked for or filed or stood in for, nor reviews what they approved or escalated",
        }
    }
}

impl World {
    /// What must hold across a change, from the world's own record of what was said and when.
    pub(super) fn judge(&mut self, before: &Proposal, after: &Proposal, step: Step) {
        if let Some((must, why)) = self.fault(before, after, step) {
            let how = format!("{why}: {:?} became {:?} by {step:?} on day {}", before.state, after.state, self.day);
            self.broken = Some((must, how));
        }
    }

    fn fault(&self, before: &Proposal, after: &Proposal, step: Step) -> Option<(Must, &'static str)> {
        let level = before.level();
        let may_rise = matches!(step, Step::Revise | Step::Recall) && after.version == before.version + 1 && after.decisions.is_empty();
        if after.version != before.version && !may_rise {
            return Some((Must::OnlyRise, "another version"));
        }
        // G2: one end, except that what ran can be taken back, or undone, or reviewed.
        let looks = matches!(step, Step::Decide(says) if matches!(says.verdict, Verdict::Uphold | Verdict::Escalate));
        let goes_on = match (&before.state, &after.state) {
            (State::Executed { .. } | State::NotUndone { .. } | State::Recorded { .. }, State::RolledBack { by: Some(_), .. })
            | (State::Executed { .. }, State::Undoing { .. }) => true,
            // A look at what ran by its level, or at what was approved alone, whatever became of it, moves nothing.
            (is, stays) => looks && is == stays && (before.review_by.is_some() || level == Level::L1),
        };
        if before.state.is_final() && !goes_on {
            return Some((Must::EndOnce, "two ends"));
        }
        let answered = if let Step::Decide(says) = step { self.answer_fault(before, says) } else { None };
        answered.or_else(|| self.clock_fault(before, after, step)).or_else(|| self.run_fault(before, after, step))
    }

    /// Who answered to what.
    fn answer_fault(&self, before: &Proposal, says: Says) -> Option<(Must, &'static str)> {
        if !says.may || !says.this_version || !says.this_hash {
            return Some((Must::BeSeen, "answered to something else, or by somebody who may not"));
        }
        let seat = says.stands_for.unwrap_or(says.who);
        if says.verdict != Verdict::Done && [says.who, seat].iter().any(|n| [MARCO, EVE].contains(n)) {
            return Some((Must::BeOthers, "answered what is their own"));
        }
        if says.verdict == Verdict::Approve && [says.who, seat].iter().any(|n| self.stood_in_for_marco(*n)) {
            return Some((Must::BeOthers, "approved what is asked by whom they stand in for, or did since it was asked"));
        }
        let is_own = |said: &Said| {
            matches!(said.says.verdict, Verdict::Approve | Verdict::Escalate)
                && said.version == before.version
                && human(said.says.who) == human(says.who)
        };
        let after_the_fact = matches!(says.verdict, Verdict::Uphold | Verdict::Override | Verdict::Escalate);
        (after_the_fact && self.said.iter().any(is_own)).then_some((Must::BeOthers, "reviewed what they approved"))
    }

    /// Whether they stand in for who asked, or did at any time since that was asked, on day 0. That it ended helps nobody.
    fn stood_in_for_marco(&self, n: u8) -> bool {
        n == PRIYA && self.day >= FOR_MARCO.0
    }

    /// All clocks, counted in days by the world itself.
    fn clock_fault(&self, before: &Proposal, after: &Proposal, step: Step) -> Option<(Must, &'static str)> {
        let fault = |late: bool, why| late.then_some((Must::KeepItsClocks, why));
        let day_of =
            |verdict| self.said.iter().filter(|said| said.version == before.version && said.says.verdict == verdict).map(|s| s.day).max();
        let run_by = match before.level() {
            Level::L0 | Level::L1 => Some(self.days.run),
            _ => day_of(Verdict::Approve).map(|day| day + self.days.run),
        };
        let undo_by = day_of(Verdict::Override).map(|day| day + self.days.run);
        match (&before.state, step) {
            (State::Open, Step::Decide(_)) => fault(self.day >= self.decide_by, "decided too late"),
            (State::Open, Step::Expire) => fault(self.day < self.decide_by, "expired too early"),
            (State::Undoing { .. }, Step::Expire) => {
                let ends = matches!(after.state, State::NotUndone { .. }) && after.review_by.is_some();
                fault(undo_by.is_none_or(|by| self.day < by) || !ends, "given up too early, or in silence")
            }
            (State::Undoing { .. }, Step::Undo(_)) => fault(undo_by.is_none_or(|by| self.day >= by), "undone too late"),
            (_, Step::Expire) if !self.forged => fault(run_by.is_none_or(|by| self.day < by), "expired too early"),
            (State::Cleared { .. }, Step::Execute(_) | Step::Begin(_)) => fault(run_by.is_some_and(|by| self.day >= by), "ran too late"),
            _ => None,
        }
    }

    fn run_fault(&self, before: &Proposal, after: &Proposal, step: Step) -> Option<(Must, &'static str)> {
        let level = before.level();
        match (&after.state, step) {
            (State::Executed { .. }, Step::Execute(_)) | (State::Executing { .. }, Step::Begin(_)) => {
                if level == Level::L3 {
                    return Some((Must::NotRunADeed, "L3 ran"));
                }
                // That what an insider wrote back does not run again is no matter of the machine: `Ran` and the log stop it.
                if !self.forged && self.ran.iter().any(|(version, _)| *version == before.version) {
                    return Some((Must::RunOnce, "ran again"));
                }
                if self.tampered {
                    return Some((Must::RunWhatWasStaged, "other bytes ran"));
                }
                if level < Level::L2 {
                    let is_cleared = matches!(before.state, State::Cleared { .. });
                    return (!is_cleared).then_some((Must::BeCleared, "ran without being cleared"));
                }
                self.is_approved(before, step).err().map(|why| (Must::HaveItsQuorum, why))
            }
            (State::Executed { .. }, Step::Complete) => {
                let begun = matches!(before.state, State::Executing { .. }) && !self.ran.is_empty();
                (!begun).then_some((Must::RunOnce, "ended what never began"))
            }
            (State::Executed { .. }, Step::Decide(_)) => None,
            (State::Executed { .. } | State::Executing { .. }, _) => Some((Must::HaveItsQuorum, "ran by something else")),
            // G10.
            (State::Approved { .. } | State::Recorded { .. }, Step::Decide(says))
                if before.state == State::Open && !matches!(says.verdict, Verdict::Approve | Verdict::Done) =>
            {
                Some((Must::NotBeSilence, "approved by another answer"))
            }
            (State::Approved { .. } | State::Recorded { .. }, step) if !matches!(step, Step::Decide(_)) && before.state == State::Open => {
                Some((Must::NotBeSilence, "approved by silence"))
            }
            (State::Undoing { .. }, Step::Decide(says)) => {
                let ran = self.ran.iter().find(|(version, _)| *version == before.version).map(|(_, day)| *day);
                let in_window = ran.is_some_and(|day| self.day < day + UNDO_DAYS);
                let is_due = level == Level::L1 && says.verdict == Verdict::Override && in_window;
                (!is_due).then_some((Must::BeUndoneInTime, "overridden at another level, or too late"))
            }
            (State::RolledBack { by: None, .. } | State::NotUndone { .. }, _)
                if level != Level::L1 || !self.said.iter().any(|said| said.says.verdict == Verdict::Override) =>
            {
                Some((Must::BeUndoneInTime, "undone and nobody said so"))
            }
            _ => None,
        }
    }

    /// I4 and G1 for L2, worked out anew: by brute force, and not from the proposal's list.
    fn is_approved(&self, before: &Proposal, step: Step) -> Result<(), &'static str> {
        let (Step::Execute(finds) | Step::Begin(finds)) = step else { return Err("not an execution") };
        if !finds.this_version || !finds.evidence_holds || self.stricter {
            return Err("ran although something did not hold");
        }
        let lost = |n: u8| finds.lost == Some(n);
        let given: Vec<&Said> = self
            .said
            .iter()
            .filter(|said| said.says.verdict == Verdict::Approve && said.version == before.version && said.day < self.decide_by)
            .filter(|said| said.says.fresh || !has_great_effect(&before.draft.kind))
            .filter(|said| !lost(said.says.who) && !said.says.stands_for.is_some_and(lost))
            // Given before they agreed to stand in, it counts no more.
            .filter(|said| !self.stood_in_for_marco(said.says.who) && !said.says.stands_for.is_some_and(|n| self.stood_in_for_marco(n)))
            .collect();
        let Some(newest) = given.iter().map(|said| said.day).max() else { return Err("nobody approved it") };
        if self.day >= newest + self.days.run {
            return Err("ran too late");
        }
        if given.iter().any(|said| [Some(said.says.who), said.says.stands_for].iter().flatten().any(|n| [MARCO, EVE].contains(n))) {
            return Err("approved by somebody who must not");
        }
        if given.iter().any(|said| said.says.stands_for.is_some() && (said.says.who != ZOE || said.day >= self.days.stands_in)) {
            return Err("stood in without being asked");
        }
        if given.iter().any(|said| said.says.glass && said.says.who == PRIYA && said.says.fresh) {
            return Ok(());
        }
        let needed = before.terms.as_ref().map_or(1, |terms| usize::from(terms.rule.approvals));
        // Some set of approvals in which no human and no seat stands twice, large enough, with one of the client's.
        let good = (0_u32..1 << given.len()).any(|set| {
            let chosen: Vec<&&Said> = given.iter().enumerate().filter(|(n, _)| set & (1 << n) != 0).map(|(_, said)| said).collect();
            let mut voices: Vec<BTreeSet<u8>> = vec![];
            for said in &chosen {
                voices.push(BTreeSet::from([human(said.says.who), human(said.says.stands_for.unwrap_or(said.says.who))]));
            }
            let apart = voices.iter().enumerate().all(|(n, one)| voices[n + 1..].iter().all(|other| one.is_disjoint(other)));
            let outside = |says: &Says| says.stands_for == Some(SAM) && self.days.from_outside;
            let client = chosen.iter().any(|said| human(said.says.who) == SAM || outside(&said.says));
            apart && chosen.len() >= needed && (needed < 2 || client)
        });
        if good { Ok(()) } else { Err("ran without its quorum") }
    }
}

fn human(n: u8) -> u8 {
    if n == SAM_AGAIN { SAM } else { n }
}
