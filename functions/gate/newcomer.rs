//! Mails the owners that somebody asks to be let in: under the same limits as other mails, and one for many where many wait.
//!
//! Whom it was sent to stands in the request, so a message that comes again mails only who is left; who stops between
//! sending and writing that down sends the same mail under the same name once more. What another organization's directory
//! calls its people stands in no mail: whoever runs it could write anything there.

use std::time::Duration as Wait;

use time::OffsetDateTime;

use super::{
    delivery::{Answer, Channel, DIGEST_FROM, Outcome, Outgoing, health, notice::DIGEST_ITEMS, pace, pace::Urgency},
    mail::{Block, Mail},
    notify::{DAY, EXACT, NotifyError, domain, sender},
};
use crate::{
    app::App,
    gate::mail::Mailbox,
    tenancy::{
        DeploymentPlace, DeploymentScope, Held, PersonId, Record as _, Roster, Store, StoreError,
        directory::{self, Person},
        message::Verified,
        outbox,
    },
    web::entra::let_in::{self, AskedV1, Asking},
};

type Directory<'a> = Store<'a, DeploymentPlace>;

/// Tries at a mail service that does not answer, each after twice the wait and an hour at most.
const TRIES: u32 = 12;
const LONGEST: Wait = Wait::from_hours(1);
/// Requests of one digest.
const TOGETHER: usize = 40;
/// How often a lost race over a request is tried again.
const ATTEMPTS: usize = 4;

/// Mails the request that the message names, if nobody has answered it yet.
pub async fn tell_owners(app: &App, message: &Verified) -> Result<(), NotifyError> {
    let AskedV1 { person, tries } = message.body()?;
    let store = DeploymentScope::of_function("notify", &message.id().to_string()).store(app).await?;
    if !app.config.mails {
        return Ok(());
    }
    let all = store.all::<Asking>(DeploymentPlace::Directory, "").await?;
    let mut waiting: Vec<Asking> = all.into_iter().map(|held| held.value).filter(|asking| asking.waits(app.now())).collect();
    // The one that is named first, so that it is never left out of what goes together.
    waiting.sort_by_key(|asking| (asking.identity.person() != person, asking.asked_at));
    if waiting.first().is_none_or(|asking| asking.identity.person() != person) {
        return Ok(());
    }
    let roster = Roster::read(&store).await?;
    let mailed = |person: &&Person| person.is_owner && directory::is_plain_address(&person.email);
    let owners: Vec<&Person> = roster.people_who_may_sign_in(&app.config, app.now()).filter(mailed).collect();
    if owners.is_empty() {
        tracing::warn!("no owner can be mailed that somebody asks to be let in");
    }
    for owner in owners {
        let owed: Vec<&Asking> = waiting.iter().filter(|asking| !asking.told.contains(&owner.id)).take(TOGETHER).collect();
        if owed.first().is_none_or(|asking| asking.identity.person() != person) {
            continue;
        }
        let limits = pace::Limits::of(app, Channel::Mail);
        if app.config.delivery.service.is_some()
            && let Err(when) = pace::take(&store, (Channel::Mail, Urgency::Usual), limits).await?
        {
            return Ok(again(&store, AskedV1 { person, tries }, Wait::try_from(when - app.now()).unwrap_or_default()).await?);
        }
        let told = if owed.len() >= DIGEST_FROM { owed.as_slice() } else { &owed[..1] };
        let (mail, name) = compose(app, told, owner);
        let outcome = match Box::pin(Outgoing::new(app, &mail).send(app, &name)).await? {
            Answer::Accepted => Outcome::Accepted,
            Answer::Refused { why } => Outcome::Refused { why: why.into() },
            Answer::Later { why, .. } if tries + 1 >= TRIES => Outcome::Refused { why: why.into() },
            Answer::Later { wait, why, .. } => {
                tracing::warn!(why, "a mail to an owner waits for its service");
                let patience = if tries == 0 { Wait::ZERO } else { Wait::from_mins(1 << tries.min(6)) };
                return Ok(again(&store, AskedV1 { person, tries: tries + 1 }, wait.max(patience).min(LONGEST)).await?);
            }
        };
        for asking in told {
            note(&store, asking, owner.id).await?;
        }
        health::count(app, Channel::Mail, &outcome, store.correlation()).await;
    }
    Ok(())
}

/// The message once more, after a wait.
async fn again(store: &Directory<'_>, asked: AskedV1, wait: Wait) -> Result<(), StoreError> {
    let mut batch = store.batch(DeploymentPlace::Directory);
    outbox::send(&mut batch, "notify", &asked, wait)?;
    batch.commit().await?;
    outbox::flush(store, DeploymentPlace::Directory).await.map(|_| ())
}

/// Writes down that this owner's mail about the request is over; nothing where the request is.
async fn note(store: &Directory<'_>, asking: &Asking, owner: PersonId) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(held) = store.read::<Asking>(DeploymentPlace::Directory, &asking.key()).await? else { return Ok(()) };
        if held.value.told.contains(&owner) || held.value.asked_at != asking.asked_at {
            return Ok(());
        }
        let mut told = Held { value: held.value.clone(), etag: held.etag };
        told.value.told.push(owner);
        let mut batch = store.batch(DeploymentPlace::Directory);
        batch.replace(&told);
        match batch.commit().await {
            // An owner answers, or another of them is told, at this moment.
            Err(error) if error.is_conflict() => {}
            other => return other,
        }
    }
    Ok(())
}

/// The mail about these requests with the name under which it is sent, the same however often.
fn compose(app: &App, asked: &[&Asking], to: &Person) -> (Mail, String) {
    let key = format!("{}-{}", asked[0].identity.person(), asked[0].asked_at.unix_timestamp());
    let (subject, mut blocks) = match asked {
        [one] => of_one(app, one),
        many => of_many(app, many),
    };
    let kind = if asked.len() > 1 { "digest-" } else { "" };
    blocks.push(Block::Link { label: "Sign in, look and answer", url: app.config.link("portal/people") });
    blocks.push(Block::Paragraph(
        "The link only shows the way: nobody comes in before an owner says so there. If nobody answers, a request goes away and they can ask again.".into(),
    ));
    let message_id = format!("{}{}.{}@{}", kind.replace('-', "."), key.replace('-', "."), to.id, domain(app));
    let to_whom = Mailbox { name: to.name.clone(), address: to.email.clone() };
    let mail = Mail { from: sender(app), to: to_whom, subject, at: app.now(), message_id, blocks };
    (mail, format!("people/{kind}{key}-{}.eml", to.id))
}

fn said(at: OffsetDateTime, format: &[time::format_description::BorrowedFormatItem<'_>]) -> String {
    at.format(format).unwrap_or_default()
}

/// Who asks, as it may stand in a mail, and of which directory.
fn who(app: &App, asking: &Asking) -> (String, String) {
    if let_in::is_own(app, asking.identity, asking.is_guest) {
        (asking.name.clone(), "your own".into())
    } else if let_in::is_own_directory(app, asking.identity) {
        ("A guest in your own directory".into(), "your own".into())
    } else {
        ("Somebody of another organization".into(), asking.identity.tid.to_string())
    }
}

fn of_one(app: &App, asking: &Asking) -> (String, Vec<Block>) {
    let (who, directory) = who(app, asking);
    let subject = format!("Assay: {who} asks to be let in, answer by {}", said(asking.expires_at, DAY));
    let blocks = vec![
        Block::Heading(format!("{who} asks to be let in to Assay.")),
        Block::Fact { label: "Directory", value: directory },
        Block::Fact { label: "Asked", value: said(asking.asked_at, EXACT) },
        Block::Fact { label: "Answer by", value: said(asking.expires_at, EXACT) },
    ];
    (subject, blocks)
}

fn of_many(app: &App, asked: &[&Asking]) -> (String, Vec<Block>) {
    let soonest = asked.iter().map(|asking| asking.expires_at).min().unwrap_or_else(|| app.now());
    let mut blocks = vec![
        Block::Heading(format!("{} people ask to be let in to Assay.", asked.len())),
        Block::Fact { label: "Answer by", value: said(soonest, EXACT) },
    ];
    for asking in asked.iter().take(DIGEST_ITEMS) {
        let (who, directory) = who(app, asking);
        blocks.push(Block::Paragraph(format!("{who}; directory: {directory}")));
    }
    (format!("Assay: {} people ask to be let in, answer by {}", asked.len(), said(soonest, DAY)), blocks)
}
