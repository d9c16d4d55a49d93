//! One MSP with two client companies and one connection, and a vendor that signs as the vendor does.

use std::collections::BTreeMap;

use assay::{
    app::App,
    connectors::{
        Connection, Credentials, Secret, Settings, Vendor, accept,
        connection::{self, PreviousSecret},
        delivery::Delivery,
        health, intake, mapping,
    },
    evidence::Evidence,
    platform::ports::{BlobContainer, Queue as _},
    tenancy::{
        ClientPlace, ConnectionId, ConnectionPlace, DeploymentPlace, DeploymentScope, PersonId, Scope, Store, TenantId,
        directory::{MappedCompany, Proof, Session, Tenant},
        message,
        place::EVIDENCE_SHARDS,
    },
    web::{Method, Reply, Request},
};
use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::{TestApp, clock::VirtualClock, disk, faults::Fault, http::response};

pub(super) const SIGNING_KEY: &str = "cwsk-TEST-9f1c2f6b7d5a4e3fa1b0";
pub(super) const WEBHOOK_SECRET: &str = "Hk7$TEST#autotask-webhook-secret-01";
pub(super) const GUID: &str = "a1da62a4-2c49-40a8-8183-69994ce5b3eb";
pub(super) const KEY_URL: &str = "https://na.myconnectwise.net/v2026_1//system/callbackkey/index.rails?companyName=northgateit&id=5b0d2a60";

pub(super) struct World {
    pub(super) test: TestApp,
    pub(super) connection: Connection,
    pub(super) clients: [Tenant; 2],
}

/// A world that was made once, and of which copies take a tenth of the time.
pub(super) struct Ready {
    folder: TempDir,
    now: OffsetDateTime,
    connection: Connection,
    clients: [Tenant; 2],
}

impl Ready {
    /// The same in a folder of its own, under a new process.
    pub(super) fn copied(&self) -> World {
        let folder = tempfile::tempdir().unwrap();
        disk::copy(self.folder.path(), folder.path());
        let test = TestApp::on(folder, VirtualClock::at(self.now), 2, &[]);
        World { test, connection: self.connection.clone(), clients: self.clients.clone() }
    }
}

/// ConnectWise with the credentials of the golden cases.
pub(super) fn connectwise() -> Credentials {
    Credentials::ConnectwiseManage {
        company: "northgateit".into(),
        public_key: Secret("PUBKEY".into()),
        private_key: Secret("PRIVKEY".into()),
        client_id: "00000000-1111-2222-3333-444444444444".into(),
    }
}

/// Autotask with the credentials of the golden cases.
pub(super) fn autotask() -> Credentials {
    autotask_with(WEBHOOK_SECRET, None, &[GUID.to_owned()])
}

pub(super) fn autotask_with(secret: &str, previous: Option<PreviousSecret>, guids: &[String]) -> Credentials {
    Credentials::Autotask {
        user: "api.user@northgate.example".into(),
        secret: Secret("s3cr3t-test".into()),
        integration_code: Secret("TESTCODE00000000000000000000".into()),
        webhook_secret: Secret(secret.into()),
        previous_webhook_secret: previous,
        webhook_guids: guids.to_vec(),
    }
}

impl World {
    /// Nothing is mapped yet.
    pub(super) async fn unmapped(credentials: Credentials) -> Self {
        let test = TestApp::new();
        let now = test.app().now();
        let host = match credentials {
            Credentials::ConnectwiseManage { .. } => "na.myconnectwise.net",
            Credentials::Autotask { .. } => "webservices5.autotask.net",
        };
        let clients = ["Harbor Precision", "Ridge Composites"].map(|name| Tenant {
            id: TenantId(test.app().ids.uuid()),
            name: name.into(),
            created_at: now,
        });
        let connection = Connection {
            id: ConnectionId(test.app().ids.uuid()),
            name: "Northgate PSA".into(),
            host: host.into(),
            credentials,
            settings: Settings {
                boards: BTreeMap::from([("14".into(), "psa_ticket_remediation".into())]),
                configuration_types: ["10", "17", "21"].map(|of| (of.into(), "rmm_device_inventory".into())).into(),
                ..Settings::default()
            },
        };
        let world = Self { test, connection, clients };
        let store = world.deployment().await;
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(&world.clients[0]).create(&world.clients[1]);
        batch.commit().await.unwrap();
        connection::add(&store, &world.connection).await.unwrap();
        drop(store);
        world
    }

    /// What is left of it at rest, to be copied: stories that stop at every call need it for each.
    pub(super) fn at_rest(self) -> Ready {
        let Self { test, connection, clients } = self;
        let now = test.app().now();
        Ready { folder: test.closed(), now, connection, clients }
    }

    /// Company 250 is the first client, 174 the second.
    pub(super) async fn mapped(credentials: Credentials) -> Self {
        let world = Self::unmapped(credentials).await;
        world.map("250", 0).await;
        world.map("174", 1).await;
        world
    }

    pub(super) async fn map(&self, company: &str, client: usize) -> MappedCompany {
        let entry = mapping::confirm(&self.deployment().await, self.connection.id, company, "", self.clients[client].id).await.unwrap();
        self.pump().await;
        entry
    }

    pub(super) fn app(&self) -> &App {
        self.test.app()
    }

    /// As an engineer who is signed in.
    pub(super) async fn deployment(&self) -> Store<'_, DeploymentPlace> {
        let now = self.app().now();
        let session = Session {
            token_hash: String::new(),
            person: PersonId(uuid::Uuid::nil()),
            signed_in_at: now,
            expires_at: now + time::Duration::hours(1),
            demo: true,
            proof: Proof::default(),
            led_to: None,
        };
        DeploymentScope::of_session(&session, "story").store(self.app()).await.unwrap()
    }

    pub(super) async fn client(&self, client: usize) -> Store<'_, ClientPlace> {
        let tenant = &self.clients[client];
        Scope::of_sweep(tenant, "story").store(self.app()).await.unwrap()
    }

    pub(super) async fn post(&self, rest: &str, query: &str, headers: &[(String, String)], body: &[u8]) -> Reply {
        let slug = self.connection.vendor().slug();
        let request = Request {
            method: Method::Post,
            path: format!("webhooks/{slug}/{}/{rest}", self.connection.id),
            query: query.into(),
            headers: headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
            body: body.to_vec().into(),
            invocation_id: "story".into(),
        };
        accept::accept(self.app(), request, slug, &self.connection.id.to_string(), rest).await
    }

    /// Posts a body signed as this connection's vendor signs.
    pub(super) async fn send(&self, body: &Value) -> Reply {
        let bytes = body.to_string().into_bytes();
        self.post("", "", &[self.signature(&bytes)], &bytes).await
    }

    pub(super) fn signature(&self, body: &[u8]) -> (String, String) {
        match self.connection.vendor() {
            Vendor::ConnectwiseManage => {
                let key = digest::digest(&digest::SHA256, SIGNING_KEY.as_bytes());
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), body);
                ("x-content-signature".into(), BASE64.encode(tag))
            }
            Vendor::Autotask => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, WEBHOOK_SECRET.as_bytes()), body);
                ("X-Hook-Signature".into(), format!("sha1={}", BASE64.encode(tag)))
            }
        }
    }

    /// The vendor's key host answers with the signing key.
    pub(super) fn serve_signing_key(&self) {
        self.test.http.lay(KEY_URL, Ok(response(200, &[], json!({ "signing_key": SIGNING_KEY }).to_string())));
    }

    /// Works off the intake messages that are visible now, until none is left.
    pub(super) async fn pump(&self) {
        while self.pump_once().await.unwrap() {}
    }

    /// One intake message; false when none is visible. A message that fails becomes visible again at once.
    pub(super) async fn pump_once(&self) -> Result<bool, assay::connectors::ConnectorError> {
        let queue = &self.test.queue;
        let Some(received) = queue.receive("intake", 1, std::time::Duration::ZERO).await.unwrap().pop() else { return Ok(false) };
        self.work_off(&received.body).await?;
        queue.delete("intake", &received).await.unwrap();
        Ok(true)
    }

    /// One intake message whose handler stops at that call; the message comes again after a minute.
    pub(super) async fn pump_once_and_stop(&mut self, call: usize) {
        let queue = self.test.queue.clone();
        let Some(received) = queue.receive("intake", 1, std::time::Duration::from_mins(1)).await.unwrap().pop() else { return };
        self.test.faults.stop_at(call, if call.is_multiple_of(2) { Fault::BeforeEffect } else { Fault::AnswerLost });
        let worked_off = self.work_off(&received.body).await.is_ok();
        self.test.faults.mend();
        self.test.restart();
        if worked_off {
            queue.delete("intake", &received).await.unwrap();
        }
    }

    pub(super) async fn work_off(&self, message: &[u8]) -> Result<(), assay::connectors::ConnectorError> {
        let verified = message::open(self.app(), "intake", message).await?;
        // Boxed: it is the largest of all futures here, and every story holds it.
        Box::pin(intake::run(self.app(), &verified)).await
    }

    /// Moves the clock until every intake message was worked off; how long that took.
    pub(super) async fn pump_through(&self) -> time::Duration {
        let start = self.app().now();
        for _ in 0..10_000 {
            self.pump().await;
            if self.test.queue.bodies("intake").is_empty() {
                break;
            }
            self.test.clock.advance(time::Duration::seconds(1));
        }
        self.app().now() - start
    }

    pub(super) async fn evidence(&self, client: usize) -> Vec<Evidence> {
        let store = self.client(client).await;
        let mut found = Vec::new();
        for shard in 0..EVIDENCE_SHARDS {
            found.extend(store.all::<Evidence>(ClientPlace::Evidence(shard), "").await.unwrap().into_iter().map(|held| held.value));
        }
        found.sort_by(|a, b| a.source_key.cmp(&b.source_key));
        found
    }

    /// The newest first.
    pub(super) async fn deliveries(&self) -> Vec<Delivery> {
        health::deliveries(&self.deployment().await, self.connection.id, 1000).await.unwrap()
    }

    pub(super) async fn raw_blobs(&self) -> usize {
        self.app().blobs.list(BlobContainer::Raw, "", None).await.unwrap().names.len()
    }

    /// Audit items of a kind that wait in the deployment's places.
    pub(super) async fn audited(&self, kind: &str) -> usize {
        let store = self.deployment().await;
        let id = self.connection.id;
        let places = [DeploymentPlace::Operations, DeploymentPlace::Directory]
            .into_iter()
            .chain(ConnectionPlace::all().map(|place| DeploymentPlace::Connection(id, place)));
        let mut count = 0;
        for place in places {
            let items = store.all::<assay::audit::item::Item>(place, "").await.unwrap();
            count += items.iter().filter(|held| held.value.kind == kind).count();
        }
        count
    }
}

/// A ConnectWise callback about a ticket.
pub(super) fn ticket(message: &str, id: u64, company: u64, status: &str, updated: &str) -> Value {
    let record = json!({
        "id": id, "summary": "BitLocker disabled on HPM-CNC-07", "board": { "id": 14, "name": "CMMC Remediation" },
        "status": { "name": status }, "company": { "id": company, "name": format!("Company {company}") }, "closedFlag": false,
        "initialDescription": "never kept", "_info": { "lastUpdated": updated },
    });
    callback(message, "ticket", "updated", id, &Value::String(record.to_string()))
}

pub(super) fn callback(message: &str, kind: &str, action: &str, id: u64, record: &Value) -> Value {
    json!({ "MessageId": message, "Action": action, "Type": kind, "ID": id, "Entity": record, "Metadata": { "key_url": KEY_URL } })
}

/// An Autotask webhook about a ticket.
pub(super) fn hook(sequence: u64, action: &str, id: u64, fields: &Value, at: OffsetDateTime) -> Value {
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    json!({ "Action": action, "Guid": GUID, "EntityType": "Ticket", "Id": id, "Fields": fields, "EventTime": at, "SequenceNumber": sequence })
}
