//! `assay doctor` and health: what the installation depends on, and what somebody must mend.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use assay::{
    app::App,
    config,
    connectors::demo::What,
    host::start::{Life, start},
    platform::{
        azure::Credential,
        ports::{BatchOutcome, BlobContainer, Container, Document, Op, Partition, PortErrorKind},
    },
    tenancy::{
        DeploymentPlace, DeploymentScope, TenantId,
        directory::Tenant,
        keys::{self, Owner},
    },
    triggers::health::doctor::{self, Finding},
};
use uuid::Uuid;

use crate::support::{
    TestApp,
    authority::{self, Authority, json_answer},
    browser::Browser,
    clock::START,
    cosmos::{Emulator, FakeTokens, azure_settings, settings},
    faults::Fault,
    flow::{Extent, Flow, HARBOR, person},
    key_vault::{FakeVaults, Trouble, key_uri, open},
};

fn bad(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.outcome.is_err()).map(ToString::to_string).collect()
}

#[tokio::test]
async fn an_installation_at_work_is_good_and_looking_changes_nothing() {
    let flow = Flow::new(Extent::Small).await;
    let before = flow.test.faults.count();
    let findings = doctor::examine(flow.test.app()).await;
    assert_eq!(bad(&findings), [""; 0]);
    assert!(findings.iter().any(|finding| finding.what.contains("clients")), "{findings:?}");
    assert!(flow.test.faults.count() > before, "it asks through the ports");
    assert!(flow.test.faults.calls().contains(&"blobs.create"), "also whether a webhook's body could be kept");
    for container in BlobContainer::ALL {
        assert_eq!(flow.app().blobs.list(container, "", None).await.unwrap().names, [""; 0]);
    }
    assert!(std::fs::read_dir(flow.test.folder().join("mailbox")).unwrap().next().is_none());
    assert_eq!(bad(&doctor::examine(flow.test.app()).await), [""; 0]);
}

#[tokio::test]
async fn what_is_missing_or_not_allowed_is_named_by_its_setting_with_what_to_do() {
    let test = TestApp::new();
    let empty = Emulator::empty();
    let app = App { documents: Arc::new(empty.documents(test.ids.clone()).await), ..test.app().clone() };
    let findings = doctor::examine(&app).await;
    let bad = bad(&findings);
    assert_eq!(bad.len(), 4, "{bad:?}");
    for (line, container) in bad.iter().zip(["deployment", "clients", "audit", "heads"]) {
        assert!(line.contains(&format!("container {container}: not there")) && line.contains("make it"), "{line}");
    }
    assert!(findings.iter().filter_map(|finding| finding.ailment(false)).all(|ailment| !ailment.problem.contains("https://")));

    empty.tokens.refuses.store(true, Ordering::Relaxed);
    let app = App { documents: Arc::new(empty.documents(test.ids.clone()).await), ..test.app().clone() };
    let findings = doctor::examine(&app).await;
    let kinds: Vec<_> = findings.iter().filter_map(|finding| finding.outcome.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [PortErrorKind::Denied; 4]);
}

#[tokio::test]
async fn what_passes_by_itself_is_no_ailment() {
    let test = TestApp::new();
    test.faults.stop_at(0, Fault::BeforeEffect);
    let findings = doctor::examine(test.app()).await;
    let (last, asked) = findings.split_last().unwrap();
    assert!(last.what == "cryptography" && last.outcome.is_ok(), "it is no dependency: {last}");
    assert!(asked.iter().all(|finding| finding.outcome.is_err() && finding.ailment(false).is_none()), "{findings:?}");
}

/// What health would list, were it all to last.
fn ailments(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().filter_map(|finding| finding.ailment(true)).map(|ailment| ailment.setting).collect()
}

async fn add(app: &App, id: TenantId) {
    let store = DeploymentScope::of_function("story", "story").store(app).await.unwrap();
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(&Tenant { id, name: id.to_string(), created_at: START });
    batch.commit().await.unwrap();
}

#[tokio::test]
async fn a_clients_key_that_is_disabled_or_was_never_made_is_that_clients_matter_and_names_no_setting() {
    let fake = FakeVaults::new();
    let mut test = TestApp::new();
    test.vault = Some(Arc::new(open(&fake, &[])));
    test.restart();
    let app = test.app();
    let nobodys = TenantId(Uuid::from_u128(7));
    fake.make_key(&key_uri("harbor"));
    keys::make(app, Owner::Tenant(HARBOR), Some(&key_uri("harbor"))).await.unwrap();
    for id in [HARBOR, nobodys] {
        add(app, id).await;
    }
    fake.disable(&key_uri("harbor"));
    app.cache.forget(&format!("data-key/{HARBOR}"));
    let findings = doctor::examine(app).await;
    let mut bad = bad(&findings);
    bad.sort_unstable();
    assert_eq!((bad.len(), ailments(&findings)), (2, Vec::new()), "{bad:?}");
    assert!(bad.iter().all(|line| !line.contains("ASSAY_")), "{bad:?}");
    let line = |id: TenantId| bad.iter().find(|line| line.contains(&format!("the key of client {id}"))).unwrap();
    assert!(line(HARBOR).contains("disabled") && line(nobodys).contains("has no data key yet"), "{bad:?}");
}

#[tokio::test]
async fn one_damaged_record_of_the_directory_keeps_nobody_else_out_and_has_a_line() {
    let mut flow = Flow::new(Extent::Small).await;
    let marco = person(What::Engineer).id;
    let directory = Partition::reserved_for_tenancy(Container::Deployment, "deployment/directory".into());
    let Document { id, mut body, etag } = flow.app().documents.read(&directory, &format!("person:{marco}")).await.unwrap().unwrap();
    body["sealed"] = "AAAA".into();
    let damage = Op::Replace { id, body, if_match: etag };
    assert!(matches!(flow.app().documents.batch(&directory, vec![damage]).await.unwrap(), BatchOutcome::Committed(_)));

    let approver = Browser::of(&flow, What::Approver).await;
    assert_eq!(approver.get(&format!("portal/clients/{HARBOR}")).await.status, 200);
    flow.sweep().await;
    let bad = bad(&doctor::examine(flow.app()).await);
    assert!(bad.len() == 1 && bad[0].contains(&format!("person:{marco}")) && bad[0].contains("from a backup"), "{bad:?}");
}

#[tokio::test]
async fn a_wrong_identity_is_one_clear_line() {
    let test = TestApp::new();
    let tokens = Arc::new(FakeTokens::default());
    let config = Arc::new(config::check(&settings(&[])).unwrap());
    let app = App { config, identity: Credential::of(tokens.clone(), &azure_settings(&[])), ..test.app().clone() };
    let findings = doctor::examine(&app).await;
    let queues: Vec<_> = findings.iter().filter(|finding| finding.what.starts_with("queue")).map(ToString::to_string).collect();
    assert!(queues.len() == 5 && queues.iter().all(|line| line.contains("sending is not tried")), "{queues:?}");
    assert!(findings.len() > 5 && findings[0].what == "identity" && findings[0].outcome.is_ok(), "{findings:?}");

    tokens.refuses.store(true, Ordering::Relaxed);
    let findings = doctor::examine(&app).await;
    let bad = bad(&findings);
    assert_eq!((findings.len(), bad.len(), ailments(&findings)), (2, 1, vec!["ASSAY_CREDENTIAL, ASSAY_IDENTITY"]));
    assert!(bad[0].contains("identity: access denied (ASSAY_CREDENTIAL, ASSAY_IDENTITY") && bad[0].contains("client id"), "{bad:?}");
}

#[tokio::test]
async fn what_a_sign_in_needs_is_looked_at_where_people_sign_in_with_entra() {
    let test = TestApp::with(authority::SETTINGS);
    let authority = Authority::of(&test);
    let findings = doctor::examine(test.app()).await;
    assert_eq!(bad(&findings), [""; 0]);
    let to_register = "redirect URI https://assay.example.net/api/portal/signed-in";
    assert!(findings.iter().any(|finding| finding.to_string().contains(to_register)), "{findings:?}");

    authority.break_down("keys", Some(Ok(json_answer(200, &serde_json::json!({ "keys": [] })))));
    assert_eq!(ailments(&doctor::examine(test.app()).await), ["ASSAY_CLOUD, ASSAY_ENTRA_TENANTS"]);
    authority.break_down("discovery", Some(Ok(json_answer(503, &serde_json::json!({})))));
    std::fs::remove_file(test.folder().join("vault/secrets/assay-sign-in")).unwrap();
    let findings = doctor::examine(test.app()).await;
    assert_eq!(ailments(&findings), ["ASSAY_CLOUD, ASSAY_ENTRA_TENANTS", "ASSAY_ENTRA_CREDENTIAL"], "{findings:?}");
    assert_eq!((authority.asked("discovery"), authority.asked("keys")), (3, 2), "it is not taken from memory");
}

#[tokio::test]
async fn a_vault_that_never_answers_holds_nobody_longer_than_a_minute_and_what_was_not_reached_says_so() {
    let test = TestApp::on_azure().await;
    let fake = FakeVaults::new();
    let app = App { vault: Arc::new(open(&fake, &[])), ..test.app().clone() };
    fake.make_key(&key_uri("clients"));
    for id in (1..=40).map(Uuid::from_u128).map(TenantId) {
        keys::make(&app, Owner::Tenant(id), Some(&key_uri("clients"))).await.unwrap();
        app.cache.forget(&format!("data-key/{id}"));
        add(&app, id).await;
    }
    fake.meet(&[Trouble::Silent; 100]);
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let findings = doctor::examine(&app).await;
    assert!(begun.elapsed() <= Duration::from_secs(61), "{:?}", begun.elapsed());
    let bad = bad(&findings);
    assert!(bad[0].contains("the installation's own key"), "{bad:?}");
    let one_by_one: Vec<_> = findings.iter().filter(|finding| finding.what.starts_with("the key of client")).collect();
    assert!(one_by_one.len() >= 16 && one_by_one.iter().all(|finding| finding.took <= Duration::from_secs(21)), "{bad:?}");
    let left = format!("the keys of {} of 40 clients", 40 - one_by_one.len());
    let last = bad.last().unwrap();
    assert!(last.contains(&left) && last.contains("not looked at"), "{last}");
}

#[tokio::test]
async fn health_says_ok_only_after_a_look_and_the_app_does_not_wait_for_it() {
    let test = TestApp::new();
    let config = Arc::new(config::check(&settings(&[])).unwrap());
    for (identity_is_there, listed) in [(true, 0), (false, 1)] {
        let tokens = FakeTokens::default();
        tokens.refuses.store(!identity_is_there, Ordering::Relaxed);
        let identity = Credential::of(Arc::new(tokens), &azure_settings(&[]));
        let app = App { config: config.clone(), identity, ..test.app().clone() };
        let (sender, mut life) = tokio::sync::watch::channel(Life::Starting);
        let hold = test.faults.hold_at(0);
        let started = tokio::spawn(start(sender, move || std::future::ready(Ok(app.clone()))));
        let ready = life.wait_for(|life| !matches!(life, Life::Starting)).await.unwrap().clone();
        if identity_is_there {
            assert!(matches!(ready, Life::Ready(_, None)), "ready, and not yet looked at");
            hold.reached().await;
        }
        hold.let_go();
        let known = life.wait_for(|life| matches!(life, Life::Ready(_, Some(_)))).await.unwrap().clone();
        assert!(matches!(known, Life::Ready(_, Some(ailments)) if ailments.len() == listed));
        drop(life);
        started.await.unwrap();
    }
}
