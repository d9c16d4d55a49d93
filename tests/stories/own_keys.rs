//! The installation's own data key, when one may have leaked: its owner makes a further one at once, on a page.

use assay::{
    audit::entry::Entry,
    connectors::demo::What,
    tenancy::{DeploymentPlace, key_change, keys::Owner, place::AuditPart},
};

use crate::support::{
    browser::{Browser, hidden_of, text},
    end_state::all,
    flow::{Extent, Flow},
};

async fn said(flow: &Flow, kind: &str) -> Vec<Entry> {
    let log = all::<Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    log.into_iter().filter(|entry| entry.leaf.contains(kind)).collect()
}

#[tokio::test]
async fn the_owner_makes_a_further_data_key_for_the_installation_and_everything_of_it_is_sealed_again() {
    let mut flow = Flow::new(Extent::Small).await;
    flow.settle().await;
    let (page, action) = ("portal/keys", "portal/keys/rotate");
    for who in [What::Engineer, What::Approver] {
        assert_eq!(Browser::of(&flow, who).await.get(page).await.status, 403);
    }
    let epoch = async |flow: &Flow| key_change::facts(flow.app(), Owner::Deployment).await.unwrap().unwrap().epoch;
    let session = Browser::of(&flow, What::Owner).await.session();
    let form = hidden_of(&Browser::with_cookie(&flow, &session).get(page).await, action);
    let send =
        async |flow: &Flow, reason: &str| Browser::with_cookie(flow, &session).send(form.clone(), action, &[("reason", reason)]).await;
    assert_eq!((send(&flow, " ").await.status, epoch(&flow).await), (422, 1));
    // Sent twice it makes one.
    for _ in 0..2 {
        assert_eq!(send(&flow, "A copy of a laptop's memory").await.status, 303);
    }
    assert_eq!(epoch(&flow).await, 2);
    let shown = text(&Browser::with_cookie(&flow, &session).get(page).await);
    for words in ["go on sealing with it for up to five minutes", "made with the first data key and stay so"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    flow.test.restart();
    assert_eq!(Browser::with_cookie(&flow, &session).get("portal/clients").await.status, 200, "who is signed in stays so");
    flow.clock_jumps(time::Duration::days(1));
    for _ in 0..8 {
        flow.sweep().await;
        flow.swept.clone().unwrap();
        flow.clock_jumps(time::Duration::minutes(6));
    }
    let ordered = said(&flow, "key.rotation_ordered").await;
    assert!(ordered.len() == 1 && ordered[0].content.contains("laptop"), "{ordered:?}");
    assert_eq!(said(&flow, "key.resealed").await.len(), 1);
    assert_eq!(flow.deployment().await.key().unwrap().epoch(), 2);
}
