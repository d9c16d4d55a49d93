//! What is written of a dead letter is what happened: that it was sent, whoever else pressed a button, and why it is there.

use std::time::Duration;

use assay::{
    audit::{
        Item,
        dead_letter::{self, DeadLetter, DeadLetterState},
    },
    platform::ports::Queue as _,
    tenancy::{DeploymentPlace, DeploymentScope},
};
use bytes::Bytes;

use crate::support::{
    end_state::all,
    flow::{Extent, Flow},
};

const MESSAGE: &[u8] = b"a message";

fn operator() -> DeploymentScope {
    DeploymentScope::of_function("story", "story")
}

async fn letter(flow: &Flow) -> DeadLetter {
    dead_letter::all(flow.app(), &operator()).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_one_sends_again_while_another_sees_to_it_is_written_down_as_sent() {
    let mut sent_all_the_same = 0;
    for call in 0.. {
        let flow = Flow::new(Extent::Small).await;
        dead_letter::keep(flow.app(), &operator(), "intake", MESSAGE, "a reason").await.unwrap();
        let id = letter(&flow).await.id;
        let hold = flow.test.faults.hold_at(call);
        let again = async {
            let sent = dead_letter::replay(flow.app(), &operator(), &id, "Olivia Hart").await.unwrap();
            hold.let_go();
            sent
        };
        let seen = async {
            hold.reached().await;
            let seen = hold.struck() && dead_letter::see_to(flow.app(), &operator(), &id, "Marco Reyes").await.unwrap();
            hold.let_go();
            seen
        };
        let (told_as_sent, told_as_seen) = tokio::join!(again, seen);
        if !hold.struck() {
            break;
        }
        let sent = flow.test.queue.bodies("intake") == [MESSAGE];
        let letter = letter(&flow).await;
        let items = all::<Item, _>(&flow.deployment().await, DeploymentPlace::Operations).await;
        let audited = items.iter().filter(|item| item.kind == "message.replayed").count();
        assert_eq!((told_as_sent, audited), (sent, usize::from(sent)), "call {call}");
        let state = if sent { DeadLetterState::Replayed } else { DeadLetterState::SeenTo };
        assert_eq!((letter.state, letter.replayed.is_some(), letter.seen.is_some()), (state, sent, !sent), "call {call}");
        sent_all_the_same += usize::from(sent && told_as_seen);
    }
    assert!(sent_all_the_same > 0, "they never met");
}

#[tokio::test]
async fn a_message_that_no_run_failed_on_is_not_said_to_have_failed() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.test.queue.send("intake-poison", Bytes::from_static(MESSAGE), Duration::ZERO).await.unwrap();
    flow.sweep().await;
    let reason = letter(&flow).await.reason;
    assert!(reason.starts_with("the host took it out of its queue; no failed run") && !reason.contains("five times"), "{reason}");
}
