//! `GET /api/health`: whether this process can work, and which setting to mend if not.
//!
//! The one function that answers without an `App`, and at once. It tells settings' names and what was expected of
//! them; never a value, a path, a host or an error's inner text.

pub mod doctor;

use serde_json::json;

use crate::{app::App, config::ConfigError, platform::process::Module, web::Reply};

/// The handler asks this function by name: it must answer while there is no `App`, and under any load.
pub const NAME: &str = "health";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    Starting,
    Looking,
    Limited,
    Unwell,
}

/// Runs when there is an `App`: the start succeeded, so there is nothing to complain of.
pub fn run(_app: &App) -> Reply {
    reply(Status::Ok, &[])
}

/// Listening, still opening its stores.
pub fn starting() -> Reply {
    reply(Status::Starting, &[])
}

/// At work, and what it depends on is still being looked at, or did not answer once.
pub fn looking() -> Reply {
    reply(Status::Looking, &[])
}

/// At work, but what needs the listed resources fails until somebody mends them.
pub fn limited(problems: &[ConfigError]) -> Reply {
    reply(Status::Limited, problems)
}

/// Up, but every invocation fails until somebody mends what is listed.
pub fn unwell(problems: &[ConfigError]) -> Reply {
    reply(Status::Unwell, problems)
}

/// 200 only when invocations can succeed, as far as anybody knows: load balancers and monitors look at the status alone.
fn reply(status: Status, problems: &[ConfigError]) -> Reply {
    let (code, word) = match status {
        Status::Ok => (200, "ok"),
        Status::Starting => (503, "starting"),
        Status::Looking => (200, "looking"),
        Status::Limited => (503, "limited"),
        Status::Unwell => (503, "unwell"),
    };
    let problems: Vec<_> = problems.iter().map(|p| json!({ "setting": p.setting, "problem": p.problem })).collect();
    let body = json!({
        "status": word, "release": env!("CARGO_PKG_VERSION"), "cryptography": Module::of_this_process().words(), "problems": problems,
    });
    Reply::json(code, &body).with("cache-control", "no-store")
}
