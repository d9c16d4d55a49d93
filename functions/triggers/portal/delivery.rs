//! How approvers are told: the channels, how they do, and what the next card and mail look like.

use super::Reader;
use crate::{
    config::{Config, MailService},
    gate::delivery::{
        Channel,
        health::{self, ChannelHealth},
        pace::Limits,
        preview::{MailPreview, Sample, preview},
        trial,
    },
    web::{
        Problem, Reply,
        pages::{ChannelView, DeliveryPage, MailView, PostForm, SampleView, Section, Tag, Tone, paths},
        reply,
    },
};

const TEST: &str = "test delivery";
const TOO_OFTEN: &str = "It was tested a moment ago, and nothing was sent again. Wait a minute, then test again.";

/// One mail to who asks and one card to the channel.
pub(super) async fn test(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    reader.must_be_own_form(&[TEST])?;
    let said = match trial::test(&reader.deployment().await?, &reader.person).await? {
        None => TOO_OFTEN.to_owned(),
        Some(all) => all.into_iter().map(|(channel, tested)| tested.words(channel)).collect::<Vec<_>>().join("\n"),
    };
    Ok(reader.back_to(&paths::delivery(), "tested", &said))
}

/// The form's own address, opened again, is the page.
pub(super) fn back(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    Ok(reply::redirect(&paths::delivery()))
}

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    let config = &reader.app.config;
    let known = health::all(&reader.deployment().await?).await?;
    let shown = preview(reader.app, reader.eyes()).await?;
    let about = match &shown.client {
        Some(client) => format!("Of what waits for {client}, as it is sent."),
        None => "Nothing waits, so this is an example, as it is sent.".into(),
    };
    let page = DeliveryPage {
        connections_href: paths::connections(),
        channels: vec![teams(config.delivery.teams.is_some(), of(&known, Channel::Teams)), mails(config, of(&known, Channel::Mail))],
        tested: reader.done("tested").map(|said| said.lines().map(str::to_owned).collect()).unwrap_or_default(),
        test: (config.mails || config.delivery.teams.is_some()).then(|| PostForm {
            action: paths::test_delivery(),
            token: reader.token(&[TEST]),
            fields: Vec::new(),
            label: "Send a test".into(),
        }),
        limits: limits(Channel::ALL.map(|channel| Limits::of(reader.app, channel))),
        about,
        samples: shown.samples.into_iter().map(|one| sample(config, one)).collect(),
        frame: reader.frame(Section::Connections).await?,
    };
    Ok(reply::page(200, &page))
}

fn limits([cards, mails]: [Limits; 2]) -> String {
    format!(
        "At most {} cards, and {} mails by a service, go out in a minute, and {} and {} in an hour; more wait. A fifth of that is kept for what cannot wait, such as that somebody approved alone in an emergency. Four that wait at once for one reader become one. Where a stop leaves open whether something was taken, it is sent again: a mail says the same then, so that its receiver can tell, but a card can stand in Teams twice.",
        cards.per_minute, mails.per_minute, cards.per_hour, mails.per_hour
    )
}

fn sample(config: &Config, Sample { name, when, notice, card, mail: sent }: Sample) -> SampleView {
    let (button, _) = notice.link;
    SampleView {
        name,
        when,
        title: notice.title,
        facts: notice.facts,
        items: notice.items,
        foot: notice.foot,
        button,
        card: String::from_utf8_lossy(&card).into_owned(),
        mail: mail(config, sent),
    }
}

fn mail(config: &Config, mail: MailPreview) -> MailView {
    let MailPreview { from, to, subject, text, html, body } = mail;
    let what = match &config.delivery.service {
        Some(MailService::Acs(_)) => "Exactly what is sent: the JSON for Azure Communication Services",
        Some(MailService::Smtp(_)) => "Exactly what is sent: the mail with its headers",
        None => "Exactly what is put into the mailbox: the mail with its headers",
    };
    MailView { from, to, subject, text, html, what, body }
}

fn of(known: &[ChannelHealth], channel: Channel) -> Option<&ChannelHealth> {
    known.iter().find(|health| health.channel == channel)
}

fn teams(on: bool, health: Option<&ChannelHealth>) -> ChannelView {
    let failing = health.is_some_and(ChannelHealth::is_failing);
    let (state, words) = match (on, failing) {
        (false, _) => (
            Tag::new(Tone::Unknown, "Off"),
            "No cards are posted. The setting ASSAY_TEAMS names the secret that holds a workflow's address.",
        ),
        (true, true) => (
            Tag::new(Tone::Not, "Failing"),
            "The last card was refused. Mails go out in place of cards that are. Mend what is said below; the next card is tried all the same.",
        ),
        (true, false) if health.is_none() => {
            (Tag::new(Tone::Unknown, "Nothing posted yet"), "A card goes to the channel that the workflow posts to.")
        }
        (true, false) => (
            Tag::new(Tone::Met, "On"),
            "A card goes to the channel that the workflow posts to. That Teams took it does not say that anybody saw it: who did not look at it four hours later is mailed, or sooner where less than eight are left: after half of them, and in the last half hour at once.",
        ),
    };
    view("Cards in Microsoft Teams", state, words, on, health)
}

fn mails(config: &Config, health: Option<&ChannelHealth>) -> ChannelView {
    let (service, failing) = (config.delivery.service.is_some(), health.is_some_and(ChannelHealth::is_failing));
    let (state, words) = match (config.mails, config.delivery.teams.is_some()) {
        (true, _) if service && failing => (
            Tag::new(Tone::Not, "Failing"),
            "The last mail was refused. Mend what is said below; the next one is tried all the same, and what waits is under Approvals in any case.",
        ),
        (false, _) => (Tag::new(Tone::Unknown, "Off"), "Nobody is mailed. The setting ASSAY_MAIL says how mails go out."),
        (true, true) => (
            Tag::new(Tone::Met, "On"),
            "Each approver who did not look at it within four hours of a card, or within half of the time that is left if that is less, is mailed, and all of them at once when a card is refused. They are reminded as the client's policy says.",
        ),
        (true, false) => (Tag::new(Tone::Met, "On"), "Each approver is mailed at once, and reminded as the client's policy says."),
    };
    let name = match &config.delivery.service {
        Some(MailService::Acs(_)) => "Mails by Azure Communication Services",
        Some(MailService::Smtp(_)) => "Mails by the mail server",
        None => "Mails into the mailbox",
    };
    view(name, state, words, service, health)
}

fn view(name: &'static str, state: Tag, words: &str, counted: bool, health: Option<&ChannelHealth>) -> ChannelView {
    ChannelView {
        name,
        state,
        words: words.into(),
        counted,
        accepted: health.map_or(0, |health| health.accepted),
        accepted_at: health.and_then(|health| health.accepted_at),
        refused: health.map_or(0, |health| health.refused),
        refused_at: health.and_then(|health| health.refused_at),
        why: health.map(|health| health.why.clone()).unwrap_or_default(),
        late: health.map_or(0, |health| health.late),
        late_at: health.and_then(|health| health.late_at),
    }
}
