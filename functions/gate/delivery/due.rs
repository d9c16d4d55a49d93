//! What becomes of each delivery that is due: it is sent, it came too late, or nobody wants it any more.

use super::{Channel, Posting};
use crate::{
    app::App,
    gate::{notify::Notified, proposal::Proposal},
    tenancy::{ClientPlace, Held, Passed, Roster, Store, StoreError, TenantId, Wanted},
};

/// Everybody, and whose proposals these are.
pub(super) type Who<'r> = (&'r Roster, TenantId);

/// A delivery with what it is about.
pub(super) struct Item {
    pub(super) posting: Held<Posting>,
    pub(super) proposal: Proposal,
    pub(super) notified: Held<Notified>,
}

/// Deliveries by what is to become of them.
#[derive(Default)]
pub(super) struct Sorted {
    pub(super) items: Vec<Item>,
    /// Nobody answered, and now nobody can.
    pub(super) late: Vec<Item>,
    /// Not wanted any more.
    pub(super) over: Vec<Held<Posting>>,
}

/// What is still wanted with all that it is about, and what is not: a mail can wait for hours, and whose access or role was
/// taken away meanwhile is told nothing.
pub(super) async fn sort_out(
    app: &App,
    store: &Store<'_, ClientPlace>,
    (roster, tenant): Who<'_>,
    due: Vec<Held<Posting>>,
) -> Result<Sorted, StoreError> {
    let wanted = due.iter().flat_map(|held| {
        let (proposal, notice) = (held.value.proposal.to_string(), held.value.notice());
        [Wanted::one::<Proposal>(&proposal), Wanted::one::<Notified>(&notice)]
    });
    let found = store.gather(ClientPlace::Assessment, wanted.collect()).await?;
    let now = app.now();
    let is_told = |Posting { channel, occasion, to, .. }: &Posting, proposal: &Proposal| {
        let told = || occasion.recipients(&app.config, roster, tenant, proposal, now);
        *channel == Channel::Teams || told().iter().any(|person| person.id == *to)
    };
    let (mut sorted, mut passed) = (Sorted::default(), Passed::default());
    for posting in due {
        let proposal = found.one::<Proposal>(&posting.value.proposal.to_string()).await;
        let notified = found.one::<Notified>(&posting.value.notice()).await;
        // What cannot be read stays where it is, and the others go.
        let (Some(proposal), Some(notified)) = (passed.by(proposal)?, passed.by(notified)?) else { continue };
        match (proposal.map(|held| held.value), notified) {
            (Some(proposal), Some(notified)) if is_told(&posting.value, &proposal) => {
                let occasion = posting.value.occasion;
                let item = Item { posting, proposal, notified };
                if occasion.is_owed(&item.proposal, now) {
                    sorted.items.push(item);
                } else if occasion.ends(&item.proposal).is_some_and(|ends| ends <= now) {
                    sorted.late.push(item);
                } else {
                    sorted.over.push(item.posting);
                }
            }
            _ => sorted.over.push(posting),
        }
    }
    Ok(sorted)
}
