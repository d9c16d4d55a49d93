//! A live test of a connection: one small read with its own credentials, now, and what came of it in words.
//!
//! It reads what a whole read reads, so that rights which are missing show here. Nothing that comes is kept; that somebody
//! tested, and how it went, stands in the log. The last result is remembered by this process alone, for the credentials that
//! were tested: with others nothing is known.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::{Connection, Credentials, Vendor, autotask, call::CallError, connection, connectwise_manage};
use crate::{
    app::App,
    audit,
    tenancy::{ConnectionId, DeploymentPlace, Store, StoreError, seal::sha256},
};

/// Tests of one connection in [`WINDOW`]: the vendor's allowance is shared, and a wrong secret locks accounts.
const MOST: u8 = 3;
const WINDOW: Duration = Duration::from_mins(1);

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It let us in, and showed something or has nothing to show.
    Good {
        shows_something: bool,
    },
    /// It knows us and says no.
    Refused,
    /// It does not know the login company or the user, or has them elsewhere.
    WrongCompany,
    Unreachable,
    /// It asks us to come back.
    Busy,
    /// Something answers that is not the vendor's API as we know it.
    Strange,
}

/// The last test of a connection.
#[derive(Clone, Debug)]
pub struct Trial {
    pub at: OffsetDateTime,
    pub outcome: Outcome,
    /// What was tested, by hash: another host or secret is another thing.
    of: String,
}

/// What a request for a test came to.
#[derive(Clone, Debug)]
pub enum Tested {
    Now(Box<Connection>, Outcome),
    /// As often as allowed already.
    TooOften,
    NoSuchConnection,
}

/// Tests the connection, for a caller who has checked that the person runs the tools.
pub async fn test(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Tested, StoreError> {
    let Some(connection) = connection::read(store, id).await? else { return Ok(Tested::NoSuchConnection) };
    let app = store.app();
    let name = name(id);
    if !app.cache.allow(&name, MOST, app.now(), WINDOW) {
        return Ok(Tested::TooOften);
    }
    let moment = app.memory.moment(&name);
    let outcome = outcome(&ask(app, &connection).await);
    let mut batch = store.batch(DeploymentPlace::Operations);
    let detail = serde_json::json!({ "name": connection.name, "outcome": outcome.word() });
    audit::record(&mut batch, audit::Event::new("connection.tested", format!("connection {id}"), detail));
    batch.commit().await?;
    app.memory.keep(&name, Arc::new(Trial { at: app.now(), outcome, of: fingerprint(&connection) }), moment, app.now());
    Ok(Tested::Now(Box::new(connection), outcome))
}

/// The last test in this process with the host and credentials that the connection has now.
pub fn last(app: &App, connection: &Connection) -> Option<Arc<Trial>> {
    let trial = app.memory.recall::<Trial>(&name(connection.id), OffsetDateTime::UNIX_EPOCH)?;
    (trial.of == fingerprint(connection)).then_some(trial)
}

async fn ask(app: &App, connection: &Connection) -> Result<usize, CallError> {
    match connection.credentials {
        Credentials::ConnectwiseManage { .. } => connectwise_manage::pull::one(app, connection).await,
        Credentials::Autotask { .. } => autotask::pull::one(app, connection).await,
    }
}

fn outcome(answer: &Result<usize, CallError>) -> Outcome {
    match answer {
        Ok(rows) => Outcome::Good { shows_something: *rows > 0 },
        Err(CallError::ComeBack { why: "not reachable" | "failing", .. }) => Outcome::Unreachable,
        Err(CallError::ComeBack { why: "answer is not JSON", .. }) => Outcome::Strange,
        Err(CallError::ComeBack { .. }) => Outcome::Busy,
        Err(CallError::Refused("credentials or rights")) => Outcome::Refused,
        Err(CallError::NotFound | CallError::Refused("login company not known" | "no zone for this user")) => Outcome::WrongCompany,
        Err(CallError::Refused(why)) if why.contains("another zone") => Outcome::WrongCompany,
        Err(CallError::Refused(_)) => Outcome::Strange,
    }
}

fn name(id: ConnectionId) -> String {
    format!("connection-test/{id}")
}

fn fingerprint(connection: &Connection) -> String {
    let Connection { host, credentials, .. } = connection;
    sha256(&serde_json::to_vec(&(host, credentials)).unwrap_or_default())
}

impl Outcome {
    pub fn is_good(self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// For the log.
    fn word(self) -> &'static str {
        match self {
            Self::Good { .. } => "good",
            Self::Refused => "refused",
            Self::WrongCompany => "wrong_company",
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Strange => "strange",
        }
    }

    /// What came back, and what to do next.
    pub fn words(self, vendor: Vendor) -> &'static str {
        use Vendor::{Autotask, ConnectwiseManage};
        match (self, vendor) {
            (Self::Good { shows_something: true }, _) => {
                "It answered: the credentials are good, and they may read configurations. One was read and not kept."
            }
            (Self::Good { shows_something: false }, _) => {
                "It answered: the credentials are good. It showed no configuration: either the tool has none, or the API user sees none; look at its rights before you rely on counts."
            }
            (Self::Refused, ConnectwiseManage) => {
                "It refused: a key or the client id is wrong, or the API member may not read configurations. Look at the API member in ConnectWise, then type its keys again under Change."
            }
            (Self::Refused, Autotask) => {
                "It refused: the secret or the integration code is wrong, or the API user is locked or may not read configuration items. Look at the API user in Autotask, then type its secret again under Change."
            }
            (Self::WrongCompany, ConnectwiseManage) => {
                "It knows no such login company at this host. Compare both with what you type when you sign in to ConnectWise, and correct them under Change."
            }
            (Self::WrongCompany, Autotask) => {
                "It knows no such API user in this zone. Compare the user\u{2019}s name and your zone\u{2019}s API host with Autotask, and correct them under Change."
            }
            (Self::Unreachable, _) => {
                "It did not answer, or only with an error of its own. Look whether the host is spelled as you use it, whether the tool is up, and whether Assay\u{2019}s network may reach it; then test again."
            }
            (Self::Busy, _) => {
                "It asked to come back later: its allowance is used up for now, perhaps by other integrations. Test again in a few minutes."
            }
            (Self::Strange, _) => {
                "Something answered that is not the tool\u{2019}s API as Assay knows it. Look whether the host is the one for the API, and not a page in between."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_call_is_one_of_what_people_are_told() {
        let refused = |why| Err(CallError::Refused(why));
        for (answer, expected) in [
            (Ok(1), Outcome::Good { shows_something: true }),
            (Ok(0), Outcome::Good { shows_something: false }),
            (refused("credentials or rights"), Outcome::Refused),
            (refused("redirects"), Outcome::Strange),
            (Err(CallError::NotFound), Outcome::WrongCompany),
            (Err(CallError::come_back(30, "throttled")), Outcome::Busy),
            (Err(CallError::come_back(30, "not reachable")), Outcome::Unreachable),
        ] {
            assert_eq!(outcome(&answer), expected);
        }
    }
}
