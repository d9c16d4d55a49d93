//! `TestApp`: a whole App on a fresh folder, with the real store and file vault, and a world that a story controls.

use std::{path::Path, sync::Arc};

use assay::{
    app::App,
    config::{self, RawConfig},
    platform::{
        append_only::AppendOnly,
        local::{LocalStore, NoIdentity},
        ports::{Blobs, Documents, Identity, Queue, Vault},
    },
    tenancy::TenantId,
};
use tempfile::TempDir;

use super::{
    azure::AzureWorld,
    clock::VirtualClock,
    cosmos::{CosmosFaultRule, Emulator},
    disk::Disk,
    faults::Faults,
    flow,
    http::StubHttp,
    ids::SeededIds,
    queue::MemoryQueue,
};

pub struct TestApp {
    // Taken while the folder is opened again: it has one owner at a time.
    app: Option<App>,
    /// As whoever runs the store reaches them, whom no rule of the product holds.
    documents: Option<Arc<dyn Documents>>,
    settings: RawConfig,
    pub clock: Arc<VirtualClock>,
    pub ids: Arc<SeededIds>,
    /// Stands for the host's queues: it outlives a restart, as they do.
    pub queue: Arc<MemoryQueue>,
    pub http: Arc<StubHttp>,
    pub disk: Arc<Disk>,
    /// Instead of the file vault, from the next restart on.
    pub vault: Option<Arc<dyn Vault>>,
    /// Instead of none, from the next restart on.
    pub identity: Option<Arc<dyn Identity>>,
    /// Watches every port of [`Self::app`].
    pub faults: Arc<Faults>,
    folder: TempDir,
    /// In place of the folder.
    azure: Option<AzureWorld>,
}

impl TestApp {
    /// With demo sign-in, at `http://127.0.0.1:7071`.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With further settings, such as `("ASSAY_PUBLIC_URL", "https://assay.example.net")`.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        Self::seeded(1, settings)
    }

    /// Ids and random bytes differ from seed to seed and are the same for one.
    pub fn seeded(seed: u64, settings: &[(&str, &str)]) -> Self {
        Self::on(tempfile::tempdir().unwrap(), VirtualClock::default(), seed, settings)
    }

    /// On the Azure adapters, with demo sign-in.
    pub async fn on_azure() -> Self {
        Self::on_azure_with(&[]).await
    }

    /// The same on an account of one's own making.
    pub async fn on_account(emulator: Emulator, faults: Vec<Arc<CosmosFaultRule>>) -> Self {
        let mut test = Self::new();
        test.azure = Some(AzureWorld::on(emulator, faults, test.clock.clone()).await);
        test.restart();
        test
    }

    pub async fn on_azure_with(settings: &[(&str, &str)]) -> Self {
        let mut test = Self::with(settings);
        test.azure = Some(AzureWorld::new(test.clock.clone()).await);
        test.restart();
        test
    }

    /// On a data folder that may hold something already.
    pub fn on(folder: TempDir, clock: VirtualClock, seed: u64, settings: &[(&str, &str)]) -> Self {
        let mut raw = RawConfig::from([("ASSAY_SIGN_IN".to_owned(), "demo".to_owned())]);
        raw.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let clock = Arc::new(clock);
        let mut test = Self {
            app: None,
            documents: None,
            settings: raw,
            ids: Arc::new(SeededIds::new(seed, clock.clone())),
            queue: Arc::new(MemoryQueue::new(clock.clone())),
            clock,
            http: Arc::default(),
            disk: Arc::default(),
            vault: None,
            identity: None,
            faults: Arc::default(),
            folder,
            azure: None,
        };
        test.restart();
        test
    }

    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// The same store in the hands of somebody who may write everything in it: who changes what the product never does.
    pub fn insider(&self) -> App {
        App { documents: self.documents.clone().unwrap(), ..self.app().clone() }
    }

    /// The process ends; its data folder stays.
    pub fn closed(self) -> TempDir {
        self.folder
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new process on the same folder: caches are empty, everything that was durable is there. The caller must have
    /// let go of every clone of the old App.
    pub fn restart(&mut self) {
        (self.app, self.documents) = (None, None);
        let app = match &self.azure {
            Some(azure) => self.opened_on(azure),
            None => self.opened_on_folder(),
        };
        self.documents = Some(app.documents.clone());
        self.app = Some(self.faults.wrap(App { documents: AppendOnly::over(app.documents.clone()), ..app }));
    }

    /// What lies in the folder while no process has it open; then a new one does.
    pub fn while_closed<T>(&mut self, look: impl FnOnce(&Path) -> T) -> T {
        (self.app, self.documents) = (None, None);
        let seen = look(self.folder.path());
        self.restart();
        seen
    }

    /// The same with these settings in place of those it had.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.restart();
    }

    fn opened_on_folder(&self) -> App {
        let store = LocalStore::open_with(self.folder.path(), self.clock.clone(), &self.disk.options()).unwrap();
        self.with_parts(store.documents, self.queue.clone(), store.blobs, self.vault.clone().unwrap_or(store.vault))
    }

    /// Request units so far, on Azure.
    pub fn charged(&self) -> f64 {
        self.azure.as_ref().map_or(0.0, AzureWorld::charged)
    }

    fn opened_on(&self, azure: &AzureWorld) -> App {
        let store = azure.open(self.ids.clone());
        self.with_parts(store.documents, store.queue, store.blobs, store.vault)
    }

    fn with_parts(&self, documents: Arc<dyn Documents>, queue: Arc<dyn Queue>, blobs: Arc<dyn Blobs>, vault: Arc<dyn Vault>) -> App {
        App {
            config: Arc::new(config::check(&self.settings).unwrap()),
            documents,
            queue,
            blobs,
            vault,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            http: self.http.clone(),
            identity: self
                .identity
                .clone()
                .or_else(|| self.azure.as_ref().map(AzureWorld::identity))
                .unwrap_or_else(|| Arc::new(NoIdentity)),
            cache: Arc::default(),
            memory: Arc::default(),
        }
    }

    /// The queues, for what stands for the host.
    pub fn host_queue(&self) -> Arc<dyn Queue> {
        match &self.azure {
            Some(azure) => azure.queue_of_the_host(),
            None => self.queue.clone(),
        }
    }

    /// Queues that hold messages, hidden or not.
    pub fn filled_queues(&self) -> Vec<String> {
        self.azure.as_ref().map_or_else(|| self.queue.filled(), |azure| azure.storage.filled())
    }

    /// Mails, with their names, whose name starts so.
    pub fn mails(&self, prefix: &str) -> Vec<(String, String)> {
        match &self.azure {
            Some(azure) => {
                let mails = azure.storage.blobs("mailbox").into_iter().filter(|(name, _)| name.starts_with(prefix));
                mails.map(|(name, bytes)| (name, String::from_utf8(bytes.into()).unwrap())).collect()
            }
            None => flow::mail_files(self.folder(), prefix),
        }
    }

    /// The vault key that a client is added with; made here, where the vault makes none.
    pub fn key_for(&self, tenant: TenantId) -> Option<String> {
        self.azure.as_ref().map(|azure| azure.make_key(tenant))
    }
}

#[cfg(test)]
mod tests {
    use assay::{
        platform::ports::BlobContainer,
        tenancy::{DeploymentPlace, DeploymentScope, PersonId, directory::Person},
    };

    use super::*;
    use crate::support::faults::Fault;

    fn person(test: &TestApp) -> Person {
        Person {
            id: PersonId(test.app().ids.uuid()),
            name: "Ada".into(),
            email: "ada@example.net".into(),
            is_owner: true,
            operates: false,
            identity: None,
            sign_in_name: None,
            same_as: None,
            access_ended_at: None,
            standing: assay::tenancy::directory::Standing::default(),
        }
    }

    use assay::platform::ports::Ids as _;

    async fn create(test: &TestApp, person: &Person) -> Result<(), assay::tenancy::StoreError> {
        let scope = DeploymentScope::of_function("test", "c");
        let store = scope.store(test.app()).await?;
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.create(person);
        batch.commit().await
    }

    async fn found(test: &TestApp, person: &Person) -> bool {
        let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
        store.read::<Person>(DeploymentPlace::Directory, &person.id.to_string()).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn a_restarted_app_finds_what_was_written_before() {
        let mut test = TestApp::new();
        let ada = person(&test);
        create(&test, &ada).await.unwrap();
        test.restart();
        assert!(found(&test, &ada).await);
    }

    #[tokio::test]
    async fn a_fault_before_the_effect_leaves_nothing_and_a_lost_answer_leaves_the_effect() {
        for (fault, there) in [(Fault::BeforeEffect, false), (Fault::AnswerLost, true)] {
            let mut test = TestApp::new();
            create(&test, &person(&test)).await.unwrap();
            let ada = person(&test);
            // The first call reads the directory's stamp.
            test.faults.stop_at(1, fault);
            create(&test, &ada).await.unwrap_err();
            assert!(test.faults.struck());
            test.faults.mend();
            test.restart();
            assert_eq!(found(&test, &ada).await, there);
        }
    }

    #[tokio::test]
    async fn a_record_that_no_document_could_hold_is_kept_sealed_beside_it() {
        for test in [TestApp::new(), TestApp::on_azure().await] {
            let large = Person { name: "x".repeat(3 * 1024 * 1024), ..person(&test) };
            create(&test, &large).await.unwrap();
            let store = DeploymentScope::of_function("test", "c").store(test.app()).await.unwrap();
            let mut held = store.read::<Person>(DeploymentPlace::Directory, &large.id.to_string()).await.unwrap().unwrap();
            assert!(held.value == large);
            let page = test.app().blobs.list(BlobContainer::Raw, "records/deployment/", None).await.unwrap();
            let bytes = test.app().blobs.read(BlobContainer::Raw, &page.names[0]).await.unwrap().unwrap();
            assert!(page.names.len() == 1 && !bytes.windows(8).any(|bytes| bytes == b"xxxxxxxx"), "sealed");

            held.value.name = "y".repeat(1024 * 1024);
            let mut batch = store.batch(DeploymentPlace::Directory);
            batch.replace(&held);
            batch.commit().await.unwrap();
            let all = store.all::<Person>(DeploymentPlace::Directory, "").await.unwrap();
            assert!(all.len() == 1 && all[0].value.name.starts_with('y'));
            let left = test.app().blobs.list(BlobContainer::Raw, "records/deployment/", None).await.unwrap().names;
            assert!(left.len() == 1 && left != page.names, "the former text is gone");
            let mut batch = store.batch(DeploymentPlace::Directory);
            batch.delete(&all[0]);
            batch.commit().await.unwrap();
            assert!(test.app().blobs.list(BlobContainer::Raw, "records/deployment/", None).await.unwrap().names.is_empty());
        }
    }

    #[test]
    fn ids_of_one_seed_are_the_same_in_every_run_and_rise() {
        let ids = |seed| (0..300).map(|_| ()).scan(TestApp::seeded(seed, &[]), |test, ()| Some(test.ids.uuid())).collect::<Vec<_>>();
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert!(ids(7).is_sorted_by(|a, b| a < b));
    }
}
