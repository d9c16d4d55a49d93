//! A whole Azure installation in this process: Cosmos DB, Storage and Key Vault below the real SDKs, on one credential.
//! It outlives a restart of the App, as Azure does.

use std::sync::{Arc, Mutex};

use assay::{
    config::{self, RawConfig, StoreKind},
    platform::{
        azure::{AzureQueue, AzureSettings, AzureStore, Below, Cosmos, Credential},
        ports::{Identity, Ids, Queue},
    },
    tenancy::TenantId,
};
use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    http::{AsyncRawResponse, HttpClient, Request, Transport},
};
use azure_data_cosmos::CosmosRuntime;

use super::{
    clock::VirtualClock,
    cosmos::{CosmosFaultRule, Emulator, azure_settings},
    flow::QUEUES,
    key_vault::{DEPLOYMENT_KEY, FakeVaults, key_uri},
    storage_account::{FakeStorage, Tokens},
};

pub struct AzureWorld {
    settings: AzureSettings,
    credential: Arc<Credential>,
    runtime: CosmosRuntime,
    cosmos: Mutex<Option<Arc<Cosmos>>>,
    pub emulator: Emulator,
    pub storage: Arc<FakeStorage>,
    pub vaults: Arc<FakeVaults>,
}

impl AzureWorld {
    pub async fn new(clock: Arc<VirtualClock>) -> Self {
        Self::on(Emulator::new(), Vec::new(), clock).await
    }

    /// On an account of one's own making, with faults that the SDK injects.
    pub async fn on(emulator: Emulator, faults: Vec<Arc<CosmosFaultRule>>, clock: Arc<VirtualClock>) -> Self {
        let storage = FakeStorage::new(clock);
        for queue in QUEUES {
            storage.make_queue(queue);
            storage.make_queue(&format!("{queue}-poison"));
        }
        let settings = azure_settings(&[("ASSAY_DEPLOYMENT_KEY", DEPLOYMENT_KEY)]);
        let credential = Credential::of(Arc::new(EachOwnToken(Tokens::default())), &settings);
        let runtime = emulator.runtime(faults).await;
        Self { runtime, cosmos: Mutex::default(), settings, credential, emulator, storage, vaults: FakeVaults::new() }
    }

    /// As a new process opens it.
    pub fn open(&self, ids: Arc<dyn Ids>) -> AzureStore {
        let below = Below { transport: Some(self.transport()), runtime: Some(self.runtime.clone()) };
        let store = AzureStore::new(&self.settings, &self.credential, ids, below).unwrap();
        *self.cosmos.lock().unwrap() = Some(store.cosmos.clone());
        store
    }

    /// Request units since it was opened last.
    pub fn charged(&self) -> f64 {
        self.cosmos.lock().unwrap().as_ref().map_or(0.0, |cosmos| cosmos.charged())
    }

    /// The queues, for what stands for the Functions host.
    pub fn queue_of_the_host(&self) -> Arc<dyn Queue> {
        Arc::new(AzureQueue::new(&self.settings, self.credential.clone(), Some(&self.transport())).unwrap())
    }

    pub fn identity(&self) -> Arc<dyn Identity> {
        self.credential.clone()
    }

    /// Makes a client's key, as the MSP does before it adds the client; its address.
    pub fn make_key(&self, tenant: TenantId) -> String {
        let uri = key_uri(&tenant.to_string());
        self.vaults.make_key(&uri);
        uri
    }

    fn transport(&self) -> Transport {
        Transport::new(Arc::new(ByHost { storage: self.storage.client(), vaults: self.vaults.clone() }))
    }
}

/// One network for all hosts.
#[derive(Debug)]
struct ByHost {
    storage: Arc<dyn HttpClient>,
    vaults: Arc<dyn HttpClient>,
}

#[async_trait]
impl HttpClient for ByHost {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let host = request.url().host_str().unwrap_or_default();
        let there = if host.ends_with(".vault.azure.net") { &self.vaults } else { &self.storage };
        there.execute_request(request).await
    }
}

/// Tokens as each of the services here takes them.
#[derive(Debug)]
struct EachOwnToken(Tokens);

#[async_trait]
impl TokenCredential for EachOwnToken {
    async fn get_token(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        if scopes.iter().any(|scope| scope.contains("storage")) {
            return self.0.get_token(scopes, options).await;
        }
        let until = azure_core::time::OffsetDateTime::from_unix_timestamp(4_102_444_800).unwrap();
        Ok(AccessToken::new(format!("token for {}", scopes.join(" ")), until))
    }
}

/// The tokens of an installation whose services are those of this file.
pub fn tokens() -> Arc<dyn TokenCredential> {
    Arc::new(EachOwnToken(Tokens::default()))
}

/// The adapters of these settings over real connections, with such tokens.
pub fn store_over_the_wire(settings: &RawConfig, ids: Arc<dyn Ids>) -> AzureStore {
    let StoreKind::Azure(settings) = config::check(settings).unwrap().store else { panic!("not the Azure store") };
    AzureStore::new(&settings, &Credential::of(tokens(), &settings), ids, Below::default()).unwrap()
}
