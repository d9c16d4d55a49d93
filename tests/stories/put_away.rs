//! What people put away, and what a page may say of it: a forged message, damaged records, a link that somebody else wrote.

use assay::{
    app::App,
    audit::dead_letter,
    connectors::{
        delivery::{Handling, Quarantined},
        demo::{self, What},
    },
    evidence::cui::Marking,
    platform::ports::{BatchOutcome, Container, Op, Partition, Queue as _},
    tenancy::{DeploymentPlace, DeploymentScope, Place as _, Record as _},
};
use bytes::Bytes;
use serde_json::json;

use crate::support::{
    browser::{Browser, text},
    clock::START,
    flow::{Extent, Flow, HARBOR},
};

fn operator() -> DeploymentScope {
    DeploymentScope::of_function("story", "story")
}

pub(super) async fn somebody_forges_a_message(flow: &mut Flow) {
    let forged = Bytes::from_static(b"{\"mac\":\"AAAA\"}");
    flow.test.queue.send("execute", forged, std::time::Duration::ZERO).await.unwrap();
    flow.pump().await;
}

#[tokio::test]
async fn a_forged_message_cannot_be_tried_again_and_is_put_away_by_who_has_seen_to_it() {
    let mut flow = Flow::new(Extent::Small).await;
    somebody_forges_a_message(&mut flow).await;
    let letter = dead_letter::all(flow.app(), &operator()).await.unwrap().remove(0);
    let (page, action) = ("portal/dead-letters", format!("portal/dead-letters/{}/see-to", letter.id));
    {
        let (marco, priya) = (Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Approver).await);
        let stopped = "1 message could not be processed";
        assert!(text(&marco.get("portal/clients").await).contains(stopped));
        let html = text(&marco.get(page).await);
        assert!(html.contains("what it says cannot be trusted") && !html.contains("Try again"), "{html}");
        assert_eq!(priya.post(&action, &[]).await.status, 403);
        assert_eq!(marco.post(&action, &[]).await.status, 403, "not by a form of ours");

        let hidden = marco.press(page, &action, &[]).await;
        assert!(text(&marco.follow(&hidden).await).contains("no longer counted"));
        let html = text(&marco.get(page).await);
        assert!(html.contains("Seen to</span> by Marco Reyes") && !html.contains(&action), "{html}");
        assert!(!text(&marco.get("portal/clients").await).contains("could not be processed"));
        assert!(text(&marco.get("portal/audit").await).contains("saw to a message that could not be processed"));
    }
    somebody_forges_a_message(&mut flow).await;
    assert_eq!(dead_letter::waiting(flow.app(), &operator()).await.unwrap(), 1, "it came anew");
}

/// As a fault of the disk leaves it; what it was before.
pub(super) async fn damage(app: &App, place: DeploymentPlace, id: &str) -> String {
    lies_there(app, place, id, "AAAA").await
}

/// In place of what is sealed in this record, which it hands on.
pub(super) async fn lies_there(app: &App, place: DeploymentPlace, id: &str, sealed: &str) -> String {
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/{}", place.key()));
    let held = app.documents.read(&partition, id).await.unwrap().unwrap();
    let mut body = held.body;
    let before = std::mem::replace(&mut body["sealed"], json!(sealed));
    let replace = Op::Replace { id: id.into(), body, if_match: held.etag };
    assert!(matches!(app.documents.batch(&partition, vec![replace]).await.unwrap(), BatchOutcome::Committed(_)));
    before.as_str().unwrap().to_owned()
}

async fn is_held_back(flow: &Flow, record: &str) -> Quarantined {
    let held_back = Quarantined {
        record: record.into(),
        dedupe_key: record.into(),
        company: Some(demo::connectwise::HARBOR.to_string()),
        marking: Marking::Banner,
        blob: None,
        at: START,
        handling: Handling::default(),
        never_kept: false,
    };
    held_back.clone().save(&flow.deployment().await, demo::CONNECTWISE).await.unwrap();
    held_back
}

#[tokio::test]
async fn one_damaged_record_is_a_row_and_a_count_and_hides_no_other() {
    let flow = Flow::new(Extent::Small).await;
    for message in ["first", "second"] {
        dead_letter::keep(flow.app(), &operator(), "intake", message.as_bytes(), "a reason").await.unwrap();
        is_held_back(&flow, &format!("ticket:{message}")).await;
    }
    let letters = dead_letter::all(flow.app(), &operator()).await.unwrap();
    damage(flow.app(), DeploymentPlace::Operations, &format!("dead-letter:{}", letters[0].id)).await;
    let ticket = is_held_back(&flow, "ticket:third").await;
    let place = DeploymentPlace::Connection(demo::CONNECTWISE, assay::tenancy::ConnectionPlace::deliveries_of(&ticket.record));
    damage(flow.app(), place, &format!("quarantined:{}", ticket.key())).await;

    let marco = Browser::of(&flow, What::Engineer).await;
    let clients = marco.get("portal/clients").await;
    assert_eq!(clients.status, 200);
    let html = text(&clients);
    assert!(html.contains("2 messages could not be processed") && html.contains("3 records of your tools carry"), "{html}");
    let html = text(&marco.get("portal/dead-letters").await);
    assert!(html.contains("What is kept of this message cannot be read") && html.contains(&letters[0].id), "{html}");
    assert!(html.contains(&letters[1].id));
    let html = text(&marco.get("portal/set-aside").await);
    assert!(html.contains("Cannot be read") && html.contains("ticket first") && html.contains("ticket second"), "{html}");
}

#[tokio::test]
async fn a_page_says_what_was_done_to_who_did_it_and_a_link_alone_says_nothing() {
    let flow = Flow::new(Extent::Small).await;
    is_held_back(&flow, "ticket:7").await;
    let (marco, priya) = (Browser::of(&flow, What::Engineer).await, Browser::of(&flow, What::Approver).await);
    let olivia = Browser::of(&flow, What::Owner).await;
    for (address, said) in [
        ("portal/set-aside?done=destroy", "Our copy is destroyed"),
        ("portal/set-aside?done=see-to&proof=AAAA", "Written down"),
        ("portal/connections?saved=added", "Added."),
        ("portal/connections?pull=started", "Reading has started"),
        ("portal/connections?cleared=1", "Noted"),
        ("portal/mapping?mapped=1", "Mapped."),
        ("portal/clients?added=1", "Added."),
        (&format!("portal/clients/{HARBOR}/people?saved=1"), "Saved."),
        ("portal/dead-letters?replayed=3%200", "were sent again"),
        ("portal/dead-letters?seen=1", "no longer counted."),
    ] {
        let looks = if address.contains("/people") { &olivia } else { &marco };
        let html = text(&looks.get(address).await);
        assert!(!html.contains("class=\"notice\" role=\"status\""), "{address} says {said}: {html}");
    }
    let action = format!("portal/set-aside/{}/see-to", demo::CONNECTWISE);
    let reply = marco.press("portal/set-aside", &action, &[]).await;
    assert!(text(&marco.follow(&reply).await).contains("Written down"));
    assert!(!text(&priya.follow(&reply).await).contains("Written down"), "another session");
}
