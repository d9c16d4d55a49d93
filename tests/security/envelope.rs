//! What an attacker does to sealed values and to the records of data keys, by the recipes `sen-*` of the samples: nothing
//! opens that was changed or moved, and nothing pretends that lost data never was.

use assay::{
    platform::ports::{BatchOutcome, Container, Document, Op, Partition, PortErrorKind, Query},
    tenancy::{
        ConnectionPlace, DeploymentPlace, DeploymentScope, Scope, StoreError, TenantId,
        directory::{MappedCompany, Person, Tenant},
        keys::{self, Owner},
        seal::{Binding, DataKey, SealError, hex},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use proptest::prelude::*;
use serde_json::json;

use crate::support::{
    browser::{Browser, text},
    clock::START,
    flow::{Extent, Flow, HARBOR, RIDGE, person},
};
use assay::connectors::demo::{self, What};

const AT: Binding<'_> = Binding {
    owner: "0192a3b4c5d67e8f9a0b1c2d3e4f5a6b",
    container: "clients",
    place: "assessment",
    document: "proposal:1",
    field: "record",
    schema: 2,
    revision: 3,
};

fn key() -> DataKey {
    DataKey::new(&[7; 32]).unwrap()
}

#[test]
fn sen_000_no_bit_of_ciphertext_tag_or_nonce_can_be_flipped() {
    let sealed = key().seal_bytes(&AT, b"approved by nobody").unwrap();
    // Before the nonce stands which form and which data key it is.
    for bit in 12 * 8..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key().open_bytes(&AT, changed), Err(SealError::Open), "bit {bit}");
    }
    for bit in 0..12 * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        key().open_bytes(&AT, changed).unwrap_err();
    }
    assert_eq!(key().open_bytes(&AT, sealed).unwrap(), b"approved by nobody");
}

#[test]
fn sen_001_a_value_that_is_moved_or_whose_words_are_changed_does_not_open() {
    let sealed = key().seal(&AT, b"text").unwrap();
    let elsewhere = [
        Binding { owner: "0192a3b4c5d67e8f9a0b1c2d3e4f5a6c", ..AT },
        Binding { owner: "deployment", ..AT },
        Binding { container: "audit", ..AT },
        Binding { place: "evidence/01", ..AT },
        Binding { document: "proposal:2", ..AT },
        Binding { field: "older", ..AT },
        Binding { schema: 1, ..AT },
        Binding { revision: 2, ..AT },
    ];
    for place in elsewhere {
        assert_eq!(key().open(&place, &sealed), Err(SealError::Open), "{place:?}");
    }
    assert_eq!(DataKey::new(&[8; 32]).unwrap().open(&AT, &sealed), Err(SealError::Open), "another owner's key");
    // As the earlier form, and as another data key's.
    let body = sealed.strip_prefix("s3.1.").unwrap();
    assert_eq!(key().open(&AT, &format!("s1.{body}")), Err(SealError::Open));
    assert_eq!(key().open(&AT, &format!("s2.1.{body}")), Err(SealError::Open));
    assert_eq!(key().open(&AT, &format!("s3.2.{body}")), Err(SealError::Epoch { epoch: 2 }));
    for form in
        [format!("s3.01.{body}"), format!("s3.+1.{body}"), format!("s4.1.{body}"), format!("s3.{body}"), body.to_owned(), String::new()]
    {
        assert_eq!(key().open(&AT, &form), Err(SealError::Form), "{form}");
    }
}

/// Made by a program that shares nothing with this one (Python's `cryptography`): each form as it was ever written, so that
/// no release stops reading what an earlier one sealed, and a person keeps their stand-in.
#[test]
fn what_any_release_wrote_opens_and_what_is_derived_from_a_key_stays_what_it_is() {
    let earlier = [
        ("s1.", b"".to_vec(), "AwMDAwMDAwMDAwMD/rAsEj7f8y+g+B1Q8gTXYB5NKQzbvhlaS7Y4ZxB8x3wb"),
        ("s2.1.", b"assay\0s2\0\0\0\x01".to_vec(), "AwMDAwMDAwMDAwMDPSciO+bK8WcBgK1U7ayYEgWlab1Me/56Op72WLFZMcVw"),
        ("s3.1.", b"assay\0s3\0\0\0\x01".to_vec(), "AwMDAwMDAwMDAwMDPSciO+bK8WcBgK1U7ayYEgV90MX2+4HMqRcGWNPc+5rd"),
    ];
    for (head, header, body) in earlier {
        assert_eq!(key().open(&AT, &format!("{head}{body}")).unwrap(), b"as it was written", "{head}");
        let bytes = [header, BASE64.decode(body).unwrap()].concat();
        assert_eq!(key().open_bytes(&AT, bytes).unwrap(), b"as it was written", "{head}");
    }
    assert_eq!(hex(&key().mac(&[b"one", b"", b"two"])), "95f6680a6d25cc32788bee502b0c9b1d17f784ae732bef1ab1ec06fb3b881e36");
    assert_eq!(key().pseudonym("00000000000000000000000000000009"), "e4f17cc59d401b49937239777112dd4f");
    assert_eq!(format!("{:?}", key()), "DataKey(..)");
}

#[test]
fn nothing_is_a_text_too_and_what_is_cut_off_is_none() {
    let sealed = key().seal_bytes(&AT, b"").unwrap();
    assert_eq!(key().open_bytes(&AT, sealed.clone()).unwrap(), b"");
    assert_eq!(key().open_bytes(&AT, sealed[..sealed.len() - 1].to_vec()), Err(SealError::Form));
}

proptest! {
    #[test]
    fn sen_006_two_places_are_never_one_whatever_stands_in_their_names(
        parts in prop::array::uniform5("[ab|:/,\\x00-\\x02]{0,4}"),
        others in prop::array::uniform5("[ab|:/,\\x00-\\x02]{0,4}"),
        numbers in prop::array::uniform4(0..3u8),
    ) {
        let place = |parts: &'_ [String; 5], schema: u8, revision: u8| -> Vec<String> {
            parts.iter().cloned().chain([schema.to_string(), revision.to_string()]).collect()
        };
        let (one, other) = (place(&parts, numbers[0], numbers[1]), place(&others, numbers[2], numbers[3]));
        let binding = |at: &'static [String]| Binding {
            owner: &at[0], container: &at[1], place: &at[2], document: &at[3], field: &at[4],
            schema: at[5].parse().unwrap(), revision: at[6].parse().unwrap(),
        };
        // The binding borrows; a leak of a few bytes a case does no harm in a test.
        let (here, there) = (binding(one.clone().leak()), binding(other.clone().leak()));
        let sealed = key().seal(&here, b"text").unwrap();
        prop_assert_eq!(key().open(&there, &sealed).is_ok(), one == other);
        prop_assert_eq!(key().open(&here, &sealed).unwrap(), b"text");
    }

    #[test]
    fn whatever_is_stored_in_place_of_a_sealed_value_is_refused(stored in "(s[0-9]\\.)?[0-9]{0,3}\\.?[A-Za-z0-9+/]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        key().open(&AT, &stored).unwrap_err();
        key().open_bytes(&AT, bytes.clone()).unwrap_err();
        for header in [b"assay\0s2", b"assay\0s3"] {
            key().open_bytes(&AT, [&header[..], &bytes].concat()).unwrap_err();
        }
    }
}

/// A company of one vendor is not that of another with the same number, whoever copies the record.
#[tokio::test]
async fn sen_001_an_entry_of_the_client_map_that_is_copied_to_another_connection_does_not_open() {
    let flow = Flow::new(Extent::Both).await;
    let at = |connection| Partition::reserved_for_tenancy(Container::Deployment, format!("deployment/connection/{connection}/mapping"));
    let (from, to) = (at(demo::CONNECTWISE), at(demo::AUTOTASK));
    let page = flow.app().documents.query(&from, &Query::prefix("company:")).await.unwrap();
    let entry = page.documents.into_iter().next().unwrap();
    write(&flow, &to, Op::Create { id: entry.id.clone(), body: entry.body }).await;
    let store = flow.deployment().await;
    let place = |connection| DeploymentPlace::Connection(connection, ConnectionPlace::Mapping);
    let company = entry.id.strip_prefix("company:").unwrap();
    assert!(store.read::<MappedCompany>(place(demo::CONNECTWISE), company).await.unwrap().is_some());
    let moved = store.read::<MappedCompany>(place(demo::AUTOTASK), company).await.unwrap_err();
    assert!(matches!(moved, StoreError::Sealed { source: SealError::Open, .. }), "{moved:?}");
}

#[test]
fn sen_006_a_name_with_a_delimiter_is_not_two_names() {
    let one = Binding { owner: "a|b", document: "c", ..AT };
    let other = Binding { owner: "a", document: "b|c", ..AT };
    let sealed = key().seal(&one, b"text").unwrap();
    assert_eq!(key().open(&other, &sealed), Err(SealError::Open));
}

fn at_keys(owner: &str) -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{owner}"))
}

async fn write(flow: &Flow, partition: &Partition, op: Op) {
    let done = flow.app().documents.batch(partition, vec![op]).await.unwrap();
    assert!(matches!(done, BatchOutcome::Committed(_)), "{done:?}");
}

async fn key_record(flow: &Flow, owner: &str) -> Option<Document> {
    flow.app().documents.read(&at_keys(owner), "data-key").await.unwrap()
}

async fn delete_key_record(flow: &Flow, owner: &str) {
    write(flow, &at_keys(owner), Op::Delete { id: "data-key".into(), if_match: None }).await;
}

fn scope(tenant: TenantId) -> Scope {
    Scope::of_sweep(&Tenant { id: tenant, name: String::new(), created_at: START }, "test")
}

#[tokio::test]
async fn sen_016_a_lost_key_record_is_said_so_and_never_made_anew_for_what_is_there() {
    let mut flow = Flow::new(Extent::Both).await;
    flow.mailed(person(What::Approver), HARBOR, "3.4.1[d]").await;
    flow.settle().await;
    let record = key_record(&flow, &HARBOR.to_string()).await.unwrap();
    delete_key_record(&flow, &HARBOR.to_string()).await;
    flow.test.restart();
    let kind = |error: &StoreError| match error {
        StoreError::Key { source, .. } => source.kind,
        other => panic!("{other:?}"),
    };
    let refused = keys::data_key(flow.app(), Owner::Tenant(HARBOR)).await.unwrap_err();
    assert_eq!(kind(&refused), PortErrorKind::Missing);
    // What writes by itself does not make one either, and the other client goes on.
    flow.pass(time::Duration::minutes(10)).await;
    assert!(key_record(&flow, &HARBOR.to_string()).await.is_none());
    scope(RIDGE).store(flow.app()).await.unwrap().key().unwrap();
    let marco = Browser::of(&flow, What::Engineer).await;
    let page = text(&marco.get("portal/clients").await);
    assert!(page.contains("Ridge Composites") && page.contains("Harbor Precision"));
    let told = marco.get(&format!("portal/clients/{HARBOR}")).await;
    assert!(told.status >= 400, "unreadable, not empty: {}", told.status);

    write(&flow, &at_keys(&HARBOR.to_string()), Op::Create { id: "data-key".into(), body: record.body }).await;
    flow.test.restart();
    let marco = Browser::of(&flow, What::Engineer).await;
    assert_eq!(marco.get(&format!("portal/clients/{HARBOR}")).await.status, 200, "put back, and nothing was lost");
}

#[tokio::test]
async fn sen_016_the_installations_key_is_not_made_anew_either() {
    let mut flow = Flow::new(Extent::Small).await;
    delete_key_record(&flow, "deployment").await;
    flow.test.restart();
    let refused = keys::data_key(flow.app(), Owner::Deployment).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Key { source, .. } if source.kind == PortErrorKind::Missing), "{refused:?}");
    assert!(key_record(&flow, "deployment").await.is_none());
}

#[tokio::test]
async fn sen_018_what_stands_beside_a_sealed_field_in_clear_is_not_read() {
    let flow = Flow::new(Extent::Small).await;
    let olivia = person(What::Owner);
    let directory = Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into());
    let id = format!("person:{}", olivia.id);
    let document = flow.app().documents.read(&directory, &id).await.unwrap().unwrap();
    let read = async || {
        let store = DeploymentScope::of_function("test", "c").store(flow.app()).await.unwrap();
        store.read::<Person>(DeploymentPlace::Directory, &olivia.id.to_string()).await
    };
    let clear = json!({ "id": olivia.id, "name": "Mallory", "email": "m@example.net", "is_owner": true });
    let mut beside = document.body.clone();
    for (name, value) in clear.as_object().unwrap() {
        beside[name] = value.clone();
    }
    beside["record"] = clear.clone();
    write(&flow, &directory, Op::Replace { id: id.clone(), body: beside.clone(), if_match: document.etag }).await;
    assert_eq!(read().await.unwrap().unwrap().value.name, olivia.name);

    // In its place, or with other words about it, it is unreadable.
    let mut replaced = Vec::new();
    for (name, value) in [("sealed", json!(clear.to_string())), ("sealed", clear), ("schema", json!(1)), ("revision", json!(1))] {
        let mut body = document.body.clone();
        body[name] = value;
        replaced.push(body);
    }
    for body in replaced {
        let etag = flow.app().documents.read(&directory, &id).await.unwrap().unwrap().etag;
        write(&flow, &directory, Op::Replace { id: id.clone(), body: body.clone(), if_match: etag }).await;
        let refused = read().await.unwrap_err();
        assert!(matches!(refused, StoreError::Sealed { .. }), "{body}: {refused:?}");
    }
}
