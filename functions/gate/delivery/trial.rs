//! A delivery test: one mail to whoever asks for it and one card to the channel, now, and what each service said, in words.
//!
//! It goes out as a notice does, over the same services and among the same limits, and says that it is a test and asks
//! nothing. Nothing of a client stands in it. It is sent once: what does not go now is not tried again. That somebody tested,
//! and how it went, stands in the log and counts in the channels' health; a process that stops between the services' answers
//! and that leaves a test of which the log does not know.

use std::time::Duration;

use serde_json::json;

use super::{
    Answer, Channel, Notice, Outcome, Outgoing, card, health,
    pace::{self, Urgency},
    teams,
};
use crate::{
    app::App,
    audit,
    gate::{
        mail::{Mail, Mailbox},
        notify::{domain, sender},
    },
    tenancy::{
        DeploymentPlace, Store, StoreError,
        directory::{self, Person},
    },
};

/// Tests in [`WINDOW`] of one process; what is sent has limits of its own besides.
const MOST: u8 = 3;
const WINDOW: Duration = Duration::from_mins(1);

/// How a test of a channel went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    Accepted,
    Refused(&'static str),
    /// It does not answer, or not now.
    Later(&'static str),
    /// So much was sent already that nothing more goes out just now.
    NoRoom,
    /// Who asks has no address that could be mailed.
    NoAddress,
}

/// Each channel that is on; `None`: it was tested often enough a moment ago.
pub async fn test(store: &Store<'_, DeploymentPlace>, person: &Person) -> Result<Option<Vec<(Channel, Tested)>>, StoreError> {
    let app = store.app();
    if !app.cache.allow("delivery-test", MOST, app.now(), WINDOW) {
        return Ok(None);
    }
    let notice = notice(app, person);
    let mut all = Vec::new();
    if let Some(secret) = &app.config.delivery.teams {
        let has_room = room(store, Channel::Teams).await?;
        let tested = if has_room { of(&teams::post(app, secret, card::message(&notice)).await) } else { Tested::NoRoom };
        all.push((Channel::Teams, tested));
    }
    if app.config.mails {
        all.push((Channel::Mail, Box::pin(mailed(store, person, &notice)).await?));
    }
    for (channel, tested) in &all {
        let outcome = match tested {
            Tested::Accepted => Outcome::Accepted,
            Tested::Refused(why) => Outcome::Refused { why: (*why).into() },
            Tested::Later(_) | Tested::NoRoom | Tested::NoAddress => continue,
        };
        health::count(app, *channel, &outcome, store.correlation()).await;
    }
    let mut batch = store.batch(DeploymentPlace::Operations);
    let words: serde_json::Map<_, _> = all.iter().map(|(channel, tested)| (channel.word().into(), tested.word().into())).collect();
    audit::record(&mut batch, audit::Event::new("delivery.tested", "installation", json!(words)));
    batch.commit().await?;
    Ok(Some(all))
}

async fn mailed(store: &Store<'_, DeploymentPlace>, person: &Person, notice: &Notice) -> Result<Tested, StoreError> {
    let app = store.app();
    if !directory::is_plain_address(&person.email) {
        return Ok(Tested::NoAddress);
    }
    // The mailbox takes whatever comes, as for notices.
    if app.config.delivery.service.is_some() && !room(store, Channel::Mail).await? {
        return Ok(Tested::NoRoom);
    }
    let id = app.ids.uuid().simple();
    let mail = Mail {
        from: sender(app),
        to: Mailbox { name: person.name.clone(), address: person.email.clone() },
        subject: format!("Assay: {}", notice.title),
        at: app.now(),
        message_id: format!("test.{id}@{}", domain(app)),
        blocks: notice.blocks(),
    };
    let answer = Box::pin(Outgoing::new(app, &mail).send(app, &format!("people/test-{id}-{}.eml", person.id))).await?;
    Ok(of(&answer))
}

/// Whether one more may be sent now; then it is counted.
async fn room(store: &Store<'_, DeploymentPlace>, channel: Channel) -> Result<bool, StoreError> {
    let limits = pace::Limits::of(store.app(), channel);
    Ok(pace::take(store, (channel, Urgency::Test), limits).await?.is_ok())
}

fn of(answer: &Answer) -> Tested {
    match answer {
        Answer::Accepted => Tested::Accepted,
        Answer::Refused { why } => Tested::Refused(why),
        Answer::Later { why, .. } => Tested::Later(why),
    }
}

fn notice(app: &App, person: &Person) -> Notice {
    Notice {
        title: "This is a test: nothing waits for you".into(),
        facts: vec![
            ("Asked by", person.name.clone()),
            ("Why", "To see that what Assay sends arrives. Approvers are told in the same way.".into()),
        ],
        items: Vec::new(),
        link: ("Sign in and see how approvers are told", app.config.link("portal/delivery")),
        foot: vec!["If it came into a folder for junk, tell whoever runs your mail. There is nothing to answer.".into()],
    }
}

impl Tested {
    /// For the log.
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Later(_) => "no_answer",
            Self::NoRoom => "no_room",
            Self::NoAddress => "no_address",
        }
    }

    /// What to do next.
    pub fn words(self, channel: Channel) -> String {
        let what = match channel {
            Channel::Teams => "card",
            Channel::Mail => "mail",
        };
        match (self, channel) {
            (Self::Accepted, Channel::Teams) => "The card was taken: look into the channel that the workflow posts to.".into(),
            (Self::Accepted, Channel::Mail) => "The mail was taken: look into your mailbox, and into its folder for junk.".into(),
            (Self::Refused(why), _) => format!("The {what} was refused: {why} Mend that, then test again."),
            (Self::Later(why), _) => format!("The {what} was not taken: {why} Test again in a few minutes."),
            (Self::NoRoom, _) => format!(
                "No {what} was sent: as many went out just now as the settings allow, or ten tests within this hour. Test again in a while."
            ),
            (Self::NoAddress, _) => {
                "No mail was sent: you have no mail address here. It comes with your next sign-in, once your directory has one for you."
                    .into()
            }
        }
    }
}
