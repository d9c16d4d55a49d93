//! From "listening" to "ready": the host wants a listener within moments, the stores may take longer.
//!
//! What fails here never ends the process. Three deaths at start take the whole app down for good, so a handler with
//! a bad configuration stays up, says why on health, and fails its invocations so that messages wait.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::doctor;
use crate::{app::App, config::ConfigError};

/// Why there is no `App`, setting by setting, in words for the person who mends it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct StartError {
    pub reasons: Vec<ConfigError>,
    /// Whether trying again may succeed: a store that another handler still holds, a vault that cannot be reached.
    pub may_pass: bool,
}

/// How far the process is.
#[derive(Clone)]
pub enum Life {
    Starting,
    /// With what somebody must mend, although invocations that do not need it succeed.
    Ready(Arc<App>, Arc<Vec<ConfigError>>),
    Unwell(Arc<Vec<ConfigError>>),
}

/// Between two tries of a start that may yet succeed.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at dependencies of which one was not as it should be.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

impl From<Vec<ConfigError>> for StartError {
    fn from(reasons: Vec<ConfigError>) -> Self {
        Self { reasons, may_pass: false }
    }
}

/// Builds the `App`, again and again while a failure may pass; `life` follows.
pub async fn start<B, F>(life: watch::Sender<Life>, build: B)
where
    B: Fn() -> F + Send,
    F: Future<Output = Result<App, StartError>> + Send + 'static,
{
    let mut tries = interval(RETRY);
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tries.tick().await;
        // In a task of its own, so that a panic is one more reason and not silence.
        let outcome = tokio::spawn(build()).await.unwrap_or_else(|_| Err(StartError::from(vec![panicked()])));
        match outcome {
            Ok(app) => {
                tracing::info!("ready");
                let app = Arc::new(app);
                life.send_replace(Life::Ready(app.clone(), Arc::default()));
                if app.config.store_is_made_by_others() {
                    watch_over(&life, &app).await;
                }
                return;
            }
            Err(error) => {
                tracing::error!(error = %error, again = error.may_pass, "not ready");
                life.send_replace(Life::Unwell(Arc::new(error.reasons)));
                if !error.may_pass {
                    return;
                }
            }
        }
    }
}

/// Looks at what Assay depends on until nothing is left to mend; `life` tells what is.
async fn watch_over(life: &watch::Sender<Life>, app: &Arc<App>) {
    let mut looks = interval(LOOK_AGAIN);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let findings = doctor::examine(app).await;
        for finding in findings.iter().filter(|finding| finding.outcome.is_err()) {
            let source = finding.outcome.as_ref().err().and_then(std::error::Error::source).map(ToString::to_string);
            tracing::error!(finding = %finding, source, "a dependency is not as it should be");
        }
        let ailments: Vec<_> = findings.iter().filter_map(doctor::Finding::ailment).collect();
        let done = findings.iter().all(|finding| finding.outcome.is_ok());
        life.send_replace(Life::Ready(app.clone(), Arc::new(ailments)));
        if done {
            return;
        }
    }
}

fn panicked() -> ConfigError {
    ConfigError { setting: "start", problem: "the start failed in a way that it should not; the log has the place".into() }
}
