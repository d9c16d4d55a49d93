//! Settings: read once from the environment into [`RawConfig`], checked into [`Config`], all errors at once.
//!
//! Nothing else reads the environment (`clippy.toml`). A wrong setting never ends the process: `assemble` keeps the
//! errors, health shows them by the setting's name, and invocations fail with 500 so that messages wait.

mod azure;
mod boundary;
mod entra;
mod mail;
mod metering;
mod settings;
mod witness;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use time::{Date, macros::format_description};
use url::Url;

pub use self::{
    boundary::DataBoundary,
    entra::{EntraCredential, EntraSettings},
    mail::{AcsSettings, MailService, SmtpSettings, SmtpTls},
    metering::{MeteringSettings, is_usage_id},
    settings::{SETTINGS, Setting},
    witness::WitnessSettings,
};
use crate::platform::azure::AzureSettings;

/// What the environment says, not yet checked. Keys are setting names such as `ASSAY_STORE`.
pub type RawConfig = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Config {
    pub store: StoreKind,
    /// Origin of every link, such as `https://assay.example.net`; its scheme decides the cookie's `Secure`.
    pub public_url: Url,
    pub sign_in: SignIn,
    /// Whether approvers and owners are mailed; otherwise they find what waits for them under Approvals and People.
    pub mails: bool,
    pub delivery: Delivery,
    /// How long a review of access counts.
    pub access_review: time::Duration,
    /// Set in the demo only: every vendor host is answered by this loopback address.
    pub demo_vendor: Option<Url>,
    /// Which data may lie here; `None`: nobody said it of this data folder.
    pub boundary: Option<DataBoundary>,
    /// Where this instance runs, by Azure's name of the region; clients may allow some only.
    pub region: Option<String>,
    pub offboarding: OffboardingDays,
    /// The last day on which records of data keys count that an earlier release left unsigned.
    pub unsigned_keys_until: Option<Date>,
    /// Who cosigns the checkpoints of the logs.
    pub witness: Option<WitnessSettings>,
    /// To whose bill clients are counted; `None`: to nobody's, and `Err`: to nobody's until these are mended.
    pub metering: Result<Option<MeteringSettings>, Vec<ConfigError>>,
    pub deadline: Duration,
    pub max_concurrent: usize,
}

impl Config {
    pub fn is_demo(&self) -> bool {
        self.sign_in == SignIn::Demo
    }

    /// How people sign in with Entra ID; `None` when they do not.
    pub fn entra(&self) -> Option<&EntraSettings> {
        if let SignIn::Entra(settings) = &self.sign_in { Some(settings) } else { None }
    }

    /// A page's or hook's address under the route prefix: `portal/inbox` -> `https://host/api/portal/inbox`.
    pub fn link(&self, path: &str) -> String {
        format!("{}api/{}", self.public_url, path.trim_start_matches('/'))
    }

    /// The setting that leads to a part of the store.
    pub fn setting_of(&self, part: Part) -> &'static str {
        match (&self.store, part) {
            (_, Part::Queues) => "ASSAY_QUEUE_URL",
            (StoreKind::Local { .. }, _) => "ASSAY_DATA",
            (StoreKind::Azure(_), Part::Documents) => "ASSAY_COSMOS_URL",
            (StoreKind::Azure(_), Part::Blobs) => "ASSAY_BLOB_URL",
            (StoreKind::Azure(_), Part::Keys) => "ASSAY_DEPLOYMENT_KEY",
        }
    }

    /// Whether others made what the store needs, so that it is looked at as soon as the handler is ready.
    pub fn store_is_made_by_others(&self) -> bool {
        matches!(self.store, StoreKind::Azure(_))
    }

    /// The origin a browser sends with a form of ours: scheme, host and port.
    pub fn origin(&self) -> String {
        self.public_url.origin().ascii_serialization()
    }
}

#[derive(Clone, Debug)]
pub enum StoreKind {
    Local { data: PathBuf, queue_url: Url, queue_token: String },
    Azure(Box<AzureSettings>),
}

/// How notices go out besides mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The secret in the vault that holds the address of a Teams workflow's webhook.
    pub teams: Option<String>,
    /// By what mails go out; `None`: into the mailbox.
    pub service: Option<MailService>,
    pub per_minute: u32,
    pub per_hour: u32,
}

impl Delivery {
    /// Whether notices wait in a queue of their own before they go out.
    pub fn is_queued(&self) -> bool {
        self.teams.is_some() || self.service.is_some()
    }
}

/// How long the end of a client takes, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffboardingDays {
    /// Between switching off and destroying.
    pub wait: u16,
    /// For which the database can be put back as it was.
    pub backup: u16,
    /// For which a deleted vault key can be recovered.
    pub vault: u16,
}

/// The parts that everything is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Documents,
    Queues,
    Blobs,
    Keys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Nobody can sign in.
    None,
    /// Anyone on this machine picks a demo person.
    Demo,
    /// People of the directories that are named sign in with Entra ID.
    Entra(Box<EntraSettings>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("setting {setting}: {problem}")]
pub struct ConfigError {
    pub setting: &'static str,
    /// What was expected; never the value itself, it may be a secret.
    pub problem: String,
}

/// Names that look like ours and are none: a typing error, or a setting of another release.
pub fn unknown(raw: &RawConfig) -> Vec<&str> {
    let is_known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
    raw.keys().map(String::as_str).filter(|name| name.starts_with("ASSAY_") && !is_known(name)).collect()
}

/// Checks every setting and reports every error, not only the first.
pub fn check(raw: &RawConfig) -> Result<Config, Vec<ConfigError>> {
    let mut reader = Reader { raw, errors: Vec::new() };
    let kind = reader.one_of("ASSAY_STORE", &["local", "azure"]);
    let way = reader.one_of("ASSAY_SIGN_IN", &["none", "demo", "entra"]);
    // Where people sign in is the cloud's too, whatever the store is.
    let cloud = if kind == Some("azure") || way == Some("entra") { azure::cloud(&mut reader) } else { None };
    let store = match kind {
        Some("azure") => azure::read(&mut reader, cloud.clone()).map(|azure| StoreKind::Azure(Box::new(azure))),
        Some(_) => reader.url("ASSAY_QUEUE_URL").map(|queue_url| StoreKind::Local {
            data: PathBuf::from(reader.text("ASSAY_DATA")),
            queue_url,
            queue_token: reader.text("ASSAY_QUEUE_TOKEN"),
        }),
        None => None,
    };
    let public_url = reader.url("ASSAY_PUBLIC_URL");
    let in_the_cloud = kind == Some("azure") && cloud.as_ref().is_some_and(|cloud| cloud.name != "custom");
    if in_the_cloud && public_url.as_ref().is_some_and(|url| url.scheme() != "https" || is_loopback(url)) {
        let expected = "expected the https address under which people reach the app, such as https://APP.azurewebsites.net";
        reader.fail("ASSAY_PUBLIC_URL", expected);
    }
    let sign_in = match way {
        Some("demo") if cfg!(feature = "demo") => SignIn::Demo,
        Some("demo") => {
            reader.fail("ASSAY_SIGN_IN", "this build has no demo sign-in; set it to entra or none");
            SignIn::None
        }
        Some("entra") => {
            if !in_the_cloud && public_url.as_ref().is_some_and(|url| url.scheme() != "https" && !is_loopback(url)) {
                reader.fail("ASSAY_PUBLIC_URL", "Entra sign-in works only over https, or on an address of this machine");
            }
            entra::read(&mut reader, cloud.as_ref(), kind == Some("azure")).map_or(SignIn::None, |entra| SignIn::Entra(Box::new(entra)))
        }
        _ => SignIn::None,
    };
    let demo_vendor = reader.optional_url("ASSAY_DEMO_VENDOR_URL");
    if demo_vendor.is_some() && sign_in != SignIn::Demo {
        reader.fail("ASSAY_DEMO_VENDOR_URL", "only the demo may send vendor calls to this machine; leave it empty");
    }
    if demo_vendor.as_ref().is_some_and(|url| url.host_str() != Some("127.0.0.1")) {
        reader.fail("ASSAY_DEMO_VENDOR_URL", "must be an address on 127.0.0.1");
    }
    if sign_in == SignIn::Demo && public_url.as_ref().is_some_and(|url| !is_loopback(url)) {
        reader.fail("ASSAY_SIGN_IN", "demo sign-in works only where ASSAY_PUBLIC_URL is an address of this machine");
    }
    let boundary = boundary::read(&mut reader, kind == Some("azure"), cloud.as_ref());
    let region = Some(reader.text("ASSAY_REGION").to_ascii_lowercase().replace(' ', "")).filter(|region| !region.is_empty());
    if region.as_ref().is_some_and(|region| !region.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        reader.fail("ASSAY_REGION", "must be the name of an Azure region, such as usgovvirginia");
    }
    let review_days = reader.number("ASSAY_ACCESS_REVIEW_DAYS", 1, 366);
    let mut days = |name, min, max| u16::try_from(reader.number(name, min, max)).unwrap_or(u16::MAX);
    let offboarding = OffboardingDays {
        wait: days("ASSAY_OFFBOARDING_DAYS", 1, 3650),
        backup: days("ASSAY_BACKUP_DAYS", 0, 3650),
        vault: days("ASSAY_VAULT_DAYS", 0, 3650),
    };
    // On Azure neither is ever none: a certificate that counts from them would be signed too early.
    if matches!(store, Some(StoreKind::Azure(_))) {
        if offboarding.backup == 0 {
            reader.fail("ASSAY_BACKUP_DAYS", "must be as many days as the database can be restored back: 7 or 30 with continuous backup");
        }
        if offboarding.vault < 7 {
            reader.fail("ASSAY_VAULT_DAYS", "must be the vault's soft-delete retention, which is 7 to 90 days");
        }
    }
    let unsigned_keys_until = reader.day("ASSAY_UNSIGNED_KEYS_UNTIL");
    let witness = witness::read(&mut reader);
    let metering = metering::read(raw);
    let deadline = reader.number("ASSAY_DEADLINE_SECONDS", 1, 1700);
    let max_concurrent = reader.number("ASSAY_MAX_CONCURRENT", 1, 100_000);
    // Empty is mailbox where the mailbox stands for a mail server.
    let mails = match reader.one_of("ASSAY_MAIL", &["", "mailbox", "acs", "smtp", "none"]) {
        Some("") | None => !matches!(store, Some(StoreKind::Azure(_))),
        Some(way) => way != "none",
    };
    let service = mail::read(&mut reader);
    let delivery = Delivery {
        teams: reader.secret("ASSAY_TEAMS"),
        service,
        per_minute: u32::try_from(reader.number("ASSAY_NOTICES_PER_MINUTE", 1, 10_000)).unwrap_or(u32::MAX),
        per_hour: u32::try_from(reader.number("ASSAY_NOTICES_PER_HOUR", 1, 100_000)).unwrap_or(u32::MAX),
    };
    match (public_url, store, reader.errors.is_empty()) {
        (Some(public_url), Some(store), true) => Ok(Config {
            store,
            mails,
            delivery,
            access_review: time::Duration::days(i64::try_from(review_days).unwrap_or(90)),
            public_url,
            sign_in,
            demo_vendor,
            boundary,
            region,
            offboarding,
            unsigned_keys_until,
            witness,
            metering,
            deadline: Duration::from_secs(deadline),
            max_concurrent: usize::try_from(max_concurrent).unwrap_or(usize::MAX),
        }),
        _ => Err(reader.errors),
    }
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

struct Reader<'a> {
    raw: &'a RawConfig,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    fn fail(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.errors.push(ConfigError { setting, problem: problem.into() });
    }

    fn get(&self, name: &str) -> &'a str {
        let default = SETTINGS.iter().find(|s| s.name == name).and_then(|s| s.default).unwrap_or_default();
        self.raw.get(name).map_or(default, String::as_str)
    }

    fn text(&self, name: &str) -> String {
        self.get(name).to_owned()
    }

    fn one_of(&mut self, name: &'static str, allowed: &[&'static str]) -> Option<&'static str> {
        let value = self.get(name);
        let found = allowed.iter().copied().find(|a| *a == value);
        if found.is_none() {
            self.fail(name, format!("expected one of: {}", allowed.join(", ")));
        }
        found
    }

    fn url(&mut self, name: &'static str) -> Option<Url> {
        let url =
            Url::parse(self.get(name)).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.path() == "/" && u.query().is_none());
        if url.is_none() {
            self.fail(name, "expected an http or https address without a path, such as https://assay.example.net");
        }
        url
    }

    fn optional_url(&mut self, name: &'static str) -> Option<Url> {
        if self.get(name).is_empty() { None } else { self.url(name) }
    }

    /// The name of a secret in the vault; `None` when the setting is empty.
    fn secret(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name);
        if value.is_empty() {
            return None;
        }
        let secret =
            value.strip_prefix("secret:").filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        if secret.is_none() {
            self.fail(name, "expected secret:NAME, the name of a secret in the vault; never the secret itself");
        }
        secret.map(str::to_owned)
    }

    /// `None` when the setting is empty.
    fn day(&mut self, name: &'static str) -> Option<Date> {
        let value = self.get(name);
        let day = Date::parse(value, format_description!("[year]-[month]-[day]")).ok();
        if day.is_none() && !value.is_empty() {
            self.fail(name, "expected a day, such as 2027-01-31");
        }
        day
    }

    fn number(&mut self, name: &'static str, min: u64, max: u64) -> u64 {
        match self.get(name).parse::<u64>() {
            Ok(n) if (min..=max).contains(&n) => n,
            _ => {
                self.fail(name, format!("expected a whole number from {min} to {max}"));
                min
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_reported_at_once_by_name() {
        let raw = RawConfig::from([
            ("ASSAY_STORE".into(), "floppy".into()),
            ("ASSAY_PUBLIC_URL".into(), "assay".into()),
            ("ASSAY_DEADLINE_SECONDS".into(), "soon".into()),
        ]);
        let names: Vec<_> = check(&raw).expect_err("three mistakes").into_iter().map(|e| e.setting).collect();
        assert_eq!(names, ["ASSAY_STORE", "ASSAY_PUBLIC_URL", "ASSAY_DEADLINE_SECONDS"]);
    }

    #[test]
    fn the_demo_vendor_is_refused_outside_the_demo() {
        let raw = RawConfig::from([("ASSAY_DEMO_VENDOR_URL".into(), "http://127.0.0.1:9".into())]);
        assert_eq!(check(&raw).expect_err("no demo")[0].setting, "ASSAY_DEMO_VENDOR_URL");
    }

    #[test]
    fn links_come_from_configuration() {
        let config = check(&RawConfig::from([("ASSAY_PUBLIC_URL".into(), "https://assay.example.net".into())])).expect("good");
        assert_eq!(config.link("portal/inbox"), "https://assay.example.net/api/portal/inbox");
        assert_eq!(config.origin(), "https://assay.example.net");
    }
}
