//! Tells those who may decide of an open proposal: one mail per proposal version and approver, never two; where cards are
//! configured, one card, and mails later to whom it brought no sign-in.
//!
//! The mail's name in the mailbox is made from both, and an existing mail stays as it is; so a redelivery after a crash
//! writes what is missing and nothing else. The link is a pointer, never a key: a scanner that opens it or submits its
//! form is not signed in, so it decides nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

pub use super::occasion::Occasion;
use super::{
    delivery::{self, Channel, DeliverV1, EVERYBODY, Notice, Posted, Posting},
    inbox::asked_by,
    level::Level,
    link::{self, link},
    mail::{self, Mail, Mailbox},
    occasion::overdue_days,
    proposal::{Draft, NotifyV1, OpenMark, Proposal, ReviewMark, object},
    state::State,
};
use crate::{
    app::App,
    audit,
    config::{Config, MailService},
    platform::ports::BlobContainer,
    tenancy::{
        Actor, Batch, ClientPlace, DeploymentScope, Held, Passed, PersonId, ProposalId, Record, Roster, Scope, Store, StoreError, TenantId,
        Wanted,
        directory::{self, Person, Role},
        message::{MessageError, Verified},
        outbox,
    },
};

/// Who was mailed, for the page's history; also the mark that the audit item exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notified {
    pub proposal: ProposalId,
    pub version: u32,
    pub occasion: Occasion,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub mailed: Vec<Mailed>,
    /// Approvers whose address cannot be mailed.
    pub unreachable: Vec<Mailed>,
    /// The links that were sent; none in notices of earlier releases, whose mails name the page itself.
    #[serde(default)]
    pub links: Vec<link::Row>,
    /// What came of deliveries that were queued.
    #[serde(default)]
    pub posted: Vec<Posted>,
    /// Deliveries that had no room in the notice's own batch, and are still to be queued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Posting>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mailed {
    pub person: PersonId,
    pub name: String,
}

impl Record for Notified {
    const KIND: &'static str = "notified";
    const SCHEMA: u32 = 1;

    fn key(&self) -> String {
        key(self.proposal, self.version, self.occasion)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("the message names no proposal of a client")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotifyError {
    /// Whether redelivery may help; everything else is a dead letter.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Message(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::NotFound => false,
        }
    }
}

/// Mails the proposal that the message names, unless it is settled or was mailed before.
pub async fn notify(app: &App, message: &Verified) -> Result<(), NotifyError> {
    let NotifyV1 { proposal: id, version, occasion, to } = message.body()?;
    let scope = Scope::of_message(message).ok_or(NotifyError::NotFound)?;
    let store = scope.store(app).await?;
    let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or(NotifyError::NotFound)?;
    // A quiet change since then made a later version; the mail is still owed, and says what stands now.
    if occasion.stands_alone() && !occasion.is_owed(&held.value, app.now()) {
        // Somebody settled it meanwhile.
    } else if occasion.stands_alone() {
        deliver(app, &store, scope.tenant(), &held.value, (version, occasion), &to).await?;
    } else if held.value.state == State::Open && version <= held.value.version && app.now() < held.value.decide_by {
        deliver(app, &store, scope.tenant(), &held.value, (version, Occasion::Asked), &[]).await?;
    } else {
        catch_up(app, &store, scope.tenant(), &held.value, version).await?;
    }
    outbox::flush(&store, ClientPlace::Assessment).await?;
    Ok(())
}

/// What one run of the reminders came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminded {
    /// Of how many proposals somebody was told.
    pub told: usize,
    /// How many wait for a decision, and since when the one that waits longest does.
    pub waiting: usize,
    pub oldest: Option<OffsetDateTime>,
}

/// Tells once more of what is still open as the policy of its kind says, and loudly of what is not decided near its
/// deadline and, once a day for some days, of what nobody reviewed in time. Deliveries whose message was lost are sent on
/// their way again. For the sweep.
pub async fn remind(app: &App, scope: &Scope) -> Result<Reminded, StoreError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let found = store.gather(ClientPlace::Assessment, vec![Wanted::all::<OpenMark>(""), Wanted::all::<ReviewMark>("")]).await?;
    let mut passed = Passed::default();
    let marks: Vec<OpenMark> = passed.all(found.all_of_each("").await?)?.into_iter().map(|held| held.value).collect();
    let soon = marks.iter().filter(|mark| mark.decide_by - Duration::hours(mark.notices_from.into()) <= now && now < mark.decide_by);
    let reviews = passed.all(found.all_of_each::<ReviewMark>("").await?)?.into_iter().map(|held| held.value);
    let due: Vec<(String, bool)> = reviews.map(|mark| (mark.key(), true)).chain(soon.map(|mark| (mark.key(), false))).collect();
    let mut told = 0;
    for (key, is_review) in due {
        let found = store.read::<Proposal>(ClientPlace::Assessment, &key).await;
        let Some(Held { value: proposal, .. }) = passed.by(found)?.flatten() else { continue };
        let mut was_told = false;
        for (version, occasion) in owed(&proposal, is_review, now) {
            if occasion.is_owed(&proposal, now) {
                match deliver(app, &store, scope.tenant(), &proposal, (version, occasion), &[]).await {
                    // Overtaken, or kept from it: the others are told, and the next sweep tries again.
                    Err(error) if error.is_conflict() => tracing::warn!(error = %error, "a notice waits for the next sweep"),
                    told => was_told |= passed.by(told)?.unwrap_or_default(),
                }
            }
        }
        told += usize::from(was_told);
    }
    if told > 0 {
        outbox::flush(&store, ClientPlace::Assessment).await?;
    }
    if app.config.delivery.is_queued() {
        delivery::wake(&store).await?;
    }
    passed.end(Reminded { told, waiting: marks.len(), oldest: marks.iter().map(|mark| mark.staged_at).min() })
}

/// Which notices are due, with the number that stands where others have a version: one per notice and proposal, whatever
/// changed in between; of a review, the second at which it is due and the days since, because a proposal can be reviewed more
/// than once. Of several that came due since the last sweep only the latest goes out. That somebody approved alone is owed
/// until it is reviewed, in case the message that says so was lost.
fn owed(proposal: &Proposal, is_review: bool, now: OffsetDateTime) -> Vec<(u32, Occasion)> {
    if is_review {
        let number = |due: OffsetDateTime| u32::try_from(due.unix_timestamp() + overdue_days(due, now)).unwrap_or(u32::MAX);
        let alone = proposal.decisions.iter().rev().find(|one| one.broke_glass).map(|one| (one.version, Occasion::GlassBroken));
        let overdue = proposal.review_by.filter(|due| *due <= now).map(|due| (number(due), Occasion::ReviewOverdue));
        return alone.into_iter().chain(overdue).collect();
    }
    let latest = |hours: &mut dyn Iterator<Item = u32>| {
        let is_due = |hours: u32| proposal.decide_by - Duration::hours(hours.into()) <= now;
        (0..).zip(hours).filter(|(_, hours)| is_due(*hours)).last().map(|(n, _)| n)
    };
    let reminder = latest(&mut proposal.notices()).map(|n| (n, Occasion::Reminded));
    let escalation = latest(&mut proposal.escalations()).map(|n| (n, Occasion::Escalated));
    reminder.into_iter().chain(escalation).collect()
}

/// Those who may decide it now: approvers of the client who can sign in, without the one who asks.
pub(super) fn approvers<'p>(
    config: &'p Config,
    roster: &'p Roster,
    tenant: TenantId,
    requester: &'p Actor,
    now: OffsetDateTime,
) -> impl Iterator<Item = &'p Person> {
    let may = move |person: &Person| roster.grants_of(tenant, now).any(|grant| grant.person == person.id && grant.has(Role::Approver));
    roster
        .people_who_may_sign_in(config, now)
        .filter(move |person| may(person))
        .filter(move |person| *requester != Actor::Person(person.id))
}

/// Mails, then says so in one batch with its audit item; `false` when that was done before. `to`: to nobody else, where it
/// names anybody.
async fn deliver(
    app: &App,
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    proposal: &Proposal,
    (version, occasion): (u32, Occasion),
    to: &[PersonId],
) -> Result<bool, StoreError> {
    // What is about certain people's own answers goes to them, and into no channel.
    let cards = app.config.delivery.teams.is_some() && occasion != Occasion::Changed;
    let is_silent = !app.config.mails && !cards;
    if is_silent && occasion != Occasion::GlassBroken {
        // Nobody is told, and nothing says that anybody was.
        return Ok(false);
    }
    let key = key(proposal.id, version, occasion);
    if let Some(held) = known(store, proposal.id, &key).await? {
        if !held.value.left.is_empty() {
            queue_rest(store, &key).await?;
        }
        return Ok(false);
    }
    let directory = DeploymentScope::of_function("notify", store.correlation()).store(app).await?;
    let roster = Roster::read(&directory).await?;
    let now = app.now();
    let mut notified = Notified {
        proposal: proposal.id,
        version,
        occasion,
        at: now,
        mailed: Vec::new(),
        unreachable: Vec::new(),
        links: Vec::new(),
        posted: Vec::new(),
        left: Vec::new(),
    };
    if is_silent {
        // Who approves alone counts on others being told: that nobody was stands in the log.
        write_down(store, notified, Vec::new()).await?;
        return Ok(false);
    }
    let mut queued = Vec::new();
    let posting = |channel, to, due_at| Posting {
        channel,
        proposal: proposal.id,
        version,
        occasion,
        to,
        due_at,
        tries: 0,
        claimed_until: None,
        outgoing: None,
    };
    if cards {
        notified.links.push(link::make::row(tenant, proposal, EVERYBODY, &key, now));
        queued.push(posting(Channel::Teams, EVERYBODY, now));
    }
    let is_meant = |person: &&Person| app.config.mails && (to.is_empty() || to.contains(&person.id));
    for person in occasion.recipients(&app.config, &roster, tenant, proposal, now).into_iter().filter(is_meant) {
        let one = Mailed { person: person.id, name: person.name.clone() };
        if !directory::is_plain_address(&person.email) {
            notified.unreachable.push(one);
            continue;
        }
        notified.links.push(link::make::row(tenant, proposal, person.id, &key, now));
        if cards || app.config.delivery.service.is_some() {
            let follows_card = cards && !occasion.is_loud();
            let due_at = if follows_card { delivery::mail_after_card(now, occasion.ends(proposal)) } else { now };
            queued.push(posting(Channel::Mail, person.id, due_at));
            continue;
        }
        let mail = mail_to(app, &roster, tenant, proposal, person, &key, now).await?;
        let name = format!("{}{}.eml", mails_about(tenant, &key), person.id);
        app.blobs.create(BlobContainer::Mailbox, &name, mail.bytes().into()).await?;
        notified.mailed.push(one);
    }
    if notified.mailed.is_empty() && queued.is_empty() {
        tracing::warn!(proposal = %proposal.id, "no approver can be mailed");
    }
    write_down(store, notified, queued).await
}

/// The notice of this key. What lies there and cannot be read tells nobody anything, and is taken away, so that the notice is
/// made (perhaps once more): its key is known before, and whoever writes the database could lay something there.
async fn known(store: &Store<'_, ClientPlace>, id: ProposalId, key: &str) -> Result<Option<Held<Notified>>, StoreError> {
    match store.read::<Notified>(ClientPlace::Assessment, key).await {
        Err(error) if error.unreadable::<Notified>().is_some() => {
            let mut batch = store.batch(ClientPlace::Assessment);
            batch.remove::<Notified>(key);
            audit::record(&mut batch, in_the_way(id, key));
            batch.commit().await.map(|()| None)
        }
        other => other,
    }
}

fn in_the_way(id: ProposalId, what: &str) -> audit::Event {
    tracing::error!(what, "ALARM: something that Assay did not write stood where a notice is kept");
    audit::Event::new("notice.in_the_way", object(id), json!({ "record": what }))
}

/// The process stopped between a mail and the batch that says so, and meanwhile somebody decided: a mail that lies in the
/// mailbox was sent, so it is written down now, with the time at which it was written.
async fn catch_up(
    app: &App,
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    proposal: &Proposal,
    version: u32,
) -> Result<(), StoreError> {
    let key = key(proposal.id, version, Occasion::Asked);
    if store.read::<Notified>(ClientPlace::Assessment, &key).await?.is_some() {
        return Ok(());
    }
    let start = mails_about(tenant, &key);
    let mut sent: Vec<(PersonId, OffsetDateTime)> = Vec::new();
    let mut after = None;
    loop {
        let page = app.blobs.list(BlobContainer::Mailbox, &start, after.as_ref()).await?;
        for name in page.names {
            let person = name.strip_prefix(&start).and_then(|rest| rest.strip_suffix(".eml")).and_then(|id| id.parse().ok());
            if let (Some(person), Some(mail)) = (person, app.blobs.read(BlobContainer::Mailbox, &name).await?) {
                sent.push((person, mail::written_at(&mail).unwrap_or_else(|| app.now())));
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let Some(at) = sent.iter().map(|(_, at)| *at).min() else { return Ok(()) };
    let directory = DeploymentScope::of_function("notify", store.correlation()).store(app).await?;
    let roster = Roster::read(&directory).await?;
    let links = sent.iter().map(|(person, _)| link::make::row(tenant, proposal, *person, &key, at)).collect();
    let mailed = sent.into_iter().map(|(person, _)| Mailed { person, name: roster.person_name(person) }).collect();
    let notified = Notified {
        proposal: proposal.id,
        version,
        occasion: Occasion::Asked,
        at,
        mailed,
        unreachable: Vec::new(),
        links,
        posted: Vec::new(),
        left: Vec::new(),
    };
    write_down(store, notified, Vec::new()).await.map(|_| ())
}

/// Deliveries of one batch: each is two operations, beside the notice, its audit item and what a batch writes by itself.
const TOGETHER: usize = 45;

/// How often a lost race over a notice is tried again.
const ATTEMPTS: usize = 4;

/// Who was told, and what is queued for it, in one batch with its audit item; `false` when that was written before. What has
/// no room in that batch is in the notice, and goes into further ones.
async fn write_down(store: &Store<'_, ClientPlace>, notified: Notified, mut queued: Vec<Posting>) -> Result<bool, StoreError> {
    let cards = queued.iter().filter(|posting| posting.channel == Channel::Teams).count();
    let all = queued.len();
    let left = queued.split_off(queued.len().min(TOGETHER));
    let mut notified = Notified { left, ..notified };
    let ids = |list: &[Mailed]| list.iter().map(|one| one.person).collect::<Vec<_>>();
    let detail = json!({ "version": notified.version, "mailed": ids(&notified.mailed), "unreachable": ids(&notified.unreachable), "cards": cards, "queued": all });
    loop {
        let mut batch = store.batch(ClientPlace::Assessment);
        batch.create(&notified);
        queue(&mut batch, &queued, notified.at)?;
        audit::record(&mut batch, audit::Event::new(notified.occasion.event(), object(notified.proposal), detail.clone()));
        match batch.commit().await {
            Err(error) if error.exists::<Notified>(&notified.key()) => return Ok(false),
            // Without their notice there are none of ours: they go into the notice first, which then makes room for them.
            Err(error) if stands_there(&error, &queued).is_some() => notified.left.splice(0..0, std::mem::take(&mut queued)),
            other => break other?,
        };
    }
    if !notified.left.is_empty() {
        queue_rest(store, &notified.key()).await?;
    }
    Ok(true)
}

/// Of these deliveries the one at whose place something stands already.
fn stands_there<'p>(error: &StoreError, postings: &'p [Posting]) -> Option<&'p Posting> {
    postings.iter().find(|posting| error.exists::<Posting>(&posting.key()))
}

/// Queues what had no room in the batch of its notice; whoever stops in between leaves the rest in the notice. A delivery
/// leaves it in the batch that writes it, so what stands at its place before is not ours: it is taken away.
async fn queue_rest(store: &Store<'_, ClientPlace>, key: &str) -> Result<(), StoreError> {
    let mut lost = 0;
    loop {
        let Some(mut held) = store.read::<Notified>(ClientPlace::Assessment, key).await? else { return Ok(()) };
        let rest = held.value.left.split_off(held.value.left.len().min(TOGETHER));
        let next = std::mem::replace(&mut held.value.left, rest);
        if next.is_empty() {
            return Ok(());
        }
        let mut batch = store.batch(ClientPlace::Assessment);
        batch.replace(&held);
        queue(&mut batch, &next, held.value.at)?;
        match batch.commit().await {
            // One more for each that something stands in the way of.
            Err(error) if error.is_conflict() && lost < ATTEMPTS + TOGETHER => {
                lost += 1;
                // Otherwise what became of those that are queued was written into the notice.
                if let Some(posting) = stands_there(&error, &next) {
                    held.value.left.splice(0..0, next.iter().cloned());
                    let mut batch = store.batch(ClientPlace::Assessment);
                    batch.replace(&held).remove::<Posting>(&posting.key());
                    audit::record(&mut batch, in_the_way(posting.proposal, &posting.key()));
                    batch.commit_unless_overtaken().await?;
                }
            }
            other => other?,
        }
    }
}

fn queue(batch: &mut Batch<'_, '_, ClientPlace>, postings: &[Posting], at: OffsetDateTime) -> Result<(), StoreError> {
    for posting in postings {
        let wait = std::time::Duration::try_from(posting.due_at - at).unwrap_or_default();
        outbox::send(batch, "notify", &DeliverV1 { posting: posting.key() }, wait)?;
        batch.create(posting);
    }
    Ok(())
}

/// How the names of all mails about it start; the person's id and `.eml` follow.
pub(super) fn mails_about(tenant: TenantId, key: &str) -> String {
    format!("{tenant}/{}-", key.replace(':', "-"))
}

pub(super) const DAY: &[BorrowedFormatItem<'_>] = format_description!("[weekday repr:short] [day padding:none] [month repr:short]");
pub(super) const EXACT: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short] [day padding:none] [month repr:short] [year], [hour]:[minute] UTC");

/// What stands after the `@` in mails of ours.
pub(super) fn domain(app: &App) -> String {
    let host = app.config.public_url.host_str().unwrap_or("localhost");
    if host.parse::<std::net::Ipv4Addr>().is_ok() { format!("[{host}]") } else { host.into() }
}

/// Whom mails are from: the address that the settings name, or one of the host's own in the mailbox.
pub(super) fn sender(app: &App) -> Mailbox {
    let address = match &app.config.delivery.service {
        Some(MailService::Acs(settings)) => settings.from.clone(),
        Some(MailService::Smtp(settings)) => settings.from.clone(),
        None => format!("assay@{}", domain(app)),
    };
    Mailbox { name: "Assay".into(), address }
}

/// What a proposal's mail and card say.
pub(super) fn notice(app: &App, asked_by: &str, proposal: &Proposal, link: String) -> Notice {
    let (Draft { question, .. }, reasons) = (&proposal.draft, &proposal.reasons());
    let by = proposal.decide_by.format(EXACT).unwrap_or_default();
    let notice = Notice::of_proposal(question, asked_by, reasons, by, link.clone(), app.config.is_demo());
    if proposal.level() == Level::L3 { Notice { link: ("Sign in, and record it or say no", link), ..notice } } else { notice }
}

/// What the notice of this occasion says.
pub(super) fn notice_for(
    app: &App,
    (roster, tenant): (&Roster, TenantId),
    proposal: &Proposal,
    occasion: Occasion,
    link: String,
) -> Notice {
    let loud = occasion.notice(app, (roster, tenant), proposal, link.clone());
    loud.unwrap_or_else(|| notice(app, &asked_by(roster, &proposal.requester), proposal, link))
}

/// The mail to one approver in the notice of this key, which began at `since`.
pub(super) async fn mail_to(
    app: &App,
    roster: &Roster,
    tenant: TenantId,
    proposal: &Proposal,
    to: &Person,
    key: &str,
    since: OffsetDateTime,
) -> Result<Mail, StoreError> {
    let row = link::make::row(tenant, proposal, to.id, key, since);
    let address = link(app, tenant, proposal, &row).await?;
    let notice = notice_for(app, (roster, tenant), proposal, Occasion::of_key(key), address);
    Ok(compose(app, &roster.client_name(tenant), proposal, to, key, &notice))
}

pub(super) fn compose(app: &App, client: &str, proposal: &Proposal, to: &Person, key: &str, notice: &Notice) -> Mail {
    let (domain, day) = (domain(app), proposal.decide_by.format(DAY).unwrap_or_default());
    Mail {
        from: sender(app),
        to: Mailbox { name: to.name.clone(), address: to.email.clone() },
        subject: Occasion::of_key(key).subject(client, proposal, &day),
        at: app.now(),
        message_id: format!("{}.{}@{domain}", key.replace(':', "."), to.id),
        blocks: notice.blocks(),
    }
}

pub(super) fn key(id: ProposalId, version: u32, occasion: Occasion) -> String {
    format!("{id}:v{version}:{}", occasion.word())
}
