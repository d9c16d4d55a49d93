//! What a browser or a vendor sends and gets: requests and replies without any server's types, problem documents,
//! page templates, sessions and anti-forgery tokens.
//!
//! No area's rules live here: a page's data is a plain view struct, and `triggers/portal` picks its template.

pub mod assets;
#[cfg(feature = "demo")]
pub mod demo_sign_in;
pub mod entra;
pub mod http;
pub mod pages;
pub mod problem;
pub mod reply;
pub mod security;
pub mod session;
pub mod step_up;

pub use http::{Method, Reply, Request};
pub use problem::Problem;
