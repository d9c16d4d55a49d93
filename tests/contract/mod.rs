//! The contract of the ports: what every adapter must do, whatever stands behind it.
//!
//! The functions in `documents`, `queue`, `blobs` and `vault` take ports and know no adapter. The `*_contract` macros run
//! them on the [`Ports`] that a function opens, so another adapter is some more lines below. What only the embedded
//! store does is in `local`.
#![allow(unreachable_pub, reason = "the suite names them")]

use std::{any::Any, sync::Arc, time::Duration};

use assay::platform::ports::{Blobs, Documents, Queue, Vault};

mod azure;
mod azure_vault;
mod azurite;
mod blobs;
mod cosmos;
mod documents;
mod growing;
mod local;
mod loopback;
mod model;
mod queue;
mod storage_account;
mod vault;

/// Ports under test, and what a test does to the world behind them.
struct Ports {
    documents: Arc<dyn Documents>,
    queue: Arc<dyn Queue>,
    blobs: Arc<dyn Blobs>,
    vault: Arc<dyn Vault>,
    /// How long tests hide a message: short where the time is real.
    lease: Duration,
    /// Lets time pass for delays and leases.
    pass_time: Box<dyn Fn(Duration) + Send + Sync>,
    /// Revokes a vault key.
    revoke: Box<dyn Fn(&str) + Send + Sync>,
    /// Gives a vault key a new version.
    rotate: Box<dyn Fn(&str) + Send + Sync>,
    names: VaultNames,
    /// What must outlive the ports, such as a temporary folder.
    keep: Box<dyn Any + Send + Sync>,
}

/// What stands behind short names of the suite, such as `client-a`, in a vault.
struct VaultNames {
    /// A key's name there; nothing is made.
    key: OfName<String>,
    /// The public half of a key that has signed.
    public_key: OfName<Vec<u8>>,
    put_secret: Put,
}

type OfName<T> = Box<dyn Fn(&str) -> T + Send + Sync>;
type Put = Box<dyn Fn(&str, &str) + Send + Sync>;

/// One test per function of the contract; each opens its own ports.
macro_rules! tests {
    ($open:path, $module:ident: $($test:ident),+) => {
        $(
            #[tokio::test]
            async fn $test() {
                // An adapter may be one that is not there on this machine, and says so.
                let ports: Option<super::Ports> = $open().await.into();
                if let Some(ports) = ports {
                    super::$module::$test(&ports).await;
                }
            }
        )+
    };
}

macro_rules! documents_contract {
    ($adapter:ident, $open:path) => {
        mod $adapter {
            tests!($open, documents:
                contract_documents_are_created_read_replaced_and_deleted,
                contract_documents_get_a_new_etag_with_every_write_and_never_an_old_one,
                contract_documents_refuse_a_batch_as_a_whole_and_say_why,
                contract_documents_refuse_what_is_beyond_the_limits,
                contract_documents_among_the_entries_of_logs_are_only_created,
                contract_documents_refuse_ids_that_another_store_could_not_hold,
                contract_documents_are_listed_by_prefix_in_pages_both_ways,
                contract_documents_of_several_kinds_come_in_one_list,
                contract_documents_feed_each_change_once_in_its_latest_form,
                contract_documents_of_other_partitions_and_containers_are_not_seen,
                contract_documents_let_exactly_one_of_many_writers_win
            );

            #[test]
            fn contract_documents_follow_the_model_under_random_batches() {
                super::model::contract_documents_follow_the_model_under_random_batches($open());
            }
        }
    };
}

macro_rules! queue_contract {
    ($adapter:ident, $open:path) => {
        mod $adapter {
            tests!($open, queue:
                contract_queue_delivers_bytes_as_they_were_sent,
                contract_queue_hides_a_message_for_its_delay_and_its_lease,
                contract_queue_deletes_by_the_latest_receipt_only,
                contract_queue_gives_at_most_what_is_asked_for,
                contract_queue_refuses_a_message_that_is_too_large
            );
        }
    };
}

macro_rules! blobs_contract {
    ($adapter:ident, $open:path) => {
        mod $adapter {
            tests!($open, blobs:
                contract_blobs_are_written_once,
                contract_blobs_of_the_log_are_replaced_only_as_they_were_read,
                contract_blobs_are_listed_by_prefix_in_pages,
                contract_blobs_refuse_names_that_could_leave_their_place,
                contract_blobs_grow_at_their_end_only,
                contract_blobs_take_one_of_two_appends_at_one_place,
                contract_blobs_refuse_appends_beyond_the_limits,
                contract_blobs_are_held_by_one_at_a_time,
                contract_blobs_are_lost_to_the_next_holder_when_the_lease_runs_out
            );
        }
    };
}

macro_rules! vault_contract {
    ($adapter:ident, $open:path) => {
        mod $adapter {
            tests!($open, vault:
                contract_vault_unwraps_what_it_wrapped_and_only_that,
                contract_vault_unwraps_with_the_version_that_wrapped,
                contract_vault_denies_a_revoked_key_and_no_other,
                contract_vault_says_what_is_not_there,
                contract_vault_signs_so_that_others_can_verify,
                contract_vault_shows_the_public_half_of_what_signs,
                contract_vault_gives_a_secret_by_its_name
            );
        }
    };
}

documents_contract!(documents_in_redb, super::local::ports);
documents_contract!(documents_in_cosmos, super::azure::ports);
blobs_contract!(blobs_in_redb_and_files, super::local::ports);
vault_contract!(vault_in_files, super::local::ports);
vault_contract!(vault_in_key_vault, super::azure_vault::ports);
queue_contract!(queue_in_memory, super::local::ports);
queue_contract!(queue_over_loopback, super::loopback::ports);
queue_contract!(queue_in_storage_account, super::azure::ports);
blobs_contract!(blobs_in_storage_account, super::azure::ports);
queue_contract!(queue_in_azurite, super::azurite::ports);
blobs_contract!(blobs_in_azurite, super::azurite::ports);
