//! From "listening" to "ready": the host wants a listener within moments, the stores may take longer.
//!
//! What fails here never ends the process. Three deaths at start take the whole app down for good, so a handler with
//! a bad configuration stays up, says why on health, and fails its invocations so that messages wait.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch::Sender,
    time::{MissedTickBehavior, interval},
};

use super::watch;
use crate::{app::App, config::ConfigError, platform::process::Module};

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
    /// With what somebody must mend, although invocations that do not need it succeed; `None` while that is not known.
    Ready(Arc<App>, Option<Arc<Vec<ConfigError>>>),
    Unwell(Arc<Vec<ConfigError>>),
}

/// Between two tries of a start that may yet succeed.
const RETRY: Duration = Duration::from_secs(2);

impl From<Vec<ConfigError>> for StartError {
    fn from(reasons: Vec<ConfigError>) -> Self {
        Self { reasons, may_pass: false }
    }
}

/// Builds the `App`, again and again while a failure may pass; `life` follows.
pub async fn start<B, F>(life: Sender<Life>, build: B)
where
    B: Fn() -> F + Send,
    F: Future<Output = Result<App, StartError>> + Send + 'static,
{
    if Module::of_this_process() == Module::NotInMode {
        let reasons = vec![ConfigError { setting: "fips", problem: format!("{}; nothing is done with it", Module::NotInMode.words()) }];
        tracing::error!("not ready: the cryptographic module is not in FIPS mode");
        life.send_replace(Life::Unwell(Arc::new(reasons)));
        return;
    }
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
                let made_by_others = app.config.store_is_made_by_others();
                // Invocations do not wait for the first look.
                life.send_replace(Life::Ready(app.clone(), (!made_by_others).then(Arc::default)));
                if made_by_others {
                    watch::over(&life, &app).await;
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

fn panicked() -> ConfigError {
    ConfigError { setting: "start", problem: "the start failed in a way that it should not; the log has the place".into() }
}
