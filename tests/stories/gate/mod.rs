//! Stories of the gate, told in one house: a client, an engineer who asks, two approvers who decide.

mod access_back;
mod after;
mod deciding;
mod delivering;
mod demoting;
mod edges;
mod executing;
mod judge;
mod lapsing;
mod last_look;
mod levels;
mod links;
mod looking_back;
mod machine;
mod mailing;
mod model;
mod policy;
mod policy_mark;
mod preview;
mod putting_back;
mod quorum;
mod reading;
mod receipts;
mod signed_policy;
mod smtp;
mod stood_in;
mod undoing;
mod world;

use assay::{
    audit::item::Item,
    evidence::{Evidence, EvidenceRef, Filed, Origin, Population},
    gate::{
        self, Answer, Capacity, DecideError, Decided, Decision, Draft, NotPerformed, Performing, Policy, Proposal, Refusal, State, Verdict,
        policy::SignedPolicy,
        proposal::{ApprovedMark, OpenMark},
    },
    tenancy::{
        Batch, ClientPlace, DeploymentPlace, DeploymentScope, Held, PersonId, ProposalId, Record, Roster, Scope, Store, StoreError,
        TenantId,
        directory::{Grant, Identity, Person, Role, Tenant},
        keys::{self, Owner},
        message::{self, Verified},
        policy_mark::PolicyMark,
    },
};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::Duration;
use uuid::Uuid;

use crate::support::{TestApp, decision};

struct House {
    test: TestApp,
    tenant: TenantId,
    /// Engineer; asks.
    marco: Person,
    /// Engineer and approver of the client.
    priya: Person,
    /// Approver of the client.
    sam: Person,
    /// Engineer without the right to decide.
    eve: Person,
}

impl House {
    async fn new() -> Self {
        Self::on(TestApp::new()).await
    }

    async fn on(test: TestApp) -> Self {
        let tenant = TenantId(Uuid::from_u128(100));
        let home = test.app().config.entra().map(|entra| entra.directories[0]);
        let person = |n, name: &str, email: &str| {
            let identity = home.map(|tid| Identity { tid, oid: Uuid::from_u128(n) });
            Person {
                id: identity.map_or(PersonId(Uuid::from_u128(n)), Identity::person),
                name: name.into(),
                email: email.into(),
                is_owner: false,
                operates: false,
                identity,
                sign_in_name: None,
                same_as: None,
                access_ended_at: None,
                standing: assay::tenancy::directory::Standing::default(),
            }
        };
        let house = Self {
            test,
            tenant,
            marco: person(1, "Marco Reyes", "marco@northgate.example"),
            priya: person(2, "Priya Nair", "priya@northgate.example"),
            sam: person(3, "Zoë Okafor", "zoe@harbor.example"),
            eve: person(4, "Eve Stone", "eve@northgate.example"),
        };
        if let Some(key) = house.test.key_for(tenant) {
            keys::make(house.test.app(), Owner::Tenant(tenant), Some(&key)).await.unwrap();
        }
        let store = DeploymentScope::of_function("test", "setup").store(house.test.app()).await.unwrap();
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&Tenant { id: tenant, name: "Harbor Precision".into(), created_at: house.test.app().now() });
        batch.create(&PolicyMark::first(tenant));
        for person in [&house.marco, &house.priya, &house.sam, &house.eve] {
            batch.create(person);
            batch.create(&house.grant(person));
        }
        batch.commit().await.unwrap();
        house
    }

    fn grant(&self, person: &Person) -> Grant {
        let roles = if person.id == self.priya.id {
            vec![Role::Engineer, Role::Approver]
        } else if person.id == self.sam.id {
            vec![Role::Approver]
        } else {
            vec![Role::Engineer]
        };
        Grant::of(self.tenant, person.id, roles)
    }

    async fn take_grant(&self, person: &Person) {
        let store = DeploymentScope::of_function("test", "setup").store(self.test.app()).await.unwrap();
        let held: Held<Grant> = store.read(DeploymentPlace::Directory, &format!("{}:{}", self.tenant, person.id)).await.unwrap().unwrap();
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.delete(&held);
        batch.commit().await.unwrap();
    }

    /// What the directory says of somebody from now on; their grant stays.
    async fn change(&self, person: &Person, change: impl FnOnce(&mut Person)) {
        let store = DeploymentScope::of_function("test", "setup").store(self.test.app()).await.unwrap();
        let mut held: Held<Person> = store.read(DeploymentPlace::Directory, &person.key()).await.unwrap().unwrap();
        change(&mut held.value);
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.replace(&held);
        batch.commit().await.unwrap();
    }

    fn scope(&self, person: &Person) -> Scope {
        Scope::of_person(&self.grant(person), "story")
    }

    async fn store(&self) -> Store<'_, ClientPlace> {
        self.scope(&self.marco).store(self.test.app()).await.unwrap()
    }

    /// Marco asks; the request to notify goes out.
    async fn asked(&self, draft: Draft) -> ProposalId {
        self.asked_by(&self.marco, draft).await
    }

    async fn asked_by(&self, person: &Person, draft: Draft) -> ProposalId {
        let store = self.scope(person).store(self.test.app()).await.unwrap();
        let mut batch = store.batch(ClientPlace::Assessment);
        let id = gate::stage(&mut batch, draft).await.unwrap();
        batch.commit().await.unwrap();
        assay::tenancy::outbox::flush(&store, ClientPlace::Assessment).await.unwrap();
        id
    }

    async fn held(&self, id: ProposalId) -> Held<Proposal> {
        self.store().await.read(ClientPlace::Assessment, &id.to_string()).await.unwrap().unwrap()
    }

    async fn state(&self, id: ProposalId) -> State {
        self.held(id).await.value.state
    }

    /// The answer of somebody who looks at the page now.
    async fn answer(&self, id: ProposalId, verdict: Verdict) -> Answer {
        let seen = self.held(id).await.value;
        Answer { verdict, version: seen.version, hash: seen.hash, comment: "I looked at both records.".into() }
    }

    async fn decide(&self, person: &Person, id: ProposalId, answer: &Answer) -> Result<Decided, DecideError> {
        let capacity = Capacity { signed_in_at: Some(self.test.app().now()), ..Capacity::default() };
        self.decide_as(person, id, answer, &capacity).await
    }

    async fn decide_as(&self, person: &Person, id: ProposalId, answer: &Answer, capacity: &Capacity) -> Result<Decided, DecideError> {
        gate::decide_as(self.test.app(), &self.scope(person), &self.grant(person), person, id, answer, capacity).await
    }

    /// As if it had been approved; the change of a policy as an action has stories of its own.
    async fn set_policy(&self, policy: &Policy) {
        let (app, store) = (self.test.app(), self.store().await);
        let held: Option<Held<SignedPolicy>> = store.read(ClientPlace::Assessment, gate::policy::KEY).await.unwrap();
        let version = held.as_ref().and_then(|held| held.value.unproved()).map_or(0, |policy| policy.version) + 1;
        let policy = Policy { version, ..policy.clone() };
        let signed = SignedPolicy::sign(app, self.tenant, &policy, "").await.unwrap();
        let mut batch = store.batch(ClientPlace::Assessment);
        batch.put(signed, held.map(|held| held.etag));
        batch.commit().await.unwrap();
        gate::policy::care::raise(app, "story", self.tenant, &policy, "").await.unwrap();
    }

    async fn roster(&self) -> Arc<Roster> {
        decision::roster(self.test.app()).await
    }

    async fn execute(&self) -> Result<Proposal, gate::ExecuteError> {
        let message = self.messages("execute").await.pop().unwrap();
        gate::execute(self.test.app(), &message, perform).await
    }

    /// Writes it as somebody does who has the store and the client's key.
    async fn overwrite<T: Record>(&self, held: Held<T>) {
        let store = self.store().await;
        let mut batch = store.batch(ClientPlace::Assessment);
        batch.replace(&held);
        batch.commit().await.unwrap();
    }

    async fn approve(&self, person: &Person, id: ProposalId) -> Result<Decided, DecideError> {
        let answer = self.answer(id, Verdict::Approve).await;
        self.decide(person, id, &answer).await
    }

    /// In an emergency, with what the gate wants for it.
    async fn approve_alone(&self, person: &Person, id: ProposalId) {
        let comment = "The assessor leaves in an hour and nobody else is reachable.".into();
        let answer = Answer { comment, ..self.answer(id, Verdict::Approve).await };
        let alone = Capacity { break_glass: true, signed_in_at: Some(self.test.app().now()), ..Capacity::default() };
        self.decide_as(person, id, &answer, &alone).await.unwrap();
    }

    /// Every message that was sent to a function, opened.
    async fn messages(&self, function: &str) -> Vec<Verified> {
        let mut opened = Vec::new();
        for body in self.test.queue.bodies(function) {
            opened.push(message::open(self.test.app(), function, &body).await.unwrap());
        }
        opened
    }

    /// Whom the gate says it mailed about it.
    async fn notified(&self, id: ProposalId) -> Vec<gate::notify::Notified> {
        let held = self.store().await.all(ClientPlace::Assessment, &format!("{id}:")).await.unwrap();
        held.into_iter().map(|held| held.value).collect()
    }

    /// Kinds of the audit items about a proposal, in the order they were made.
    async fn audited(&self, id: ProposalId) -> Vec<String> {
        let items: Vec<Held<Item>> = self.store().await.all(ClientPlace::Assessment, "").await.unwrap();
        let object = format!("proposal {id}");
        items.into_iter().map(|held| held.value).filter(|item| item.object == object).map(|item| item.kind).collect()
    }

    /// What the records say otherwise than the log, whose items all have their places by then.
    async fn differences(&self) -> Vec<String> {
        let store = self.store().await;
        assay::audit::sequence(&store, [ClientPlace::Assessment]).await.unwrap();
        let trail = assay::audit::trail::page(&store, std::iter::empty(), None).await.unwrap();
        let mut fold = gate::fold::Fold::default();
        trail.entries.iter().rev().for_each(|shown| fold.take(shown));
        let found = fold.compare(&store).await.unwrap().differences;
        // The stories set a policy as if it had been approved.
        found.into_iter().filter(|said| !said.contains("policy")).collect()
    }

    async fn marks(&self) -> Vec<String> {
        let marks: Vec<Held<Mark>> = self.store().await.all(ClientPlace::Assessment, "").await.unwrap();
        marks.into_iter().map(|held| held.value.subject).collect()
    }

    /// Open and approved proposals, as inbox and sweep see them.
    async fn standing(&self) -> (usize, usize) {
        let store = self.store().await;
        let open: Vec<Held<OpenMark>> = store.all(ClientPlace::Assessment, "").await.unwrap();
        let approved: Vec<Held<ApprovedMark>> = store.all(ClientPlace::Assessment, "").await.unwrap();
        (open.len(), approved.len())
    }

    async fn mails(&self) -> Vec<(String, String)> {
        use assay::platform::ports::BlobContainer::Mailbox;
        let blobs = &self.test.app().blobs;
        let mut mails = Vec::new();
        for name in blobs.list(Mailbox, "", None).await.unwrap().names {
            let bytes = blobs.read(Mailbox, &name).await.unwrap().unwrap();
            mails.push((name, String::from_utf8(bytes.to_vec()).unwrap()));
        }
        mails
    }
}

/// Why the gate said no.
fn refusal(error: DecideError) -> Refusal {
    match error {
        DecideError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

/// What the stories' action does: it leaves one of these.
#[derive(Serialize, Deserialize)]
struct Mark {
    subject: String,
    action: String,
}

impl Record for Mark {
    const KIND: &'static str = "mark";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        "one".into()
    }
}

fn perform<'x>(proposal: &'x Proposal, decision: Option<&'x Decision>, batch: &'x mut Batch<'_, '_, ClientPlace>) -> Performing<'x> {
    Box::pin(async move {
        if proposal.draft.kind == gate::policy::ACCEPT_RULE {
            return assay::analytics::accept::perform(proposal, decision, batch).await;
        }
        if proposal.draft.kind == gate::policy::CHANGE_POLICY {
            return gate::amend::perform(proposal, decision, batch).await;
        }
        if proposal.draft.action == BROKEN {
            return Err(NotPerformed::Failed("There is no such objective.".into()));
        }
        let held: Option<Held<Mark>> = batch.store().read(batch.place(), "one").await?;
        match (proposal.draft.kind.as_str(), held) {
            ("assign_training", Some(held)) if proposal.draft.action == UNDO => {
                batch.delete(&held);
            }
            ("mark" | "assign_training" | "collect_evidence", None) if proposal.draft.action != UNDO => {
                batch.create(&Mark { subject: proposal.draft.subject.clone(), action: proposal.draft.action.clone() });
            }
            ("roll_back", Some(held)) => {
                batch.delete(&held);
            }
            _ => return Err(NotPerformed::Refused("It is as asked already.".into())),
        }
        Ok(())
    })
}

/// Bytes that no release can carry out.
const BROKEN: &str = "{}";

/// The bytes that undo what `assign_training` did.
const UNDO: &str = r#"{"undo":true}"#;

fn draft() -> Draft {
    Draft {
        kind: "mark".into(),
        subject: "3.1.1[a]".into(),
        question: "Mark AC.L2-3.1.1[a] as MET for Harbor Precision?".into(),
        explanation: "The people who may use the system are identified.".into(),
        action: r#"{"objective":"3.1.1[a]","met":true}"#.into(),
        evidence: vec![],
        reasons: vec!["All 43 enabled accounts match a person.".into()],
        limits: vec!["Shows who has an account, not that access is limited to them.".into()],
        before: "Not read yet".into(),
        after: "MET".into(),
        approve_verb: "mark MET".into(),
        on_approve: "The objective becomes MET. You can roll it back.".into(),
        on_reject: "Nothing changes.".into(),
        undo: None,
    }
}

/// A draft that rests on a reading of this moment, which counts for three days.
async fn resting_on_a_reading(house: &House) -> Draft {
    let now = house.test.app().now();
    let reading = Evidence {
        source_key: "rmm:population:1".into(),
        record_type: Some("antivirus_state".into()),
        title: "Full inventory".into(),
        origin: Origin::Filed(Filed { place: "RMM".into(), approved_on: now.date(), filed_by: house.marco.id }),
        occurred_at: now,
        collected_at: now,
        population: Population::Of { read: 43, total: 43 },
        hash: "c".repeat(64),
        deleted: false,
        revision: 0,
    };
    let store = house.store().await;
    let mut batch = store.batch(Evidence::place(&reading.source_key));
    batch.create(&reading);
    batch.commit().await.unwrap();
    let reference = EvidenceRef { fresh_until: Some(now + Duration::days(3)), ..reading.reference() };
    Draft { evidence: vec![reference], ..draft() }
}

/// Settles on a fresh process what an earlier one left: what the sweep does.
async fn flush(house: &House) -> Result<usize, StoreError> {
    assay::tenancy::outbox::flush(&house.store().await, ClientPlace::Assessment).await
}
