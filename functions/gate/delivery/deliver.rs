//! Delivers what is due: claims it, takes a place among what may be sent now, sends, and writes down what came of it.
//!
//! Whoever stops in between leaves a claim that ends; then it is sent again, so it comes at least once. A mail says the same
//! then, by which its receiver can tell ([`super::outgoing`]). Teams takes no id of ours: a card can stand there twice, if a
//! process stops between Teams' answer and the one batch that follows it. What was decided meanwhile is not sent any more, and
//! nobody is mailed who would not be told now.

use std::time::Duration as Wait;

use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{
    Answer, Channel, DIGEST_FROM, DeliverV1, EVERYBODY, Notice, Outcome, Outgoing, Posted, Posting, card, digest,
    due::{Item, Sorted, Who, sort_out},
    health,
    pace::{self, Urgency},
    teams, viewed,
};
use crate::{
    app::App,
    audit,
    gate::{
        link::{self, link},
        notify::{self, Notified, NotifyError},
        proposal::{Proposal, object},
    },
    tenancy::{
        ClientPlace, DeploymentPlace, DeploymentScope, Held, Passed, Record as _, Roster, Scope, Store, StoreError, TenantId, directory,
        message::Verified, outbox,
    },
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
/// sweep; returns how many. One that cannot be read keeps no other from going, here and where they are sent.
pub async fn wake(store: &Store<'_, ClientPlace>) -> Result<usize, StoreError> {
    let now = store.app().now();
    let mut passed = Passed::default();
    let waiting = passed.all(store.all_of_each::<Posting>(ClientPlace::Assessment, "").await?)?;
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
    passed.end(woken)
}

/// Those of the deliveries that can be read; of the others the sweep says that they are there.
async fn readable(store: &Store<'_, ClientPlace>, prefix: &str) -> Result<Vec<Held<Posting>>, StoreError> {
    Passed::default().all(store.all_of_each(ClientPlace::Assessment, prefix).await?)
}

async fn work(app: &App, store: &Store<'_, ClientPlace>, tenant: TenantId, key: &str) -> Result<(), StoreError> {
    let now = app.now();
    let waiting = readable(store, "").await?;
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
    let deployment = DeploymentScope::of_function("notify", store.correlation()).store(app).await?;
    let roster = Roster::read(&deployment).await?;
    let Sorted { items, late, over } = sort_out(app, store, (&roster, tenant), due).await?;
    for posting in over {
        drop_it(store, &posting).await?;
    }
    for item in late {
        // Too late for nobody who had looked at it; with the card, that was the delivery.
        let (to, one) = (item.posting.value.to, std::slice::from_ref(&item));
        let looked = item.posting.value.channel == Channel::Mail
            && card_was_accepted(&item.notified.value)
            && looked_at_all(&deployment, to, tenant, one).await?;
        match settle(app, store, vec![item], Outcome::TooLate, usize::from(!looked)).await {
            // Another message for the same reader wrote it down.
            Err(error) if error.is_conflict() => {}
            other => other?,
        }
    }
    if !items.iter().any(|item| item.posting.value.key() == key) {
        return Ok(());
    }
    let Posting { channel, occasion, .. } = items[0].posting.value;
    let urgency = if occasion.is_emergency() { Urgency::Emergency } else { Urgency::Usual };
    if (channel == Channel::Teams || app.config.delivery.service.is_some())
        && let Err(when) = pace::take(&deployment, (channel, urgency), pace::Limits::of(app, channel)).await?
    {
        return again(store, &items[0].posting.value, when).await;
    }
    let Ready { items, what, together } = Box::pin(ready(app, &deployment, (&roster, tenant), items)).await?;
    let Some(items) = claim(store, items, now).await? else { return Ok(()) };
    let answer = match what {
        What::Card { secret, body } => teams::post(app, &secret, body).await,
        What::Mail { outgoing, name } => Box::pin(outgoing.send(app, &name)).await?,
        What::Nothing(answer) => answer,
    };
    match answer {
        Answer::Accepted => settle(app, store, items, Outcome::Accepted, together).await,
        Answer::Later { why, .. } if items[0].posting.value.tries + 1 >= TRIES => {
            settle(app, store, items, Outcome::Refused { why: why.into() }, together).await
        }
        Answer::Later { wait, why, may_have_it } => {
            tracing::warn!(channel = channel.word(), why, "a notice waits for its channel");
            // The first time as the channel asks; then it is no short trouble.
            let tries = items[0].posting.value.tries;
            let patience = if tries == 0 { Wait::ZERO } else { Wait::from_mins(1 << tries.min(6)) };
            later(store, items, wait.max(patience).min(LONGEST), may_have_it).await
        }
        Answer::Refused { why } => settle(app, store, items, Outcome::Refused { why: why.into() }, together).await,
    }
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

/// What goes out for these, made before they are claimed; the claim keeps it.
struct Ready {
    items: Vec<Item>,
    what: What,
    /// So many in one; 0 when they looked meanwhile.
    together: usize,
}

enum What {
    Card { secret: String, body: Vec<u8> },
    Mail { outgoing: Outgoing, name: String },
    Nothing(Answer),
}

async fn ready(app: &App, deployment: &Store<'_, DeploymentPlace>, who: Who<'_>, items: Vec<Item>) -> Result<Ready, StoreError> {
    match items[0].posting.value.channel {
        Channel::Teams => card_of(app, who, items).await,
        Channel::Mail => mail_of(app, deployment, who, items).await,
    }
}

fn in_one(items: &[Item]) -> usize {
    if items.len() >= DIGEST_FROM { items.len() } else { 1 }
}

async fn card_of(app: &App, (roster, tenant): Who<'_>, items: Vec<Item>) -> Result<Ready, StoreError> {
    let Some(secret) = app.config.delivery.teams.clone() else {
        let what = What::Nothing(Answer::Refused { why: "Cards are not configured any more." });
        return Ok(Ready { items, what, together: 1 });
    };
    let together = in_one(&items);
    let notice = if together > 1 {
        digest::notice(app, &roster.client_name(tenant), &proposals(&items))
    } else {
        single(app, roster, tenant, &items[0]).await?
    };
    Ok(Ready { items, what: What::Card { secret, body: card::message(&notice) }, together })
}

async fn mail_of(
    app: &App,
    deployment: &Store<'_, DeploymentPlace>,
    (roster, tenant): Who<'_>,
    mut items: Vec<Item>,
) -> Result<Ready, StoreError> {
    let (to, key) = (items[0].posting.value.to, items[0].posting.value.notice());
    let Some(person) = roster.person(to).filter(|person| directory::is_plain_address(&person.email)) else {
        let what = What::Nothing(Answer::Refused { why: "There is no address to mail." });
        return Ok(Ready { items, what, together: 1 });
    };
    let name = format!("{}{}.eml", notify::mails_about(tenant, &key), person.id);
    if let Some(outgoing) = again_the_same(app, &mut items, &person.email) {
        let together = items.len();
        return Ok(Ready { items, what: What::Mail { outgoing, name }, together });
    }
    let together = in_one(&items);
    let sent = &items[..together];
    if sent.iter().all(|item| card_was_accepted(&item.notified.value)) && looked_at_all(deployment, person.id, tenant, sent).await? {
        return Ok(Ready { items, what: What::Nothing(Answer::Accepted), together: 0 });
    }
    let mail = if together > 1 {
        digest::mail(app, &roster.client_name(tenant), &proposals(&items), person, &key)
    } else {
        notify::mail_to(app, roster, tenant, &items[0].proposal, person, &key, items[0].notified.value.at).await?
    };
    let stands_for = items[..together].iter().map(|item| item.posting.value.key()).collect();
    let outgoing = Outgoing { stands_for, ..Outgoing::new(app, &mail) };
    items[0].posting.value.outgoing = Some(outgoing.clone());
    Ok(Ready { items, what: What::Mail { outgoing, name }, together })
}

/// What a try of whose end nobody knows sent, if it stands for just what is still wanted and its receiver can tell; then
/// the items are those alone.
fn again_the_same(app: &App, items: &mut Vec<Item>, address: &str) -> Option<Outgoing> {
    let earlier = items[0].posting.value.outgoing.clone()?;
    let wanted = |key: &String| items.iter().any(|item| item.posting.value.key() == *key);
    if !earlier.is_repeatable(app.now()) || earlier.to != address || !earlier.stands_for.iter().all(wanted) {
        return None;
    }
    items.retain(|item| earlier.stands_for.contains(&item.posting.value.key()));
    Some(earlier)
}

fn card_was_accepted(notified: &Notified) -> bool {
    notified.posted.iter().any(|posted| posted.channel == Channel::Teams && posted.outcome == Outcome::Accepted)
}

/// Whether they looked at all of it, each since its own notice.
async fn looked_at_all(
    deployment: &Store<'_, DeploymentPlace>,
    person: crate::tenancy::PersonId,
    tenant: TenantId,
    items: &[Item],
) -> Result<bool, StoreError> {
    let sign_ins = viewed::sign_ins(deployment, person).await?;
    for item in items {
        if !viewed::since(deployment.app(), (person, &sign_ins), (tenant, item.proposal.id), item.notified.value.at).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn single(app: &App, roster: &Roster, tenant: TenantId, item: &Item) -> Result<Notice, StoreError> {
    let Item { posting, proposal, notified } = item;
    let row = link::make::row(tenant, proposal, EVERYBODY, &posting.value.notice(), notified.value.at);
    let address = link(app, tenant, proposal, &row).await?;
    Ok(notify::notice_for(app, (roster, tenant), proposal, posting.value.occasion, address))
}

fn proposals(items: &[Item]) -> Vec<&Proposal> {
    items.iter().map(|item| &item.proposal).collect()
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
            Outcome::TooLate => "notice.too_late",
        };
        let why = if let Outcome::Refused { why } = outcome { Some(why) } else { None };
        let detail = json!({ "channel": channel.word(), "version": proposal.version, "together": together, "why": why });
        audit::record(&mut batch, audit::Event::new(kind, object(proposal.id), detail));
    }
    for Item { posting, .. } in rest {
        let free = Posting { claimed_until: None, outgoing: None, ..posting.value.clone() };
        batch.replace(&Held { value: free, etag: posting.etag.clone() });
    }
    batch.commit().await
}

/// The mails that would have followed a card that nobody answered: at once.
async fn mails_instead(store: &Store<'_, ClientPlace>, card: &Posting) -> Result<(), StoreError> {
    let now = store.app().now();
    let mut batch = store.batch(ClientPlace::Assessment);
    for held in readable(store, &format!("{}:{}:", card.notice(), Channel::Mail.word())).await? {
        outbox::send(&mut batch, "notify", &DeliverV1 { posting: held.value.key() }, Wait::ZERO)?;
        batch.replace(&Held { value: Posting { due_at: now, ..held.value }, etag: held.etag });
    }
    if batch.is_empty() { Ok(()) } else { batch.commit().await }
}

/// Every one of them once more, after a wait.
async fn later(store: &Store<'_, ClientPlace>, items: Vec<Item>, wait: Wait, may_have_it: bool) -> Result<(), StoreError> {
    let when = store.app().now() + Duration::try_from(wait).unwrap_or(Duration::HOUR);
    let mut batch = store.batch(ClientPlace::Assessment);
    for Item { posting, .. } in items {
        let outgoing = posting.value.outgoing.filter(|_| may_have_it);
        let waiting = Posting { tries: posting.value.tries + 1, claimed_until: None, due_at: when, outgoing, ..posting.value };
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
    batch.commit_unless_overtaken().await.map(drop)
}
