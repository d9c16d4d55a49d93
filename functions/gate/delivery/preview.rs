//! Cards and mails as they are sent, for a person to look at before anybody gets one. Makes no link that leads anywhere.

use time::Duration;

use super::{DIGEST_FROM, Notice, Outgoing, card, digest};
use crate::{
    app::App,
    gate::{
        event::Verdict,
        inbox::{self, Reader},
        mail::Mail,
        notify::{self, Occasion},
        policy::REVIEW_WITHIN,
        proposal::{Draft, Proposal},
        state::{Decision, State},
    },
    tenancy::{Actor, ClientPlace, PersonId, ProposalId, Scope, StoreError, TenantId, directory::Grant},
};

/// Stands where a link has its token.
const TOKEN: &str = "TOKEN";
/// The client of an example.
const EXAMPLE: &str = "Example client";

pub struct Preview {
    /// The client whose proposal it is; `None` for an example.
    pub client: Option<String>,
    pub samples: Vec<Sample>,
}

/// What goes out on one occasion.
pub struct Sample {
    pub name: &'static str,
    pub when: &'static str,
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
    let client = found.as_ref().map(|(tenant, _)| reader.roster.client_name(*tenant));
    let (tenant, proposal) = found.unwrap_or_else(|| {
        let tenant = reader.grants.first().map_or(TenantId(uuid::Uuid::nil()), Grant::tenant);
        (tenant, example(app, 'd'))
    });
    let named = client.clone().unwrap_or_else(|| EXAMPLE.into());
    let sample = |name, when, (proposal, version, occasion): (&Proposal, u32, Occasion)| {
        let link = app.config.link(&format!("portal/link?token={TOKEN}"));
        let notice = notify::notice_for(app, (reader.roster, tenant), proposal, occasion, link);
        let key = notify::key(proposal.id, version, occasion);
        let mail = notify::compose(app, &named, proposal, reader.person, &key, &notice);
        Sample { name, when, card: card::message(&notice), mail: shown(app, &mail), notice }
    };
    let alone = approved_alone(app, &proposal);
    let samples = vec![
        sample("Asked", "When something waits for a decision.", (&proposal, proposal.version, Occasion::Asked)),
        // The first reminder: its number stands where others have a version.
        sample("Reminder", "While it waits, before its deadline, as the policy of its client says.", (&proposal, 0, Occasion::Reminded)),
        sample("Emergency", "As if somebody had approved it alone just now.", (&alone, alone.version, Occasion::GlassBroken)),
        digest(app, reader),
    ];
    Ok(Preview { client, samples })
}

fn digest(app: &App, reader: Reader<'_>) -> Sample {
    let waiting: Vec<Proposal> = ('a'..).take(DIGEST_FROM).map(|letter| example(app, letter)).collect();
    let waiting: Vec<&Proposal> = waiting.iter().collect();
    let key = notify::key(waiting[0].id, waiting[0].version, Occasion::Asked);
    let mail = shown(app, &digest::mail(app, EXAMPLE, &waiting, reader.person, &key));
    let notice = digest::notice(app, EXAMPLE, &waiting);
    let when = "Of an example: when four or more wait for the same reader.";
    Sample { name: "Digest", when, card: card::message(&notice), mail, notice }
}

fn shown(app: &App, mail: &Mail) -> MailPreview {
    let (text, html) = mail.parts();
    let Outgoing { to, body, .. } = Outgoing::new(app, mail);
    MailPreview { from: mail.from.address.clone(), to, subject: mail.plain_subject(), text, html, body }
}

async fn waiting(app: &App, reader: Reader<'_>) -> Result<Option<(TenantId, Proposal)>, StoreError> {
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
            return Ok(Some((grant.tenant(), held.value)));
        }
    }
    Ok(None)
}

/// As if somebody had approved it alone at this moment.
fn approved_alone(app: &App, proposal: &Proposal) -> Proposal {
    let now = app.now();
    let decision = Decision {
        person: PersonId(uuid::Uuid::nil()),
        name: "The name of who did".into(),
        verdict: Verdict::Approve,
        version: proposal.version,
        hash: proposal.hash.clone(),
        comment: "What they wrote: why it could not wait for anybody else.".into(),
        at: now,
        on_behalf_of: None,
        broke_glass: true,
        signed_in_at: None,
        acrs: None,
        evidence: Vec::new(),
        receipt: None,
    };
    Proposal { decisions: vec![decision], review_by: Some(now + REVIEW_WITHIN), ..proposal.clone() }
}

fn example(app: &App, letter: char) -> Proposal {
    let now = app.now();
    let draft = Draft {
        kind: "mark_objective".into(),
        subject: format!("3.4.1[{letter}]"),
        question: format!("Mark CM.L2-3.4.1[{letter}] as MET for {EXAMPLE}?"),
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
