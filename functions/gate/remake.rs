//! Marks that are gone although their proposal still waits, made again with an alarm.
//!
//! Inbox, reminders, expiry and overdue reviews go by marks ([`super::marks`]), which whoever can write the database deletes
//! without any key: who approved alone could end their review so. The log tells which proposals can have marks, and the
//! proposal itself which it has now. What was found is kept, so that a sweep reads a proposal only after an entry about it, or
//! when a mark is missing that stood there; what is kept, put back or deleted, makes the look longer and never wrong.
//!
//! Decides nothing. Not found: a mark whose proposal was put back together with it; that is the log's to say ([`super::ran`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;

use super::{
    proposal::{ApprovedMark, OpenMark, Proposal, ReviewMark, UndoMark, object},
    run,
    state::State,
};
use crate::{
    audit::{
        self,
        entry::{HEAD_KEY, Head},
        walk::walk,
    },
    tenancy::{Batch, ClientPlace, Gathered, Held, Passed, ProposalId, Record, Store, StoreError, Wanted, place::AuditPart},
};

const PLACE: ClientPlace = ClientPlace::Log(AuditPart::Head);
/// Entries that one sweep follows, at most, and proposals that it reads.
const AT_ONCE: u64 = 2000;
const READS: usize = 100;

/// What makes a mark. What ends one is seen when the mark is gone.
const MARKING: [&str; 7] = [
    "proposal.staged",
    "proposal.approved",
    "proposal.glass_broken",
    "proposal.executed",
    "proposal.overridden",
    "proposal.escalated",
    "proposal.not_undone",
];

/// Kinds of marks, as their records have them.
type Kinds = BTreeSet<String>;

/// Which proposals have which marks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Marked {
    /// The first entry of the log that was not followed.
    next: u64,
    /// As last read; `None`: not since the log named it.
    marks: BTreeMap<ProposalId, Option<Kinds>>,
}

impl Record for Marked {
    const KIND: &'static str = "marks-followed";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        HEAD_KEY.into()
    }
}

/// Makes missing marks again; returns of how many proposals. For the sweep.
pub async fn remake(store: &Store<'_, ClientPlace>) -> Result<usize, StoreError> {
    let found = store.gather(PLACE, vec![Wanted::one::<Head>(HEAD_KEY), Wanted::one::<Marked>(HEAD_KEY)]).await?;
    let length = found.one::<Head>(HEAD_KEY).await?.map_or(0, |held| held.value.next);
    let (mut marked, etag) = found.one::<Marked>(HEAD_KEY).await?.map_or_else(Default::default, |held| (held.value, Some(held.etag)));
    let before = marked.clone();
    if length > marked.next {
        let (from, marks) = (marked.next, &mut marked.marks);
        let walked = walk(store, from, AT_ONCE.min(length - from), |entry| {
            let id = entry.of_kind(&MARKING).and_then(|(leaf, _)| leaf.object.strip_prefix("proposal ")?.parse().ok());
            marks.extend(id.map(|id| (id, None)));
        })
        .await?;
        marked.next = walked.reaching(length)?;
    }
    let there = there(store).await?;
    let stands = |id: &ProposalId, kinds: &Kinds| kinds.is_empty() || there.get(id).is_some_and(|there| kinds.is_subset(there));
    let looks = marked.marks.iter().filter(|(id, kinds)| kinds.as_ref().is_none_or(|kinds| !stands(id, kinds)));
    let looks: Vec<ProposalId> = looks.map(|(id, _)| *id).take(READS).collect();
    let (mut made, mut passed) = (0, Passed::default());
    for id in looks {
        let read = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await;
        let Some(held) = passed.by(read)? else { continue };
        let kinds = held.as_ref().map(|held| due(&held.value, store.app().now())).unwrap_or_default();
        if let Some(held) = held.filter(|_| !stands(&id, &kinds)) {
            match again(store, &held, &kinds, there.get(&id)).await {
                Ok(()) => made += 1,
                // Somebody moved it just now; the next sweep looks again.
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error),
            }
        }
        if kinds.is_empty() {
            marked.marks.remove(&id);
        } else {
            marked.marks.insert(id, Some(kinds));
        }
    }
    // After an upgrade the log's head rests for a sweep; what was looked at is looked at again.
    if marked != before && Box::pin(store.move_head()).await? {
        let mut batch = store.batch(PLACE);
        batch.put(marked, etag);
        batch.commit_unless_overtaken().await?;
    }
    passed.end(made)
}

/// The marks that a proposal has by what it says itself.
fn due(proposal: &Proposal, now: OffsetDateTime) -> Kinds {
    let undoable = proposal.undo_mark().is_some_and(|mark| mark.undo_until > now);
    let kinds = [
        (OpenMark::KIND, proposal.state == State::Open),
        (ApprovedMark::KIND, run::due(proposal).is_some()),
        (UndoMark::KIND, undoable),
        (ReviewMark::KIND, proposal.review_mark().is_some()),
    ];
    kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind.to_owned()).collect()
}

/// The marks that are there. One that does not open stands for itself: the log has an alarm of its own for it.
async fn there(store: &Store<'_, ClientPlace>) -> Result<BTreeMap<ProposalId, Kinds>, StoreError> {
    let wanted =
        vec![Wanted::all::<OpenMark>(""), Wanted::all::<ApprovedMark>(""), Wanted::all::<UndoMark>(""), Wanted::all::<ReviewMark>("")];
    let found = store.gather(ClientPlace::Assessment, wanted).await?;
    let mut there = BTreeMap::new();
    of_kind::<OpenMark>(&found, &mut there).await?;
    of_kind::<ApprovedMark>(&found, &mut there).await?;
    of_kind::<UndoMark>(&found, &mut there).await?;
    of_kind::<ReviewMark>(&found, &mut there).await?;
    Ok(there)
}

async fn of_kind<T: Record>(found: &Gathered<'_, '_, ClientPlace>, there: &mut BTreeMap<ProposalId, Kinds>) -> Result<(), StoreError> {
    for mark in found.all_of_each::<T>("").await? {
        let key = match mark {
            Ok(held) => held.value.key(),
            Err(error) => match error.unreadable::<T>() {
                Some(key) => key.to_owned(),
                None => return Err(error),
            },
        };
        if let Ok(id) = key.parse() {
            there.entry(id).or_default().insert(T::KIND.to_owned());
        }
    }
    Ok(())
}

/// The proposal goes into the batch as it is, so that nothing is marked of one that moved meanwhile.
async fn again(store: &Store<'_, ClientPlace>, held: &Held<Proposal>, due: &Kinds, there: Option<&Kinds>) -> Result<(), StoreError> {
    let proposal = &held.value;
    let gone: Vec<&String> = due.iter().filter(|kind| there.is_none_or(|there| !there.contains(*kind))).collect();
    let is_gone = |kind: &str| gone.iter().any(|gone| *gone == kind);
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.replace(held);
    make(&mut batch, is_gone(OpenMark::KIND).then(|| proposal.mark()));
    let approved = run::due(proposal).map(|run_by| ApprovedMark { proposal: proposal.id, run_by });
    make(&mut batch, approved.filter(|_| is_gone(ApprovedMark::KIND)));
    make(&mut batch, proposal.undo_mark().filter(|_| is_gone(UndoMark::KIND)));
    make(&mut batch, proposal.review_mark().filter(|_| is_gone(ReviewMark::KIND)));
    let detail = json!({ "version": proposal.version, "hash": proposal.hash, "marks": gone });
    audit::record(&mut batch, audit::Event::new("proposal.marks_remade", object(proposal.id), detail));
    batch.commit().await?;
    tracing::error!(proposal = %proposal.id, "ALARM: marks of a proposal that waits were deleted; they are made again");
    Ok(())
}

fn make<T: Record>(batch: &mut Batch<'_, '_, ClientPlace>, mark: Option<T>) {
    if let Some(mark) = mark {
        batch.create(&mark);
    }
}
