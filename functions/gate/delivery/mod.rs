//! Notices on their way to people: what waits to be sent, over which channel, how fast, and what came of it.
//!
//! A notice is queued in the batch that says it is due, and each of its deliveries ends once: accepted, refused, no
//! longer needed, or too late. A channel that accepts has not delivered, so a card is followed by a mail to whoever did not look ([`viewed`]).
//! Nothing here decides anything, and a card or mail never carries more than [`notice`] says.
//!
//! A digest is of one client. What waits to be sent lies under that client's key, and content of one client is never put
//! under another's (design I7, G12), so one mail to somebody who works for several clients would have to be made of no
//! content at all. The limits on what is sent are the installation's ([`pace`]), and hold across clients.

mod acs;
pub mod card;
pub mod deliver;
mod digest;
mod due;
pub mod health;
pub mod notice;
pub mod outgoing;
pub mod pace;
pub mod preview;
mod smtp;
mod teams;
pub mod trial;
pub mod viewed;

use std::time::Duration as Wait;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::notify::Occasion;
use crate::{
    app::App,
    config::MailService,
    platform::{
        ports::{HttpRequest, PortError, PortErrorKind},
        retry_after,
    },
    tenancy::{PersonId, ProposalId, Record},
};

pub use deliver::{deliver, wake};
pub use notice::Notice;
pub use outgoing::Outgoing;
pub use teams::is_workflow;

/// After a card, so much time is given before who did not look at it is mailed, and no more than half of what is left.
const FALLBACK_AFTER: Duration = Duration::hours(4);
/// Where so little is left, they are mailed at once.
const NO_TIME_TO_WAIT: Duration = Duration::minutes(30);

/// When who did not look at a card is mailed, if it is of no use any more from `ends` on.
pub(in crate::gate) fn mail_after_card(now: OffsetDateTime, ends: Option<OffsetDateTime>) -> OffsetDateTime {
    let Some(left) = ends.map(|ends| ends - now) else { return now + FALLBACK_AFTER };
    if left <= NO_TIME_TO_WAIT { now } else { now + FALLBACK_AFTER.min(left / 2) }
}

/// So many that wait for one recipient on one channel become one digest.
pub const DIGEST_FROM: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A card in a channel of Microsoft Teams.
    Teams,
    /// A mail to one approver.
    Mail,
}

impl Channel {
    pub const ALL: [Self; 2] = [Self::Teams, Self::Mail];

    pub fn word(self) -> &'static str {
        match self {
            Self::Teams => "teams",
            Self::Mail => "mail",
        }
    }
}

/// What a channel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gate) enum Answer {
    Accepted,
    /// `may_have_it`: nobody knows whether it was taken.
    Later {
        wait: Wait,
        why: &'static str,
        may_have_it: bool,
    },
    Refused {
        why: &'static str,
    },
}

const TIMEOUT: Wait = Wait::from_secs(20);
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// When an answer does not say how long to wait.
const A_MINUTE: Wait = Wait::from_mins(1);

/// Asks a channel's service; `silent` when it does not answer, `wrong` when its address cannot be called.
async fn ask(
    app: &App,
    request: HttpRequest,
    of_status: fn(u16, Option<Wait>) -> Answer,
    silent: &'static str,
    wrong: &'static str,
) -> Answer {
    match app.http.send(request).await {
        Ok(answer) => {
            let asked = answer.header("retry-after").and_then(|text| retry_after::wait(text, Some(app.now())));
            of_status(answer.status, asked)
        }
        Err(error) if matches!(error.kind, PortErrorKind::Denied | PortErrorKind::Invalid) => Answer::Refused { why: wrong },
        Err(_) => Answer::Later { wait: A_MINUTE, why: silent, may_have_it: true },
    }
}

/// Whether the mail server would take a mail, as far as that shows without one; `None` where none is named.
pub async fn mail_server_answers(app: &App) -> Option<Result<(), PortError>> {
    let Some(MailService::Smtp(settings)) = &app.config.delivery.service else { return None };
    Some(Box::pin(smtp::check(app, settings)).await)
}

/// One delivery that is not over; the record goes when it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub channel: Channel,
    pub proposal: ProposalId,
    /// With `proposal` and `occasion`: the notice it belongs to.
    pub version: u32,
    pub occasion: Occasion,
    /// [`EVERYBODY`] for a card in a channel.
    pub to: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    pub tries: u32,
    /// A process is sending it until then; afterwards another may.
    #[serde(with = "time::serde::rfc3339::option")]
    pub claimed_until: Option<OffsetDateTime>,
    /// What a try sent of whose end nobody knows.
    #[serde(default)]
    pub outgoing: Option<Outgoing>,
}

/// Stands where a link or delivery is for all who see a channel.
pub const EVERYBODY: PersonId = PersonId(uuid::Uuid::nil());

impl Record for Posting {
    const KIND: &'static str = "posting";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        format!("{}:{}:{}", self.notice(), self.channel.word(), self.to)
    }
}

impl Posting {
    pub fn notice(&self) -> String {
        super::notify::key(self.proposal, self.version, self.occasion)
    }

    /// Whether one digest could stand for both.
    fn goes_with(&self, other: &Self) -> bool {
        // What is loud stands alone.
        let is_quiet = !self.occasion.stands_alone() && !other.occasion.stands_alone();
        (self.channel, self.to) == (other.channel, other.to) && (is_quiet || self.key() == other.key())
    }
}

/// What `notify` is asked to do when a delivery is due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliverV1 {
    pub posting: String,
}

/// What came of a delivery; kept in its notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    pub channel: Channel,
    pub to: PersonId,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub outcome: Outcome,
    /// It went out in a digest of so many.
    pub together: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Taken by the channel, which is not yet read by anybody.
    Accepted,
    Refused {
        why: String,
    },
    /// They signed in and looked at it after the card, so no mail was sent.
    SignedIn,
    /// Its time was over before it could be sent, and nobody had answered.
    TooLate,
}
