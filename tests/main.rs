//! One binary for all integration tests: it links once. The table of invariants and their tests is in `tests/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says what it skipped"
)]

mod connectors;
mod contract;
mod host_local;
mod infra;
mod support;
mod tidy;

#[path = "contract/host_golden/mod.rs"]
mod host_golden;
#[path = "contract/host_handler/mod.rs"]
mod host_handler;
#[path = "contract/host_table.rs"]
mod host_table;
#[path = "contract/package.rs"]
mod package;
#[path = "contract/program.rs"]
mod program;
#[path = "security/mod.rs"]
mod security;

mod stories {
    mod access;
    mod after_the_fact;
    mod analysis;
    mod analysis_apart;
    mod analytics;
    mod approval_flows;
    mod audit_export;
    mod audit_folder;
    mod audit_log;
    mod audit_outbox;
    mod audit_page;
    mod audit_publish;
    mod audit_store;
    mod audit_vectors;
    mod audit_verify;
    mod azure_serve;
    mod bad_days;
    mod client_keys;
    mod client_vault_key;
    mod connecting;
    mod cost;
    mod data_boundary;
    mod dead_letters;
    mod decision_page;
    mod delivery_test;
    mod doctor;
    mod entra_left_out;
    mod entra_members;
    mod entra_ownership;
    mod entra_people;
    mod entra_sign_in;
    mod evidence_put_back;
    mod findings;
    mod freshness;
    mod gallery;
    mod gate;
    mod gauges;
    mod geo_fence;
    mod heads;
    mod key_rotation;
    mod keys_at_once;
    mod killed_handler;
    mod large_review;
    mod learning;
    mod log_freshness;
    mod lost_form;
    mod main_job;
    mod messages;
    mod metering;
    mod offboarding;
    mod offboarding_keyless;
    mod offboarding_off;
    mod offboarding_unread;
    mod offboarding_vault;
    mod own_keys;
    mod pages;
    mod policy_page;
    mod portal;
    mod put_away;
    mod readiness_catalogue;
    mod round_trips;
    mod sampled;
    mod scanner_to_rollback;
    mod scoring;
    mod setup;
    mod sign_in;
    mod signing;
    mod step_up;
    mod stop_at_every_call;
    mod suggestions;
    mod upgrade;
    mod verify_ended;
    mod verify_store;
    mod witness;
}
