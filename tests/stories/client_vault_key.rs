//! A client that wants its own vault key later: the owner names it on the keys page, nothing is sealed anew, and the key
//! before stays named until the end of the client.

use assay::{
    audit::entry::{Entry, HEAD_KEY, Head},
    connectors::demo::What,
    custody::vault_key,
    evidence::Evidence,
    platform::ports::{Container, Op, Partition, PortErrorKind},
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, TenantId,
        key_change::{self, Facts},
        keys::{self, Owner},
        place::{AuditPart, EVIDENCE_SHARDS},
    },
};

use super::offboarding::{done, known, owner_reads, step, waited};
use crate::support::{
    browser::{Browser, hidden_of, text},
    clock::START,
    end_state::all,
    faults::Fault,
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of},
    key_vault::{DEPLOYMENT_KEY, FakeVaults, KEPT_DAYS, installation_of, key_uri},
};

const OWNER: Owner = Owner::Tenant(HARBOR);

fn page(tenant: TenantId) -> String {
    format!("portal/clients/{tenant}/keys")
}

async fn names(flow: &Flow, key: &str) -> assay::web::Reply {
    let owner = Browser::of(flow, What::Owner).await;
    owner.press(&page(HARBOR), &format!("{}/vault-key", page(HARBOR)), &[("key", key)]).await
}

async fn facts(flow: &Flow) -> Facts {
    key_change::facts(flow.app(), OWNER).await.unwrap().unwrap()
}

async fn evidence(flow: &Flow) -> usize {
    let (store, mut records) = (flow.client(HARBOR).await, 0);
    for shard in 0..EVIDENCE_SHARDS {
        records += all::<Evidence, _>(&store, ClientPlace::Evidence(shard)).await.len();
    }
    records
}

async fn said(flow: &Flow, kind: &str) -> Vec<Entry> {
    let log = all::<Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
    log.into_iter().filter(|entry| entry.leaf.contains(kind)).collect()
}

/// Harbor with evidence, under a key of the installation's vault.
async fn harbor() -> (Flow, std::sync::Arc<FakeVaults>) {
    let (test, fake) = installation_of(OWNER).await;
    fake.make_key(&key_uri("ridge"));
    keys::make(test.app(), Owner::Tenant(RIDGE), Some(&key_uri("ridge"))).await.unwrap();
    let mut flow = Flow::begun(test, Extent::Both).await;
    flow.vendor_sends(&deliveries_of(assay::connectors::demo::CONNECTWISE, START)[0]).await;
    flow.settle().await;
    (flow, fake)
}

#[tokio::test(start_paused = true)]
async fn a_client_takes_its_own_vault_key_later_and_hears_what_is_wrong_with_it() {
    let (mut flow, fake) = harbor().await;
    let (own, before, records) = (key_uri("harbor-own"), facts(&flow).await, evidence(&flow).await);
    assert!(records > 0);
    fake.make_signing_key(&key_uri("signer"));
    for (key, words) in [
        ("harbor", "This is not the address of a key"),
        (key_uri("ridge").as_str(), "Another client uses this key"),
        (DEPLOYMENT_KEY, "This is the key of the installation itself"),
        (own.as_str(), "There is no such key in that vault"),
        (key_uri("signer").as_str(), "must be an RSA key"),
        ("https://evil.example/keys/kestrel", "must be an RSA key in a vault of the cloud"),
    ] {
        let told = names(&flow, key).await;
        assert!(told.status == 422 && text(&told).contains(words), "{key}: {} {}", told.status, text(&told));
    }
    fake.make_key(&own);
    for (refusal, words) in [((403, "ForbiddenByRbac"), "Assay may not use this key"), ((403, "KeyDisabled"), "This key is disabled")] {
        fake.refuse(&own, Some(refusal));
        let told = names(&flow, &own).await;
        assert!(told.status == 422 && text(&told).contains(words), "{words}: {}", text(&told));
    }
    fake.refuse(&own, None);
    assert_eq!(facts(&flow).await, before, "nothing was changed");

    for _ in 0..2 {
        let reply = names(&flow, &own).await;
        assert_eq!(reply.status, 303, "{}", text(&reply));
    }
    let now = facts(&flow).await;
    assert_eq!((now.vault_key.as_str(), now.epoch, now.since, now.seals), (own.as_str(), before.epoch, before.since, before.seals));
    let former = vault_key::former(&flow.deployment().await, HARBOR).await.unwrap();
    assert_eq!(former.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), [before.vault_key.as_str()]);
    let owner = Browser::of(&flow, What::Owner).await;
    assert!(text(&owner.get(&page(HARBOR)).await).contains(&format!("{}, until ", before.vault_key)));
    drop(owner);
    // The key before is not needed any more.
    fake.delete(&before.vault_key);
    flow.test.restart();
    assert_eq!(evidence(&flow).await, records);
    flow.clock_jumps(time::Duration::days(1));
    flow.settle().await;
    let changed = said(&flow, "key.vault_key_changed").await;
    assert!(changed.len() == 1 && changed[0].content.contains(&own) && changed[0].content.contains(&before.vault_key), "{changed:?}");
    let told = names(&flow, &key_uri("ridge")).await;
    assert_eq!(told.status, 422);
    // And the client switches its own key off.
    fake.refuse(&own, Some((403, "KeyDisabled")));
    flow.test.restart();
    let refused = keys::find(flow.app(), OWNER).await.err().unwrap();
    assert_eq!(refused.into_port().kind, PortErrorKind::Disabled);
}

/// Whatever call of the form is the last of a process: one key or the other, never neither, and the form again ends it.
#[tokio::test(start_paused = true)]
async fn wherever_the_change_of_a_vault_key_stops_one_of_them_opens_everything_and_the_form_again_ends_it() {
    for fault in [Fault::BeforeEffect, Fault::AnswerLost] {
        for stop in (0..60).step_by(3) {
            let (mut flow, fake) = harbor().await;
            let (own, before) = (key_uri("harbor-own"), facts(&flow).await.vault_key);
            fake.make_key(&own);
            let (session, action) = (Browser::of(&flow, What::Owner).await.session(), format!("{}/vault-key", page(HARBOR)));
            let hidden = hidden_of(&Browser::with_cookie(&flow, &session).get(&page(HARBOR)).await, &action);
            flow.test.faults.stop_at(stop, fault);
            let _ = Browser::with_cookie(&flow, &session).send(hidden, &action, &[("key", &own)]).await;
            let struck = flow.test.faults.struck();
            flow.test.faults.mend();
            flow.test.restart();
            let now = facts(&flow).await.vault_key;
            let former = vault_key::former(&flow.deployment().await, HARBOR).await.unwrap();
            assert!(now == own || now == before, "{stop}: {now}");
            assert_eq!(former.iter().any(|one| one.key == before), now == own, "{stop}: they change together");
            assert!(evidence(&flow).await > 0, "{stop}");
            assert_eq!(names(&flow, &own).await.status, 303, "{stop}");
            flow.settle().await;
            assert_eq!((facts(&flow).await.vault_key, said(&flow, "key.vault_key_changed").await.len()), (own, 1), "{stop}");
            if !struck {
                break;
            }
            assert!(stop < 57, "it makes fewer calls");
        }
    }
}

/// Harbor took a vault key of its own, and may be destroyed now; with that key and the one before.
async fn let_go_with_a_key_of_its_own() -> (Flow, std::sync::Arc<FakeVaults>, String, String) {
    let (mut flow, fake) = harbor().await;
    owner_reads(&flow).await;
    let (own, before) = (key_uri("harbor-own"), facts(&flow).await.vault_key);
    fake.make_key(&own);
    assert_eq!(names(&flow, &own).await.status, 303);
    waited(&mut flow).await;
    (flow, fake, own, before)
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_client_asks_for_every_vault_key_that_ever_wrapped_its_data_keys() {
    let (mut flow, fake, own, before) = let_go_with_a_key_of_its_own().await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!(ended.vault_keys().collect::<Vec<_>>(), [own.as_str(), before.as_str()]);
    for key in [&own, &before] {
        let told = step(&flow, "look", &[]).await;
        assert!(told.status == 409 && text(&told).contains("still in the vault"), "{key}: {}", text(&told));
        fake.delete(key);
    }
    done(&flow, "look", &[]).await;
    flow.clock_jumps(time::Duration::days(91));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    assert!(text.contains(&format!("Before, these vault keys wrapped them: {before}.")) && text.contains(&own), "{text}");
    assert!(text.contains("The installation's log names no other vault key"), "{text}");
    assert!(!text.contains("That no other key of a vault ever wrapped"), "{text}");
}

/// The settings say a week, and the vault keeps a deleted key for 90 days.
#[tokio::test(start_paused = true)]
async fn what_the_vault_says_of_its_days_counts_where_a_setting_says_less() {
    let (mut flow, fake, own, before) = let_go_with_a_key_of_its_own().await;
    flow.test.restart_with(&[("ASSAY_SIGN_IN", "demo"), ("ASSAY_VAULT_DAYS", "7")]);
    done(&flow, "destroy", &[]).await;
    for key in [&own, &before] {
        fake.delete(key);
    }
    done(&flow, "look", &[]).await;
    // Longer than the setting and every backup.
    flow.clock_jumps(time::Duration::days(31));
    let told = super::offboarding::issued(&flow).await.unwrap_err().to_string();
    assert!(told.contains("Not before"), "{told}");
    flow.clock_jumps(time::Duration::days(60));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    assert!(text.contains(&format!("keeps a deleted key for {KEPT_DAYS} days")), "{text}");
}

/// As whoever holds the store.
async fn forgets_former(flow: &Flow) {
    let (store, place) = (flow.deployment().await, DeploymentPlace::Keys(HARBOR));
    let record = store.read::<vault_key::FormerVaultKeys>(place, &HARBOR.to_string()).await.unwrap().unwrap();
    let mut batch = store.batch(place);
    batch.delete(&record);
    batch.commit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_deletes_the_record_of_former_vault_keys_hides_none_and_the_certificate_says_that_it_was_gone() {
    let (mut flow, fake, own, before) = let_go_with_a_key_of_its_own().await;
    forgets_former(&flow).await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!(ended.vault_keys().collect::<Vec<_>>(), [own.as_str(), before.as_str()]);
    assert_eq!((&ended.unrecorded_vault_keys, ended.vault_keys_compared), (&vec![before.clone()], true));
    fake.delete(&own);
    let told = step(&flow, "look", &[]).await;
    assert!(told.status == 409 && text(&told).contains("still in the vault"), "{}", text(&told));
    fake.delete(&before);
    done(&flow, "look", &[]).await;
    flow.clock_jumps(time::Duration::days(91));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    for words in
        ["was lost or put back", &format!("{before} stood only in the installation's log"), "- That no other key of a vault ever wrapped"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_vault_key_is_found_behind_a_head_that_was_put_back_and_before_it_has_its_place_in_the_log() {
    for is_placed in [true, false] {
        Box::pin(is_found_in_the_log(is_placed)).await;
    }
}

async fn is_found_in_the_log(is_placed: bool) {
    let (mut flow, fake) = harbor().await;
    owner_reads(&flow).await;
    let (own, before) = (key_uri("harbor-own"), facts(&flow).await.vault_key);
    fake.make_key(&own);
    if is_placed {
        assert_eq!(names(&flow, &own).await.status, 303);
    }
    waited(&mut flow).await;
    if is_placed {
        let (store, place) = (flow.deployment().await, DeploymentPlace::Log(AuditPart::Head));
        let mut head = store.read::<Head>(place, HEAD_KEY).await.unwrap().unwrap();
        head.value.next = 1;
        let mut batch = store.batch(place);
        batch.replace(&head);
        batch.commit().await.unwrap();
    } else {
        assert_eq!(names(&flow, &own).await.status, 303);
        assert_eq!(said(&flow, "key.vault_key_changed").await.len(), 0, "it waits");
    }
    forgets_former(&flow).await;
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    assert_eq!((&ended.unrecorded_vault_keys, ended.vault_keys_compared), (&vec![before.clone()], true), "{is_placed}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_its_checkpoint_says_nothing_about_all_vault_keys() {
    let (mut flow, _) = harbor().await;
    owner_reads(&flow).await;
    waited(&mut flow).await;
    let (store, place) = (flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0)));
    let last = store.all::<Entry>(place, "").await.unwrap().pop().unwrap();
    let insider = flow.test.insider();
    let taken = DeploymentScope::of_function("story", "story").store(&insider).await.unwrap();
    let mut batch = taken.batch(place);
    batch.delete(&last);
    batch.commit().await.unwrap();
    drop((store, taken));
    drop(insider);
    done(&flow, "destroy", &[]).await;
    assert!(!known(&flow).await.destroyed.unwrap().value.vault_keys_compared);
}

#[tokio::test(start_paused = true)]
async fn where_the_key_record_is_lost_no_vault_key_is_called_the_last_and_none_that_a_form_named_is_called_unrecorded() {
    let (mut flow, fake) = harbor().await;
    let before = facts(&flow).await.vault_key;
    let [own, second] = ["harbor-own", "harbor-second"].map(key_uri);
    for key in [&own, &second] {
        fake.make_key(key);
        assert_eq!(names(&flow, key).await.status, 303);
    }
    flow.settle().await;
    let partition = Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{HARBOR}"));
    let record = flow.app().documents.read(&partition, "data-key").await.unwrap().unwrap();
    let gone = Op::Delete { id: "data-key".into(), if_match: Some(record.etag) };
    let _ = flow.app().documents.batch(&partition, vec![gone]).await.unwrap();
    flow.test.restart();
    for (what, typed) in [("begin", ("reason", "Contract ended")), ("no-export", ("copies", "None")), ("switch-off", ("", ""))] {
        done(&flow, what, &[typed]).await;
    }
    let from = known(&flow).await.held.unwrap().value.destroy_from.unwrap();
    flow.clock_jumps(from - flow.app().now());
    done(&flow, "destroy", &[]).await;
    let ended = known(&flow).await.destroyed.unwrap().value;
    let mut all = vec![before, own, second];
    all.sort_unstable();
    assert_eq!((ended.vault_key.as_str(), &ended.other_vault_keys, &ended.unrecorded_vault_keys), ("", &all, &vec![]));
    for key in &all {
        fake.delete(key);
    }
    done(&flow, "look", &[]).await;
    flow.clock_jumps(time::Duration::days(91));
    done(&flow, "certify", &[]).await;
    let text = known(&flow).await.certificate.unwrap().text;
    assert!(text.contains(&format!("named for the client: {}.", all.join(", "))) && !text.contains("was lost or put back"), "{text}");
}
