//! The addresses of our own pages, in one place: what templates link to and `triggers/portal` routes.
//!
//! Paths only: a browser adds the origin it came by, and what leaves the process (mails) goes through `Config::link`.

use crate::tenancy::{ConnectionId, PersonId, ProposalId, TenantId};

/// Everything a person sees lives below this.
pub const BASE: &str = "/api/portal/";

pub fn clients() -> String {
    format!("{BASE}clients")
}

pub fn client(tenant: TenantId) -> String {
    format!("{BASE}clients/{tenant}")
}

/// The form of a client to add; it posts to [`clients`].
pub fn new_client() -> String {
    format!("{BASE}clients/new")
}

/// Who may do what for the client; the form posts to itself.
pub fn people(tenant: TenantId) -> String {
    format!("{BASE}clients/{tenant}/people")
}

/// The client's keys; its forms post to [`keys_step`].
pub fn keys(tenant: TenantId) -> String {
    format!("{BASE}clients/{tenant}/keys")
}

/// POST. `step` is a segment of ours.
pub fn keys_step(tenant: TenantId, step: &str) -> String {
    format!("{BASE}clients/{tenant}/keys/{step}")
}

/// The installation's own keys; its forms post to [`own_keys_step`].
pub fn own_keys() -> String {
    format!("{BASE}keys")
}

/// POST. `step` is a segment of ours.
pub fn own_keys_step(step: &str) -> String {
    format!("{BASE}keys/{step}")
}

/// The end of a client; its forms post to [`offboarding_step`].
pub fn offboarding(tenant: TenantId) -> String {
    format!("{BASE}clients/{tenant}/offboarding")
}

/// POST. `step` is a segment of ours.
pub fn offboarding_step(tenant: TenantId, step: &str) -> String {
    format!("{BASE}clients/{tenant}/offboarding/{step}")
}

/// `requirement` is an id such as `AC.L2-3.1.1`.
pub fn requirement(tenant: TenantId, requirement: &str) -> String {
    format!("{BASE}clients/{tenant}/requirements/{requirement}")
}

/// POST: an engineer's own proposal.
pub fn propose(tenant: TenantId, requirement: &str) -> String {
    format!("{BASE}clients/{tenant}/requirements/{requirement}/propose")
}

/// POST: a proposal to take a finding back.
pub fn roll_back(tenant: TenantId, requirement: &str) -> String {
    format!("{BASE}clients/{tenant}/requirements/{requirement}/roll-back")
}

pub fn inbox() -> String {
    format!("{BASE}inbox")
}

pub fn proposal(tenant: TenantId, proposal: ProposalId) -> String {
    format!("{BASE}proposals/{tenant}/{proposal}")
}

/// POST: the decision.
pub fn decide(tenant: TenantId, proposal: ProposalId) -> String {
    format!("{BASE}proposals/{tenant}/{proposal}/decide")
}

/// GET: the approval policy. POST: asks to change it.
pub fn policy(tenant: TenantId) -> String {
    format!("{BASE}clients/{tenant}/policy")
}

/// POST: asks that the client's score be submitted.
pub fn sprs(tenant: TenantId) -> String {
    format!("{}/sprs", client(tenant))
}

/// POST: who asked takes it back.
pub fn withdraw(tenant: TenantId, proposal: ProposalId) -> String {
    format!("{BASE}proposals/{tenant}/{proposal}/withdraw")
}

pub fn connections() -> String {
    format!("{BASE}connections")
}

/// The choice of a vendor; `?vendor=` shows its form, which posts to [`connections`].
pub fn new_connection() -> String {
    format!("{BASE}connections/new")
}

/// `vendor` is a segment of ours, such as `autotask`.
pub fn new_connection_of(vendor: &str) -> String {
    format!("{BASE}connections/new?vendor={vendor}")
}

/// GET: the form to change it; POST: the change.
pub fn connection(connection: ConnectionId) -> String {
    format!("{BASE}connections/{connection}")
}

/// POST: a full read now.
pub fn pull(connection: ConnectionId) -> String {
    format!("{BASE}connections/{connection}/pull")
}

/// POST: one small read, to see whether it answers.
pub fn test_connection(connection: ConnectionId) -> String {
    format!("{BASE}connections/{connection}/test")
}

/// POST: a person has seen to it. `alarm` is a segment of ours.
pub fn clear_alarm(connection: ConnectionId, alarm: &str) -> String {
    format!("{BASE}connections/{connection}/alarms/{alarm}/clear")
}

/// GET: companies that wait; POST: this company is this client.
pub fn mapping() -> String {
    format!("{BASE}mapping")
}

/// Records that carry a CUI marking.
pub fn set_aside() -> String {
    format!("{BASE}set-aside")
}

/// POST: what a person does about one. `what` is a segment of ours.
pub fn handle_set_aside(connection: ConnectionId, what: &str) -> String {
    format!("{BASE}set-aside/{connection}/{what}")
}

pub fn dead_letters() -> String {
    format!("{BASE}dead-letters")
}

/// POST.
pub fn replay(dead_letter: &str) -> String {
    format!("{BASE}dead-letters/{dead_letter}/replay")
}

/// POST: a person has seen to it.
pub fn see_to_dead_letter(dead_letter: &str) -> String {
    format!("{BASE}dead-letters/{dead_letter}/see-to")
}

/// POST: all that wait for one reason.
pub fn replay_all() -> String {
    format!("{BASE}dead-letters/replay")
}

/// How approvers are told.
pub fn delivery() -> String {
    format!("{BASE}delivery")
}

/// POST.
pub fn test_delivery() -> String {
    format!("{BASE}delivery/test")
}

/// The deployment's log.
pub fn audit() -> String {
    format!("{BASE}audit")
}

pub fn client_audit(tenant: TenantId) -> String {
    format!("{BASE}audit/{tenant}")
}

/// The log of a client, or of the installation.
pub fn audit_of(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(audit, client_audit)
}

/// One entry of a log; below it lie its files, `proof` and `content`.
pub fn audit_entry(tenant: Option<TenantId>, index: u64) -> String {
    format!("{}/entry/{index}", audit_of(tenant))
}

/// What the logs record.
pub fn audit_events() -> String {
    format!("{BASE}audit/events")
}

/// The same as a file.
pub fn audit_events_file() -> String {
    format!("{BASE}audit/events/file")
}

/// POST: a copy of the client's log for verification.
pub fn export_audit(tenant: TenantId) -> String {
    format!("{BASE}audit/{tenant}/export")
}

/// Figures of all clients that somebody has a grant for.
pub fn analytics() -> String {
    format!("{BASE}analytics")
}

/// POST: whether the client's counts are added to those of others.
pub fn take_part(tenant: TenantId) -> String {
    format!("{BASE}analytics/{tenant}/take-part")
}

/// What ran without an approval and was drawn for a look.
pub fn sampled(tenant: TenantId) -> String {
    format!("{BASE}analytics/{tenant}/sampled")
}

pub fn sampled_item(tenant: TenantId, id: &str) -> String {
    format!("{BASE}analytics/{tenant}/sampled/{id}")
}

/// POST: asks that somebody's decisions teach nothing, or do again.
pub fn leave_out(tenant: TenantId) -> String {
    format!("{BASE}analytics/{tenant}/leave-out")
}

/// POST: proposes that a rule runs with less approval.
pub fn accept(tenant: TenantId) -> String {
    format!("{BASE}analytics/{tenant}/accept")
}

pub fn client_analytics(tenant: TenantId) -> String {
    format!("{BASE}analytics/{tenant}")
}

pub fn sign_in() -> String {
    format!("{BASE}sign-in")
}

/// The sign-in page that leads back to `next`, a path of ours.
pub fn sign_in_then(next: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{BASE}sign-in?{query}")
}

/// The same for somebody who is signed in and must prove it once more.
pub fn confirm_then(next: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("again", "1").append_pair("next", next).finish();
    format!("{BASE}sign-in?{query}")
}

/// Where the authority sends a browser back to.
pub fn signed_in() -> String {
    format!("{BASE}signed-in")
}

/// Who can sign in, and who asks to.
pub fn team() -> String {
    format!("{BASE}people")
}

/// The owner's review of who may do what.
pub fn access() -> String {
    format!("{BASE}access")
}

/// POST: a review of access, of the installation or of a client.
pub fn confirm_access(about: &str) -> String {
    format!("{BASE}access/{about}/confirm")
}

/// Somebody who can sign in; the form posts to itself.
pub fn member(person: PersonId) -> String {
    format!("{BASE}people/{person}")
}

/// POST: an owner's answer to somebody who asks. `answer` is a segment of ours.
pub fn answer_asking(person: &str, answer: &str) -> String {
    format!("{BASE}people/{person}/{answer}")
}

/// POST: they may not sign in any more.
pub fn end_access(person: PersonId) -> String {
    format!("{BASE}people/{person}/end-access")
}

/// The steps of a first day.
pub fn setup() -> String {
    format!("{BASE}setup")
}

/// POST: that the copies of the logs are locked.
pub fn record_lock() -> String {
    format!("{BASE}setup/lock")
}

/// What Assay depends on. POST: looks again.
pub fn health() -> String {
    format!("{BASE}health")
}

/// POST.
pub fn sign_out() -> String {
    format!("{BASE}sign-out")
}
