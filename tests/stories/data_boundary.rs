//! Where no CUI may lie, nothing is kept of a message that carries a marking but that it came, wherever that stops, and a copy
//! from before is destroyed at once; elsewhere our copy stays until a person has it destroyed.

use assay::{
    connectors::{
        delivery::Quarantined,
        demo::{self, Delivery, What},
    },
    platform::ports::BlobContainer,
};

use time::Duration;

use crate::support::{
    TestApp,
    browser::{Browser, text},
    clock::{START, VirtualClock},
    disk,
    end_state::EndState,
    faults::Fault,
    flow::{Extent, Flow, deliveries_of, with_body},
};

const NARROW: &[(&str, &str)] = &[("ASSAY_DATA_BOUNDARY", "commercial-noCUI")];

/// A ticket with a marking in its text, signed by the tool.
fn marked() -> Delivery {
    let sent = &deliveries_of(demo::CONNECTWISE, START)[0];
    with_body(sent, sent.body.replace("Phishing mail", "CUI//SP-CTI"))
}

async fn held_back(flow: &Flow) -> Quarantined {
    let (mut all, unreadable) = Quarantined::each(&flow.deployment().await, demo::CONNECTWISE).await.unwrap();
    assert_eq!((all.len(), unreadable), (1, 0));
    all.remove(0)
}

async fn raw(flow: &Flow) -> usize {
    flow.app().blobs.list(BlobContainer::Raw, &demo::CONNECTWISE.to_string(), None).await.unwrap().names.len()
}

#[tokio::test]
async fn where_no_cui_may_lie_a_marked_message_is_never_kept_and_each_page_says_what_may_lie_here() {
    let mut flow = Flow::begun(TestApp::with(NARROW), Extent::Small).await;
    flow.vendor_sends(&marked()).await;
    assert_eq!(raw(&flow).await, 0, "looked into before a byte was kept");
    let held = held_back(&flow).await;
    assert!(held.never_kept && held.copies().next().is_none() && held.handling.seen.is_none(), "a person still has to look");
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[1]).await;
    flow.settle().await;
    assert_eq!(raw(&flow).await, 1, "what carries none is kept");
    let marco = Browser::of(&flow, What::Engineer).await;
    let page = text(&marco.get("portal/set-aside").await);
    for said in ["found before anything was kept", "No CUI may lie in this installation", ">commercial-noCUI</abbr>"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("Destroy our copy"), "{page}");
    let log = text(&marco.get("portal/audit").await);
    assert!(log.contains("nothing of it was kept"), "{log}");
    // The tool sends the same again.
    flow.vendor_sends(&marked()).await;
    flow.vendor_sends(&marked()).await;
    flow.settle().await;
    assert_eq!((raw(&flow).await, held_back(&flow).await.copies().count()), (1, 0));
    let end = EndState::of(&flow).await;
    assert_eq!((end.dead_letters, end.left_over), (Vec::<String>::new(), Vec::<String>::new()));
    assert_eq!(end.audit["deployment evidence.quarantined"], 1);
}

/// Bytes that can be read in two ways could hide a marking from one of the two readers.
#[tokio::test]
async fn where_no_cui_may_lie_nothing_is_kept_of_what_cannot_be_read_and_a_marking_in_it_is_listed() {
    let mut flow = Flow::begun(TestApp::with(NARROW), Extent::Both).await;
    let sent = deliveries_of(demo::AUTOTASK, START).remove(0);
    let kept = async |flow: &Flow| flow.app().blobs.list(BlobContainer::Raw, &demo::AUTOTASK.to_string(), None).await.unwrap().names.len();
    let listed = async |flow: &Flow| Quarantined::each(&flow.deployment().await, demo::AUTOTASK).await.unwrap().0.len();
    flow.vendor_sends(&with_body(&sent, sent.body.replacen('{', r#"{"Id":1,"Id":2,"#, 1))).await;
    assert_eq!((kept(&flow).await, listed(&flow).await), (0, 0), "nothing is ever made of it");
    flow.vendor_sends(&with_body(&sent, sent.body.replacen('{', r#"{"Id":1,"Id":2,"Summary":"see \u0028CUI\u0029","#, 1))).await;
    assert_eq!((kept(&flow).await, listed(&flow).await), (0, 1));
    flow.vendor_sends(&sent).await;
    flow.settle().await;
    assert_eq!((kept(&flow).await, listed(&flow).await), (1, 1), "what can be read and carries none");
    assert_eq!(EndState::of(&flow).await.dead_letters, Vec::<String>::new());
}

/// A copy from before is not left beside what is not kept now.
#[tokio::test]
async fn a_copy_from_before_the_boundary_is_destroyed_when_its_record_comes_again() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&marked()).await;
    flow.settle().await;
    assert_eq!(raw(&flow).await, 1);
    flow.test.restart_with(&[NARROW[0], ("ASSAY_SIGN_IN", "demo")]);
    flow.vendor_sends(&marked()).await;
    assert_eq!(raw(&flow).await, 0);
    let all = Quarantined::each(&flow.deployment().await, demo::CONNECTWISE).await.unwrap().0;
    assert!(all.iter().all(|one| one.copies().next().is_none()), "{all:?}");
    let page = text(&Browser::of(&flow, What::Engineer).await.get("portal/set-aside").await);
    assert!(page.contains("Destroyed by Assay at once"), "{page}");
}

/// The tool sends until it hears that the message was taken.
#[tokio::test]
async fn wherever_the_look_at_a_marked_message_stops_nothing_is_kept_and_it_is_listed_once() {
    let calls = stopped_at_every_call(NARROW, async |flow, fault, call| {
        let before = raw(flow).await;
        strike(flow, fault, call);
        flow.vendor_sends(&marked()).await;
        let end = recovered(flow).await;
        let listed = (held_back(flow).await.never_kept, end.audit["deployment evidence.quarantined"]);
        assert_eq!((raw(flow).await, listed, end.dead_letters.len()), (before, (true, 1), 0), "{fault:?} at call {call}");
    });
    assert!(calls.await > 3);
}

#[tokio::test]
async fn a_copy_stays_until_a_person_destroys_it_where_nobody_said_that_none_may_lie() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.vendor_sends(&marked()).await;
    flow.settle().await;
    assert_eq!((raw(&flow).await, held_back(&flow).await.copies().count()), (1, 1));
    let page = text(&Browser::of(&flow, What::Engineer).await.get("portal/set-aside").await);
    assert!(page.contains("Destroy our copy") && !page.contains("Data boundary"), "{page}");
}

/// Whichever call is the last of the process, no copy stays and no row says that one does.
#[tokio::test]
async fn wherever_the_destruction_stops_no_copy_stays_and_nothing_says_that_one_does() {
    let calls = stopped_at_every_call(&[], async |flow, fault, call| {
        // Taken in, twice, before the boundary was set.
        flow.vendor_sends(&marked()).await;
        flow.vendor_sends(&marked()).await;
        flow.test.restart_with(&[NARROW[0], ("ASSAY_SIGN_IN", "demo")]);
        strike(flow, fault, call);
        flow.pump_once("intake").await;
        let end = recovered(flow).await;
        let found = (raw(flow).await, held_back(flow).await.copies().count(), end.audit.get("deployment evidence.purged").copied());
        assert_eq!((found, end.dead_letters.len()), ((0, 0, Some(1)), 0), "{fault:?} at call {call}");
    });
    assert!(calls.await > 8);
}

/// Has `story` told again and again on the same settled folder, its process ended one call later each time, until none is left
/// to end it at; says how many there were.
async fn stopped_at_every_call(settings: &[(&str, &str)], story: impl AsyncFn(&mut Flow, Fault, usize)) -> usize {
    let mut first = Flow::begun(TestApp::with(NARROW), Extent::Small).await;
    first.settle().await;
    let (now, folder) = (first.app().now(), first.test.closed());
    let mut fewest = usize::MAX;
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for call in 0.. {
            let copied = tempfile::tempdir().unwrap();
            disk::copy(folder.path(), copied.path());
            let mut flow = Flow::taken_over(TestApp::on(copied, VirtualClock::at(now), 2, settings), START);
            story(&mut flow, fault, call).await;
            if flow.deaths == 0 {
                fewest = fewest.min(call);
                break;
            }
        }
    }
    fewest
}

fn strike(flow: &mut Flow, fault: Fault, call: usize) {
    flow.mortal = true;
    flow.test.faults.stop_at(call, fault);
}

async fn recovered(flow: &mut Flow) -> EndState {
    flow.test.faults.mend();
    flow.pass(Duration::minutes(6)).await;
    EndState::of(flow).await
}
