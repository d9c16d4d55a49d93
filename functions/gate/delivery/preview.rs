//! A card and a mail as they are sent, for a person to look at before anybody gets one. Makes no link that leads anywhere.

use time::Duration;

use super::{Notice, Outgoing, card};
use crate::{
    app::App,
    gate::{
        inbox::{self, Reader, asked_by},
        notify::{self, Occasion},
        proposal::{Draft, Proposal},
        state::State,
    },
    tenancy::{Actor, ClientPlace, ProposalId, Scope, StoreError},
};

/// Stands where a link has its token.
const TOKEN: &str = "TOKEN";

pub struct Preview {
    /// The client whose proposal it is; `None` for an example.
    pub client: Option<String>,
    pub notice: Notice,
    /// The body of the webhook's POST.
    pub card: Vec<u8>,
    pub mail: MailPreview,
}

/// A mail to the reader, as they would get it.
pub struct MailPreview {
    pub from: String,
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// What is sent, to the byte: the mail itself, or the JSON of Azure Communication Services.
    pub body: String,
}

/// Of the oldest proposal that waits in a client of this reader, or of an example where none does.
pub async fn preview(app: &App, reader: Reader<'_>) -> Result<Preview, StoreError> {
    let found = waiting(app, reader).await?;
    let client = found.as_ref().map(|(client, _)| client.clone());
    let proposal = found.map_or_else(|| example(app), |(_, proposal)| proposal);
    let link = app.config.link(&format!("portal/link?token={TOKEN}"));
    let notice = notify::notice(app, &asked_by(reader.roster, &proposal.requester), &proposal, link);
    let named = client.clone().unwrap_or_else(|| "Example client".into());
    let key = notify::key(proposal.id, proposal.version, Occasion::Asked);
    let mail = notify::compose(app, &named, &proposal, reader.person, &key, &notice);
    let (text, html) = mail.parts();
    let Outgoing { to, body, .. } = Outgoing::new(app, &mail);
    let mail = MailPreview { from: mail.from.address.clone(), to, subject: mail.plain_subject(), text, html, body };
    Ok(Preview { client, card: card::message(&notice), mail, notice })
}

async fn waiting(app: &App, reader: Reader<'_>) -> Result<Option<(String, Proposal)>, StoreError> {
    for grant in reader.grants {
        let marks = match inbox::open(app, grant, reader.correlation).await {
            Ok(marks) => marks,
            Err(error) if error.concerns_one_owner() => continue,
            Err(error) => return Err(error),
        };
        let Some(mark) = marks.first() else { continue };
        let store = Scope::of_person(grant, reader.correlation).store(app).await?;
        let held = store.read::<Proposal>(ClientPlace::Assessment, &mark.proposal.to_string()).await?;
        if let Some(held) = held {
            return Ok(Some((reader.roster.client_name(grant.tenant()), held.value)));
        }
    }
    Ok(None)
}

fn example(app: &App) -> Proposal {
    let now = app.now();
    let draft = Draft {
        kind: "mark_objective".into(),
        subject: "3.4.1[d]".into(),
        question: "Mark CM.L2-3.4.1[d] as MET for Example client?".into(),
        explanation: String::new(),
        action: "{}".into(),
        evidence: Vec::new(),
        reasons: vec!["A full reading names 43 of 43 devices.".into()],
        limits: Vec::new(),
        before: String::new(),
        after: String::new(),
        approve_verb: "mark MET".into(),
        on_approve: String::new(),
        on_reject: String::new(),
        undo: None,
    };
    Proposal {
        id: ProposalId(uuid::Uuid::nil()),
        version: 1,
        draft,
        form: 0,
        hash: String::new(),
        requester: Actor::Function("analyze".into()),
        staged_at: now,
        decide_by: now + Duration::days(7),
        state: State::Open,
        terms: None,
        decisions: Vec::new(),
        review_by: None,
        clearance: None,
    }
}
