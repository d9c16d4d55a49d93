//! What stories are told with: an App on a fresh folder, a clock that stands still, ids that repeat, stubs and faults.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each story uses a part")]

pub mod app;
pub mod audited;
pub mod authority;
pub mod azure;
pub mod azurite;
pub mod browser;
pub mod clock;
pub mod cosmos;
pub mod decision;
pub mod disk;
pub mod end_state;
pub mod events;
pub mod faults;
pub mod flow;
pub mod former_heads;
pub mod hosted;
pub mod http;
pub mod ids;
pub mod key_record;
pub mod key_vault;
pub mod lines;
pub mod log_copy;
pub mod marketplace;
pub mod meeting;
pub mod next_release;
pub mod process;
pub mod queue;
pub mod reader;
pub mod sample;
pub mod scanner;
pub mod served;
pub mod shared;
pub mod smtp_server;
pub mod stops;
pub mod storage_account;
pub mod visitor;
pub mod witness;

pub use app::TestApp;
