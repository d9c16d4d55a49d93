//! The form of a connection: what people are asked per vendor, and a connection of what they typed.
//!
//! Pure. A secret is never put back into a field. A kept secret goes only to the host it was typed for: whoever changes
//! the host types the secrets again, or a form could send them to a host of somebody's choice.

use std::collections::BTreeMap;

use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Connection, Credentials, Secret, Settings, Vendor,
    connection::{self, PreviousSecret, ROTATION_OVERLAP},
    event,
};
use crate::{
    tenancy::ConnectionId,
    web::pages::{Field, FieldError, FieldKind},
};

/// What stands in a field of this name, without blanks around it.
pub type Typed<'a> = &'a (dyn Fn(&str) -> String + Sync);

/// A record type of the evidence map exists.
pub type Known<'a> = &'a dyn Fn(&str) -> bool;

const MAX_CHARS: usize = 300;

/// The fields of a vendor: name, label, hint, kind.
fn asked(vendor: Vendor) -> Vec<(&'static str, &'static str, &'static str, FieldKind)> {
    use FieldKind::{Lines, Secret, Text};
    let name = ("name", "Name", "What your people call it, such as Service desk", Text);
    match vendor {
        Vendor::ConnectwiseManage => vec![
            name,
            ("host", "Host", "Where you sign in, such as na.myconnectwise.net", Text),
            ("company", "Login company", "The company you type at sign-in", Text),
            ("public_key", "Public key", "Of an API member that may read tickets and configurations", Secret),
            ("private_key", "Private key", "Shown once when the API member's keys are made", Secret),
            ("client_id", "Client id", "Of the integration, from the ConnectWise developer site", Text),
        ],
        Vendor::Autotask => vec![
            name,
            ("host", "API host", "Of your zone, such as webservices5.autotask.net", Text),
            ("user", "API user", "The user name of an API-only user, in the form of a mail address", Text),
            ("secret", "API user's secret", "The password of that API user", Secret),
            ("integration_code", "Integration code", "The tracking identifier of the integration", Secret),
            (
                "webhook_secret",
                "Webhook secret",
                "16 to 64 characters that Autotask signs with. Left empty, a random one is made and shown once",
                Secret,
            ),
            ("webhook_guids", "Webhook GUIDs", "One a line, as Autotask gave them; add them later if there is none yet", Lines),
        ],
    }
}

/// The fields that are shown: for a connection that is there, with what is kept of it.
pub fn fields(vendor: Vendor, typed: Typed<'_>, kept: bool, errors: &[FieldError]) -> Vec<Field> {
    let field = |(name, label, hint, kind): (&'static str, &'static str, &'static str, FieldKind)| {
        let hint = match (kept, name) {
            (true, "webhook_secret") => {
                "Left empty, the present one stays. A new one: 16 to 64 characters; the old one holds for 10 more minutes".into()
            }
            (true, _) if kind == FieldKind::Secret => format!("{hint}. Left empty, the present one stays, unless the host changes"),
            _ => hint.to_owned(),
        };
        let required = kind == FieldKind::Text || (kind == FieldKind::Secret && !kept && name != "webhook_secret");
        let mut field = Field::new(name, label, hint, kind, typed(name)).with_errors(errors);
        field.required = required;
        field
    };
    asked(vendor).into_iter().map(field).collect()
}

pub fn settings_fields(vendor: Vendor, typed: Typed<'_>, errors: &[FieldError]) -> Vec<Field> {
    let boards = if vendor == Vendor::Autotask { "Queues" } else { "Boards" };
    let field = |name, label, hint| Field::new(name, label, hint, FieldKind::Lines, typed(name)).with_errors(errors);
    vec![
        field("boards", boards, "Such as 21 = psa_ticket_incident"),
        field("ticket_types", "Ticket types", "A ticket's type says more than its board, so it is asked first"),
        field("configuration_types", "Configuration types", configuration_hint(&typed("configuration_types"))),
    ]
}

/// Stands for every type that is not listed.
const ANY: &str = "*";

fn configuration_hint(typed: &str) -> &'static str {
    if typed.lines().any(|line| line.trim_start().starts_with(ANY)) {
        "The line with * makes every other type count, phones and printers too: list the types instead and take it out"
    } else {
        "Such as 17 = rmm_device_inventory; a type that is not listed counts as nothing"
    }
}

/// What a kept connection shows in its fields.
pub fn shown(connection: &Connection, name: &str) -> String {
    let lines = |map: &BTreeMap<String, String>| map.iter().map(|(id, means)| format!("{id} = {means}")).collect::<Vec<_>>().join("\n");
    match (name, &connection.credentials) {
        ("name", _) => connection.name.clone(),
        ("host", _) => connection.host.clone(),
        ("boards", _) => lines(&connection.settings.boards),
        ("ticket_types", _) => lines(&connection.settings.ticket_types),
        ("configuration_types", _) => {
            let Settings { configuration_types, other_configurations, .. } = &connection.settings;
            let other = other_configurations.iter().map(|means| (ANY.to_owned(), means.clone()));
            lines(&configuration_types.clone().into_iter().chain(other).collect())
        }
        ("company", Credentials::ConnectwiseManage { company, .. }) => company.clone(),
        ("client_id", Credentials::ConnectwiseManage { client_id, .. }) => client_id.clone(),
        ("user", Credentials::Autotask { user, .. }) => user.clone(),
        ("webhook_guids", Credentials::Autotask { webhook_guids, .. }) => webhook_guids.join("\n"),
        _ => String::new(),
    }
}

/// A new connection; `random` is its webhook secret when none was typed.
pub fn added(vendor: Vendor, id: ConnectionId, typed: Typed<'_>, random: &str) -> Result<Connection, Vec<FieldError>> {
    let mut reading = Reading { typed, errors: Vec::new() };
    reading.check_all(vendor, false);
    let secret = |name: &str| Secret(typed(name));
    let credentials = match vendor {
        Vendor::ConnectwiseManage => Credentials::ConnectwiseManage {
            company: typed("company"),
            public_key: secret("public_key"),
            private_key: secret("private_key"),
            client_id: typed("client_id"),
        },
        Vendor::Autotask => Credentials::Autotask {
            user: typed("user"),
            secret: secret("secret"),
            integration_code: secret("integration_code"),
            webhook_secret: if typed("webhook_secret").is_empty() { Secret(random.into()) } else { secret("webhook_secret") },
            previous_webhook_secret: None,
            webhook_guids: reading.guids(),
        },
    };
    reading.done(Connection { id, name: typed("name"), host: host(typed), credentials, settings: Settings::default() })
}

/// The connection as it is after the change; what is typed nowhere stays.
pub fn changed(held: &Connection, typed: Typed<'_>, known: Known<'_>, now: OffsetDateTime) -> Result<Connection, Vec<FieldError>> {
    let mut reading = Reading { typed, errors: Vec::new() };
    reading.check_all(held.vendor(), true);
    let same_host = host(typed) == held.host;
    let credentials = match &held.credentials {
        Credentials::ConnectwiseManage { public_key, private_key, .. } => Credentials::ConnectwiseManage {
            company: typed("company"),
            public_key: reading.secret_or("public_key", public_key, same_host),
            private_key: reading.secret_or("private_key", private_key, same_host),
            client_id: typed("client_id"),
        },
        Credentials::Autotask { secret, integration_code, webhook_secret, previous_webhook_secret, .. } => {
            // It is never sent, so it may stay whatever the host.
            let new = reading.secret_or("webhook_secret", webhook_secret, true);
            let previous = if new == *webhook_secret {
                previous_webhook_secret.clone()
            } else {
                Some(PreviousSecret { secret: webhook_secret.clone(), until: now + ROTATION_OVERLAP })
            };
            Credentials::Autotask {
                user: typed("user"),
                secret: reading.secret_or("secret", secret, same_host),
                integration_code: reading.secret_or("integration_code", integration_code, same_host),
                webhook_secret: new,
                previous_webhook_secret: previous,
                webhook_guids: reading.guids(),
            }
        }
    };
    let mut configuration_types = reading.meanings("configuration_types", known);
    let settings = Settings {
        boards: reading.meanings("boards", known),
        ticket_types: reading.meanings("ticket_types", known),
        other_configurations: configuration_types.remove(ANY),
        configuration_types,
    };
    reading.done(Connection { id: held.id, name: typed("name"), host: host(typed), credentials, settings })
}

/// People paste addresses.
fn host(typed: Typed<'_>) -> String {
    let text = typed("host").to_lowercase();
    text.trim_start_matches("https://").trim_end_matches('/').to_owned()
}

struct Reading<'a> {
    typed: Typed<'a>,
    errors: Vec<FieldError>,
}

impl Reading<'_> {
    fn fault(&mut self, field: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError { field, message: message.into() });
    }

    fn check_all(&mut self, vendor: Vendor, kept: bool) {
        for field in fields(vendor, self.typed, kept, &[]) {
            let value = (self.typed)(field.name);
            let most = if field.name == "webhook_secret" { 64 } else { MAX_CHARS };
            if field.required && value.is_empty() {
                self.fault(field.name, format!("{} is missing.", field.label));
            } else if field.kind != FieldKind::Lines && (value.chars().any(char::is_control) || value.chars().count() > most) {
                self.fault(field.name, format!("{} must be one line of at most {most} characters.", field.label));
            }
        }
    }

    fn secret_or(&mut self, field: &'static str, held: &Secret, may_keep: bool) -> Secret {
        match (self.typed)(field) {
            typed if !typed.is_empty() => Secret(typed),
            _ => {
                if !may_keep {
                    let which = field.replace('_', " ");
                    self.fault(field, format!("The host changes: type the {which} again, so that a kept one never goes to another host."));
                }
                held.clone()
            }
        }
    }

    fn guids(&mut self) -> Vec<String> {
        let text = (self.typed)("webhook_guids");
        let mut guids = Vec::new();
        for (number, line) in numbered(&text) {
            match Uuid::parse_str(line) {
                Ok(guid) => guids.push(guid.hyphenated().to_string()),
                Err(_) => self.fault("webhook_guids", format!("Webhook GUIDs, line {number} is not a GUID.")),
            }
        }
        guids
    }

    fn meanings(&mut self, field: &'static str, known: Known<'_>) -> BTreeMap<String, String> {
        let text = (self.typed)(field);
        let words = field.replace('_', " ");
        let mut meanings = BTreeMap::new();
        for (number, line) in numbered(&text) {
            let any = |id: &str| (field == "configuration_types" && id == ANY).then(|| ANY.to_owned());
            let pair = line.split_once('=').map(|(id, means)| (any(id.trim()).or_else(|| event::id(&json!(id.trim()))), means.trim()));
            let Some((id, means)) = pair else {
                self.fault(field, format!("Line {number} of the {words} has no equals sign: it must read like 21 = psa_ticket_incident."));
                continue;
            };
            let Some(id) = id else {
                self.fault(
                    field,
                    format!("Line {number} of the {words} must begin with the tool's number of it, as in 21 = psa_ticket_incident."),
                );
                continue;
            };
            if !known(means) {
                self.fault(field, format!("Line {number} of the {words}: there is no record type “{means}”. Take one of the list."));
            } else if meanings.insert(id.clone(), means.to_owned()).is_some() {
                self.fault(field, format!("Line {number} of the {words} says {id} a second time."));
            }
        }
        meanings
    }

    fn done(mut self, connection: Connection) -> Result<Connection, Vec<FieldError>> {
        for fault in connection::faults(&connection) {
            if !self.errors.iter().any(|error| error.field == fault.field) {
                self.errors.push(fault);
            }
        }
        if self.errors.is_empty() { Ok(connection) } else { Err(self.errors) }
    }
}

/// Lines that say something, counted as people see them.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed<'a>(values: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> String + 'a {
        |name| values.iter().find(|(known, _)| *known == name).map_or_else(String::new, |(_, value)| (*value).to_owned())
    }

    fn autotask() -> Connection {
        let values = [
            ("name", "Northgate"),
            ("host", "https://WebServices5.autotask.net/"),
            ("user", "api@northgate.example"),
            ("secret", "s3cret"),
            ("integration_code", "code"),
            ("webhook_guids", "A1DA62A4-2C49-40A8-8183-69994CE5B3EB\n"),
        ];
        added(Vendor::Autotask, ConnectionId(Uuid::nil()), &typed(&values), "a random secret of it").expect("good")
    }

    const SAME: [(&str, &str); 3] = [("name", "Northgate"), ("host", "webservices5.autotask.net"), ("user", "api@northgate.example")];

    fn change(more: &[(&str, &str)]) -> Result<Connection, Vec<FieldError>> {
        let values: Vec<_> = more.iter().chain(&SAME).copied().collect();
        changed(&autotask(), &typed(&values), &|means| means == "psa_ticket_incident", OffsetDateTime::UNIX_EPOCH)
    }

    fn faults(more: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        change(more).expect_err("refused").into_iter().map(|error| (error.field, error.message)).collect()
    }

    #[test]
    fn a_pasted_address_is_a_host_and_an_empty_webhook_secret_becomes_the_random_one() {
        let connection = autotask();
        assert_eq!(connection.host, "webservices5.autotask.net");
        let Credentials::Autotask { webhook_secret, webhook_guids, .. } = connection.credentials else { panic!("another vendor") };
        assert_eq!(webhook_secret.0, "a random secret of it");
        assert_eq!(webhook_guids, ["a1da62a4-2c49-40a8-8183-69994ce5b3eb"]);
    }

    #[test]
    fn a_new_webhook_secret_keeps_the_old_one_for_ten_minutes_and_an_empty_one_changes_nothing() {
        let Credentials::Autotask { webhook_secret, previous_webhook_secret, .. } =
            change(&[("webhook_secret", "another secret of it")]).expect("good").credentials
        else {
            panic!("another vendor")
        };
        assert_eq!(webhook_secret.0, "another secret of it");
        let previous = previous_webhook_secret.expect("the old one");
        assert_eq!(previous.secret.0, "a random secret of it");
        assert_eq!(previous.until, OffsetDateTime::UNIX_EPOCH + ROTATION_OVERLAP);
        let kept = change(&[("webhook_guids", "a1da62a4-2c49-40a8-8183-69994ce5b3eb")]).expect("good");
        assert_eq!(kept.credentials, autotask().credentials);
    }

    #[test]
    fn a_kept_secret_never_goes_to_another_host() {
        let fields: Vec<_> = faults(&[("host", "collector.example")]).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["secret", "integration_code"]);
        change(&[("host", "webservices6.autotask.net"), ("secret", "a"), ("integration_code", "b")]).expect("typed again");
    }

    #[test]
    fn settings_are_read_line_by_line_and_an_error_names_its_line() {
        let settings = change(&[("boards", "21 = psa_ticket_incident\r\n\r\n22=psa_ticket_incident")]).expect("good").settings;
        assert_eq!(settings.boards.keys().collect::<Vec<_>>(), ["21", "22"]);
        assert_eq!(settings.other_configurations, None);
        let faults = faults(&[
            ("boards", "21 = psa_ticket_incident\n\n22 = tickets"),
            ("ticket_types", "7\n8 = psa_ticket_incident\n8 = psa_ticket_incident"),
        ]);
        assert_eq!(faults.len(), 3);
        assert!(faults[0].1.contains("Line 3 of the boards") && faults[0].1.contains("“tickets”"), "{faults:?}");
        assert!(faults[1].1.contains("Line 1 of the ticket types"), "{faults:?}");
        assert!(faults[2].1.contains("says 8 a second time"), "{faults:?}");
    }

    #[test]
    fn what_an_earlier_release_made_count_is_shown_as_a_line_that_people_can_take_out() {
        let mut old = autotask();
        old.settings.other_configurations = Some("rmm_device_inventory".into());
        assert_eq!(shown(&old, "configuration_types"), "* = rmm_device_inventory");
        let saved = |text: &str| {
            let values: Vec<_> = SAME.iter().copied().chain([("configuration_types", text)]).collect();
            changed(&old, &typed(&values), &|_| true, OffsetDateTime::UNIX_EPOCH).expect("good").settings
        };
        assert_eq!(saved("* = rmm_device_inventory"), old.settings);
        assert_eq!(saved("10 = rmm_device_inventory").other_configurations, None);
        assert!(faults(&[("boards", "* = psa_ticket_incident")])[0].1.contains("Line 1 of the boards"));
    }

    #[test]
    fn a_secret_is_in_no_field() {
        let connection = autotask();
        let fields = fields(Vendor::Autotask, &|name| shown(&connection, name), true, &[]);
        let text = format!("{fields:?}");
        assert!(text.contains("api@northgate.example") && !text.contains("s3cret") && !text.contains("a random secret"));
    }
}
