//! Cosmos DB in memory: the SDK's own emulator below its real routing, retries and sessions. The one file that names it,
//! because it is no public API and may change with any release of the SDK.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use assay::{
    config::{self, RawConfig, StoreKind},
    platform::{
        azure::{AzureSettings, Cosmos, CosmosDocuments, Credential, PARTITION_KEY_PATH},
        ports::{Container, Ids},
    },
};
use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, Request, StatusCode},
};
use azure_data_cosmos::{CosmosRuntime, CosmosRuntimeBuilder, models::PartitionKeyDefinition};
use azure_data_cosmos_driver::{
    fault_injection::{
        CustomResponseBuilder, FaultInjectionConditionBuilder, FaultInjectionErrorType, FaultInjectionResultBuilder, FaultInjectionRule,
        FaultInjectionRuleBuilder, FaultOperationType,
    },
    in_memory_emulator::{ConsistencyLevel, InMemoryEmulatorHttpClient, ReplicationConfig, VirtualAccountConfig, VirtualRegion},
};
use url::Url;

const ACCOUNT: &str = "https://assay-test.documents.azure.com/";

/// Settings of an installation in the public cloud, with these changed.
pub fn settings(changed: &[(&str, &str)]) -> RawConfig {
    let mut settings: RawConfig = [
        ("ASSAY_STORE", "azure"),
        ("ASSAY_PUBLIC_URL", "https://assay.example.net"),
        ("ASSAY_IDENTITY", "01234567-89ab-cdef-0123-456789abcdef"),
        ("ASSAY_COSMOS_URL", ACCOUNT),
        ("ASSAY_QUEUE_URL", "https://assaytest.queue.core.windows.net/"),
        ("ASSAY_BLOB_URL", "https://assaytest.blob.core.windows.net/"),
        ("ASSAY_DEPLOYMENT_KEY", "https://assay-test.vault.azure.net/keys/deployment"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    settings.extend(changed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    settings
}

/// The same, checked.
pub fn azure_settings(changed: &[(&str, &str)]) -> AzureSettings {
    match config::check(&settings(changed)).unwrap().store {
        StoreKind::Azure(settings) => *settings,
        StoreKind::Local { .. } => panic!("not the Azure store"),
    }
}

/// Gives a token for whatever is asked for, and remembers for what.
#[derive(Debug, Default)]
pub struct FakeTokens {
    pub scopes: Mutex<Vec<String>>,
    /// From now on there are none.
    pub refuses: AtomicBool,
}

#[async_trait]
impl TokenCredential for FakeTokens {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        self.scopes.lock().unwrap().extend(scopes.iter().map(ToString::to_string));
        if self.refuses.load(Ordering::Relaxed) {
            return Err(azure_core::Error::with_message(ErrorKind::Credential, "the identity is not assigned to this app"));
        }
        let expires_on = azure_core::time::OffsetDateTime::UNIX_EPOCH + azure_core::time::Duration::days(365 * 200);
        Ok(AccessToken::new("a-token", expires_on))
    }
}

pub type CosmosFaultRule = FaultInjectionRule;

/// What goes wrong at an operation, `times` in a row.
#[derive(Clone, Copy, Debug)]
pub enum CosmosFault {
    /// The write is done, its answer does not come.
    AnswerLost,
    /// 429.
    Busy,
    /// 503.
    Unavailable,
    /// No connection.
    Unreachable,
    /// 403 of the service: no data role.
    Denied,
    /// 403 of the account's firewall, in its own words.
    Firewalled,
    /// 401: a token that is not valid at this time.
    TokenOutOfTime,
    /// 403/1014: the partition key holds all that it may.
    Full,
    /// 404/1002: this region has not got there yet.
    Behind,
    /// 403/3: this region takes no writes any more.
    NotTheWriter,
    /// 403/1008: the account is not in this region any more.
    Moved,
}

#[derive(Clone, Copy, Debug)]
pub enum At {
    Read,
    Query,
    Batch,
    Opening,
}

/// A fault that strikes from the moment on in which it is enabled.
pub fn fault_to_come(at: At, what: CosmosFault, times: u32) -> Arc<FaultInjectionRule> {
    let rule = fault(at, what, times);
    rule.disable();
    rule
}

pub fn fault(at: At, fault: CosmosFault, times: u32) -> Arc<FaultInjectionRule> {
    let operation = match at {
        At::Read => FaultOperationType::ReadItem,
        At::Query => FaultOperationType::QueryItem,
        At::Batch => FaultOperationType::BatchItem,
        At::Opening => FaultOperationType::MetadataReadContainer,
    };
    let result = FaultInjectionResultBuilder::new();
    let result = match fault {
        CosmosFault::AnswerLost => result.with_error(FaultInjectionErrorType::ResponseTimeoutAfterService),
        CosmosFault::Busy => result.with_error(FaultInjectionErrorType::TooManyRequests),
        CosmosFault::Unavailable => result.with_error(FaultInjectionErrorType::ServiceUnavailable),
        CosmosFault::Unreachable => result.with_error(FaultInjectionErrorType::ConnectionError),
        CosmosFault::Denied => {
            let refusal = CustomResponseBuilder::new(StatusCode::Forbidden).with_sub_status(5302);
            result.with_custom_response(refusal.with_body(br#"{"code":"Forbidden","message":"no role"}"#.to_vec()).build())
        }
        CosmosFault::Firewalled => {
            let said = r#"{"code":"Forbidden","message":"Request originated from IP 192.0.2.7 through public internet. This is blocked by your Cosmos DB account firewall settings."}"#;
            result.with_custom_response(CustomResponseBuilder::new(StatusCode::Forbidden).with_body(said.as_bytes().to_vec()).build())
        }
        CosmosFault::TokenOutOfTime => {
            let said = r#"{"code":"Unauthorized","message":"Lifetime validation failed. The token is expired."}"#;
            result.with_custom_response(CustomResponseBuilder::new(StatusCode::Unauthorized).with_body(said.as_bytes().to_vec()).build())
        }
        CosmosFault::Full => {
            let refusal = CustomResponseBuilder::new(StatusCode::Forbidden).with_sub_status(1014);
            result.with_custom_response(refusal.with_body(br#"{"code":"Forbidden","message":"no room"}"#.to_vec()).build())
        }
        CosmosFault::Behind => result.with_error(FaultInjectionErrorType::ReadSessionNotAvailable),
        CosmosFault::NotTheWriter => result.with_error(FaultInjectionErrorType::WriteForbidden),
        CosmosFault::Moved => result.with_error(FaultInjectionErrorType::DatabaseAccountNotFound),
    };
    let condition = FaultInjectionConditionBuilder::new().with_operation_type(operation).build();
    let rule = FaultInjectionRuleBuilder::new(format!("{at:?} {fault:?}"), result.build());
    Arc::new(rule.with_condition(condition).with_hit_limit(times).build())
}

pub struct Emulator {
    http: Arc<InMemoryEmulatorHttpClient>,
    pub tokens: Arc<FakeTokens>,
}

impl Emulator {
    /// An account with the database and its containers.
    pub fn new() -> Self {
        Self::at(&ACCOUNT.parse().unwrap())
    }

    /// The same at another address, to be served there.
    pub fn at(address: &Url) -> Self {
        let emulator = Self::empty_at(address);
        emulator.make();
        emulator
    }

    /// An account with nothing in it.
    pub fn empty() -> Self {
        Self::empty_at(&ACCOUNT.parse().unwrap())
    }

    /// The account has a second region, which learns of writes an hour later.
    pub fn with_lagging_region() -> Self {
        let east = VirtualRegion::new("East US", ACCOUNT.parse().unwrap());
        let west = VirtualRegion::new("West US", "https://assay-test-west.documents.azure.com/".parse().unwrap());
        let lag = ReplicationConfig::fixed(std::time::Duration::from_hours(1));
        let account = VirtualAccountConfig::new(vec![east, west]).unwrap().with_consistency(ConsistencyLevel::Session);
        let http = Arc::new(InMemoryEmulatorHttpClient::new(account.with_replication_config(lag)));
        let emulator = Self { http, tokens: Arc::default() };
        emulator.make();
        emulator
    }

    fn make(&self) {
        let store = self.http.store();
        store.create_database("assay");
        for container in Container::ALL {
            store.create_container("assay", container.name(), PartitionKeyDefinition::from(PARTITION_KEY_PATH));
        }
    }

    fn empty_at(address: &Url) -> Self {
        let region = VirtualRegion::new("East US", address.clone());
        let account = VirtualAccountConfig::new(vec![region]).unwrap().with_consistency(ConsistencyLevel::Session);
        Self { http: Arc::new(InMemoryEmulatorHttpClient::new(account)), tokens: Arc::default() }
    }

    /// A database with a container of another partition key.
    pub fn with_partition_key(path: &str) -> Self {
        let emulator = Self::empty();
        emulator.http.store().create_database("assay");
        for container in Container::ALL {
            emulator.http.store().create_container("assay", container.name(), PartitionKeyDefinition::from(path.to_owned()));
        }
        emulator
    }

    /// As a service: requests in, answers out.
    pub fn client(&self) -> Arc<dyn HttpClient> {
        Arc::new(OnWire(self.http.clone()))
    }

    pub async fn cosmos(&self) -> Arc<Cosmos> {
        self.cosmos_with(Vec::new()).await
    }

    /// A client of its own, as another process would have, with faults injected by the SDK.
    pub async fn cosmos_with(&self, rules: Vec<Arc<FaultInjectionRule>>) -> Arc<Cosmos> {
        let runtime = self.runtime(rules).await;
        let settings = azure_settings(&[]);
        let credential = Credential::of(self.tokens.clone(), &settings);
        Arc::new(Cosmos::new(&settings, credential, Some(runtime)))
    }

    pub async fn runtime(&self, rules: Vec<Arc<FaultInjectionRule>>) -> CosmosRuntime {
        let runtime = if rules.is_empty() { self.http.runtime_builder() } else { self.http.runtime_builder_with_fault_rules(rules) };
        CosmosRuntimeBuilder::from(runtime).build().await.unwrap()
    }

    pub async fn documents(&self, ids: Arc<dyn Ids>) -> CosmosDocuments {
        CosmosDocuments::new(self.cosmos().await, ids)
    }

    pub async fn documents_with(&self, ids: Arc<dyn Ids>, rules: Vec<Arc<FaultInjectionRule>>) -> CosmosDocuments {
        CosmosDocuments::new(self.cosmos_with(rules).await, ids)
    }
}

#[derive(Debug)]
struct OnWire(Arc<InMemoryEmulatorHttpClient>);

#[async_trait]
impl HttpClient for OnWire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.0.execute_request(request).await.map_err(|error| azure_core::Error::with_message(ErrorKind::Other, error.to_string()))
    }
}
