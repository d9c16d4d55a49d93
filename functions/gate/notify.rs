//! Mails an open proposal to those who may decide it: one mail per proposal version and approver, never two.
//!
//! The mail's name in the mailbox is made from both, and an existing mail stays as it is; so a redelivery after a crash
//! writes what is missing and nothing else. The link is a pointer, never a key: a scanner that opens it or submits its
//! form is not signed in, so it decides nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{
    inbox::asked_by,
    mail::{self, Block, Mail, Mailbox},
    proposal::{NotifyV1, OpenMark, Proposal, object},
    state::State,
};
use crate::{
    app::App,
    audit,
    config::Config,
    platform::ports::BlobContainer,
    tenancy::{
        Actor, ClientPlace, DeploymentScope, PersonId, ProposalId, Record, Roster, Scope, Store, StoreError, TenantId,
        directory::{self, Person, Role},
        message::{MessageError, Verified},
        outbox,
    },
};

/// How long before the deadline one more mail goes out.
pub const REMINDER_BEFORE: Duration = Duration::hours(24);

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    Asked,
    Reminded,
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
    let NotifyV1 { proposal: id, version } = message.body()?;
    let scope = Scope::of_message(message).ok_or(NotifyError::NotFound)?;
    let store = scope.store(app).await?;
    let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?.ok_or(NotifyError::NotFound)?;
    // A quiet change since then made a later version; the mail is still owed, and says what stands now.
    if held.value.state == State::Open && version <= held.value.version && app.now() < held.value.decide_by {
        deliver(app, &store, scope.tenant(), &held.value, version, Occasion::Asked).await?;
    } else {
        catch_up(app, &store, scope.tenant(), id, version).await?;
    }
    outbox::flush(&store, ClientPlace::Assessment).await?;
    Ok(())
}

/// One more mail for what is still open a day before its deadline; returns how many proposals. For the sweep.
pub async fn remind(app: &App, scope: &Scope) -> Result<usize, StoreError> {
    let store = scope.store(app).await?;
    let now = app.now();
    let mut reminded = 0;
    for mark in store.all::<OpenMark>(ClientPlace::Assessment, "").await? {
        let due = mark.value.decide_by - REMINDER_BEFORE <= now && now < mark.value.decide_by;
        let Some(held) = (if due { store.read::<Proposal>(ClientPlace::Assessment, &mark.value.key()).await? } else { None }) else {
            continue;
        };
        // Version 0: one reminder per proposal, whatever changed in between.
        if held.value.state == State::Open && deliver(app, &store, scope.tenant(), &held.value, 0, Occasion::Reminded).await? {
            reminded += 1;
        }
    }
    Ok(reminded)
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
    roster.people_who_may_sign_in(config).filter(move |person| may(person)).filter(move |person| *requester != Actor::Person(person.id))
}

/// Mails, then says so in one batch with its audit item; `false` when that was done before.
async fn deliver(
    app: &App,
    store: &Store<'_, ClientPlace>,
    tenant: TenantId,
    proposal: &Proposal,
    version: u32,
    occasion: Occasion,
) -> Result<bool, StoreError> {
    if !app.config.mails {
        // Nobody is mailed, and nothing says that anybody was.
        return Ok(false);
    }
    let key = key(proposal.id, version, occasion);
    if store.read::<Notified>(ClientPlace::Assessment, &key).await?.is_some() {
        return Ok(false);
    }
    let directory = DeploymentScope::of_function("notify", store.correlation()).store(app).await?;
    let roster = Roster::read(&directory).await?;
    let client = roster.client_name(tenant);
    let asked_by = asked_by(&roster, &proposal.requester);
    let mut notified = Notified { proposal: proposal.id, version, occasion, at: app.now(), mailed: Vec::new(), unreachable: Vec::new() };
    for person in approvers(&app.config, &roster, tenant, &proposal.requester, app.now()) {
        let one = Mailed { person: person.id, name: person.name.clone() };
        if !directory::is_plain_address(&person.email) {
            notified.unreachable.push(one);
            continue;
        }
        let mail = compose(app, tenant, &client, &asked_by, proposal, person, &key);
        let name = format!("{}{}.eml", mails_about(tenant, &key), person.id);
        app.blobs.create(BlobContainer::Mailbox, &name, mail.bytes().into()).await?;
        notified.mailed.push(one);
    }
    if notified.mailed.is_empty() {
        tracing::warn!(proposal = %proposal.id, "no approver can be mailed");
    }
    write_down(store, &notified).await
}

/// The process stopped between a mail and the batch that says so, and meanwhile somebody decided: a mail that lies in the
/// mailbox was sent, so it is written down now, with the time at which it was written.
async fn catch_up(app: &App, store: &Store<'_, ClientPlace>, tenant: TenantId, id: ProposalId, version: u32) -> Result<(), StoreError> {
    let key = key(id, version, Occasion::Asked);
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
    let mailed = sent.into_iter().map(|(person, _)| Mailed { person, name: roster.person_name(person) }).collect();
    let notified = Notified { proposal: id, version, occasion: Occasion::Asked, at, mailed, unreachable: Vec::new() };
    write_down(store, &notified).await.map(|_| ())
}

/// Who was mailed, in one batch with its audit item; `false` when that was written before.
async fn write_down(store: &Store<'_, ClientPlace>, notified: &Notified) -> Result<bool, StoreError> {
    let mut batch = store.batch(ClientPlace::Assessment);
    batch.create(notified);
    let kind = match notified.occasion {
        Occasion::Asked => "proposal.notified",
        Occasion::Reminded => "proposal.reminded",
    };
    let ids = |list: &[Mailed]| list.iter().map(|one| one.person).collect::<Vec<_>>();
    let detail = json!({ "version": notified.version, "mailed": ids(&notified.mailed), "unreachable": ids(&notified.unreachable) });
    audit::record(&mut batch, audit::Event::new(kind, object(notified.proposal), detail));
    match batch.commit().await {
        Err(error) if error.exists::<Notified>(&notified.key()) => Ok(false),
        other => other.map(|()| true),
    }
}

/// How the names of all mails about it start; the person's id and `.eml` follow.
fn mails_about(tenant: TenantId, key: &str) -> String {
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

fn compose(app: &App, tenant: TenantId, client: &str, asked_by: &str, proposal: &Proposal, to: &Person, key: &str) -> Mail {
    let draft = &proposal.draft;
    let by = |format| proposal.decide_by.format(format).unwrap_or_default();
    let reminder = if key.ends_with(REMINDED) { "Reminder: " } else { "" };
    let domain = domain(app);
    let mut blocks = vec![
        Block::Heading(draft.question.clone()),
        Block::Fact { label: "Asked by", value: asked_by.into() },
        Block::Fact { label: "Why now", value: draft.reasons.join(" ") },
        Block::Fact { label: "Decide by", value: by(EXACT) },
        Block::Link { label: "Sign in, look and decide", url: link(app, tenant, proposal.id) },
        Block::Paragraph("The link only shows the way: nobody can decide without signing in. If nobody answers, nothing happens.".into()),
    ];
    if app.config.is_demo() {
        blocks.push(Block::Paragraph("DEMO: made with demo people and demo data.".into()));
    }
    Mail {
        from: Mailbox { name: "Assay".into(), address: format!("assay@{domain}") },
        to: Mailbox { name: to.name.clone(), address: to.email.clone() },
        subject: format!("{reminder}{client}: approve {} by {}", draft.label(), by(DAY)),
        at: app.now(),
        message_id: format!("{}.{}@{domain}", key.replace(':', "."), to.id),
        blocks,
    }
}

/// Where a proposal is decided. Made from configuration, never from a request (I10).
pub fn link(app: &App, tenant: TenantId, id: ProposalId) -> String {
    app.config.link(&format!("portal/proposals/{tenant}/{id}"))
}

const REMINDED: &str = "reminded";

fn key(id: ProposalId, version: u32, occasion: Occasion) -> String {
    match occasion {
        Occasion::Asked => format!("{id}:v{version}:asked"),
        Occasion::Reminded => format!("{id}:v{version}:{REMINDED}"),
    }
}
