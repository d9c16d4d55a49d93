//! The real binary with Azure settings, under the stand-in host: Cosmos DB's emulator and Key Vault over loopback, Azurite, and
//! the tokens of a managed identity. A ConnectWise webhook becomes an executed approval, with and without disasters.
//!
//! `.ci/azure` starts Azurite and makes the certificate; without them the story says so and passes. The host's queue
//! listener is the stand-in's: what the handler sends to Azurite is carried over into the stand-in's queues, as they come.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use assay::{
    app::App,
    assemble,
    audit::{self, Known},
    config::{self, RawConfig},
    connectors::demo::{self, What},
    host::{
        demo::serve_vendor,
        local::{
            Host, Options,
            child::HandlerLog,
            faults::{Fault, Faults},
        },
        package,
    },
    platform::ports::{BlobContainer, Queue},
    readiness::{Objective, objective::key_of},
    tenancy::{
        ClientPlace, DeploymentScope, Scope,
        directory::Tenant,
        keys::{self, Owner},
        signing::SigningUse,
    },
    triggers::sweep,
};
use tempfile::TempDir;

use crate::support::{
    azure, azurite,
    clock::VirtualClock,
    cosmos::Emulator,
    flow::{HARBOR, QUEUES, RIDGE, asked_in_mails, person},
    hosted::{Hosted, beat},
    http::StubHttp,
    key_vault::FakeVaults,
    log_copy::WHOLE,
    served::{self, Served, WireFault, WireFaults},
};

const OBJECTIVE: &str = "3.4.1[d]";

/// What is there before Assay: made by a person or a template.
struct Installation {
    settings: RawConfig,
    cosmos: Served,
    vaults: Arc<FakeVaults>,
    vault: Served,
    identity_faults: WireFaults,
    folder: TempDir,
}

impl Installation {
    /// `None`, said aloud, where `.ci/azure` has not started what it needs.
    async fn new() -> Option<Self> {
        let (queues, blobs) = azurite::addresses()?;
        let (certificate, key) = azurite::certificate()?;
        let cosmos = served::serve(|url| Emulator::at(url).client()).await;
        let vaults = FakeVaults::empty();
        let vault = served::serve_tls(|_| vaults.clone(), &certificate, &key).await;
        vaults.make_key(&key_at(&vault, "deployment"));
        for usage in SigningUse::ALL {
            vaults.make_signing_key(&key_at(&vault, usage.key()));
        }
        let (identity, identity_faults) = served::serve_identity(azure::tokens()).await;
        let mut settings = served::settings(&cosmos, &identity, queues.as_str(), blobs.as_str(), &key_at(&vault, "deployment"));
        settings.extend([
            ("ASSAY_SIGN_IN", "demo".to_owned()),
            ("ASSAY_MAIL", "mailbox".to_owned()),
            ("SSL_CERT_FILE", azurite::authority()?.display().to_string()),
        ]);
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let installation = Self { settings, cosmos, vaults, vault, identity_faults, folder: tempfile::tempdir().unwrap() };
        Some(installation)
    }

    /// As another process of the installation would open it.
    fn app(&self) -> App {
        let (clock, ids) = assemble::clock_and_ids();
        let store = azure::store_over_the_wire(&self.settings, ids.clone());
        App {
            config: Arc::new(config::check(&self.settings).unwrap()),
            documents: store.documents,
            queue: store.queue,
            blobs: store.blobs,
            vault: store.vault,
            clock,
            ids,
            http: Arc::<StubHttp>::default(),
            identity: Arc::new(assay::platform::local::NoIdentity),
            cache: Arc::default(),
            memory: Arc::default(),
        }
    }

    /// Each client's key, named when it is added.
    async fn add_clients_keys(&self, app: &App) {
        for tenant in [HARBOR, RIDGE] {
            let key = key_at(&self.vault, &tenant.to_string());
            self.vaults.make_key(&key);
            keys::make(app, Owner::Tenant(tenant), Some(&key)).await.unwrap();
        }
    }

    fn doctor(&self) -> (bool, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        let output = command.env_clear().envs(&self.settings).arg("doctor").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    async fn host(&self, hosted: &Hosted, faults: Faults) -> Host {
        let app_folder = self.folder.path().join("app");
        package::stage(&app_folder, Path::new(env!("CARGO_BIN_EXE_assay"))).unwrap();
        let vendor = serve_vendor(hosted.clock.clone()).await.unwrap();
        let mut settings = self.settings.clone();
        settings.insert("ASSAY_DEMO_VENDOR_URL".into(), format!("http://{vendor}"));
        let (_, ids) = assemble::clock_and_ids();
        let options = Options {
            data: self.folder.path().join("host"),
            port: 0,
            app_folder,
            settings: settings.into_iter().collect(),
            handler_log: HandlerLog::File(self.log()),
            clock: hosted.clock.clone(),
            ids,
            faults,
            lock: None,
        };
        std::fs::create_dir_all(&options.data).unwrap();
        Host::start(options).await.unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("handler.log")
    }
}

fn key_at(vault: &Served, name: &str) -> String {
    format!("{}keys/{name}", vault.url)
}

/// Carries messages from Azurite to the stand-in's queues, for as long as it is polled.
async fn carry(queue: Arc<dyn Queue>, host: &Host) {
    let mut beat = beat();
    loop {
        beat.tick().await;
        for name in QUEUES {
            for message in queue.receive(name, 32, Duration::from_mins(1)).await.unwrap() {
                host.queues.send(name, message.body.clone(), Duration::ZERO).await.unwrap();
                queue.delete(name, &message).await.unwrap();
            }
        }
    }
}

async fn mails(app: &App) -> Vec<(String, String)> {
    let (mut mails, mut after) = (Vec::new(), None);
    loop {
        let page = app.blobs.list(BlobContainer::Mailbox, &format!("{HARBOR}/"), after.as_ref()).await.unwrap();
        for name in page.names {
            let mail = app.blobs.read(BlobContainer::Mailbox, &name).await.unwrap().unwrap();
            mails.push((name, String::from_utf8(mail.into()).unwrap()));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return mails,
        }
    }
}

/// The job, and what it ends in: one finding that an exported log tells of.
async fn main_job(name: &'static str, faults: Faults, wire: &[WireFault], elsewhere: &[WireFault]) {
    let Some(there) = Installation::new().await else { return };
    azurite::make(&there.settings).await;
    let app = there.app();
    there.add_clients_keys(&app).await;
    let (clock, _) = assemble::clock_and_ids();
    let vendors_at = clock.now();
    there.vault.faults.lock().unwrap().extend(elsewhere);
    there.identity_faults.lock().unwrap().extend(elsewhere);
    let hosted = Hosted::new(name, Arc::new(VirtualClock::at(vendors_at)), there.log());
    let host = there.host(&hosted, faults.clone()).await;
    let job = async {
        hosted.until_well(&host).await;
        for delivery in demo::deliveries(vendors_at).iter().filter(|delivery| delivery.connection == demo::CONNECTWISE) {
            hosted.vendor_sends(&host, delivery).await;
        }
        there.cosmos.faults.lock().unwrap().extend(wire);
        let asked = async || asked_in_mails(mails(&app).await, person(What::Approver), OBJECTIVE).pop();
        assert!(hosted.passes(&host, async || asked().await.is_some()).await, "{name}: nobody is asked; see {}", there.log().display());
        hosted.approve(&host, asked().await.unwrap()).await;
        hosted.passes(&host, async || finding(&app).await.is_some() && faults.are_spent()).await;
        let folder = there.folder.path();
        assert!(hosted.passes(&host, async || is_exported_and_holds(&app, folder).await).await, "{name}: the log does not hold");
    };
    tokio::select! {
        () = job => {}
        () = carry(app.queue.clone(), &host) => {}
    }
    host.stop().await;
    assert!(finding(&app).await.is_some(), "{name}: it is not executed");
    for faults in [&there.cosmos.faults, &there.vault.faults, &there.identity_faults] {
        assert!(faults.lock().unwrap().is_empty(), "{name}: not every fault was met");
    }
}

async fn finding(app: &App) -> Option<String> {
    let tenant = Tenant { id: HARBOR, name: String::new(), created_at: app.now() };
    let store = Scope::of_sweep(&tenant, "story").store(app).await.unwrap();
    let objective = store.read::<Objective>(ClientPlace::Assessment, &key_of(OBJECTIVE)).await.unwrap()?;
    objective.value.finding.map(|finding| format!("{finding:?}"))
}

/// False while entries wait for their place in the log.
async fn is_exported_and_holds(app: &App, folder: &Path) -> bool {
    let copy = folder.join("audit");
    let places = sweep::deployment_places(app, &DeploymentScope::of_function("story", "story")).await.unwrap();
    let Ok(exported) = audit::export(app, Owner::Tenant(HARBOR), places, &copy, WHOLE).await else { return false };
    let keys: Vec<_> = [exported.keys.ed25519].into_iter().chain(exported.keys.p256).collect();
    exported.checkpoint.size > 0 && audit::verify_folder(&copy, Known { keys: &keys, seen: None }).is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_becomes_an_executed_approval_on_azure_and_the_doctor_says_what_is_missing_before() {
    let Some(there) = Installation::new().await else { return };
    let (well, said) = there.doctor();
    assert!(!well && said.contains("queue intake: not there") && said.contains("ASSAY_QUEUE_URL"), "{said}");
    assert!(said.contains("good  container clients") && said.contains("good  the installation's own key"), "{said}");
    azurite::make(&there.settings).await;
    let (well, said) = there.doctor();
    assert!(well, "{said}");
    drop(there);
    main_job("an ordinary day", Faults::default(), &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_handler_and_a_faulty_wire_on_azure_end_as_if_nothing_had_happened() {
    let faults = Faults::default();
    faults.plan("intake", [Fault::KillMidFlight]);
    faults.plan("execute", [Fault::KillAfterAnswer]);
    faults.plan("notify", [Fault::DropAnswer, Fault::DeliverTwice]);
    let wire = [WireFault::AnswerLost, WireFault::Status(503), WireFault::Status(429), WireFault::AnswerLost, WireFault::Status(503)];
    main_job("a bad day", faults, &wire, &[WireFault::Status(503); 3]).await;
}
