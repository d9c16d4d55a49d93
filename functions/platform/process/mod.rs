//! What belongs to the process and not to a store: the clock, ids, and calls to vendors. Both stores run beside these.

mod clock;
pub(super) mod http;
mod ids;
mod module;
mod public_names;

pub use self::{clock::SystemClock, http::HttpClient, ids::ProcessIds, module::Module};
