//! The hash of a proposal: what was approved is what its approver read and what runs, for this client and no other.
//!
//! Form 3 is SHA-256 in lower-case hex over the tag `assay proposal 3` and the parts in the order of [`hash_of`]. Each part
//! is text with its length in bytes before it, as 64 bits, big-endian. A list has its number of items before it, a time
//! is in nanoseconds since 1970, what is absent is empty. Client, proposal, version and kind come first, so the same
//! bytes asked of another client, or asked again, never have the same hash; then what the policy asked when it was staged.
//! Where a rule says what the first releases of form 3 could not, the tag is `assay proposal 3+`, and it is hashed too.
//! Where people's overrides made it stricter, the tag is `assay proposal 3 demoted`, and the policy's own level is hashed too.
//! Form 1 named neither, form 2 not the policy: what is stored in them can be rejected, not approved and not carried out.
//! The sweep has what Assay raised itself brought into this form; what a person asked is asked again or expires.

use time::OffsetDateTime;

use super::{
    policy::{Rule, Terms},
    proposal::{Draft, Proposal},
};
use crate::tenancy::{TenantId, seal::sha256};

/// The form that this release writes.
pub const FORM: u32 = 3;

/// `tenant` is the client in whose store the proposal was read; a record cannot say of itself whose it is.
pub fn hash_of(tenant: TenantId, proposal: &Proposal) -> String {
    // What happens to it afterwards is not what was asked.
    let Proposal { id, version, draft, requester, staged_at, decide_by, terms, .. } = proposal;
    let Draft {
        kind,
        subject,
        question,
        explanation,
        action,
        evidence,
        reasons,
        limits,
        before,
        after,
        approve_verb,
        on_approve,
        on_reject,
        undo,
    } = draft;
    let tag: &[u8] = match terms {
        Some(terms) if terms.demoted_from.is_some() => b"assay proposal 3 demoted",
        Some(terms) if says_more(&terms.rule) => b"assay proposal 3+",
        _ => b"assay proposal 3",
    };
    let mut parts = Parts(tag.to_vec());
    parts.add(&tenant.to_string()).add(&id.to_string()).add(&version.to_string()).add(kind);
    parts.add(&requester.to_string()).add(&nanoseconds(*staged_at)).add(&nanoseconds(*decide_by));
    if let Some(terms) = terms {
        add_terms(&mut parts, terms);
    }
    for text in [subject, action, question, explanation, before, after, approve_verb, on_approve, on_reject] {
        parts.add(text);
    }
    for sentences in [reasons, limits] {
        parts.add(&sentences.len().to_string());
        for sentence in sentences {
            parts.add(sentence);
        }
    }
    parts.add(&evidence.len().to_string());
    for record in evidence {
        parts.add(&record.source_key).add(&record.title).add(&record.hash);
        parts.add(&nanoseconds(record.collected_at)).add(&record.population.words());
        parts.add(&record.fresh_until.map_or_else(String::new, nanoseconds));
        parts.add(&record.filed_by.map_or_else(String::new, |person| person.to_string()));
    }
    parts.add(undo.as_deref().unwrap_or_default());
    sha256(&parts.0)
}

/// All of it, so that nobody can put a proposal under easier terms than those that were shown.
fn add_terms(parts: &mut Parts, terms: &Terms) {
    let Terms { policy_version, floor, rule, groups, same_human, break_glass, demoted_from, linked: _ } = terms;
    let Rule {
        level,
        approvals,
        one_from_each,
        outside_stand_ins,
        comment_needed,
        sign_in_minutes,
        decide_within,
        run_within,
        undo_within,
        remind_before,
        escalate_before,
    } = rule;
    parts.add(&policy_version.to_string()).add(floor.word()).add(level.word()).add(&approvals.to_string());
    parts.add(&comment_needed.to_string()).add(&sign_in_minutes.map_or_else(String::new, |minutes| minutes.to_string()));
    for hours in [decide_within, run_within, undo_within] {
        parts.add(&hours.to_string());
    }
    parts.list(one_from_each.iter().cloned());
    parts.add(&groups.len().to_string());
    for (name, people) in groups {
        parts.add(name).list(people.iter().map(ToString::to_string));
    }
    parts.add(&same_human.len().to_string());
    for people in same_human.iter().chain([break_glass]) {
        parts.list(people.iter().map(ToString::to_string));
    }
    if let Some(level) = demoted_from {
        parts.add(level.word());
    }
    if says_more(rule) || demoted_from.is_some() {
        parts.add(&outside_stand_ins.to_string());
        for hours in [remind_before, escalate_before] {
            parts.list(hours.iter().map(ToString::to_string));
        }
    }
}

/// Whether the rule says what rules of the first releases of form 3 could not: then all of it is hashed, under a tag of its
/// own, and what those staged keeps its hash.
fn says_more(rule: &Rule) -> bool {
    let Rule { outside_stand_ins, remind_before, escalate_before, .. } = rule;
    *outside_stand_ins || *remind_before != Rule::of_kind("").remind_before || !escalate_before.is_empty()
}

struct Parts(Vec<u8>);

impl Parts {
    fn add(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = String>) -> &mut Self {
        self.add(&items.len().to_string());
        for item in items {
            self.add(&item);
        }
        self
    }
}

fn nanoseconds(at: OffsetDateTime) -> String {
    at.unix_timestamp_nanos().to_string()
}
