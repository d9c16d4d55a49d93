//! What a client that was let go leaves behind is its log: `assay verify --store` holds it to what was recorded of its end, and
//! to a checkpoint that somebody kept.

use assay::{
    audit::{
        entry::Entry,
        replay::Outside,
        tiles,
        tlog::{Checkpoint, Tile},
    },
    connectors::demo,
    custody::offboarding::destroy::Destroyed,
    host::verify_store,
    platform::ports::BlobContainer,
    tenancy::{DeploymentPlace, keys::Owner, place::AuditPart},
};

use super::{
    offboarding::{at_rest, done, owner_reads, waited},
    verify_store::{faults, grants_are_told, verified},
};
use crate::support::{
    clock::START,
    end_state::all,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of},
    key_record::{put, record},
    log_copy,
};

#[tokio::test]
async fn the_log_of_a_client_that_was_let_go_is_whole_as_it_ended_and_what_was_done_to_it_since_is_named() {
    let mut flow = Flow::new(Extent::Small).await;
    owner_reads(&flow).await;
    grants_are_told(&flow).await;
    flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    let mut keys = log_copy::keys(&flow.deployment().await).await;
    for client in [HARBOR, RIDGE] {
        keys.extend(log_copy::keys(&flow.client(client).await).await);
    }
    let checkpoint = tiles::name(Owner::Tenant(HARBOR), tiles::CHECKPOINT);
    let kept = flow.app().blobs.read(BlobContainer::Log, &checkpoint).await.unwrap().unwrap();
    waited(&mut flow).await;
    let kept_record = record(&flow, &HARBOR.to_string()).await;
    done(&flow, "destroy", &[]).await;
    at_rest(&mut flow).await;

    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Ok(()), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("so it ended when its data keys were destroyed, on ")), "{said:#?}");
    let outside = Outside { keys: &keys, seen: Some(&kept) };
    verify_store::run(flow.app(), outside, |_| {}).await.unwrap();

    let (blobs, log) = (&flow.app().blobs, BlobContainer::Log);
    let last = blobs.read(log, &checkpoint).await.unwrap().unwrap();
    let puts = async |name: &str, bytes: bytes::Bytes| {
        blobs.delete(log, name).await.unwrap();
        let _ = blobs.create(log, name, bytes).await.unwrap();
    };
    puts(&checkpoint, kept).await;
    let said = faults(&flow).await;
    assert!(said.iter().any(|line| line.contains("the record of the destruction has ") && line.contains("put back")), "{said:#?}");
    puts(&checkpoint, last.clone()).await;
    assert_eq!(verified(&flow).await.1, Ok(()));
    let size = Checkpoint::parse_note(&last).unwrap().size;
    let bundle = tiles::name(Owner::Tenant(HARBOR), Tile::at(None, 0, size).unwrap());
    let honest = blobs.read(log, &bundle).await.unwrap().unwrap();
    let changed = honest.iter().enumerate().map(|(at, byte)| if at == 40 { byte ^ 1 } else { *byte }).collect::<Vec<_>>();
    puts(&bundle, changed.into()).await;
    let said = faults(&flow).await;
    assert!(said.iter().all(|line| line.contains("do not lead to the root of ")) && said.len() > 2, "{said:#?}");
    puts(&bundle, honest).await;

    // Its last key record is as genuine as it was, and opens all of it again.
    let gone = record(&flow, &HARBOR.to_string()).await;
    put(&flow, &HARBOR.to_string(), &kept_record).await;
    flow.test.restart();
    let said = faults(&flow).await;
    assert!(said.iter().any(|line| line.contains("and a record of them is there again")), "{said:#?}");
    at_rest(&mut flow).await;
    at_rest(&mut flow).await;
    assert_eq!(record(&flow, &HARBOR.to_string()).await["schema"], gone["schema"]);
    let log = all::<Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    assert_eq!(log.iter().filter(|entry| entry.leaf.contains("key.put_back")).count(), 1);
    assert_eq!(verified(&flow).await.1, Ok(()));

    let store = flow.deployment().await;
    let place = DeploymentPlace::Keys(HARBOR);
    let mut batch = store.batch(place);
    batch.delete(&store.read::<Destroyed>(place, &HARBOR.to_string()).await.unwrap().unwrap());
    batch.commit().await.unwrap();
    let (said, outcome) = verified(&flow).await;
    assert_eq!(outcome, Err("1 faults; each is named above".into()));
    assert!(said.iter().any(|line| line.contains("the record of the destruction is gone, or never was")), "{said:#?}");
}
