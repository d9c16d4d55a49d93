//! The installation's signing keys: rotated, retired, and asked for by people who make names up.

use std::sync::Arc;

use assay::{
    platform::ports::PortErrorKind,
    tenancy::{
        StoreError,
        signing::{self, Signed, SigningUse},
    },
};
use time::Duration;

use crate::support::{
    TestApp,
    key_vault::{FakeVaults, Trouble, open, signing_key},
};

const MESSAGE: &[u8] = b"approved";

/// Two processes of one installation, with one vault.
fn two_processes() -> (TestApp, TestApp, Arc<FakeVaults>) {
    let fake = FakeVaults::new();
    let process = || {
        let mut test = TestApp::new();
        test.vault = Some(Arc::new(open(&fake, &[])));
        test.restart();
        test
    };
    (process(), process(), fake)
}

async fn sign(test: &TestApp, usage: SigningUse) -> Signed {
    signing::sign(test.app(), usage, MESSAGE).await.unwrap()
}

async fn holds(test: &TestApp, usage: SigningUse, signed: &Signed) -> bool {
    let key = signing::verifying_key(test.app(), usage, &signed.kid).await.unwrap();
    key.is_some_and(|key| key.verifies(MESSAGE, &signed.signature) && !key.verifies(b"rejected", &signed.signature))
}

#[tokio::test]
async fn what_one_process_signs_another_verifies_and_no_key_is_taken_for_another_use() {
    let (one, other, _) = two_processes();
    for usage in SigningUse::ALL {
        let signed = sign(&one, usage).await;
        for foreign in SigningUse::ALL {
            assert_eq!(holds(&other, foreign, &signed).await, foreign == usage, "{usage:?} {foreign:?}");
        }
    }
}

#[tokio::test]
async fn a_rotated_key_signs_at_once_and_is_known_to_others_and_a_retired_one_stops_within_five_minutes() {
    let (one, other, fake) = two_processes();
    let usage = SigningUse::Receipts;
    let before = sign(&one, usage).await;
    assert!(holds(&other, usage, &before).await);
    fake.make_signing_key(&signing_key(usage));
    let after = sign(&one, usage).await;
    assert_ne!(before.kid, after.kid);
    assert!(holds(&other, usage, &after).await, "a name that is not known is asked for");
    assert!(holds(&other, usage, &before).await && holds(&one, usage, &before).await, "the older one still counts");
    fake.retire_oldest(&signing_key(usage));
    other.clock.advance(Duration::minutes(5) + Duration::seconds(1));
    assert!(!holds(&other, usage, &before).await && holds(&other, usage, &after).await);
}

#[tokio::test]
async fn made_up_names_ask_the_vault_once_in_ten_seconds() {
    let (one, _, fake) = two_processes();
    let usage = SigningUse::Links;
    assert!(holds(&one, usage, &sign(&one, usage).await).await);
    fake.seen();
    for n in 0..100 {
        assert!(signing::verifying_key(one.app(), usage, &format!("{n:016x}")).await.unwrap().is_none());
    }
    let asked = fake.seen().into_iter().filter(|seen| seen.url.contains("/versions")).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn without_its_key_nothing_is_signed_and_the_reason_is_said() {
    let (one, _, fake) = two_processes();
    fake.disable(&signing_key(SigningUse::Receipts));
    let refused = signing::sign(one.app(), SigningUse::Receipts, MESSAGE).await;
    let Err(StoreError::Key { owner, source }) = refused else { panic!("{refused:?}") };
    assert_eq!((owner.as_str(), source.kind), ("deployment", PortErrorKind::Disabled));
    sign(&one, SigningUse::Links).await;
}

#[tokio::test]
async fn an_answer_about_another_key_is_not_taken_for_a_signature() {
    let (one, _, fake) = two_processes();
    sign(&one, SigningUse::Links).await;
    fake.meet(&[Trouble::OtherKey("https://northgate.vault.azure.net/keys/receipts/00000000000000000000000000000001")]);
    signing::sign(one.app(), SigningUse::Links, MESSAGE).await.unwrap_err();
}

#[tokio::test]
async fn a_signature_that_nobody_can_verify_does_not_go_out() {
    let (one, _, fake) = two_processes();
    sign(&one, SigningUse::Links).await;
    fake.meet(&[Trouble::NoSignature]);
    let refused = signing::sign(one.app(), SigningUse::Links, MESSAGE).await;
    assert!(matches!(&refused, Err(StoreError::Key { source, .. }) if source.kind == PortErrorKind::Unreadable), "{refused:?}");
    sign(&one, SigningUse::Links).await;
}

#[tokio::test]
async fn public_halves_are_asked_for_once_in_five_minutes() {
    let (one, _, fake) = two_processes();
    let asked = async || {
        signing::verifying_keys(one.app(), SigningUse::Links).await.unwrap();
        fake.seen().into_iter().any(|seen| seen.url.contains("/versions"))
    };
    assert!(asked().await && !asked().await);
    one.clock.advance(Duration::minutes(5) - Duration::seconds(1));
    assert!(!asked().await);
    one.clock.advance(Duration::seconds(2));
    assert!(asked().await);
}

#[tokio::test]
async fn a_key_is_named_by_the_digest_of_its_point_whatever_the_vault_calls_it() {
    let (one, _, fake) = two_processes();
    for usage in SigningUse::ALL {
        let point = fake.public_key(&signing_key(usage));
        let digest = assay::tenancy::seal::sha256(&point);
        let keys = signing::verifying_keys(one.app(), usage).await.unwrap();
        assert_eq!(keys.iter().map(|key| (key.kid(), key.point())).collect::<Vec<_>>(), [(&digest[..16], &point[..])]);
    }
}

#[tokio::test]
async fn a_newer_key_is_found_by_all_who_meet_it_at_once() {
    let (one, other, fake) = two_processes();
    let usage = SigningUse::Receipts;
    signing::verifying_keys(one.app(), usage).await.unwrap();
    fake.make_signing_key(&signing_key(usage));
    let signed = sign(&other, usage).await;
    let hold = one.faults.hold_at(0);
    let look = || {
        let (app, kid) = (one.app().clone(), signed.kid.clone());
        tokio::spawn(async move { signing::verifying_key(&app, usage, &kid).await.unwrap().is_some() })
    };
    let first = look();
    hold.reached().await;
    let second = look();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    hold.let_go();
    assert!(first.await.unwrap() && second.await.unwrap());
    assert_eq!(one.faults.calls(), ["vault.public_keys"]);
}
