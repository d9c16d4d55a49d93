//! The hash of a proposal: what was approved is what its approver read and what runs, for this client and no other.
//!
//! Form 2 is SHA-256 in lower-case hex over the tag `assay proposal 2` and the parts in the order of [`hash_of`]. Each part
//! is text with its length in bytes before it, as 64 bits, big-endian. A list has its number of items before it, a time
//! is in nanoseconds since 1970, what is absent is empty. Client, proposal, version and kind come first, so the same
//! bytes asked of another client, or asked again, never have the same hash. Form 1 named none of them: what is stored in
//! it can be rejected, not approved and not carried out. The sweep has what Assay raised itself brought into this form;
//! what a person asked is asked again or expires.

use time::OffsetDateTime;

use super::proposal::{Draft, Proposal};
use crate::tenancy::{TenantId, seal::sha256};

/// The form that this release writes.
pub const FORM: u32 = 2;

/// `tenant` is the client in whose store the proposal was read; a record cannot say of itself whose it is.
pub fn hash_of(tenant: TenantId, proposal: &Proposal) -> String {
    let Proposal { id, version, draft, requester, staged_at, decide_by, form: _, hash: _, state: _ } = proposal;
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
    } = draft;
    let mut parts = Parts(b"assay proposal 2".to_vec());
    parts.add(&tenant.to_string()).add(&id.to_string()).add(&version.to_string()).add(kind);
    parts.add(&requester.to_string()).add(&nanoseconds(*staged_at)).add(&nanoseconds(*decide_by));
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
    }
    sha256(&parts.0)
}

struct Parts(Vec<u8>);

impl Parts {
    fn add(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(&(text.len() as u64).to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }
}

fn nanoseconds(at: OffsetDateTime) -> String {
    at.unix_timestamp_nanos().to_string()
}
