//! The Cosmos DB account: its client and containers, opened on first use and then kept, and what its failures mean.
//!
//! Opening a container reads what it is: one with another partition key would scatter what must be together, so it is
//! refused before anything is written. Reads take the latest committed version of the region, because the next step of
//! a job may run in another process, whose session knows nothing of the first one's writes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use azure_core::credentials::TokenCredential;
use azure_data_cosmos::{
    AccountEndpoint, AccountReference, ContainerClient, CosmosClient, CosmosClientBuilder, CosmosError, CosmosRuntime, RoutingStrategy,
    SubStatusCode,
    models::ResponseHeaders,
    options::{AvailabilityStrategy, ConnectionPoolOptions, OperationOptions, ReadConsistencyStrategy, ThrottlingRetryOptionsBuilder},
};
use tokio::sync::OnceCell;

use super::{AzureSettings, call};
use crate::platform::ports::{Container, PortError, PortErrorKind};

/// The one partition key path of every container.
pub const PARTITION_KEY_PATH: &str = "/partition";

/// What Assay does with the documents of each container, in Cosmos DB's words: a data role scoped to that container needs
/// these and no others. Opening a client reads the account's own description, opening a container the container's
/// (`readMetadata`; the database is never read). Pages are queries; `upsert`, the change feed, stored procedures and conflicts
/// are not used. Each operation of a batch wants its own action.
pub const DATA_ACTIONS: [(Container, &[&str]); Container::ALL.len()] =
    [(Container::Deployment, ALL), (Container::Clients, ALL), (Container::Audit, APPEND_ONLY), (Container::Heads, ALL)];

const ALL: &[&str] = &[
    "Microsoft.DocumentDB/databaseAccounts/readMetadata",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/delete",
];
/// Who takes the app over cannot change or take away an entry (`platform::append_only`).
const APPEND_ONLY: &[&str] = &[
    "Microsoft.DocumentDB/databaseAccounts/readMetadata",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read",
];

/// How often and how long a throttled call is tried again before the caller hears of it.
const BUSY_RETRIES: u32 = 4;
const BUSY_WAIT: Duration = Duration::from_secs(4);
/// The SDK's number for a token that it could not get.
const NO_TOKEN: SubStatusCode = SubStatusCode::new(20402);
/// The service's number for a container or database that is not there.
const NO_OWNER: SubStatusCode = SubStatusCode::new(1003);
/// The service's numbers for an identity without a data role, or with one that does not hold here.
const NO_ROLE: std::ops::RangeInclusive<u16> = 5300..=5303;
/// The service's number for a partition key that holds its 20 GB.
const PARTITION_FULL: u16 = 1014;

pub struct Cosmos {
    account: AccountReference,
    database: String,
    /// `None`: [`of_port_443`]. Tests hand in the emulator's.
    runtime: Option<CosmosRuntime>,
    client: OnceCell<CosmosClient>,
    containers: [OnceCell<ContainerClient>; Container::ALL.len()],
    /// Hundredths of request units.
    charged: AtomicU64,
}

impl Cosmos {
    pub fn new(settings: &AzureSettings, credential: Arc<dyn TokenCredential>, runtime: Option<CosmosRuntime>) -> Self {
        Self {
            account: AccountReference::with_credential(AccountEndpoint::from(settings.cosmos.clone()), credential),
            database: settings.database.clone(),
            runtime,
            client: OnceCell::new(),
            containers: Default::default(),
            charged: AtomicU64::new(0),
        }
    }

    /// The container, ready for calls.
    pub(super) async fn container(&self, container: Container) -> Result<&ContainerClient, PortError> {
        let place = Container::ALL.iter().position(|other| *other == container).unwrap_or_default();
        self.containers[place].get_or_try_init(|| self.open(container)).await
    }

    /// Request units that calls of this process have cost so far: what an account is billed and throttled by.
    pub fn charged(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "no account charges 2^52 hundredths in the life of a process")]
        let hundredths = self.charged.load(Ordering::Relaxed) as f64;
        hundredths / 100.0
    }

    pub(super) fn charge(&self, headers: &ResponseHeaders) {
        self.add(headers.request_charge().map_or(0.0, |charge| charge.value()));
    }

    fn add(&self, units: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a charge is small and not negative")]
        self.charged.fetch_add((units * 100.0).round() as u64, Ordering::Relaxed);
    }

    /// What a call cost whose answer is an error: a document that is not there costs as much as one that is.
    pub(super) fn charge_of(&self, error: &CosmosError) {
        if let Some(charge) = error.response().and_then(|response| response.headers().request_charge) {
            self.add(charge.value());
        }
    }

    async fn open(&self, container: Container) -> Result<ContainerClient, PortError> {
        let resource = name_of(container);
        let client = self.client.get_or_try_init(|| within("Cosmos DB account (ASSAY_COSMOS_URL)", self.connect())).await?;
        let opened = within(&resource, async {
            let opened = client.database_client(self.database.clone()).container_client(container.name(), None).await?;
            let properties = opened.read(None).await?.into_model()?;
            Ok((opened, properties))
        });
        let (opened, properties) = opened.await?;
        if properties.partition_key.paths().iter().map(AsRef::as_ref).ne([PARTITION_KEY_PATH]) {
            let error = WrongPartitionKey { container: container.name() };
            return Err(PortError::because(resource, PortErrorKind::Invalid, error));
        }
        Ok(opened)
    }

    async fn connect(&self) -> azure_data_cosmos::Result<CosmosClient> {
        let runtime = match &self.runtime {
            Some(runtime) => runtime.clone(),
            None => of_port_443().await?,
        };
        let builder = CosmosClientBuilder::new().with_default_operation_options(operation_options()).with_runtime(runtime);
        // In the account's own order, so in the region that writes: another one may lag behind it.
        builder.build(self.account.clone(), RoutingStrategy::PreferredRegions(Vec::new())).await
    }
}

/// Without Gateway 2.0, which the SDK would try wherever the account offers it: it listens on another port, which the
/// network's rules (infra/modules/network.bicep) let nobody use, and each process would wait for it in vain first.
async fn of_port_443() -> azure_data_cosmos::Result<CosmosRuntime> {
    let pool = ConnectionPoolOptions::builder().with_gateway_v2_disabled(true).build()?;
    CosmosRuntime::builder().with_connection_pool(pool).build().await
}

fn operation_options() -> OperationOptions {
    let throttling = ThrottlingRetryOptionsBuilder::new().with_max_retry_count(BUSY_RETRIES).with_max_retry_wait_time(BUSY_WAIT).build();
    let mut options = OperationOptions::default();
    options.read_consistency_strategy = Some(ReadConsistencyStrategy::LatestCommitted);
    // A second region may lag behind: asking it in parallel would be quicker and sometimes wrong.
    options.availability_strategy = Some(AvailabilityStrategy::Disabled);
    options.throttling_retry_options = Some(throttling);
    options
}

#[derive(Debug, thiserror::Error)]
#[error("container {container} must be made with the partition key {PARTITION_KEY_PATH} and no other; make it anew")]
struct WrongPartitionKey {
    container: &'static str,
}

/// For messages: which container, and the setting that leads to it.
pub(super) fn name_of(container: Container) -> String {
    format!("Cosmos DB container {} (ASSAY_COSMOS_URL, ASSAY_COSMOS_DATABASE)", container.name())
}

/// The call's answer within the deadline that every call has.
pub(super) async fn within<T>(resource: &str, call: impl Future<Output = azure_data_cosmos::Result<T>>) -> Result<T, PortError> {
    match tokio::time::timeout(call::DEADLINE, call).await {
        Ok(answer) => answer.map_err(|error| failure(resource, error)),
        Err(_) => Err(PortError::new(resource, PortErrorKind::Unavailable)),
    }
}

/// What a refusal means where it is not an answer of the port.
pub(super) fn failure(resource: &str, error: CosmosError) -> PortError {
    let status = error.status();
    // Regions that move (403/3, 403/1008, 404/1002) the SDK makes a 503 of, once it has given up following them.
    let kind = match (u16::from(status.status_code()), status.sub_status()) {
        // The SDK could not get a token; what was wrong with it stands in the source.
        (_, Some(NO_TOKEN)) => call::kind_of_no_token(&error),
        (code, Some(sub)) if is_full(code, sub.value()) => PortErrorKind::Full,
        // 449: write again; 410: the partition moved and the SDK gave up looking for it.
        (449 | 410 | 408, _) => PortErrorKind::Unavailable,
        // Not found without a document in question is the container or the database.
        (code, _) => call::kind_of_status(code, retry_after(&error)),
    };
    let denied = kind == PortErrorKind::Denied;
    let advice = match status.sub_status() {
        Some(sub) if denied && NO_ROLE.contains(&sub.value()) => Some(call::ROLE),
        _ if denied => call::advice(&error.to_string()),
        _ => None,
    };
    PortError::because(resource, kind, error).advising(advice)
}

/// Whether it was refused because there is no room in its partition.
pub(super) fn is_full(status: u16, sub_status: u16) -> bool {
    (status, sub_status) == (403, PARTITION_FULL)
}

fn retry_after(error: &CosmosError) -> Option<Duration> {
    error.response().and_then(|response| response.headers().retry_after_ms).map(Duration::from_millis)
}

/// Whether a 404 is about the container or the database, not about a document.
pub(super) fn is_container_missing(error: &CosmosError) -> bool {
    error.status().sub_status() == Some(NO_OWNER)
}
