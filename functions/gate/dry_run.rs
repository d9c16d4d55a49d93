//! What a changed policy would have meant lately: a look back, for the people who ask for the change. Changes nothing.

use time::{Duration, OffsetDateTime};

use super::{
    level::Level,
    policy::{KINDS, Policy},
    proposal::Proposal,
    quorum,
    state::State,
};
use crate::tenancy::{ClientPlace, Store, StoreError};

pub const LOOKS_BACK: Duration = Duration::days(30);
/// Proposals looked at; the newest, if there are more.
const MOST: usize = 1000;

/// One kind of action in the time looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The kind in words.
    pub kind: &'static str,
    pub staged: usize,
    /// Approved, whatever became of it then.
    pub approved: usize,
    /// Of those approved: whose approvals would not have been enough.
    pub would_wait: usize,
}

/// The proposals of the time looked at, newest first.
pub async fn lately(store: &Store<'_, ClientPlace>, now: OffsetDateTime) -> Result<Vec<Proposal>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = store.page::<Proposal>(ClientPlace::Assessment, "", true, 100, after).await?;
        let is_last = next.is_none() || page.last().is_none_or(|held| held.value.staged_at < now - LOOKS_BACK);
        found.extend(page.into_iter().map(|held| held.value).filter(|proposal| proposal.staged_at >= now - LOOKS_BACK));
        if is_last || found.len() >= MOST {
            found.truncate(MOST);
            return Ok(found);
        }
        after = next;
    }
}

/// For each kind that the change concerns.
pub fn weigh(proposals: &[Proposal], today: &Policy, wanted: &Policy) -> Vec<Line> {
    let line = |&(kind, _, words): &(&'static str, Level, &'static str)| {
        let terms = wanted.terms(kind);
        if today.terms(kind).is_as(&terms) {
            return None;
        }
        let mut line = Line { kind: words, staged: 0, approved: 0, would_wait: 0 };
        for proposal in proposals.iter().filter(|proposal| proposal.draft.kind == kind) {
            line.staged += 1;
            let was_approved = match proposal.state {
                State::Open | State::Rejected { .. } | State::Expired { approved: false, .. } => false,
                _ => proposal.approvals().next().is_some(),
            };
            if was_approved {
                line.approved += 1;
                line.would_wait += usize::from(!quorum::progress(&terms, proposal.approvals()).is_reached());
            }
        }
        Some(line)
    };
    KINDS.iter().filter_map(line).collect()
}
