//! An insider who can write the database puts records back, all that belong together, as they were before: what people
//! approved once does not run again, and what ended does not come to life.

use assay::{
    audit,
    gate::{self, Draft, ExecuteError, Policy, Proposal, Rule, State, Verdict, proposal::Cause},
    platform::ports::{BatchOutcome, Container, Document, Op, Partition},
    tenancy::{ClientPlace, ProposalId, message::Verified},
};
use serde_json::Value;
use time::Duration;

use super::{House, draft, perform};
use crate::support::{faults::Fault, meeting::two_at_once};

/// One part of what the store keeps for the client.
pub(super) struct Part<'h> {
    house: &'h House,
    partition: Partition,
}

impl<'h> Part<'h> {
    pub(super) fn of(house: &'h House, name: &str) -> Self {
        let container = match name {
            "log/head" => Container::Heads,
            _ if name.starts_with("log/") => Container::Audit,
            _ => Container::Clients,
        };
        Self { house, partition: Partition::reserved_for_tenancy(container, format!("{}/{name}", house.tenant)) }
    }

    async fn all(&self) -> Vec<Document> {
        self.house.test.insider().documents.changes(&self.partition, None, 10_000).await.unwrap().documents
    }

    pub(super) async fn copy(&self, of: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
        self.all().await.into_iter().filter(|document| of(&document.id)).map(|document| (document.id, document.body)).collect()
    }

    /// Those of `of` are as they were in the copy, and there are no others.
    pub(super) async fn put_back(&self, copy: &[(String, Value)], of: impl Fn(&str) -> bool) {
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
        let outcome = self.house.test.insider().documents.batch(&self.partition, ops).await.unwrap();
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
pub(super) enum Known {
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

pub(super) async fn keep_the_log(house: &House, known: Known) {
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
        let again = gate::execute(house.test.app(), &message, perform).await.unwrap_err();
        if known == Known::EntriesTakenOff {
            assert!(again.is_transient(), "the log is shorter than it was: {again:?}");
        } else {
            assert!(matches!(again, ExecuteError::Tampered), "{known:?}: {again:?}");
        }
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
            Box::pin(end(&house, id, how)).await;
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

/// Staged and carried out on the first day; what may be decided within thirty days is asked again on the twentieth.
#[tokio::test]
async fn an_insider_who_asks_again_weeks_later_what_ran_long_ago_gets_no_second_run() {
    for week_put_back in [false, true] {
        let house = House::new().await;
        let slow = Rule { decide_within: 30 * 24, ..Rule::of_kind("mark") };
        house.set_policy(&Policy { rules: [("mark".to_owned(), slow)].into(), ..Policy::default() }).await;
        let [records, head] = ["assessment", "log/head"].map(|name| Part::of(&house, name));
        let id = house.asked(draft()).await;
        keep_the_log(&house, Known::Followed).await;
        let its = |document: &str| document.ends_with(&id.to_string()) || document.starts_with("ran:");
        let is_week = |document: &str| document.starts_with("ran-week:");
        let (before, weeks_before) = (records.copy(its).await, head.copy(is_week).await);
        house.approve(&house.priya, id).await.unwrap();
        assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
        undone_by_another(&house).await;
        for _ in 0..4 {
            keep_the_log(&house, Known::Followed).await;
            house.test.clock.advance(Duration::days(5));
            house.asked(draft()).await;
        }
        keep_the_log(&house, Known::Followed).await;

        records.put_back(&before, its).await;
        if week_put_back {
            head.put_back(&weeks_before, is_week).await;
        }
        assert_eq!(house.state(id).await, State::Open);
        house.approve(&house.priya, id).await.unwrap();
        let run = house.execute().await;
        assert!(matches!(run, Err(ExecuteError::Tampered)), "{run:?}");
        assert!(house.marks().await.is_empty());
    }
}

/// Asked again once the entries are back, it runs: nothing was done, and nothing is lost.
#[tokio::test]
async fn while_a_restore_has_not_brought_the_logs_last_entries_nothing_runs_and_then_it_does() {
    let house = House::new().await;
    let [head, entries] = ["log/head", "log/00000000"].map(|name| Part::of(&house, name));
    house.asked(draft()).await;
    keep_the_log(&house, Known::Entry).await;
    let id = house.asked(draft()).await;
    let (head_before, entries_before) = (head.copy(|_| true).await, entries.copy(|_| true).await);
    house.approve(&house.priya, id).await.unwrap();
    keep_the_log(&house, Known::Followed).await;
    let (head_after, entries_after) = (head.copy(|_| true).await, entries.copy(|_| true).await);
    head.put_back(&head_before, |_| true).await;
    entries.put_back(&entries_before, |_| true).await;
    let waits = house.execute().await.unwrap_err();
    assert!(waits.is_transient(), "{waits:?}");
    assert!(house.marks().await.is_empty());
    head.put_back(&head_after, |_| true).await;
    entries.put_back(&entries_after, |_| true).await;
    assert!(matches!(house.execute().await.unwrap().state, State::Executed { .. }));
}

/// The log tells of an end that no sweep has followed yet.
async fn ended() -> House {
    let house = House::new().await;
    let id = house.asked(draft()).await;
    let no = house.answer(id, Verdict::Reject).await;
    house.decide(&house.sam, id, &no).await.unwrap();
    assert!(audit::sequence(&house.store().await, [ClientPlace::Assessment]).await.unwrap().complete);
    house
}

#[tokio::test]
async fn of_two_sweeps_that_follow_a_clients_log_at_once_one_is_faster_and_the_other_goes_on() {
    let house = Box::pin(ended()).await;
    let both = two_at_once(house.test.app());
    let store = house.scope(&house.marco).store(&both).await.unwrap();
    let (one, other) = tokio::join!(gate::ran::follow(&store), gate::ran::follow(&store));
    one.unwrap();
    other.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_while_a_clients_log_is_followed_is_no_faster_sweep() {
    for at in 0.. {
        let house = Box::pin(ended()).await;
        let store = house.store().await;
        house.test.faults.fail_at(at, Fault::BeforeEffect);
        let followed = gate::ran::follow(&store).await;
        if !house.test.faults.struck() {
            followed.unwrap();
            break;
        }
        assert!(followed.is_err(), "call {at}");
    }
}
