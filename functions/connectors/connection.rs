//! A connection: one configured connector of the MSP, with its credentials and what its records mean.
//!
//! One PSA connection serves many clients; which company is which client is the client map's business (`mapping`).
//! Secrets live only in the sealed record and in requests to the vendor; [`Secret`] keeps them out of logs.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    audit,
    tenancy::{ConnectionId, DeploymentPlace, Held, Record, Store, StoreError},
    web::{Problem, pages::FieldError},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    pub id: ConnectionId,
    /// For people: `Northgate PSA`.
    pub name: String,
    /// The vendor's host as the MSP uses it, such as `na.myconnectwise.net`; the only host a signing key is fetched from.
    pub host: String,
    pub credentials: Credentials,
    pub settings: Settings,
}

/// Which vendor, and how Assay proves itself to it and it to Assay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "vendor", rename_all = "snake_case")]
pub enum Credentials {
    ConnectwiseManage {
        /// The login company, such as `northgateit`.
        company: String,
        public_key: Secret,
        private_key: Secret,
        /// The integration's clientId, sent with every call.
        client_id: String,
    },
    Autotask {
        user: String,
        secret: Secret,
        integration_code: Secret,
        /// Signs webhooks; the earlier one holds until its time is over.
        webhook_secret: Secret,
        previous_webhook_secret: Option<PreviousSecret>,
        /// The webhooks that Autotask made for this connection, by GUID.
        webhook_guids: Vec<String>,
    },
}

impl Credentials {
    /// All of it but what only names webhooks.
    fn what_signs_in(&self) -> Self {
        let mut all = self.clone();
        if let Self::Autotask { webhook_guids, .. } = &mut all {
            webhook_guids.clear();
        }
        all
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviousSecret {
    pub secret: Secret,
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// How long the webhook secret before the present one still verifies.
pub const ROTATION_OVERLAP: time::Duration = time::Duration::minutes(10);

/// What the vendor's boards and types are in the evidence map. Keys are the vendor's ids as text.
///
/// By default nothing means anything: only what people said counts as evidence of something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// ConnectWise board or Autotask queue.
    pub boards: BTreeMap<String, String>,
    pub ticket_types: BTreeMap<String, String>,
    pub configuration_types: BTreeMap<String, String>,
    /// Configurations of a type that is not listed; `None` keeps them without a meaning. Connections of an earlier
    /// release say devices here; the form shows it as a line `* = ..`, which people can take out.
    pub other_configurations: Option<String>,
}

impl Settings {
    /// The type says more than the board, so it is asked first.
    pub fn of_ticket(&self, board: Option<&str>, kind: Option<&str>) -> Option<&str> {
        let by_type = kind.and_then(|kind| self.ticket_types.get(kind));
        by_type.or_else(|| board.and_then(|board| self.boards.get(board))).map(String::as_str)
    }

    pub fn of_configuration(&self, kind: Option<&str>) -> Option<&str> {
        kind.and_then(|kind| self.configuration_types.get(kind)).or(self.other_configurations.as_ref()).map(String::as_str)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    ConnectwiseManage,
    Autotask,
}

impl Vendor {
    pub const ALL: [Self; 2] = [Self::ConnectwiseManage, Self::Autotask];

    /// The segment of the webhook's route.
    pub fn slug(self) -> &'static str {
        match self {
            Self::ConnectwiseManage => "connectwise_manage",
            Self::Autotask => "autotask",
        }
    }

    pub fn of_slug(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.slug() == slug)
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::ConnectwiseManage => "ConnectWise PSA",
            Self::Autotask => "Autotask PSA",
        }
    }
}

impl Connection {
    pub fn vendor(&self) -> Vendor {
        match self.credentials {
            Credentials::ConnectwiseManage { .. } => Vendor::ConnectwiseManage,
            Credentials::Autotask { .. } => Vendor::Autotask,
        }
    }

    /// Where the vendor is told to post, below the route prefix.
    pub fn webhook_path(&self) -> String {
        format!("webhooks/{}/{}", self.vendor().slug(), self.id)
    }
}

impl Record for Connection {
    const KIND: &'static str = "connection";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        self.id.to_string()
    }
}

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Adds a connection, audited. The caller has checked that the person may.
pub async fn add(store: &Store<'_, DeploymentPlace>, connection: &Connection) -> Result<(), Problem> {
    check(connection)?;
    let mut batch = store.batch(DeploymentPlace::Directory);
    batch.create(connection);
    audit::record(&mut batch, changed("connection.added", connection));
    Ok(batch.commit().await?)
}

/// Replaces what people may change: name, host, credentials, settings. Audited without a single secret.
pub async fn change(store: &Store<'_, DeploymentPlace>, connection: Connection) -> Result<(), Problem> {
    let held = read_held(store, connection.id).await?.ok_or_else(Problem::not_found)?;
    replace(store, held, connection).await
}

/// The same, for a caller that looked at what was there: who was faster in between wins.
pub async fn replace(store: &Store<'_, DeploymentPlace>, held: Held<Connection>, connection: Connection) -> Result<(), Problem> {
    check(&connection)?;
    if held.value.vendor() != connection.vendor() {
        return Err(Problem::bad_request("A connection keeps its vendor. Add another connection instead."));
    }
    let mut event = changed("connection.changed", &connection);
    event.detail["credentials_changed"] = (held.value.credentials.what_signs_in() != connection.credentials.what_signs_in()).into();
    let mut batch = store.batch(DeploymentPlace::Directory);
    audit::record(&mut batch, event);
    batch.put(connection, Some(held.etag));
    Ok(batch.commit().await?)
}

pub async fn read(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
    Ok(read_held(store, id).await?.map(|held| held.value))
}

pub async fn read_held(store: &Store<'_, DeploymentPlace>, id: ConnectionId) -> Result<Option<Held<Connection>>, StoreError> {
    store.read(DeploymentPlace::Directory, &id.to_string()).await
}

pub async fn all(store: &Store<'_, DeploymentPlace>) -> Result<Vec<Connection>, StoreError> {
    Ok(store.all(DeploymentPlace::Directory, "").await?.into_iter().map(|held| held.value).collect())
}

/// What the log says of one that was added or changed: all of it but what signs in.
pub(super) fn changed(kind: &'static str, connection: &Connection) -> audit::Event {
    let mut detail = serde_json::json!({
        "vendor": connection.vendor(), "name": connection.name, "host": connection.host, "settings": connection.settings,
    });
    if let Credentials::Autotask { webhook_guids, .. } = &connection.credentials {
        // No secret, and whose events are taken in follows from them.
        detail["webhook_guids"] = serde_json::json!(webhook_guids);
    }
    audit::Event::new(kind, format!("connection {}", connection.id), detail)
}

/// Ends of names that mean something only inside a network (RFC 6761, 6762, 8375, and what is customary). What a name
/// leads to is judged again at every call, by its address.
const INSIDE: [&str; 6] = [".local", ".localhost", ".internal", ".lan", ".home.arpa", ".localdomain"];

fn check(connection: &Connection) -> Result<(), Problem> {
    faults(connection).into_iter().next().map_or(Ok(()), |fault| Err(Problem::bad_request(fault.message)))
}

/// What stands in the way of this connection, by the field of the form.
pub fn faults(connection: &Connection) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut need = |holds: bool, field, message: &str| {
        if !holds {
            faults.push(FieldError { field, message: message.into() });
        }
    };
    let host = &connection.host;
    let url = url::Url::parse(&format!("https://{host}/")).ok();
    let bare = url.is_some_and(|url| url.host_str() == Some(host.as_str()) && url.domain().is_some()) && !host.ends_with('.');
    let outside = host.contains('.') && !INSIDE.iter().any(|end| host.ends_with(end));
    need(!connection.name.trim().is_empty(), "name", "Give the connection a name that people know it by.");
    need(bare, "host", "The host must be a bare name in lower case, such as na.myconnectwise.net.");
    need(
        !bare || outside,
        "host",
        "The host must be a name of the public internet, such as na.myconnectwise.net. This one is of a network inside.",
    );
    match &connection.credentials {
        Credentials::ConnectwiseManage { company, client_id, .. } => {
            need(!company.is_empty(), "company", "ConnectWise needs the login company.");
            need(!client_id.is_empty(), "client_id", "ConnectWise needs the integration's clientId.");
        }
        Credentials::Autotask { webhook_secret, .. } => {
            let long = webhook_secret.0.len() >= 16;
            need(long, "webhook_secret", "The webhook secret needs at least 16 characters, or anybody could guess it.");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_means_what_its_type_or_else_its_board_was_said_to_mean() {
        let settings = Settings {
            boards: BTreeMap::from([("14".into(), "psa_ticket_remediation".into())]),
            ticket_types: BTreeMap::from([("7".into(), "psa_ticket_change".into())]),
            ..Settings::default()
        };
        assert_eq!(settings.of_ticket(Some("14"), Some("7")), Some("psa_ticket_change"));
        assert_eq!(settings.of_ticket(Some("14"), Some("8")), Some("psa_ticket_remediation"));
        assert_eq!(settings.of_ticket(Some("15"), None), None);
    }

    #[test]
    fn a_configuration_means_only_what_people_said_and_an_earlier_release_may_have_said_all() {
        let settings = |text: &str| serde_json::from_str::<Settings>(text).expect("settings");
        let new = settings(r#"{"configuration_types":{"17":"rmm_device_inventory"}}"#);
        assert_eq!(new.of_configuration(Some("17")), Some("rmm_device_inventory"));
        assert_eq!((new.of_configuration(Some("40")), new.of_configuration(None)), (None, None));
        assert_eq!(Settings::default().of_configuration(Some("17")), None);
        let kept = settings(r#"{"boards":{},"other_configurations":"rmm_device_inventory"}"#);
        assert_eq!(kept.of_configuration(Some("40")), Some("rmm_device_inventory"));
    }

    #[test]
    fn a_host_is_a_bare_name_of_the_public_internet() {
        let refused = |host: &str| {
            let credentials = Credentials::ConnectwiseManage {
                company: "northgateit".into(),
                public_key: Secret("a".into()),
                private_key: Secret("b".into()),
                client_id: "c".into(),
            };
            let id = ConnectionId(uuid::Uuid::nil());
            let connection = Connection { id, name: "PSA".into(), host: host.into(), credentials, settings: Settings::default() };
            faults(&connection).len() == 1
        };
        assert!(!refused("na.myconnectwise.net") && !refused("psa.northgate.example"));
        for host in [
            "",
            "localhost",
            "psa",
            "127.0.0.1",
            "10.0.0.8",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "psa.local",
            "a.localhost",
            "metadata.google.internal",
            "nas.lan",
            "router.home.arpa",
            "na.myconnectwise.net.",
            "psa.local.",
            "na.myconnectwise.net:8443",
            "NA.myconnectwise.net",
            "a@b.example",
        ] {
            assert!(refused(host), "{host}");
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "Secret(..)");
    }
}
