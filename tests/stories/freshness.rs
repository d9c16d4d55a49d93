//! Evidence that grows too old while a proposal waits: what is asked is brought up to date, or withdrawn.

use assay::{
    evidence::Evidence,
    gate::{DecideError, Proposal, Refusal, State, Verdict, hash::FORM, proposal::Cause},
    readiness::{self, ByHand, Found, ProposeError, freshness, mark::MarkObjective},
    tenancy::{ClientPlace, message},
};
use time::{Duration, macros::date};

use super::analysis::{Client, INVENTORY};

impl Client {
    /// What the sweep does about freshness, and the analyses it asks for; returns how many.
    async fn sweeps(&mut self) -> usize {
        let before = self.test.queue.bodies("analyze").len();
        let woken = freshness::wake(self.app(), &self.as_engineer()).await.unwrap();
        for body in self.test.queue.bodies("analyze").split_off(before) {
            let message = message::open(self.app(), "analyze", &body).await.unwrap();
            readiness::analyze(self.app(), &message).await.unwrap();
        }
        woken
    }

    async fn proposal(&self, of: &Proposal) -> Proposal {
        self.read(&of.id.to_string()).await.unwrap()
    }
}

#[tokio::test]
async fn until_when_each_reading_counts_stands_in_the_bytes_that_are_approved() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    let counts_until = Some(client.now() + Duration::days(7));
    assert_eq!(asked.draft.evidence[0].fresh_until, counts_until);
    let action: MarkObjective = serde_json::from_str(&asked.draft.action).unwrap();
    assert_eq!(action.evidence[0].fresh_until, counts_until);
}

#[tokio::test]
async fn what_nobody_read_again_is_withdrawn_when_its_evidence_is_too_old_and_asked_anew_after_the_next_reading() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    client.test.clock.advance(Duration::days(7));
    assert_eq!(client.sweeps().await, 0, "it counts to the last moment");

    client.test.clock.advance(Duration::seconds(1));
    assert_eq!(client.sweeps().await, 1, "one record, however many proposals rest on it");
    assert!(client.open().await.is_empty());
    let State::Superseded { by: None, cause, .. } = client.proposal(&asked).await.state else { panic!("it still stands") };
    assert_eq!(cause, Cause::EvidenceTooOld);
    assert_eq!(client.sweeps().await, 0, "nothing is left to do");

    client.test.clock.advance(Duration::hours(1));
    client.analyzes(client.inventory(43, 43)).await;
    let again = client.open_about(INVENTORY).await.unwrap();
    assert_ne!(again.id, asked.id);
    assert!(matches!(client.decides(&again, Verdict::Approve).await.state, State::Executed { .. }));
}

#[tokio::test]
async fn what_is_read_again_and_again_is_brought_up_to_date_before_it_can_go_stale_and_nobody_is_mailed_twice() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    let mails = client.test.queue.bodies("notify").len();
    for _ in 0..6 {
        client.test.clock.advance(Duration::days(1));
        client.analyzes(client.inventory(43, 43)).await;
        assert_eq!(client.sweeps().await, 0);
    }
    let today = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((today.id, today.version), (asked.id, 2), "once, when half of the reading's time was over");
    assert_ne!(today.hash, asked.hash);
    assert_eq!(client.test.queue.bodies("notify").len(), mails);
    assert!(matches!(client.decides(&today, Verdict::Approve).await.state, State::Executed { .. }));
}

#[tokio::test]
async fn what_an_older_release_raised_is_brought_into_the_form_of_today_by_the_next_sweep() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    let store = client.as_engineer().store(client.app()).await.unwrap();
    let mut held = store.read::<Proposal>(ClientPlace::Assessment, &asked.id.to_string()).await.unwrap().unwrap();
    (held.value.form, held.value.hash) = (1, "d".repeat(64));
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.replace(&held);
    batch.commit().await.unwrap();
    drop(store);

    assert_eq!(client.sweeps().await, 1);
    let today = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((today.id, today.version, today.form), (asked.id, 2, FORM));
    assert!(matches!(client.decides(&today, Verdict::Approve).await.state, State::Executed { .. }));
    assert_eq!(client.sweeps().await, 0);
}

#[tokio::test]
async fn when_another_tool_is_still_fresh_the_proposal_stays_and_rests_on_that_alone() {
    let mut client = Client::new().await;
    let other = Evidence { source_key: "psa:population:rmm_device_inventory".into(), ..client.inventory(43, 43) };
    client.analyzes(other).await;
    client.test.clock.advance(Duration::days(2));
    client.analyzes(client.inventory(43, 43)).await;
    let asked = client.open_about(INVENTORY).await.unwrap();
    client.test.clock.advance(Duration::days(5) + Duration::hours(1));
    assert_eq!(client.sweeps().await, 1);
    let stays = client.open_about(INVENTORY).await.unwrap();
    assert_eq!((stays.id, stays.state.clone()), (asked.id, State::Open));
    let rests_on: Vec<&str> = stays.draft.evidence.iter().map(|e| e.source_key.as_str()).collect();
    assert_eq!(rests_on, ["rmm:population:rmm_device_inventory"]);
}

#[tokio::test]
async fn a_persons_proposal_is_left_to_its_approver_and_a_filed_document_has_no_end() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    client.file(&client.policy(date!(2024 - 02 - 01))).await;
    let wish = |evidence| ByHand { objective: INVENTORY, found: Found::Met, evidence, reason: "The list agrees." };
    let reading = vec!["rmm:population:rmm_device_inventory".to_owned()];
    readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish(&reading)).await.unwrap();
    let asked = client.open_about(INVENTORY).await.unwrap();
    client.test.clock.advance(Duration::days(7) + Duration::hours(1));
    client.sweeps().await;
    assert_eq!(client.proposal(&asked).await.draft.evidence, asked.draft.evidence, "nobody changes what a person asked");

    let too_old = readiness::propose_by_hand(
        client.app(),
        &client.as_engineer(),
        &ByHand { objective: "3.4.1[a]", found: Found::Met, evidence: &reading, reason: "As last week." },
    )
    .await;
    assert!(matches!(&too_old, Err(ProposeError::Refused(error)) if error.message.contains("read too long ago")), "{too_old:?}");

    let document = vec!["filed:1".to_owned()];
    let filed = ByHand { objective: "3.4.1[a]", found: Found::Met, evidence: &document, reason: "Approved and in force." };
    readiness::propose_by_hand(client.app(), &client.as_engineer(), &filed).await.unwrap();
    let filed = client.open_about("3.4.1[a]").await.unwrap();
    assert_eq!(filed.draft.evidence[0].fresh_until, None);
    client.test.clock.advance(Duration::days(6));
    assert!(matches!(client.decides(&filed, Verdict::Approve).await.state, State::Executed { .. }));
}

#[tokio::test]
async fn an_approver_who_comes_too_late_for_the_evidence_hears_so_before_the_sweep_came() {
    let mut client = Client::new().await;
    client.analyzes(client.inventory(43, 43)).await;
    client.test.clock.advance(Duration::days(5));
    // Asked for again by nobody: the proposal is as young as its mail, the reading is not.
    let wish = ByHand {
        objective: "3.4.1[a]",
        found: Found::Met,
        evidence: &["rmm:population:rmm_device_inventory".to_owned()],
        reason: "The list is the baseline.",
    };
    readiness::propose_by_hand(client.app(), &client.as_engineer(), &wish).await.unwrap();
    let asked = client.open_about("3.4.1[a]").await.unwrap();
    client.test.clock.advance(Duration::days(2) + Duration::seconds(1));
    let late = client.answers(&asked, Verdict::Approve).await.unwrap_err();
    assert!(matches!(late, DecideError::Refused(Refusal::EvidenceStale { .. })), "{late:?}");
    assert!(client.answers(&asked, Verdict::Reject).await.is_ok());
}
