//! A mail as the service in use gets it, to the byte: what is sent and what the preview shows come from here.
//!
//! What a first try sent is kept until its end is known, so that a second one says the same: Azure's mail service knows a
//! repeated request by its id and bytes for five minutes (OASIS Repeatable Requests 1.0), other receivers know a mail by its
//! Message-ID. Beyond that a mail can come twice, and never not at all.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Answer, acs, smtp};
use crate::{app::App, config::MailService, gate::mail::Mail, platform::ports::BlobContainer, tenancy::StoreError};

/// How long a second try says what the first one said, and when: less than Azure remembers.
const REPEATABLE: Duration = Duration::minutes(4);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The address.
    pub to: String,
    /// The mail (RFC 5322), or the JSON of Azure Communication Services.
    pub body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub first_sent: OffsetDateTime,
    /// The deliveries that it stands for.
    #[serde(default)]
    pub stands_for: Vec<String>,
}

impl Outgoing {
    pub(in crate::gate) fn new(app: &App, mail: &Mail) -> Self {
        let body = match &app.config.delivery.service {
            Some(MailService::Acs(settings)) => acs::body(settings, mail),
            Some(MailService::Smtp(_)) | None => String::from_utf8_lossy(&mail.bytes()).into_owned(),
        };
        Self { to: mail.to.address.clone(), body, first_sent: app.now(), stands_for: Vec::new() }
    }

    /// Whether who gets the same again could still tell.
    pub(super) fn is_repeatable(&self, now: OffsetDateTime) -> bool {
        now < self.first_sent + REPEATABLE
    }

    /// On its way; `name` is the same however often it is sent.
    pub(in crate::gate) async fn send(&self, app: &App, name: &str) -> Result<Answer, StoreError> {
        match &app.config.delivery.service {
            Some(MailService::Acs(settings)) => Ok(acs::send(app, settings, self, name).await),
            Some(MailService::Smtp(settings)) => Ok(smtp::send(app, settings, self).await),
            None => {
                app.blobs.create(BlobContainer::Mailbox, name, self.body.clone().into()).await?;
                Ok(Answer::Accepted)
            }
        }
    }
}
