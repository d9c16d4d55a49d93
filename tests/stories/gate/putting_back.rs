//! An insider who can write the database puts records back, all that belong together, as they were before: what people
//! approved once does not run again, and what ended does not come to life.

use assay::{
    audit,
    gate::{self, Draft, ExecuteError, Proposal, State, Verdict, proposal::Cause},
    platform::ports::{BatchOutcome, Container, Document, Op, Partition},
    tenancy::{ClientPlace, ProposalId, message::Verified},
};
use serde_json::Value;

use super::{House, draft, perform};

/// One part of what the store keeps for the client.
struct Part<'h> {
    house: &'h House,
    partition: Partition,
}

impl<'h> Part<'h> {
    fn of(house: &'h House, name: &str) -> Self {
        Self { house, partition: Partition::reserved_for_tenancy(Container::Clients, format!("{}/{name}", house.tenant)) }
    }

    async fn all(&self) -> Vec<Document> {
        self.house.test.app().documents.changes(&self.partition, None, 10_000).await.unwrap().documents
    }

    async fn copy(&self, of: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
        self.all().await.into_iter().filter(|document| of(&document.id)).map(|document| (document.id, document.body)).collect()
    }

    /// Those of `of` are as they were in the copy, and there are no others.
    async fn put_back(&self, copy: &[(String, Value)], of: impl Fn(&str) -> bool) {
        let now: Vec<Document> = self.all().await.into_iter().filter(|document| of(&document.id)).collect();
        let mut ops: Vec<Op> = Vec::new();
        for (id, body) in copy {
            let (id, body) = (id.clone(), body.clone());
            ops.push(match now.iter().find(|document| document.id == id) {
                Some(now) => Op::Replace { id, body, if_match: now.etag.clone() },
                None => Op::Create { id, body },
            });
        }
        let is_new = |document: &&Document| copy.iter().all(|(id, _)| *id != document.id);
        ops.extend(now.iter().filter(is_new).map(|new| Op::Delete { id: new.id.clone(), if_match: Some(new.etag.clone()) }));
        let outcome = self.house.test.app().documents.batch(&self.partition, ops).await.unwrap();
        assert!(matches!(outcome, BatchOutcome::Committed(_)), "{outcome:?}");
    }
}

/// Everything that says of a proposal whether it may run; what its run wrote elsewhere is not among it.
fn of_proposal(id: ProposalId, message: &Verified) -> impl Fn(&str) -> bool {
    let named = [format!("proposal:{id}"), format!("decision:{id}"), format!("approved:{id}"), format!("open:{id}")];
    let sent = format!("send:{}", message.id().simple());
    move |document| named.iter().any(|name| name == document) || document == sent || document.starts_with("ran:")
}

/// How much was known of the run when the records were put back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// Its audit item waits for its place.
    Waiting,
    Entry,
    /// The sweep followed the log.
    Followed,
    /// The log's head, how far it was published and what the sweep knew are put back as well.
    HeadPutBack,
    /// So are the log's entries and the items, which nobody may delete; the checkpoint lies elsewhere.
    EntriesTakenOff,
}

async fn keep_the_log(house: &House, known: Known) {
    let store = house.store().await;
    if known == Known::Waiting {
        return;
    }
    assert!(audit::sequence(&store, [ClientPlace::Assessment]).await.unwrap().complete);
    if known != Known::Entry {
        gate::ran::follow(&store).await.unwrap();
        audit::publish(&store).await.unwrap().unwrap();
    }
}

async fn undone_by_another(house: &House) {
    let back = house.asked(Draft { kind: "roll_back".into(), ..draft() }).await;
    house.approve(&house.priya, back).await.unwrap();
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
    assert!(house.marks().await.is_empty(), "it would apply again");
}

#[tokio::test]
async fn an_insider_who_puts_all_records_of_a_run_back_together_gets_no_second_run() {
    for known in [Known::Waiting, Known::Entry, Known::Followed, Known::HeadPutBack, Known::EntriesTakenOff] {
        let house = House::new().await;
        let [records, head, entries] = ["assessment", "log/head", "log/00000000"].map(|name| Part::of(&house, name));
        let id = house.asked(draft()).await;
        keep_the_log(&house, known).await;
        house.approve(&house.priya, id).await.unwrap();
        let message = house.messages("execute").await.pop().unwrap();
        let its = of_proposal(id, &message);
        let (before, head_before, entries_before) = (records.copy(&its).await, head.copy(|_| true).await, entries.copy(|_| true).await);
        assert_eq!(before.len(), 4, "proposal, answers, mark and message: {before:?}");

        assert!(matches!(gate::execute(house.test.app(), &message, perform).await.unwrap().state, State::Executed { .. }));
        undone_by_another(&house).await;
        keep_the_log(&house, known).await;

        records.put_back(&before, &its).await;
        if matches!(known, Known::HeadPutBack | Known::EntriesTakenOff) {
            head.put_back(&head_before, |_| true).await;
        }
        if known == Known::EntriesTakenOff {
            entries.put_back(&entries_before, |_| true).await;
        }
        assert!(matches!(house.state(id).await, State::Approved { .. }));
        let again = gate::execute(house.test.app(), &message, perform).await;
        assert!(matches!(again, Err(ExecuteError::Tampered)), "{known:?}: {again:?}");
        assert!(house.marks().await.is_empty());
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Withdrawn,
    Superseded,
    Rejected,
}

async fn end(house: &House, id: ProposalId, how: End) {
    let app = house.test.app();
    match how {
        End::Withdrawn => gate::withdraw(app, &house.scope(&house.marco), id).await.map(drop).unwrap(),
        End::Rejected => {
            let no = house.answer(id, Verdict::Reject).await;
            house.decide(&house.sam, id, &no).await.unwrap();
        }
        End::Superseded => {
            let store = house.store().await;
            let mut batch = store.batch(ClientPlace::Assessment);
            gate::supersede(&mut batch, &house.held(id).await, None, Cause::NewEvidence).unwrap();
            batch.commit().await.unwrap();
        }
    }
    assert!(matches!(house.state(id).await, State::Withdrawn { .. } | State::Superseded { .. } | State::Rejected { .. }));
}

#[tokio::test]
async fn an_insider_who_opens_an_ended_proposal_again_gets_nothing_executed_though_somebody_approves_it() {
    for how in [End::Withdrawn, End::Superseded, End::Rejected] {
        for known in [Known::Waiting, Known::Entry, Known::Followed, Known::HeadPutBack] {
            let house = House::new().await;
            let [records, head] = ["assessment", "log/head"].map(|name| Part::of(&house, name));
            let id = house.asked(draft()).await;
            keep_the_log(&house, known).await;
            let its = |document: &str| document.ends_with(&id.to_string());
            let (before, head_before) = (records.copy(its).await, head.copy(|_| true).await);
            end(&house, id, how).await;
            keep_the_log(&house, known).await;

            records.put_back(&before, its).await;
            if known == Known::HeadPutBack {
                head.put_back(&head_before, |_| true).await;
            }
            assert_eq!(house.state(id).await, State::Open);
            house.approve(&house.priya, id).await.unwrap();
            let run: Result<Proposal, _> = house.execute().await;
            assert!(matches!(run, Err(ExecuteError::Tampered)), "{how:?}, {known:?}: {run:?}");
            assert!(house.marks().await.is_empty());
        }
    }
}
