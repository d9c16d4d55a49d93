//! Each client's own key: named by the owner where the vault makes none, out of order for a while, and records that
//! somebody who can write documents has moved about.

use std::sync::Arc;

use assay::{
    audit::{
        entry::Entry,
        item::Item,
        refusal::{Refusal, Refused},
    },
    connectors::{
        client::{self, ClientError, Given, NewClient},
        demo::{self, What},
    },
    evidence::Evidence,
    gate::{Proposal, State, Verdict},
    platform::ports::{BatchOutcome, BlobContainer, Container, Document, Op, Partition, PortErrorKind},
    tenancy::{
        Actor, ClientPlace, DeploymentPlace, DeploymentScope, Roster, Scope, StoreError, TenantId,
        directory::{Role, Tenant},
        key_change,
        keys::{self, Owner},
        place::{AuditPart, EVIDENCE_SHARDS},
    },
};
use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    TestApp,
    browser::{Browser, approves, text},
    clock::START,
    end_state::{EndState, all},
    flow::{Extent, Flow, HARBOR, RIDGE, deliveries_of, person},
    key_vault::{DEPLOYMENT_KEY, FakeVaults, Trouble, key_uri, open},
    meeting,
};

const OBJECTIVE: &str = "3.4.1[d]";
/// How Key Vault refuses, and what people read of it on the page of clients.
const OUTAGES: [((u16, &str), PortErrorKind, &str); 5] = [
    ((403, "KeyDisabled"), PortErrorKind::Disabled, "is disabled in the key vault"),
    ((403, "ForbiddenByRbac"), PortErrorKind::Denied, "is revoked, or Assay may not use it"),
    ((404, "KeyNotFound"), PortErrorKind::Missing, "is not in the key vault any more"),
    ((429, "Throttled"), PortErrorKind::Throttled { retry_after: None }, "The key vault is busy and asks to wait"),
    ((503, "ServiceUnavailable"), PortErrorKind::Unavailable, "The key vault does not answer just now"),
];

/// The same world with its keys in Key Vault.
async fn flow_on_key_vault(extent: Extent) -> (Flow, Arc<FakeVaults>) {
    let fake = FakeVaults::new();
    let mut test = TestApp::new();
    test.vault = Some(Arc::new(open(&fake, &[])));
    test.restart();
    for (tenant, name) in [(HARBOR, "harbor"), (RIDGE, "ridge")] {
        fake.make_key(&key_uri(name));
        keys::make(test.app(), Owner::Tenant(tenant), Some(&key_uri(name))).await.unwrap();
    }
    (Flow::begun(test, extent).await, fake)
}

/// An unwrapped key is forgotten after five minutes.
fn keys_are_forgotten(flow: &Flow) {
    flow.test.clock.advance(Duration::minutes(6));
}

async fn kind_of_refusal(flow: &Flow, tenant: TenantId) -> Option<PortErrorKind> {
    let tenant = Tenant { id: tenant, name: String::new(), created_at: START };
    match Scope::of_sweep(&tenant, "story").store(flow.app()).await.map(|_| ()) {
        Ok(()) => None,
        Err(StoreError::Key { source, .. }) => Some(source.kind),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_main_job_runs_to_the_same_end_with_the_keys_in_key_vault() {
    let mut ends = Vec::new();
    for on_key_vault in [false, true] {
        let mut flow = if on_key_vault { flow_on_key_vault(Extent::Small).await.0 } else { Flow::new(Extent::Small).await };
        flow.vendor_sends(&deliveries_of(demo::CONNECTWISE, START)[0]).await;
        flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
        flow.settle().await;
        ends.push(EndState::of(&flow).await);
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_during_an_outage_of_the_installations_key_is_told_503_keeps_nothing_and_a_read_repairs_the_gap() {
    for (refusal, _, _) in OUTAGES {
        let (mut flow, fake) = flow_on_key_vault(Extent::Small).await;
        keys_are_forgotten(&flow);
        fake.refuse(DEPLOYMENT_KEY, Some(refusal));
        let told = flow.post(&deliveries_of(demo::CONNECTWISE, START)[0]).await.unwrap();
        assert_eq!((told.status, told.header("content-type")), (503, Some("application/problem+json")), "{refusal:?}");
        assert_eq!(serde_json::from_slice::<Value>(&told.body).unwrap()["type"], "urn:assay:problem:unavailable");
        assert!(!text(&told).contains("vault.azure.net"), "nothing of the inside");
        assert_eq!(told.header("retry-after"), Some("60"), "{refusal:?}");
        assert_eq!(flow.app().blobs.list(BlobContainer::Raw, "", None).await.unwrap().names, Vec::<String>::new());
        flow.pass(Duration::minutes(11)).await;
        assert!(flow.test.queue.filled().is_empty());
        flow.swept.clone().unwrap_err();

        // The vendor never comes back with it.
        fake.refuse(DEPLOYMENT_KEY, None);
        flow.pass(Duration::minutes(30)).await;
        let harbor = flow.client(HARBOR).await;
        let mut devices = 0;
        for shard in 0..EVIDENCE_SHARDS {
            devices += all::<Evidence, _>(&harbor, ClientPlace::Evidence(shard)).await.len();
        }
        assert!(devices >= 3, "{refusal:?}: {devices} records");
        drop(harbor);
        flow.settle().await;
        assert_eq!(EndState::of(&flow).await.left_over, Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_key_is_out_of_order_is_said_so_in_words_and_the_other_goes_on() {
    let (mut flow, fake) = flow_on_key_vault(Extent::Both).await;
    let approver = person(What::Approver);
    flow.mailed(approver, HARBOR, OBJECTIVE).await;
    let ridge_asks = flow.mailed(approver, RIDGE, OBJECTIVE).await;
    for (refusal, kind, words) in OUTAGES {
        fake.refuse(&key_uri("harbor"), Some(refusal));
        keys_are_forgotten(&flow);
        assert_eq!((kind_of_refusal(&flow, HARBOR).await, kind_of_refusal(&flow, RIDGE).await), (Some(kind), None));
        let marco = Browser::of(&flow, What::Engineer).await;
        let page = text(&marco.get("portal/clients").await);
        assert!(page.contains(words) && page.contains("Harbor Precision") && page.contains("Ridge Composites"), "{refusal:?}: {page}");
        assert!(!page.contains("vault.azure.net"), "nothing of the inside");
        let told = marco.get(&format!("portal/clients/{HARBOR}")).await;
        assert_eq!(told.status, if matches!(refusal.0, 429 | 503) { 503 } else { 423 }, "{refusal:?}");
        assert!(text(&told).contains(words), "{refusal:?}");
        assert_eq!(marco.get(&format!("portal/clients/{RIDGE}")).await.status, 200, "{refusal:?}");
    }

    // While it is out of order, the other client's proposal is decided and carried out.
    let decided = flow.answer(approver, RIDGE, OBJECTIVE, Verdict::Approve).await;
    assert_eq!(decided.proposal.id, ridge_asks);
    flow.pass(Duration::minutes(5)).await;
    let executed = flow.client(RIDGE).await.read::<Proposal>(ClientPlace::Assessment, &ridge_asks.to_string()).await.unwrap().unwrap();
    assert!(matches!(executed.value.state, State::Executed { .. }));

    fake.refuse(&key_uri("harbor"), None);
    assert_eq!(kind_of_refusal(&flow, HARBOR).await, None, "back at once: nothing was kept in memory");
    let marco = Browser::of(&flow, What::Engineer).await;
    assert!(!text(&marco.get("portal/clients").await).contains("key vault"));
}

#[tokio::test(start_paused = true)]
async fn on_which_days_a_clients_key_was_used_and_who_was_turned_away_stands_in_the_log() {
    let (mut flow, fake) = flow_on_key_vault(Extent::Both).await;
    let said = async |flow: &Flow, kind: &str| -> Vec<Entry> {
        let log = all::<Entry, _>(&flow.deployment().await, DeploymentPlace::Log(AuditPart::Entries(0))).await;
        log.into_iter().filter(|entry| entry.leaf.contains(kind)).collect()
    };
    for _ in 0..3 {
        flow.pass(Duration::minutes(5)).await;
    }
    let used = said(&flow, "key.used").await;
    assert_eq!(used.len(), 2, "once a day for each client: {used:?}");
    assert!(used.iter().any(|entry| entry.content.contains(&key_uri("harbor")) && entry.leaf.contains(&HARBOR.to_string())));

    keys_are_forgotten(&flow);
    fake.refuse(&key_uri("harbor"), Some((403, "KeyDisabled")));
    let (session, page) = (Browser::of(&flow, What::Engineer).await.session(), format!("portal/clients/{HARBOR}"));
    flow.test.faults.mend();
    for _ in 0..2 {
        for _ in 0..2 {
            assert_eq!(Browser::with_cookie(&flow, &session).get(&page).await.status, 423);
        }
        assert!(!flow.test.faults.calls().contains(&"documents.batch"), "a page writes nothing");
        flow.pass(Duration::minutes(5)).await;
        flow.test.faults.mend();
    }
    let refusals = all::<Refusal, _>(&flow.deployment().await, DeploymentPlace::Operations).await;
    let of_marco = Actor::Person(person(What::Engineer).id);
    let of_marco: Vec<_> = refusals.iter().filter(|one| one.what == Refused::Key && one.actor == of_marco).collect();
    assert!(of_marco.len() == 1 && of_marco[0].count == 2 && of_marco[0].reason == format!("client:{HARBOR}:disabled"), "{refusals:?}");
    let told = said(&flow, "key.unavailable").await;
    assert_eq!(told.iter().filter(|entry| entry.content.contains(&person(What::Engineer).id.to_string())).count(), 1, "{told:?}");
    assert!(told.iter().all(|entry| entry.content.contains("disabled") && !entry.content.contains(&RIDGE.to_string())));
}

#[tokio::test(start_paused = true)]
async fn the_owner_names_a_key_for_a_new_client_and_hears_what_is_wrong_with_it() {
    let (flow, fake) = flow_on_key_vault(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    let page = text(&olivia.get("portal/clients/new").await);
    assert!(page.contains("name=\"key\"") && page.contains("Key Vault Crypto Service Encryption User"), "{page}");
    let key = key_uri("kestrel");
    let checkbox = approves(What::Approver);
    let typed = |key: &str| -> Vec<(String, String)> {
        [("name", "Kestrel Avionics"), ("key", key), (&checkbox, "yes")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    };
    let send = async |key: &str| {
        let typed = typed(key);
        let typed: Vec<_> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        olivia.fill_in("portal/clients/new", "portal/clients", &typed).await
    };
    let refused = async |key: &str, words: &str| {
        let reply = send(key).await;
        let page = text(&reply);
        assert_eq!(reply.status, 422, "{key}: {page}");
        assert!(page.contains(words) && page.contains("Kestrel Avionics"), "{key}: {page}");
        assert!(page.contains("href=\"#key\""), "the summary leads to the field");
    };
    fake.refuse_creating(Some((403, "ForbiddenByRbac")));
    refused("", "Assay may not make keys in its vault").await;
    fake.refuse_creating(None);
    for no_address in
        ["kestrel", "deployment", "https://clients.vault.azure.net/keys/kestrel/0123", "http://clients.vault.azure.net/keys/kestrel"]
    {
        refused(no_address, "This is not the address of a key").await;
    }
    refused("https://evil.example/keys/kestrel", "must be an RSA key in a vault of the cloud").await;
    refused(&key_uri("harbor"), "Another client uses this key").await;
    refused("https://CLIENTS.vault.azure.net:443/keys/Harbor", "Another client uses this key").await;
    refused(DEPLOYMENT_KEY, "This is the key of the installation itself").await;
    refused(&key, "There is no such key in that vault").await;
    fake.make_signing_key(&key_uri("signer"));
    refused(&key_uri("signer"), "must be an RSA key").await;
    fake.make_key(&key);
    for (refusal, words) in [
        ((403, "ForbiddenByRbac"), "Assay may not use this key"),
        ((403, "ForbiddenByFirewall"), "Assay may not use this key"),
        ((409, "ObjectIsBeingDeleted"), "There is no such key in that vault"),
        ((429, "Throttled"), "The key vault is busy"),
        ((503, "ServiceUnavailable"), "The key vault does not answer"),
    ] {
        fake.refuse(&key, Some(refusal));
        refused(&key, words).await;
    }
    fake.refuse(&key, None);
    let known = Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    assert_eq!(known.len(), 2, "nothing was added");

    assert_eq!(send(&format!(" {key} ")).await.status, 303);
    let store = flow.deployment().await;
    let kestrel = Roster::read(&store).await.unwrap().tenants.iter().find(|tenant| tenant.name == "Kestrel Avionics").unwrap().clone();
    assert_eq!(keys::vault_key(flow.app(), Owner::Tenant(kestrel.id)).await.unwrap(), Some(key.clone()));
    let items = all::<Item, _>(&store, DeploymentPlace::Directory).await;
    assert_eq!(items.iter().find(|item| item.kind == "client.added").unwrap().detail["key"], json!(key));
    assert_eq!(olivia.get(&format!("portal/clients/{}", kestrel.id)).await.status, 200);
}

#[tokio::test]
async fn who_names_no_key_gets_one_that_wraps_and_does_nothing_else() {
    let (flow, fake) = flow_on_key_vault(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    let checkbox = approves(What::Approver);
    let opened = olivia.open("portal/clients/new").await;
    let id: TenantId = opened.iter().find(|(name, _)| name == "id").unwrap().1.parse().unwrap();
    let typed = [("name", "Kestrel"), ("key", ""), (checkbox.as_str(), "yes")];
    let address = format!("https://northgate.vault.azure.net/keys/client-{id}");

    // The vault is busy after the key was made: the same form again finds it, and makes no second version.
    fake.meet(&[Trouble::status(404, "KeyNotFound"), Trouble::AnswerLost]);
    let first = olivia.send(opened.clone(), "portal/clients", &typed).await;
    assert!(matches!(first.status, 303 | 422 | 503), "{}", first.status);
    assert_eq!(olivia.send(opened, "portal/clients", &typed).await.status, 303);
    assert!(fake.has(&address));
    assert_eq!(keys::vault_key(flow.app(), Owner::Tenant(id)).await.unwrap(), Some(address.clone()));
    let facts = key_change::facts(flow.app(), Owner::Tenant(id)).await.unwrap().unwrap();
    assert_eq!(flow.app().vault.newest_version(&address).await.unwrap(), facts.vault_version);
    let items = all::<Item, _>(&flow.deployment().await, DeploymentPlace::Directory).await;
    assert_eq!(items.iter().find(|item| item.kind == "client.added").unwrap().detail["key"], json!(address));
    assert_eq!(olivia.get(&format!("portal/clients/{id}")).await.status, 200);
    assert!(fake.seen().iter().all(|seen| !seen.url.contains("deletedkeys")), "it deletes nothing");
}

#[tokio::test]
async fn a_form_that_made_its_key_and_was_cut_off_does_not_end_under_another_key() {
    let (flow, fake) = flow_on_key_vault(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    let (first, second, checkbox) = (key_uri("first"), key_uri("second"), approves(What::Approver));
    fake.make_key(&first);
    fake.make_key(&second);
    let opened = olivia.open("portal/clients/new").await;
    let id: TenantId = opened.iter().find(|(name, _)| name == "id").unwrap().1.parse().unwrap();
    // What a process leaves that died before the client was written down.
    keys::make(flow.app(), Owner::Tenant(id), Some(&first)).await.unwrap();

    let typed = |key: &'static str| [("name", "Kestrel"), ("key", key), (checkbox.as_str(), "yes")];
    let reply = olivia.send(opened.clone(), "portal/clients", &typed(second.clone().leak())).await;
    assert_eq!(reply.status, 422);
    assert!(text(&reply).contains("This form was sent before with another key"));
    assert_eq!(olivia.send(opened, "portal/clients", &typed(first.clone().leak())).await.status, 303);
    assert_eq!(keys::vault_key(flow.app(), Owner::Tenant(id)).await.unwrap(), Some(first));
}

#[tokio::test]
async fn two_forms_at_once_do_not_end_with_one_key() {
    let (flow, fake) = flow_on_key_vault(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    let (key, checkbox) = (key_uri("kestrel"), approves(What::Approver));
    fake.make_key(&key);
    // What another form left that nobody finished is in nobody's way.
    fake.refuse(&key, Some((403, "ForbiddenByRbac")));
    let typed = [("name", "Heron"), ("key", key.as_str()), (checkbox.as_str(), "yes")];
    assert_eq!(olivia.fill_in("portal/clients/new", "portal/clients", &typed).await.status, 422);
    fake.refuse(&key, None);

    let meeting = meeting::two_at_once(flow.app());
    let scopes = ["a", "b"].map(|correlation| DeploymentScope::of_function("test", correlation));
    let (a, b) = (scopes[0].store(&meeting).await.unwrap(), scopes[1].store(&meeting).await.unwrap());
    let spelled = key.replace("kestrel", "Kestrel");
    let new = |name: &'static str, key| {
        let given = |what, role| Given { person: person(what).id, roles: vec![role], until: None };
        let grants = vec![given(What::Approver, Role::Approver), given(What::Engineer, Role::Engineer)];
        NewClient { id: TenantId(flow.app().ids.uuid()), name, key, regions: "", grants }
    };
    let (one, other) = tokio::join!(client::add(&a, new("Kestrel", &key)), client::add(&b, new("Kite", &spelled)));
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{one:?} {other:?}");
    let refused = one.err().or(other.err()).unwrap();
    assert!(matches!(&refused, ClientError::Form(error) if error.message.contains("Another client uses this key")), "{refused:?}");
    assert_eq!(Roster::read(&flow.deployment().await).await.unwrap().tenants.len(), 3);
}

#[tokio::test]
async fn where_the_vault_makes_keys_nobody_is_asked_for_one() {
    let flow = Flow::new(Extent::Small).await;
    let olivia = Browser::of(&flow, What::Owner).await;
    assert!(!text(&olivia.get("portal/clients/new").await).contains("name=\"key\""));
    let typed = [("name", "Kestrel"), ("key", "https://evil.example/keys/k"), (&approves(What::Approver), "yes")];
    assert_eq!(olivia.fill_in("portal/clients/new", "portal/clients", &typed).await.status, 303);
    let tenants = Roster::read(&flow.deployment().await).await.unwrap().tenants.clone();
    let kestrel = tenants.iter().find(|tenant| tenant.name == "Kestrel").unwrap();
    assert_eq!(keys::vault_key(flow.app(), Owner::Tenant(kestrel.id)).await.unwrap(), Some(kestrel.id.to_string()));
}

/// The document of an owner's data key, as who can write documents sees it.
async fn record(flow: &Flow, tenant: TenantId) -> Document {
    flow.app().documents.read(&place(tenant), "data-key").await.unwrap().unwrap()
}

async fn put(flow: &Flow, tenant: TenantId, body: Value) {
    let if_match = record(flow, tenant).await.etag;
    let replaced = flow.app().documents.batch(&place(tenant), vec![Op::Replace { id: "data-key".into(), body, if_match }]).await.unwrap();
    assert!(matches!(replaced, BatchOutcome::Committed(_)));
}

fn place(tenant: TenantId) -> Partition {
    Partition::reserved_for_tenancy(Container::Deployment, format!("keys/{tenant}"))
}

/// As schema 1 had it.
fn without_mac(body: &Value) -> Value {
    json!({ "schema": 1, "kind": "data-key", "wrapped": body["wrapped"] })
}

#[tokio::test]
async fn a_data_key_that_was_moved_to_another_client_or_reworded_is_unreadable_there() {
    for on_key_vault in [false, true] {
        let mut flow = if on_key_vault { flow_on_key_vault(Extent::Both).await.0 } else { Flow::new(Extent::Both).await };
        flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
        flow.mailed(person(What::Approver), RIDGE, OBJECTIVE).await;
        let (harbor, ridge) = (record(&flow, HARBOR).await.body, record(&flow, RIDGE).await.body);
        assert_eq!(harbor["schema"], 4);

        let with = |name: &str, value: Value| {
            let mut body = harbor.clone();
            body["wrapped"][name] = value;
            body
        };
        let version = harbor["wrapped"]["version"].as_str().unwrap();
        let moved = [
            // Ridge's key in Harbor's place: as it is, as an older store's, and under Harbor's name.
            ridge.clone(),
            without_mac(&ridge),
            json!({ "schema": 1, "kind": "data-key", "wrapped": { "key": HARBOR.to_string(), "version": version, "bytes": ridge["wrapped"]["bytes"] } }),
            {
                let mut body = harbor.clone();
                body["wrapped"] = ridge["wrapped"].clone();
                body
            },
            with("bytes", ridge["wrapped"]["bytes"].clone()),
            with("key", ridge["wrapped"]["key"].clone()),
        ];
        for body in moved {
            put(&flow, HARBOR, body.clone()).await;
            flow.test.restart();
            let kind = kind_of_refusal(&flow, HARBOR).await;
            let refused = matches!(kind, Some(PortErrorKind::Unreadable | PortErrorKind::Invalid | PortErrorKind::Missing));
            assert!(refused, "on Key Vault {on_key_vault}: {kind:?}: {body}");
            assert_eq!(kind_of_refusal(&flow, RIDGE).await, None);
            let marco = Browser::of(&flow, What::Engineer).await;
            assert!(text(&marco.get("portal/clients").await).contains("Ridge Composites"));
        }
        put(&flow, HARBOR, harbor.clone()).await;
        flow.test.restart();
        assert_eq!(kind_of_refusal(&flow, HARBOR).await, None, "nothing was lost");
    }
}

#[tokio::test]
async fn a_store_of_before_opens_and_only_where_the_vault_binds_the_owners_name() {
    let mut flow = Flow::begun(TestApp::with(&[("ASSAY_UNSIGNED_KEYS_UNTIL", "2026-12-31")]), Extent::Small).await;
    flow.mailed(person(What::Approver), HARBOR, OBJECTIVE).await;
    let body = record(&flow, HARBOR).await.body;
    put(&flow, HARBOR, without_mac(&body)).await;
    flow.test.restart();
    let marco = Browser::of(&flow, What::Engineer).await;
    assert_eq!(marco.get(&format!("portal/clients/{HARBOR}")).await.status, 200);
    assert_eq!(record(&flow, HARBOR).await.body["schema"], 1, "reading changes nothing");
    drop(marco);
    flow.answer(person(What::Approver), HARBOR, OBJECTIVE, Verdict::Approve).await;
    flow.settle().await;
    assert_eq!(record(&flow, HARBOR).await.body["schema"], 4, "the sweep has given it this release's form");

    let (mut flow, _) = flow_on_key_vault(Extent::Small).await;
    let body = record(&flow, HARBOR).await.body;
    put(&flow, HARBOR, without_mac(&body)).await;
    flow.test.restart_with(&[("ASSAY_SIGN_IN", "demo"), ("ASSAY_UNSIGNED_KEYS_UNTIL", "2026-12-31")]);
    assert_eq!(kind_of_refusal(&flow, HARBOR).await, Some(PortErrorKind::Unreadable), "the vault binds no name");

    let mut newer = body.clone();
    newer["schema"] = json!(5);
    put(&flow, HARBOR, newer).await;
    flow.test.restart();
    let marco = Browser::of(&flow, What::Engineer).await;
    assert!(text(&marco.get("portal/clients").await).contains("written by a newer release"));
}
