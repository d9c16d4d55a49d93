//! What a story ended in, in words that do not depend on when it happened or on which id was given: two runs of the same
//! job, one of them disturbed, must compare equal.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use assay::{audit::dead_letter::DeadLetter, connectors::demo};
use assay::{
    audit::{
        Item,
        entry::{HEAD_KEY, Head},
    },
    evidence::{Evidence, Origin},
    gate::{
        Decision, Proposal, State,
        proposal::{Answers, ApprovedMark, OpenMark},
    },
    platform::ports::BlobContainer,
    readiness::Objective,
    tenancy::{
        ClientPlace, ConnectionPlace, DeploymentPlace, Place, Record, Store,
        outbox::Pending,
        place::{AuditPart, EVIDENCE_SHARDS},
    },
};

use super::{
    flow::{Flow, HARBOR, RIDGE},
    log_copy,
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndState {
    pub evidence: BTreeSet<String>,
    pub suggestions: BTreeSet<String>,
    pub findings: BTreeSet<String>,
    /// Subject and state of every proposal ever staged.
    pub proposals: Vec<String>,
    pub decisions: Vec<String>,
    /// Recipient and subject line of every mail.
    pub mails: Vec<String>,
    /// Queue and reason of every dead letter.
    pub dead_letters: Vec<String>,
    /// Entries by owner and kind, of logs that were exported and verified.
    pub audit: BTreeMap<String, u64>,
    /// Messages and audit items that nobody came for.
    pub left_over: Vec<String>,
}

impl EndState {
    pub async fn of(flow: &Flow) -> Self {
        let mut end = Self::default();
        for (name, tenant) in [("Harbor", HARBOR), ("Ridge", RIDGE)] {
            let store = flow.client(tenant).await;
            end.client(name, &store).await;
            end.log(name, &store, ClientPlace::with_outbox()).await;
        }
        let store = flow.deployment().await;
        let connections = [demo::CONNECTWISE, demo::AUTOTASK];
        let theirs = connections.into_iter().flat_map(|id| ConnectionPlace::all().map(move |place| DeploymentPlace::Connection(id, place)));
        let places = [DeploymentPlace::Directory, DeploymentPlace::Operations].into_iter().chain(theirs);
        end.log("deployment", &store, places).await;
        let letters = all::<DeadLetter, _>(&store, DeploymentPlace::Operations).await;
        end.dead_letters = letters.into_iter().map(|letter| format!("{}: {}", letter.queue, letter.reason)).collect();
        end.mails = mails(flow).await;
        end.left_over.extend(flow.test.filled_queues().into_iter().map(|queue| format!("messages in {queue}")));
        end
    }

    /// What a disturbed run ended in that this undisturbed one did not, in words. The audit entries of `may_differ`, each
    /// with its reason, are not counted; all others must be exactly as many.
    pub fn differences(&self, found: &Self, may_differ: &[(&str, &str)]) -> Vec<String> {
        let mut said = Vec::new();
        let mut compare = |what: &str, same: bool, expected: &dyn fmt::Debug, found: &dyn fmt::Debug| {
            if !same {
                said.push(format!("{what}: expected {expected:?}, found {found:?}"));
            }
        };
        macro_rules! same {
            ($($field:ident),*) => { $( compare(stringify!($field), self.$field == found.$field, &self.$field, &found.$field); )* };
        }
        same!(evidence, suggestions, findings, proposals, decisions, mails, dead_letters, left_over);
        for kind in self.audit.keys().chain(found.audit.keys()) {
            let (wanted, there) = (self.audit.get(kind).copied().unwrap_or(0), found.audit.get(kind).copied().unwrap_or(0));
            compare(kind, wanted == there || may_differ.iter().any(|(name, _)| name == kind), &wanted, &there);
        }
        said.dedup();
        said
    }

    async fn client(&mut self, name: &str, store: &Store<'_, ClientPlace>) {
        for shard in 0..EVIDENCE_SHARDS {
            for Evidence { source_key, record_type, title, origin, population, hash, deleted, .. } in
                all::<Evidence, _>(store, ClientPlace::Evidence(shard)).await
            {
                let facts = match origin {
                    Origin::Observed(observed) => format!("{:?}", observed.facts),
                    Origin::Filed(_) => "filed".into(),
                };
                let words = format!("{name} {source_key} {record_type:?} {title} {facts} {} {hash} {deleted}", population.words());
                self.evidence.insert(words);
            }
        }
        let place = ClientPlace::Assessment;
        for Objective { id, suggestion, finding, .. } in all::<Objective, _>(store, place).await {
            if let Some(s) = suggestion {
                let cited: Vec<_> = s.citations.iter().map(|c| format!("{} {}", c.source_key, c.hash)).collect();
                self.suggestions.insert(format!("{name} {id} {:?} {:?} {:?} {cited:?}", s.result, s.grade, s.contradictions));
            }
            if let Some(f) = finding {
                let evidence: Vec<_> = f.evidence.iter().map(|e| format!("{} {}", e.source_key, e.hash)).collect();
                self.findings.insert(format!("{name} {id} {:?} by {} on {evidence:?}", f.found, f.name));
            }
        }
        let proposals = all::<Proposal, _>(store, place).await;
        for Proposal { id, draft, state, .. } in &proposals {
            self.proposals.push(format!("{name} {} {} {}", draft.kind, draft.subject, word(state)));
            let answers: Vec<Answers> = all(store, place).await;
            for Answers { decisions, executed_at, .. } in answers.iter().filter(|answers| answers.proposal == *id) {
                let ran = executed_at.is_some();
                for Decision { verdict, name: who, receipt, .. } in decisions {
                    let signed = receipt.is_some();
                    self.decisions.push(format!("{name} {} {verdict:?}, by {who}, ran: {ran}, signed: {signed}", draft.subject));
                }
            }
        }
        self.proposals.sort();
        self.decisions.sort();
        let open = proposals.iter().filter(|p| p.state == State::Open).count();
        let marks = (all::<OpenMark, _>(store, place).await.len(), all::<ApprovedMark, _>(store, place).await.len());
        if marks != (open, 0) {
            self.left_over.push(format!("{name}: {open} open proposals, marks {marks:?}"));
        }
    }

    /// Exports and verifies one log, and looks for what has no place in it.
    async fn log<P: Place>(&mut self, name: &str, store: &Store<'_, P>, places: impl Iterator<Item = P>) {
        for place in places {
            let (items, messages) = (all::<Item, _>(store, place).await.len(), all::<Pending, _>(store, place).await.len());
            if (items, messages) != (0, 0) {
                self.left_over.push(format!("{name} {}: {items} audit items, {messages} messages", place.key()));
            }
        }
        let Some(head) = store.read::<Head>(P::audit(AuditPart::Head), HEAD_KEY).await.unwrap() else { return };
        let report = log_copy::verified(store, log_copy::WHOLE).await.unwrap();
        if report.checkpoint.size != head.value.next {
            self.left_over.push(format!("{name}: {} entries, published are {}", head.value.next, report.checkpoint.size));
        }
        // Said once a day by each process that used the key: of how often the process began anew, not of what was done.
        for (kind, count) in report.kinds.into_iter().filter(|(kind, _)| kind != "key.used") {
            *self.audit.entry(format!("{name} {kind}")).or_default() += count;
        }
    }
}

fn word(state: &State) -> &'static str {
    match state {
        State::Open => "open",
        State::Approved { .. } => "approved",
        State::Rejected { .. } => "rejected",
        State::Expired { .. } => "expired",
        State::Superseded { .. } => "superseded",
        State::Executed { .. } => "executed",
        State::Refused { .. } => "refused",
        State::Cleared { .. } => "cleared",
        State::Withdrawn { .. } => "withdrawn",
        State::Executing { .. } => "executing",
        State::Undoing { .. } => "undoing",
        State::Recorded { .. } => "recorded",
        State::Failed { .. } => "failed",
        State::NotUndone { .. } => "not undone",
        State::RolledBack { .. } => "rolled back",
    }
}

async fn mails(flow: &Flow) -> Vec<String> {
    let blobs = &flow.app().blobs;
    let (mut mails, mut after) = (Vec::new(), None);
    loop {
        let page = blobs.list(BlobContainer::Mailbox, "", after.as_ref()).await.unwrap();
        for name in page.names {
            let mail = blobs.read(BlobContainer::Mailbox, &name).await.unwrap().unwrap();
            let mail = String::from_utf8_lossy(&mail).replace("\r\n ", " ");
            let head = |start: &str| mail.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
            mails.push(format!("{}: {}", head("To: "), head("Subject: ")));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    mails.sort();
    mails
}

pub async fn all<T: Record, P: Place>(store: &Store<'_, P>, place: P) -> Vec<T> {
    store.all::<T>(place, "").await.unwrap().into_iter().map(|held| held.value).collect()
}
