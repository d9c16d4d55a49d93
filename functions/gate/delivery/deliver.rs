//! Delivers what is due: claims it, takes a place among what may be sent now, sends, and writes down what came of it.
//!
//! Whoever stops in between leaves a claim that ends; then it is sent again, so a card can come twice and never not at
//! all. What was decided meanwhile is not sent any more.

use std::time::Duration as Wait;

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Answer, Channel, DIGEST_FROM, DeliverV1, EVERYBODY, Notice, Outcome, Posted, Posting, acs, card, health, pace, smtp, teams};
use crate::{
    app::App,
    audit,
    config::MailService,
    gate::{
        link::{self, link},
        mail::Mail,
        notify::{self, Notified, NotifyError},
        proposal::{Proposal, object},
    },
    platform::ports::BlobContainer,
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Held, Record as _, Roster, Scope, Store, StoreError, TenantId, Wanted,
        directory::{self, Session},
        message::Verified,
        outbox,
    },
    web::pages::paths,
};

const CLAIM: Duration = Duration::minutes(2);
/// Later than any message that is not lost.
const LATE: Duration = Duration::minutes(15);
/// Tries at a channel that does not answer, each after twice the wait and an hour at most: some seven hours. Then it counts
/// as refused.
const TRIES: u32 = 12;
/// How often a lost race over a notice is tried again.
const ATTEMPTS: usize = 4;
/// Deliveries of one digest: each is three operations of one batch.
const TOGETHER: usize = 20;
/// The longest that a channel can make us wait.
const LONGEST: Wait = Wait::from_hours(1);

/// A delivery with what it is about.
struct Item {
    posting: Held<Posting>,
    proposal: Proposal,
    notified: Held<Notified>,
}

/// Delivers what the message names, together with what else is due for the same recipient.
pub async fn deliver(app: &App, message: &Verified) -> Result<(), NotifyError> {
    let DeliverV1 { posting } = message.body()?;
    let scope = Scope::of_message(message).ok_or(NotifyError::NotFound)?;
    let store = scope.store(app).await?;
    Box::pin(work(app, &store, scope.tenant(), &posting)).await?;
    outbox::flush(&store, ClientPlace::Assessment).await?;
    Ok(())
}

/// Sends the message of every delivery that is long due once more: a message can be lost, a delivery must not be. For the
/// sweep; returns how many.
pub async fn wake(store: &Store<'_, ClientPlace>) -> Result<usize, StoreError> {
    let now = store.app().now();
    let waiting = store.all::<Posting>(ClientPlace::Assessment, "").await?;
    let late = waiting.into_iter().filter(|held| {
        let Posting { due_at, claimed_until, .. } = held.value;
        due_at + LATE <= now && claimed_until.is_none_or(|until| until <= now)
    });
    let (mut batch, mut woken) = (store.batch(ClientPlace::Assessment), 0);
    for held in late.take(TOGETHER) {
        outbox::send(&mut batch, "notify", &DeliverV1 { posting: held.value.key() }, Wait::ZERO)?;
        batch.replace(&Held { value: Posting { due_at: now, ..held.value }, etag: held.etag });
        woken += 1;
    }
    if woken > 0 {
        batch.commit().await?;
        outbox::flush(store, ClientPlace::Assessment).await?;
    }
    Ok(woken)
}

async fn work(app: &App, store: &Store<'_, ClientPlace>, tenant: TenantId, key: &str) -> Result<(), StoreError> {
    let now = app.now();
    let waiting = store.all::<Posting>(ClientPlace::Assessment, "").await?;
    let Some(this) = waiting.iter().find(|held| held.value.key() == key) else { return Ok(()) };
    if let Some(until) = this.value.claimed_until.filter(|until| *until > now) {
        return again(store, &this.value, until).await;
    }
    // The queue's clock is another, and a message may come twice.
    if this.value.due_at > now {
        return again(store, &this.value, this.value.due_at).await;
    }
    let due = waiting.iter().filter(|held| {
        let Posting { due_at, claimed_until, .. } = held.value;
        held.value.goes_with(&this.value) && due_at <= now && claimed_until.is_none_or(|until| until <= now)
    });
    let mut due: Vec<Held<Posting>> = due.cloned().collect();
    // This one first, so that it is never left out of what goes together.
    due.sort_by_key(|held| (held.value.key() != key, held.value.due_at));
    due.truncate(TOGETHER);
    let (items, over) = sort_out(app, store, due).await?;
    for posting in over {
        drop_it(store, &posting).await?;
    }
    if !items.iter().any(|item| item.posting.value.key() == key) {
        return Ok(());
    }
    let channel = items[0].posting.value.channel;
    let deployment = DeploymentScope::of_function("notify", store.correlation()).store(app).await?;
    if (channel == Channel::Teams || app.config.delivery.service.is_some())
        && let Err(when) = pace::take(&deployment, channel, limits(app)).await?
    {
        return again(store, &items[0].posting.value, when).await;
    }
    let Some(items) = claim(store, items, now).await? else { return Ok(()) };
    let (answer, together) = Box::pin(send(app, &deployment, tenant, &items)).await?;
    match answer {
        Answer::Accepted => settle(app, store, items, Outcome::Accepted, together).await,
        Answer::Later { why, .. } if items[0].posting.value.tries + 1 >= TRIES => {
            settle(app, store, items, Outcome::Refused { why: why.into() }, together).await
        }
        Answer::Later { wait, why } => {
            tracing::warn!(channel = channel.word(), why, "a notice waits for its channel");
            // The first time as the channel asks; then it is no short trouble.
            let tries = items[0].posting.value.tries;
            let patience = if tries == 0 { Wait::ZERO } else { Wait::from_mins(1 << tries.min(6)) };
            later(store, items, wait.max(patience).min(LONGEST)).await
        }
        Answer::Refused { why } => settle(app, store, items, Outcome::Refused { why: why.into() }, together).await,
    }
}

fn limits(app: &App) -> pace::Limits {
    pace::Limits { per_minute: app.config.delivery.per_minute, per_hour: app.config.delivery.per_hour }
}

/// What is still wanted with all that it is about, and what is not.
async fn sort_out(
    app: &App,
    store: &Store<'_, ClientPlace>,
    due: Vec<Held<Posting>>,
) -> Result<(Vec<Item>, Vec<Held<Posting>>), StoreError> {
    let wanted = due.iter().flat_map(|held| {
        let (proposal, notice) = (held.value.proposal.to_string(), held.value.notice());
        [Wanted::one::<Proposal>(&proposal), Wanted::one::<Notified>(&notice)]
    });
    let found = store.gather(ClientPlace::Assessment, wanted.collect()).await?;
    let (mut items, mut over) = (Vec::new(), Vec::new());
    for posting in due {
        let proposal = found.one::<Proposal>(&posting.value.proposal.to_string()).await?.map(|held| held.value);
        let notified = found.one::<Notified>(&posting.value.notice()).await?;
        match (proposal, notified) {
            (Some(proposal), Some(notified)) if posting.value.occasion.is_owed(&proposal, app.now()) => {
                items.push(Item { posting, proposal, notified });
            }
            _ => over.push(posting),
        }
    }
    Ok((items, over))
}

/// The same deliveries, which only this process sends now; `None` when another was faster.
async fn claim(store: &Store<'_, ClientPlace>, mut items: Vec<Item>, now: OffsetDateTime) -> Result<Option<Vec<Item>>, StoreError> {
    let mut batch = store.batch(ClientPlace::Assessment);
    for item in &mut items {
        item.posting.value.claimed_until = Some(now + CLAIM);
        batch.replace(&item.posting);
    }
    match batch.commit_with_etags().await {
        Ok(etags) => {
            for (item, etag) in items.iter_mut().zip(etags) {
                item.posting.etag = etag.unwrap_or_else(|| item.posting.etag.clone());
            }
            Ok(Some(items))
        }
        // Whoever was faster sends all of it, or its claim ends and the message comes again.
        Err(error) if error.is_conflict() => again(store, &items[0].posting.value, now + CLAIM).await.map(|()| None),
        Err(error) => Err(error),
    }
}

async fn send(app: &App, deployment: &Store<'_, DeploymentPlace>, tenant: TenantId, items: &[Item]) -> Result<(Answer, usize), StoreError> {
    let roster = Roster::read(deployment).await?;
    let Item { posting, notified, .. } = &items[0];
    let together = if items.len() >= DIGEST_FROM { items.len() } else { 1 };
    match posting.value.channel {
        Channel::Teams => {
            let Some(secret) = &app.config.delivery.teams else {
                return Ok((Answer::Refused { why: "Cards are not configured any more." }, 1));
            };
            let notice = if together > 1 { digest(app, &roster, tenant, items) } else { single(app, &roster, tenant, &items[0]).await? };
            Ok((teams::post(app, secret, card::message(&notice)).await, together))
        }
        Channel::Mail => {
            let person = roster.person(posting.value.to).filter(|person| directory::is_plain_address(&person.email));
            let Some(person) = person else { return Ok((Answer::Refused { why: "There is no address to mail." }, 1)) };
            let sent = &items[..together];
            let since = sent.iter().map(|item| item.notified.value.at).max().unwrap_or_else(|| app.now());
            if sent.iter().all(|item| card_was_accepted(&item.notified.value)) && signed_in_since(deployment, person.id, since).await? {
                return Ok((Answer::Accepted, 0));
            }
            let (key, proposal) = (posting.value.notice(), &items[0].proposal);
            let mail = if together > 1 {
                let notice = digest(app, &roster, tenant, items);
                let mail = notify::compose(app, &roster.client_name(tenant), proposal, person, &key, &notice);
                Mail { subject: notice.title, message_id: format!("digest.{}", mail.message_id), ..mail }
            } else {
                notify::mail_to(app, &roster, tenant, proposal, person, &key, notified.value.at).await?
            };
            let name = format!("{}{}.eml", notify::mails_about(tenant, &key), person.id);
            Ok((mail_out(app, &mail, &name).await?, together))
        }
    }
}

/// One mail on its way; `name` is the same however often it is sent, so it is sent once.
pub(in crate::gate) async fn mail_out(app: &App, mail: &Mail, name: &str) -> Result<Answer, StoreError> {
    match &app.config.delivery.service {
        Some(MailService::Acs(settings)) => Ok(acs::send(app, settings, mail, name).await),
        Some(MailService::Smtp(settings)) => Ok(smtp::send(app, settings, mail).await),
        None => {
            app.blobs.create(BlobContainer::Mailbox, name, mail.bytes().into()).await?;
            Ok(Answer::Accepted)
        }
    }
}

fn card_was_accepted(notified: &Notified) -> bool {
    notified.posted.iter().any(|posted| posted.channel == Channel::Teams && posted.outcome == Outcome::Accepted)
}

/// Looking at a page writes nothing (I10), so a sign-in stands for it.
async fn signed_in_since(
    deployment: &Store<'_, DeploymentPlace>,
    person: crate::tenancy::PersonId,
    since: OffsetDateTime,
) -> Result<bool, StoreError> {
    let sessions = deployment.all::<Session>(DeploymentPlace::Directory, "").await?;
    Ok(sessions.iter().any(|held| held.value.person == person && held.value.signed_in_at >= since))
}

async fn single(app: &App, roster: &Roster, tenant: TenantId, item: &Item) -> Result<Notice, StoreError> {
    let Item { posting, proposal, notified } = item;
    let row = link::make::row(tenant, proposal, EVERYBODY, &posting.value.notice(), notified.value.at);
    let address = link(app, tenant, proposal, &row).await?;
    Ok(notify::notice_for(app, roster, proposal, posting.value.occasion, address))
}

fn digest(app: &App, roster: &Roster, tenant: TenantId, items: &[Item]) -> Notice {
    let soonest = items.iter().map(|item| item.proposal.decide_by).min().unwrap_or_else(|| app.now());
    let questions: Vec<String> = items.iter().map(|item| item.proposal.draft.question.clone()).collect();
    let inbox = app.config.link(paths::inbox().trim_start_matches("/api/"));
    let soonest = soonest.format(notify::EXACT).unwrap_or_default();
    Notice::digest(&roster.client_name(tenant), &questions, soonest, inbox, app.config.is_demo())
}

/// What came of it, in one batch with the audit items and, where a card was refused, the mails in its place.
async fn settle(
    app: &App,
    store: &Store<'_, ClientPlace>,
    mut items: Vec<Item>,
    outcome: Outcome,
    together: usize,
) -> Result<(), StoreError> {
    // A digest stands for all; a single one for itself, and the others go on.
    let ended = if together > 1 { items.len() } else { 1 };
    let outcome = if together == 0 { Outcome::SignedIn } else { outcome };
    let channel = items[0].posting.value.channel;
    let mut tries = 0;
    while let Err(error) = write_down(store, &items, ended, &outcome, together).await {
        tries += 1;
        if !error.is_conflict() || tries == ATTEMPTS {
            return Err(error);
        }
        // Another delivery of the same notice wrote down what came of it.
        for item in &mut items[..ended] {
            if let Some(notified) = store.read(ClientPlace::Assessment, &item.posting.value.notice()).await? {
                item.notified = notified;
            }
        }
    }
    if channel == Channel::Teams && matches!(outcome, Outcome::Refused { .. }) {
        for Item { posting, .. } in &items[..ended] {
            mails_instead(store, &posting.value).await?;
        }
    }
    health::count(app, channel, &outcome, store.correlation()).await;
    Ok(())
}

async fn write_down(
    store: &Store<'_, ClientPlace>,
    items: &[Item],
    ended: usize,
    outcome: &Outcome,
    together: usize,
) -> Result<(), StoreError> {
    let (ended, rest) = items.split_at(ended);
    let mut batch = store.batch(ClientPlace::Assessment);
    for Item { posting, notified, proposal } in ended {
        batch.delete(posting);
        let channel = posting.value.channel;
        let mut notified = Held { value: notified.value.clone(), etag: notified.etag.clone() };
        let at = store.app().now();
        notified.value.posted.push(Posted { channel, to: posting.value.to, at, outcome: outcome.clone(), together });
        batch.replace(&notified);
        let kind = match outcome {
            Outcome::Accepted => "notice.accepted",
            Outcome::Refused { .. } => "notice.refused",
            Outcome::SignedIn => "notice.not_needed",
        };
        let why = if let Outcome::Refused { why } = outcome { Some(why) } else { None };
        let detail = json!({ "channel": channel.word(), "version": proposal.version, "together": together, "why": why });
        audit::record(&mut batch, audit::Event::new(kind, object(proposal.id), detail));
    }
    for Item { posting, .. } in rest {
        let free = Posting { claimed_until: None, ..posting.value.clone() };
        batch.replace(&Held { value: free, etag: posting.etag.clone() });
    }
    batch.commit().await
}

/// The mails that would have followed a card that nobody answered: at once.
async fn mails_instead(store: &Store<'_, ClientPlace>, card: &Posting) -> Result<(), StoreError> {
    let now = store.app().now();
    let mut batch = store.batch(ClientPlace::Assessment);
    for held in store.all::<Posting>(ClientPlace::Assessment, &format!("{}:{}:", card.notice(), Channel::Mail.word())).await? {
        outbox::send(&mut batch, "notify", &DeliverV1 { posting: held.value.key() }, Wait::ZERO)?;
        batch.replace(&Held { value: Posting { due_at: now, ..held.value }, etag: held.etag });
    }
    if batch.is_empty() { Ok(()) } else { batch.commit().await }
}

/// Every one of them once more, after a wait.
async fn later(store: &Store<'_, ClientPlace>, items: Vec<Item>, wait: Wait) -> Result<(), StoreError> {
    let when = store.app().now() + Duration::try_from(wait).unwrap_or(Duration::HOUR);
    let mut batch = store.batch(ClientPlace::Assessment);
    for Item { posting, .. } in items {
        let waiting = Posting { tries: posting.value.tries + 1, claimed_until: None, due_at: when, ..posting.value };
        outbox::send(&mut batch, "notify", &DeliverV1 { posting: waiting.key() }, wait)?;
        batch.replace(&Held { value: waiting, etag: posting.etag });
    }
    batch.commit().await
}

/// The message again, at `when`; the posting stays as it is.
async fn again(store: &Store<'_, ClientPlace>, posting: &Posting, when: OffsetDateTime) -> Result<(), StoreError> {
    let wait = Wait::try_from(when - store.app().now()).unwrap_or_default();
    let mut batch = store.batch(ClientPlace::Assessment);
    outbox::send(&mut batch, "notify", &DeliverV1 { posting: posting.key() }, wait)?;
    batch.commit().await
}

async fn drop_it(store: &Store<'_, ClientPlace>, posting: &Held<Posting>) -> Result<(), StoreError> {
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.delete(posting);
    match batch.commit().await {
        Err(error) if error.is_conflict() => Ok(()),
        other => other,
    }
}
