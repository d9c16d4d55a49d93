//! The page of the inbox.

use super::history::names_of;
use crate::{
    gate::{
        event::Verdict,
        inbox::{self, Inbox, Standing},
        refusal::Refusal,
        state::State,
    },
    web::pages::{DecidedItem, Frame, InboxItem, InboxPage, Link, ReviewItem, StandInItem, Tag, Tone, UndoItem, paths},
};

/// The inbox page of what [`inbox::inbox`] found.
pub fn inbox_page(frame: Frame, inbox: Inbox, notice: Option<String>) -> InboxPage {
    let unavailable = inbox.unavailable.iter().map(|client| {
        format!("{client} cannot be shown: its records cannot be read just now. Nothing is lost; other clients are not affected.")
    });
    let partly = inbox.partly.iter().map(|client| {
        format!(
            "Some records of {client} cannot be read, so something may be missing here. Whoever runs Assay sees which in its log; {client} is whole again when they are put back."
        )
    });
    let unsound = inbox.unsound.iter().map(|(client, unsound)| format!("{client}: {}", unsound.sentence()));
    let notice = notice.into_iter().chain(unavailable).chain(partly).chain(unsound).reduce(|all, one| format!("{all} {one}"));
    let (total, next) = (inbox.total, inbox.next.map(|next| Link::new(format!("{}?after={next}", paths::inbox()), "Next page")));
    let (yours, others): (Vec<_>, Vec<_>) = inbox.waiting.into_iter().partition(|waiting| waiting.standing == Standing::Yours);
    let items = |list: Vec<inbox::Waiting>| list.into_iter().map(item).collect();
    let reviews = inbox.reviews.into_iter().map(|review| ReviewItem {
        href: format!("{}#review", paths::proposal(review.tenant, review.mark.proposal)),
        overdue: review.mark.due <= frame.now,
        note: review.own.then(|| "You asked for this review, so somebody else looks.".into()),
        question: review.mark.question,
        client: review.client,
        by: review.mark.by_name,
        due: review.mark.due,
    });
    let undoable = inbox.undoable.into_iter().map(|one| UndoItem {
        href: format!("{}#review", paths::proposal(one.tenant, one.mark.proposal)),
        question: one.mark.question,
        client: one.client,
        ran_at: one.mark.ran_at,
        undo_until: one.mark.undo_until,
    });
    let asked_to_stand_in = inbox.asked_to_stand_in.into_iter().map(|one| StandInItem {
        href: format!("{}#standing-in", paths::policy(one.tenant)),
        client: one.client,
        by: one.by,
        until: one.until,
    });
    InboxPage {
        asked_to_stand_in: asked_to_stand_in.collect(),
        reviews: reviews.collect(),
        undoable: undoable.collect(),
        frame,
        yours: items(yours),
        others: items(others),
        total,
        first: None,
        next,
        decided: inbox.settled.iter().map(decided_item).collect(),
        notice,
    }
}

fn item(waiting: inbox::Waiting) -> InboxItem {
    InboxItem {
        href: paths::proposal(waiting.tenant, waiting.mark.proposal),
        question: waiting.mark.question,
        subject: waiting.mark.subject,
        about: None,
        client: waiting.client,
        asked_by: waiting.asked_by,
        staged_at: waiting.mark.staged_at,
        decide_by: waiting.mark.decide_by,
        note: match waiting.standing {
            Standing::Yours => None,
            Standing::Asked => Some(Refusal::NotYours.sentence()),
            Standing::Owns => Some("It rests on evidence that you filed, so somebody else decides it.".into()),
            Standing::Given => Some("You approved this; others have not yet.".into()),
            Standing::Sees => Some(Refusal::NotApprover.sentence()),
        },
        progress: (waiting.mark.needed > 1 || !waiting.mark.approved_by.is_empty()).then_some(waiting.mark.progress),
    }
}

fn decided_item(settled: &inbox::Settled) -> DecidedItem {
    let outcome = match &settled.proposal.state {
        State::Open => Tag::new(Tone::Wait, "Waiting"),
        State::Cleared { .. } => Tag::new(Tone::Wait, "About to run"),
        State::Approved { .. } => Tag::new(Tone::Wait, "Approved"),
        State::Executing { .. } => Tag::new(Tone::Wait, "Being carried out"),
        State::Undoing { .. } => Tag::new(Tone::Wait, "Being undone"),
        State::NotUndone { .. } => Tag::new(Tone::Not, "Could not be undone"),
        State::Rejected { .. } => Tag::new(Tone::Not, "Rejected"),
        State::Expired { .. } => Tag::new(Tone::Unknown, "Expired"),
        State::Superseded { .. } => Tag::new(Tone::Unknown, "Superseded"),
        State::Withdrawn { .. } => Tag::new(Tone::Unknown, "Withdrawn"),
        State::Executed { .. } => Tag::new(Tone::Met, "Carried out"),
        State::Recorded { .. } => Tag::new(Tone::Met, "Done by a person"),
        State::RolledBack { .. } => Tag::new(Tone::Unknown, "Taken back"),
        State::Failed { .. } => Tag::new(Tone::Not, "Failed"),
        State::Refused { .. } => Tag::new(Tone::Not, "Not carried out"),
    };
    DecidedItem {
        href: paths::proposal(settled.tenant, settled.proposal.id),
        question: settled.proposal.draft.question.clone(),
        client: settled.client.clone(),
        outcome,
        by: settled.proposal.decision().map(|last| match last.verdict {
            Verdict::Approve => names_of(settled.proposal.approvals()),
            _ => last.names(),
        }),
        at: settled.at,
    }
}
