//! Queue messages: what one proves, what it does not, and in whose name its work is done.

use std::sync::Arc;

use assay::tenancy::{
    Actor, Scope, TenantId,
    message::{self, MessageError},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    TestApp,
    key_vault::{DEPLOYMENT_KEY, FakeVaults, open},
};

const HARBOR: TenantId = TenantId(Uuid::from_u128(100));
const ID: Uuid = Uuid::from_u128(7);

async fn sealed(test: &TestApp) -> Vec<u8> {
    message::seal(test.app(), "execute", Some(HARBOR), ID, &json!({ "proposal": 5 })).await.unwrap().to_vec()
}

#[tokio::test]
async fn what_a_message_causes_is_done_for_its_client_in_its_functions_name_and_under_its_id() {
    let test = TestApp::new();
    let verified = message::open(test.app(), "execute", &sealed(&test).await).await.unwrap();
    assert_eq!((verified.function(), verified.tenant(), verified.id()), ("execute", Some(HARBOR), ID));
    assert_eq!(verified.body::<Value>().unwrap(), json!({ "proposal": 5 }));
    assert!(matches!(verified.body::<Vec<u8>>(), Err(MessageError::Form)));
    let scope = Scope::of_message(&verified).unwrap();
    assert_eq!((scope.tenant(), scope.actor(), scope.correlation()), (HARBOR, &Actor::Function("execute".into()), &*ID.to_string()));

    let of_no_client = message::seal(test.app(), "sweep", None, ID, &json!({})).await.unwrap();
    assert!(Scope::of_message(&message::open(test.app(), "sweep", &of_no_client).await.unwrap()).is_none());
}

#[tokio::test]
async fn no_part_of_a_message_can_be_changed_and_it_is_for_one_function() {
    let test = TestApp::new();
    let bytes = sealed(&test).await;
    let genuine: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(genuine.get("key"), None, "an earlier release reads what is under the first key");
    let refused = async |member: &str, value: Value| {
        let mut wire = genuine.clone();
        wire[member] = value;
        message::open(test.app(), "execute", wire.to_string().as_bytes()).await.unwrap_err()
    };
    for (member, value) in [
        ("function", json!("notify")),
        ("tenant", json!(TenantId(Uuid::from_u128(200)))),
        ("tenant", Value::Null),
        ("id", json!(Uuid::from_u128(8))),
        ("body", json!(r#"{"proposal":6}"#)),
        ("mac", json!("AAAA")),
        ("mac", json!("not base64!")),
        ("key", json!(2)),
        ("key", json!(0)),
    ] {
        let error = refused(member, value.clone()).await;
        assert!(matches!(error, MessageError::Mac), "{member} {value}: {error:?}");
    }
    assert!(matches!(refused("v", json!(2)).await, MessageError::Version(2)));
    assert!(matches!(refused("more", json!(1)).await, MessageError::Form));
    // Genuine, and in another function's queue.
    let elsewhere = message::open(test.app(), "notify", &bytes).await.unwrap_err();
    assert!(matches!(elsewhere, MessageError::OtherFunction(function) if function == "execute"));
}

#[tokio::test]
async fn while_the_installations_key_is_out_of_order_a_message_waits_and_one_that_proves_nothing_never_does() {
    let fake = FakeVaults::new();
    let mut test = TestApp::new();
    test.vault = Some(Arc::new(open(&fake, &[])));
    test.restart();
    let bytes = sealed(&test).await;
    for nothing in [&b"{}"[..], b"", &bytes[1..]] {
        assert!(!message::open(test.app(), "execute", nothing).await.unwrap_err().is_transient());
    }
    test.restart();
    fake.disable(DEPLOYMENT_KEY);
    let error = message::open(test.app(), "execute", &bytes).await.unwrap_err();
    assert!(matches!(error, MessageError::Store(_)) && error.is_transient(), "{error:?}");
    fake.refuse(DEPLOYMENT_KEY, None);
    message::open(test.app(), "execute", &bytes).await.unwrap();
}
