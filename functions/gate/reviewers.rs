//! Who can look at what somebody approved alone, escalated, or wanted undone: another human who approves for the client.
//!
//! Where nobody is left, the review stays due whatever Assay reminds of, so that is said: on the page, and to the owners,
//! who can let another person approve.

use time::OffsetDateTime;

use super::{
    machine::{excluded, gave},
    notify,
    proposal::{Proposal, linked},
    refusal::Refusal,
};
use crate::{
    config::Config,
    tenancy::{Roster, TenantId, directory::Person},
};

/// For people.
pub const NOBODY: &str = "Nobody who approves for this client can review it: each of them approved it, asked for it or for its review, or filed what it rests on. It stays due until an owner lets another person approve for the client.";

/// Those who can review it, by the directory of this moment.
pub fn reviewers<'p>(
    config: &'p Config,
    roster: &'p Roster,
    tenant: TenantId,
    proposal: &'p Proposal,
    now: OffsetDateTime,
) -> Vec<&'p Person> {
    let approvers: Vec<&Person> = notify::approvers(config, roster, tenant, &proposal.requester, now).collect();
    let known = proposal.among(&linked(roster, proposal, approvers.iter().map(|person| person.id)));
    // Who stands in for somebody may look at what that one asked for: a look approves nothing.
    let may = |person: &&Person| {
        gave(&known, person.id).is_none() && matches!(excluded(&known, person.id, &[], now), None | Some(Refusal::DelegateOfExcluded))
    };
    approvers.into_iter().filter(may).collect()
}

/// Whether a review is due that nobody could do.
pub fn is_nobodys(config: &Config, roster: &Roster, tenant: TenantId, proposal: &Proposal, now: OffsetDateTime) -> bool {
    proposal.review_by.is_some() && reviewers(config, roster, tenant, proposal, now).is_empty()
}
