//! What the handler says of itself on health, for the person who has just started it.
//!
//! A bad setting or a damaged store does not end the handler (design I14), so without this a start that cannot work would
//! look like one that does.

use std::time::Duration;

use serde::Deserialize;

use super::invoke::loopback_client;

/// How long a start is waited for, and between two looks.
const LONGEST: Duration = Duration::from_secs(15);
const BETWEEN: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct Health {
    status: String,
    #[serde(default)]
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    setting: String,
    problem: String,
}

/// What must be mended before it can work, each with its setting; empty when nothing is known to be wrong.
pub async fn problems(address: &str) -> Vec<String> {
    tokio::time::timeout(LONGEST, settled(address)).await.unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "the stand-in waits for its handler, as the host does")]
async fn settled(address: &str) -> Vec<String> {
    let (client, health) = (loopback_client(), format!("{address}/api/health"));
    loop {
        if let Ok(answer) = client.get(&health).send().await
            && let Ok(health) = answer.bytes().await.map(|bytes| serde_json::from_slice::<Health>(&bytes))
            && let Ok(health) = health
            && health.status != "starting"
        {
            return health.problems.into_iter().map(|Problem { setting, problem }| format!("{setting}: {problem}")).collect();
        }
        tokio::time::sleep(BETWEEN).await;
    }
}
