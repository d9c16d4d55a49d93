//! Who can write the database, and wrap with the public half of a vault key as anybody can, makes key records of their own:
//! none of them is taken, and the vault is not asked to unwrap what they wrapped.

use assay::{
    custody,
    platform::ports::PortErrorKind,
    tenancy::{
        KeyTrouble, StoreError,
        key_change::{self, Change},
        keys::{self, Owner},
        signing::{SigningUse, framed},
    },
};
use aws_lc_rs::{
    hkdf, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::support::{
    flow::{Extent, Flow, HARBOR, RIDGE},
    key_record::{put, record},
};

/// A data key of the attacker's own.
const MINE: [u8; 32] = [0x66; 32];

/// Everything as Assay writes it, but for the signature: MAC and all, under [`MINE`].
async fn forged(flow: &Flow, owner: &str, vault_key: &str) -> Value {
    let wrapped = flow.app().vault.wrap(vault_key, &MINE).await.unwrap();
    let since = flow.app().now();
    let mut body = json!({
        "schema": 3, "kind": "data-key", "wrapped": wrapped, "epoch": 1, "since": since.format(&Rfc3339).unwrap(),
        "seals": 0, "regions": [], "older": "",
    });
    let parts: [&[u8]; 9] = [
        b"assay data-key record 3",
        owner.as_bytes(),
        wrapped.key.as_bytes(),
        wrapped.version.as_bytes(),
        &1u32.to_be_bytes(),
        &since.unix_timestamp_nanos().to_be_bytes(),
        &0u64.to_be_bytes(),
        b"",
        b"",
    ];
    body["mac"] = json!(BASE64.encode(hmac::sign(&record_key(), &framed(&parts))));
    body
}

/// Derived as Assay derives it.
fn record_key() -> hmac::Key {
    let word = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let info = [word("mac"), word("data-key record")].concat();
    let mut bytes = [0; 32];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"assay data key 2").extract(&MINE);
    prk.expand(&[&info], hkdf::HKDF_SHA256).unwrap().fill(&mut bytes).unwrap();
    hmac::Key::new(hmac::HMAC_SHA256, &bytes)
}

/// What Assay would sign of that record.
fn statement(owner: &str, body: &Value) -> Vec<u8> {
    let wrapped = |name: &str| body["wrapped"][name].as_str().unwrap().as_bytes();
    let since = OffsetDateTime::parse(body["since"].as_str().unwrap(), &Rfc3339).unwrap().unix_timestamp_nanos().to_be_bytes();
    let (tag, epoch) = (b"assay data-key record 4", 1u32.to_be_bytes());
    framed(&[tag, owner.as_bytes(), wrapped("key"), wrapped("version"), wrapped("bytes"), &epoch, &since, b""])
}

fn signed(body: &Value, kid: &Value, bytes: &[u8]) -> Value {
    let mut body = body.clone();
    body["schema"] = json!(4);
    body["signature"] = json!({ "kid": kid, "bytes": BASE64.encode(bytes) });
    body
}

/// Both clients and the installation have their data keys.
async fn begun() -> Flow {
    let flow = Flow::new(Extent::Both).await;
    for tenant in [HARBOR, RIDGE] {
        keys::data_key(flow.app(), Owner::Tenant(tenant)).await.unwrap();
    }
    flow
}

/// Whether a new process takes the record, and why not; and that nothing was unwrapped if not.
async fn taken(flow: &mut Flow, owner: Owner) -> Result<bool, PortErrorKind> {
    flow.test.restart();
    let unwraps = |flow: &Flow| flow.test.faults.calls().iter().filter(|call| **call == "vault.unwrap").count();
    let before = unwraps(flow);
    match keys::find(flow.app(), owner).await {
        Ok(Some(key)) => Ok(key.mac(&[b"m"]) == assay::tenancy::seal::DataKey::new(&MINE).unwrap().mac(&[b"m"])),
        Err(StoreError::Key { source, owner: named }) => {
            assert_eq!((named, unwraps(flow)), (owner.to_string(), before));
            Err(source.kind)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_can_write_the_database_and_wrap_puts_no_data_key_of_their_own_in_place_of_an_owners() {
    let mut flow = begun().await;
    for owner in [Owner::Tenant(HARBOR), Owner::Deployment] {
        let name = owner.to_string();
        let ours = record(&flow, &name).await;
        let (kid, theirs) = (&ours["signature"]["kid"], BASE64.decode(ours["signature"]["bytes"].as_str().unwrap()).unwrap());
        let mine = forged(&flow, &name, &name).await;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let own = pair.sign(&SystemRandom::new(), &statement(&name, &mine)).unwrap();
        let other = record(&flow, &RIDGE.to_string()).await["signature"]["bytes"].as_str().map(|text| BASE64.decode(text).unwrap());
        let mut without = mine.clone();
        without["schema"] = json!(4);
        for (what, body, why) in [
            ("unsigned, as an earlier release left it", mine.clone(), PortErrorKind::Unreadable),
            ("of this release without a signature", without, PortErrorKind::Unreadable),
            ("the signature of the owner's own record", signed(&mine, kid, &theirs), PortErrorKind::Unreadable),
            ("that of another client's", signed(&mine, kid, &other.unwrap()), PortErrorKind::Unreadable),
            ("by a key of one's own under Assay's name", signed(&mine, kid, own.as_ref()), PortErrorKind::Unreadable),
            ("by a key of one's own under its name", signed(&mine, &json!("0123456789abcdef"), own.as_ref()), PortErrorKind::Disabled),
        ] {
            put(&flow, &name, &body).await;
            assert_eq!(taken(&mut flow, owner).await, Err(why), "{owner}: {what}");
        }
        // The key that signs decisions signs other things too: none of them is a record, and a record signed by it is one.
        let receipt = assay::tenancy::signing::sign(flow.app(), SigningUse::Receipts, b"{}").await.unwrap();
        put(&flow, &name, &signed(&mine, kid, &receipt.signature)).await;
        assert_eq!(taken(&mut flow, owner).await, Err(PortErrorKind::Unreadable));
        let vault = assay::tenancy::signing::sign(flow.app(), SigningUse::Receipts, &statement(&name, &mine)).await.unwrap();
        put(&flow, &name, &signed(&mine, kid, &vault.signature)).await;
        assert_eq!(taken(&mut flow, owner).await, Ok(true), "the rest was forged well");
        put(&flow, &name, &ours).await;
        assert_eq!(taken(&mut flow, owner).await, Ok(false), "put back from a backup, and nothing was lost");
    }
}

/// Words of a signed record that are changed: each is under the signature, or under the MAC of the data key.
#[tokio::test]
async fn no_word_of_a_signed_key_record_can_be_changed() {
    let mut flow = begun().await;
    let (owner, name) = (Owner::Tenant(HARBOR), HARBOR.to_string());
    let seen = key_change::facts(flow.app(), owner).await.unwrap().unwrap();
    key_change::change(flow.app(), owner, &seen, Change::NextKey).await.unwrap();
    let (ours, ridges) = (record(&flow, &name).await, record(&flow, &RIDGE.to_string()).await);
    for (word, value) in [
        ("epoch", json!(1)),
        ("since", json!("2020-01-01T00:00:00Z")),
        ("seals", json!(7)),
        ("regions", json!(["eastus"])),
        ("older", json!("")),
        ("older", ridges["mac"].clone()),
        ("mac", ridges["mac"].clone()),
        ("wrapped", ridges["wrapped"].clone()),
        ("signature", ridges["signature"].clone()),
        ("signature", json!(null)),
        ("schema", json!(3)),
        ("schema", json!(2)),
        ("schema", json!(1)),
    ] {
        let mut body = ours.clone();
        body[word] = value;
        put(&flow, &name, &body).await;
        flow.test.restart();
        let refused = keys::find(flow.app(), owner).await.unwrap_err();
        let is_refused = matches!(&refused, StoreError::Key { source, .. } if source.kind == PortErrorKind::Unreadable)
            || matches!(&refused, StoreError::Elsewhere { .. });
        assert!(is_refused, "{word}: {refused:?}");
    }
    // Ridge is not concerned, and Harbor is back with its record.
    keys::find(flow.app(), Owner::Tenant(RIDGE)).await.unwrap().unwrap();
    put(&flow, &name, &ours).await;
    assert_eq!(taken(&mut flow, owner).await, Ok(false));
}

/// Whoever has a leaked data key would like the emergency rotation to be refused for good.
#[tokio::test]
async fn a_record_that_nobody_signed_names_no_epoch_that_a_later_one_would_have_to_reach() {
    let mut flow = begun().await;
    let name = HARBOR.to_string();
    flow.settle().await;
    let ours = record(&flow, &name).await;
    let mut mine = forged(&flow, &name, &name).await;
    mine["epoch"] = json!(9);
    for body in [&mine, &ours] {
        put(&flow, &name, body).await;
        flow.test.restart();
        flow.sweep().await;
    }
    assert_eq!(flow.swept, Ok(()));
    custody::change::rotate(&flow.deployment().await, Owner::Tenant(HARBOR), "1", "It may have leaked.").await.unwrap();
    assert_eq!(record(&flow, &name).await["epoch"], 2);
}

#[tokio::test]
async fn unsigned_records_count_as_long_as_a_person_says_so_and_no_day_longer() {
    let mut flow = begun().await;
    let (owner, name) = (Owner::Tenant(HARBOR), HARBOR.to_string());
    let ours = record(&flow, &name).await;
    let mut unsigned = ours.clone();
    unsigned["schema"] = json!(3);
    unsigned.as_object_mut().unwrap().remove("signature");
    put(&flow, &name, &unsigned).await;
    assert_eq!(taken(&mut flow, owner).await, Err(PortErrorKind::Unreadable));
    let trouble = keys::find(flow.app(), owner).await.unwrap_err().key_trouble().unwrap();
    assert!(trouble == KeyTrouble::Unsigned && trouble.sentence().contains("ASSAY_UNSIGNED_KEYS_UNTIL"), "{trouble:?}");
    let until = |flow: &mut Flow, day: &str| flow.test.restart_with(&[("ASSAY_SIGN_IN", "demo"), ("ASSAY_UNSIGNED_KEYS_UNTIL", day)]);
    let today = flow.app().now().date();
    until(&mut flow, &today.previous_day().unwrap().to_string());
    keys::find(flow.app(), owner).await.unwrap_err();
    until(&mut flow, &today.to_string());
    keys::find(flow.app(), owner).await.unwrap().unwrap();
    // What is counted leaves it as it is: the sweep signs it.
    assert!(!key_change::count(flow.app(), owner, 5).await.unwrap());
    let seen = key_change::facts(flow.app(), owner).await.unwrap().unwrap();
    assert!(seen.signed_by.is_none());
    key_change::change(flow.app(), owner, &seen, Change::Lift).await.unwrap();
    until(&mut flow, "");
    keys::find(flow.app(), owner).await.unwrap().unwrap();
    assert_eq!(record(&flow, &name).await["schema"], 4);
}
