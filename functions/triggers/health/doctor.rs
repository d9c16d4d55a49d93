//! What Assay depends on, looked at one by one: there or not, allowed or not, how quickly, and how to mend it.
//!
//! `assay doctor` prints it all; the handler looks again and again once it is ready, and health then names what somebody
//! must mend; the pages show the last look of their process. It asks through the ports, as the functions do, and leaves
//! everything as it was: a write here is one that a store allowed to write refuses because of what it names, or a blob that
//! is deleted at once. Where nothing can be taken away (`audit`, held `anchors`) one small probe stays.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, future::join_all, stream};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};

use crate::{
    app::App,
    audit::witness::{self, Witnessed},
    config::{ConfigError, DataBoundary, MailService, Part},
    gate::delivery,
    metering,
    platform::{
        ports::{BlobContainer, Container, Etag, Op, PortError, PortErrorKind, Received, Retention},
        process::Module,
    },
    tenancy::{
        DeploymentPlace, DeploymentScope, Place as _, Roster, StoreError, TenantId, keys,
        place::{self, AuditPart},
        signing::{self, SigningUse},
    },
    triggers::{Kind, Running, TABLE},
    web::entra,
};

/// Everything together takes no longer, however many clients there are.
const LONGEST: Duration = Duration::from_mins(1);
const PROBE: &str = "doctor-probe";
/// Clients' keys that are looked at at once.
const KEYS_AT_ONCE: usize = 8;

const NOT_REACHED: &str =
    "it was not looked at to the end, because everything together took 60 seconds: mend what else is listed, and look again";
const AWAY: &str = "nothing waits for it, and checkpoints are published without its line: ask whoever runs it";
const OFF: &str = "no client is counted or reported until it is mended; nothing else waits for it";
const MISSED: &str = "the Marketplace takes nothing that is older than 24 hours; whoever publishes the offer can be told, and the audit log has each (metering.missed)";
const NOT_IN_MODE: &str = "this build is for the AWS-LC FIPS module, which is not in FIPS mode here: build it anew on this system";
/// As the doctor names it where it is missed.
pub const FIPS_MODULE: &str = "the FIPS module";
const WITHOUT_FIPS: &str = "this program is built without it, and where CUI may lie (gov-CUI) SC.L2-3.13.11 asks for FIPS-validated cryptography: make the package with infra/package --fips, and install that one";
const LEFT_OUT: &str = "whom it names has no access for as long as it lies there so; put it back from a backup";
const NO_DATA_KEY: &str = "it has no data key yet, so none of its records can be written or read: put back its key record from a backup";

/// One dependency and how it was found.
#[derive(Debug)]
pub struct Finding {
    /// Such as `container clients`; never an address.
    pub what: String,
    /// The setting that leads to it; `None` for what belongs to a client.
    pub setting: Option<&'static str>,
    pub outcome: Result<(), PortError>,
    /// What a good one does not show.
    pub untried: Option<String>,
    pub took: Duration,
}

impl Finding {
    /// For health, which anybody may read; `None` when it is well, a client's, or may be well by itself the next time,
    /// unless it `lasts`.
    pub fn ailment(&self, lasts: bool) -> Option<ConfigError> {
        let error = self.outcome.as_ref().err().filter(|error| lasts || error.kind.needs_mending())?;
        Some(ConfigError { setting: self.setting?, problem: format!("{}: {}; {}", self.what, error.kind, error.advice()) })
    }

    /// For owners: an ailment, or a program that does its work and ought to be another.
    pub fn is_to_mend(&self) -> bool {
        self.ailment(false).is_some() || (self.what == FIPS_MODULE && self.outcome.is_err())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, setting, outcome, untried, took } = self;
        let ms = took.as_millis();
        match outcome {
            Ok(()) => write!(f, "good  {what} ({ms} ms{})", untried.as_ref().map(|untried| format!("; {untried}")).unwrap_or_default()),
            Err(error) => {
                let setting = setting.map(|setting| format!("{setting}, ")).unwrap_or_default();
                write!(f, "BAD   {what}: {} ({setting}{ms} ms); {}", error.kind, error.advice())
            }
        }
    }
}

/// Everything: what the installation depends on, and each client's key, which is unwrapped for it.
pub async fn examine(app: &App) -> Vec<Finding> {
    let look = Looking { app, until: Instant::now() + LONGEST };
    let mut findings = look.installation().await;
    // Without an identity nothing can be asked.
    if findings.len() > 1 {
        findings.extend(look.clients().await);
    }
    findings.push(cryptography(Module::of_this_process(), app.config.boundary));
    findings
}

/// What all clients depend on: for a look every few minutes, which unwraps no client's key.
pub async fn glance(app: &App) -> Vec<Finding> {
    let mut findings = Looking { app, until: Instant::now() + LONGEST }.installation().await;
    findings.push(cryptography(Module::of_this_process(), app.config.boundary));
    findings
}

/// What a look found.
#[derive(Debug)]
pub struct Look {
    pub at: OffsetDateTime,
    pub findings: Vec<Finding>,
    /// Whether each client's key was looked at too.
    pub with_clients: bool,
}

const REMEMBERED: &str = "doctor/look";
const ONE_AT_A_TIME: &str = "doctor/one";

/// Looks, and remembers what it found for the pages of this process. Two at once would take each other's probe away.
///
/// Boxed, because a page asks for it, and what it looks at names the table of functions, the pages among them.
pub fn look(app: &App, with_clients: bool) -> Running<'_, Arc<Look>> {
    Box::pin(async move {
        let one = app.memory.slot::<Mutex<()>>(ONE_AT_A_TIME);
        let _one = one.lock().await;
        let moment = app.memory.moment(REMEMBERED);
        let findings = if with_clients { examine(app).await } else { glance(app).await };
        let look = Arc::new(Look { at: app.now(), findings, with_clients });
        app.memory.keep(REMEMBERED, look.clone(), moment, look.at);
        look
    })
}

/// The last look of this process; `None` before its first.
pub fn last_look(app: &App) -> Option<Arc<Look>> {
    app.memory.recall(REMEMBERED, OffsetDateTime::UNIX_EPOCH)
}

struct Looking<'a> {
    app: &'a App,
    until: Instant,
}

impl Looking<'_> {
    /// Everything at once, after the identity without which nothing can be asked.
    async fn installation(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        // In local mode there is none, and the queues are the running host's.
        let apart = self.app.config.store_is_made_by_others();
        if apart {
            let setting = Some("ASSAY_CREDENTIAL, ASSAY_IDENTITY");
            findings.push(self.at("identity".into(), setting, self.app.identity.check()).await);
            if findings[0].outcome.is_err() {
                return findings;
            }
        }
        let documents = Container::ALL
            .map(|container| self.part(format!("container {}", container.name()), Part::Documents, may_write(self.app, container)));
        let queues = TABLE.iter().filter_map(|trigger| match trigger.kind {
            Kind::Queue { queue, .. } if apart => Some(self.queue(queue)),
            _ => None,
        });
        let blobs = BlobContainer::ALL
            .map(|container| self.part(format!("blob container {}", container.name()), Part::Blobs, may_use_blobs(self.app, container)));
        let blobs = blobs.map(|look| async {
            let found = look.await;
            if found.what != format!("blob container {}", BlobContainer::Anchors.name()) || found.outcome.is_err() {
                return found;
            }
            let retention = self.app.blobs.retention(BlobContainer::Anchors, PROBE).await;
            let untried = retention.ok().map(|retention| retention.words(self.app.now()));
            Finding { untried, ..found }
        });
        let key = self.part("the installation's own key".into(), Part::Keys, may_use_key(self.app));
        let key = async {
            // Making one is the only trial there is.
            let untried = (!self.app.vault.makes_keys()).then(|| "whether Assay may make a new client's key is not tried".to_owned());
            Finding { untried, ..key.await }
        };
        let signing = SigningUse::ALL.map(|usage| self.part(format!("signing key {}", usage.key()), Part::Keys, may_sign(self.app, usage)));
        let (documents, queues, blobs, key, signing, sign_in, mail, witness, metering) = tokio::join!(
            join_all(documents),
            join_all(queues),
            join_all(blobs),
            key,
            join_all(signing),
            self.sign_in(),
            self.mail(),
            self.witness(),
            self.metering()
        );
        findings.extend(documents.into_iter().chain(queues).chain(blobs).chain([key]).chain(signing));
        findings.extend(sign_in.into_iter().chain(mail).chain(witness).chain(metering));
        findings
    }

    async fn at(&self, what: String, setting: Option<&'static str>, look: impl Future<Output = Result<(), PortError>>) -> Finding {
        let begun = Instant::now();
        let outcome = timeout_at(self.until, look).await.unwrap_or_else(|_| Err(not_reached(&what)));
        Finding { what, setting, outcome, untried: None, took: begun.elapsed() }
    }

    async fn part(&self, what: String, part: Part, look: impl Future<Output = Result<(), PortError>>) -> Finding {
        self.at(what, Some(self.app.config.setting_of(part)), look).await
    }

    async fn queue(&self, queue: &str) -> Finding {
        let found = self.part(format!("queue {queue}"), Part::Queues, may_use_queue(self.app, queue)).await;
        Finding { untried: Some("sending is not tried".into()), ..found }
    }

    /// What a sign-in with Entra ID needs.
    async fn sign_in(&self) -> Vec<Finding> {
        let Some(settings) = self.app.config.entra() else { return Vec::new() };
        let authority = entra::check::authority_answers(self.app, settings);
        let credential = entra::check::credential_is_there(self.app, settings);
        let (authority, credential) = tokio::join!(
            self.at("sign-in at Entra ID".into(), Some("ASSAY_CLOUD, ASSAY_ENTRA_TENANTS"), authority),
            self.at("the app registration's credential".into(), Some("ASSAY_ENTRA_CREDENTIAL"), credential),
        );
        vec![Finding { untried: Some(entra::check::redirect_is_untried(self.app)), ..authority }, credential]
    }

    /// What the installation's own log knows of the witness: it is asked whenever that log is published, so not here too.
    async fn witness(&self) -> Option<Finding> {
        self.app.config.witness.as_ref()?;
        let setting = Some("ASSAY_WITNESS_URL, ASSAY_WITNESS_KEY");
        let mut what = "the witness of the logs".to_owned();
        if witness::key(self.app).is_none() {
            let wrong = async { Err(PortError::new("the witness's key", PortErrorKind::Invalid)) };
            return Some(self.at(what, setting, wrong).await);
        }
        let away = match self.witnessed().await {
            Ok(known) => known.and_then(|known| known.away),
            // The store has a finding of its own.
            Err(_) => None,
        };
        let outcome = match away {
            None => Ok(()),
            Some(away) => {
                what = format!("{what}, since {}: {}", away.since.format(&Rfc3339).unwrap_or_default(), away.what);
                Err(PortError::new("the witness", PortErrorKind::Unavailable).advising(AWAY))
            }
        };
        Some(self.at(what, setting, async { outcome }).await)
    }

    async fn witnessed(&self) -> Result<Option<Witnessed>, StoreError> {
        let store = DeploymentScope::of_function("doctor", PROBE).store(self.app).await?;
        let held = store.read::<Witnessed>(DeploymentPlace::audit(AuditPart::Head), witness::KEY).await?;
        Ok(held.map(|held| held.value))
    }

    /// The mail server, where one is named.
    async fn mail(&self) -> Option<Finding> {
        let Some(MailService::Smtp(_)) = &self.app.config.delivery.service else { return None };
        let look = async { delivery::mail_server_answers(self.app).await.unwrap_or(Ok(())) };
        let found =
            self.at("the mail server".into(), Some("ASSAY_SMTP_HOST, ASSAY_SMTP_PORT, ASSAY_SMTP_TLS, ASSAY_SMTP_USER"), look).await;
        Some(Finding { untried: Some("sending is not tried".into()), ..found })
    }

    /// Whether clients can be reported for metered billing, where they are; why its settings are wrong, or since when they
    /// were emptied; and a line for each month of which some clients never were reported. Nobody can mend that, so it names
    /// no setting.
    async fn metering(&self) -> Vec<Finding> {
        let setting = Some("ASSAY_METERING_PLAN, ASSAY_METERING_RESOURCE, ASSAY_METERING_DIMENSION");
        let is_on = !matches!(self.app.config.metering, Ok(None));
        let standing = match metering::health::standing(self.app).await {
            Ok(standing) => standing,
            Err(error) if is_on => return vec![self.at("metered billing".into(), setting, async { Err(error.into_port()) }).await],
            // The store has a finding of its own.
            Err(_) => return Vec::new(),
        };
        let waits = standing.waits.as_ref().map(|(since, why)| format!(", since {}: {why}", since.format(&Rfc3339).unwrap_or_default()));
        let what = format!("metered billing{}", waits.unwrap_or_default());
        let look = self.at(what, setting, metering::health::can_report(self.app, &standing)).await;
        let took = look.took;
        let lines = match &self.app.config.metering {
            Ok(Some(_)) => vec![look],
            Ok(None) => {
                let since = standing.off.map(|since| since.format(&Rfc3339).unwrap_or_default());
                let untried =
                    since.map(|since| format!("off since {since}, when ASSAY_METERING_PLAN was found emptied: no client is counted"));
                untried.map(|untried| Finding { untried: Some(untried), ..look }).into_iter().collect()
            }
            Err(wrong) => wrong.iter().map(metering_is_off).collect(),
        };
        let missed = standing.missed.into_iter().map(|(month, clients)| {
            let outcome = Err(PortError::new("metered billing", PortErrorKind::Missing).advising(MISSED));
            Finding { what: format!("metered billing of {month}, {clients} never reported"), setting: None, outcome, untried: None, took }
        });
        lines.into_iter().chain(missed).collect()
    }

    /// The keys of all clients: a line for each where something is wrong and one line for all the others; and what of the
    /// directory cannot be read.
    async fn clients(&self) -> Vec<Finding> {
        let begun = Instant::now();
        let finding = |what, outcome| Finding { what, setting: None, outcome, untried: None, took: begun.elapsed() };
        let roster = match timeout_at(self.until, roster(self.app)).await {
            Ok(Ok(roster)) => roster,
            // Without the directory there is nothing to say here: its container's own line has the reason.
            Ok(Err(_)) => return Vec::new(),
            Err(_) => return vec![finding("the keys of all clients".into(), Err(not_reached("keys")))],
        };
        let all = roster.tenants.len();
        let looks: Vec<_> = roster.tenants.iter().map(|tenant| self.client(tenant.id)).collect();
        let looks: Vec<Option<Finding>> = stream::iter(looks).buffered(KEYS_AT_ONCE).collect().await;
        let left = looks.iter().filter(|look| look.is_none()).count();
        let (good, mut findings): (Vec<_>, Vec<_>) = looks.into_iter().flatten().partition(|finding| finding.outcome.is_ok());
        if !good.is_empty() {
            findings.insert(0, finding(format!("the keys of {} of {all} clients", good.len()), Ok(())));
        }
        for error in &roster.unreadable {
            findings.push(finding(format!("the directory: {error}"), Err(error.clone().into_port().advising(LEFT_OUT))));
        }
        if left > 0 {
            findings.push(finding(format!("the keys of {left} of {all} clients"), Err(not_reached("keys"))));
        }
        findings
    }

    /// `None` when its turn does not come in time.
    async fn client(&self, id: TenantId) -> Option<Finding> {
        let key = async {
            match keys::find(self.app, keys::Owner::Tenant(id)).await {
                // Its data keys are gone on purpose.
                Ok(Some(_)) | Err(StoreError::Destroyed { .. }) => Ok(()),
                // There it is made with the client's first record.
                Ok(None) if self.app.vault.makes_keys() => Ok(()),
                Ok(None) => Err(PortError::new("data key", PortErrorKind::Missing).advising(NO_DATA_KEY)),
                Err(error) => Err(error.into_port()),
            }
        };
        if Instant::now() >= self.until { None } else { Some(self.at(format!("the key of client {id}"), None, key).await) }
    }
}

fn metering_is_off(wrong: &ConfigError) -> Finding {
    Finding {
        what: format!("metered billing is off: {}", wrong.problem),
        setting: Some(wrong.setting),
        outcome: Err(PortError::new("metered billing", PortErrorKind::Invalid).advising(OFF)),
        untried: None,
        took: Duration::ZERO,
    }
}

/// What the process's own cryptography is, and no claim beyond it. Where CUI may lie a program without the FIPS module is
/// named (SC.L2-3.13.11); it names no setting, because everything works and health has nothing to alarm about.
fn cryptography(module: Module, boundary: Option<DataBoundary>) -> Finding {
    let (what, outcome) = match (module, boundary) {
        (Module::NotInMode, _) => ("cryptography", Err(PortError::new("cryptography", PortErrorKind::Invalid).advising(NOT_IN_MODE))),
        (Module::Plain, Some(DataBoundary::GovCui)) => {
            (FIPS_MODULE, Err(PortError::new(FIPS_MODULE, PortErrorKind::Missing).advising(WITHOUT_FIPS)))
        }
        (Module::Fips | Module::Plain, _) => ("cryptography", Ok(())),
    };
    Finding { what: what.into(), setting: None, outcome, untried: Some(module.words().into()), took: Duration::ZERO }
}

async fn roster(app: &App) -> Result<Arc<Roster>, StoreError> {
    let store = DeploymentScope::of_function("doctor", "doctor").store(app).await?;
    Roster::read(&store).await
}

fn not_reached(what: &str) -> PortError {
    PortError::new(what, PortErrorKind::Unavailable).advising(NOT_REACHED)
}

/// A replace of what is not there: refused by a store that would take a true one. Where nothing is replaced, a document of
/// nobody's, which stays; the one of the first look does for all.
async fn may_write(app: &App, container: Container) -> Result<(), PortError> {
    let partition = place::probe(container);
    app.documents.read(&partition, "probe").await?;
    let (id, body) = ("probe".into(), serde_json::json!({ "kind": "probe" }));
    let probe = match container {
        Container::Audit => Op::Create { id, body },
        _ => Op::Replace { id, body, if_match: Etag("\"nowhere\"".into()) },
    };
    app.documents.batch(&partition, vec![probe]).await.map(|_| ())
}

/// A delete of a message that nobody sent. Sending is a right of its own, and a message that is sent is worked on.
async fn may_use_queue(app: &App, queue: &str) -> Result<(), PortError> {
    let nobodys = Received {
        id: app.ids.uuid().to_string(),
        pop_receipt: "AgAAAAMAAAAAAAAA".into(),
        body: Bytes::new(),
        dequeue_count: 1,
        inserted_at: OffsetDateTime::UNIX_EPOCH,
    };
    match app.queue.delete(queue, &nobodys).await {
        // It was let in, and the queue is there.
        Err(error) if error.kind == PortErrorKind::Invalid => Ok(()),
        other => other,
    }
}

/// A blob that is there for a moment; one that an interrupted look left is taken for it.
async fn may_use_blobs(app: &App, container: BlobContainer) -> Result<(), PortError> {
    let held = container == BlobContainer::Anchors
        && !matches!(app.blobs.retention(container, PROBE).await?, Retention::NotApplicable | Retention::None);
    if held {
        // What is written there stays; the one of the first look does for all.
        app.blobs.create(container, PROBE, Bytes::from_static(b"probe")).await?;
        return app.blobs.read(container, PROBE).await.map(drop);
    }
    app.blobs.create(container, PROBE, Bytes::from_static(b"probe")).await?;
    app.blobs.read(container, PROBE).await?;
    app.blobs.delete(container, PROBE).await
}

/// Signs something that means nothing, and verifies it.
async fn may_sign(app: &App, usage: SigningUse) -> Result<(), PortError> {
    signing::sign(app, usage, b"assay doctor 1").await.map(drop).map_err(StoreError::into_port)
}

async fn may_use_key(app: &App) -> Result<(), PortError> {
    let (plain, own) = ([0; 32], keys::Owner::Deployment.to_string());
    let wrapped = app.vault.wrap(&own, &plain).await?;
    app.vault.unwrap(&wrapped).await?;
    // To see a newer version is a right of its own.
    app.vault.newest_version(&own).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fips_module_is_missed_where_cui_may_lie_and_nowhere_else() {
        let (government, commercial) = (Some(DataBoundary::GovCui), Some(DataBoundary::CommercialNoCui));
        let missed = cryptography(Module::Plain, government);
        let line = missed.to_string();
        assert!(line.starts_with("BAD   the FIPS module: not there") && line.contains("infra/package --fips"), "{line}");
        assert!(missed.is_to_mend() && missed.ailment(true).is_none(), "to be mended, and no alarm on health");
        for (module, boundary) in
            [(Module::Fips, government), (Module::Fips, commercial), (Module::Plain, commercial), (Module::Plain, None)]
        {
            let good = cryptography(module, boundary);
            assert_eq!(good.to_string(), format!("good  cryptography (0 ms; {})", module.words()));
            assert!(!good.is_to_mend());
        }
        for boundary in [government, commercial, None] {
            let bad = cryptography(Module::NotInMode, boundary).to_string();
            assert!(bad.starts_with("BAD   cryptography: ") && bad.contains("not in FIPS mode"), "{bad}");
        }
    }
}
