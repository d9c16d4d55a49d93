//! Mails the owners that somebody asks to be let in: one mail per request and owner, never two.
//!
//! As with proposals, the mail's name is made from both, and one that exists stays as it is. What another organization's
//! directory calls its people stands in no mail: whoever runs it could write anything there.

use time::OffsetDateTime;

use super::{
    delivery::{Answer, mail_out},
    mail::{Block, Mail, Mailbox},
    notify::{DAY, EXACT, NotifyError, domain, sender},
};
use crate::{
    app::App,
    platform::ports::{PortError, PortErrorKind},
    tenancy::{
        DeploymentPlace, DeploymentScope, Roster, StoreError,
        directory::{self, Person},
        message::Verified,
    },
    web::entra::let_in::{self, AskedV1, Asking},
};

/// Mails the request that the message names, if nobody has answered it yet.
pub async fn tell_owners(app: &App, message: &Verified) -> Result<(), NotifyError> {
    let AskedV1 { person } = message.body()?;
    let store = DeploymentScope::of_function("notify", &message.id().to_string()).store(app).await?;
    let asking = store.read::<Asking>(DeploymentPlace::Directory, &person.to_string()).await?;
    let Some(asking) = asking.map(|held| held.value).filter(|asking| app.config.mails && asking.waits(app.now())) else {
        return Ok(());
    };
    let roster = Roster::read(&store).await?;
    let mailed = |person: &&Person| person.is_owner && directory::is_plain_address(&person.email);
    let owners: Vec<&Person> = roster.people_who_may_sign_in(&app.config, app.now()).filter(mailed).collect();
    if owners.is_empty() {
        tracing::warn!("no owner can be mailed that somebody asks to be let in");
    }
    for owner in owners {
        let key = format!("{person}-{}", asking.asked_at.unix_timestamp());
        let mail = compose(app, &asking, owner, &key);
        let name = format!("people/{key}-{}.eml", owner.id);
        match mail_out(app, &mail, &name).await? {
            Answer::Accepted => {}
            Answer::Refused { why } => tracing::warn!(why, "an owner is not mailed that somebody asks to be let in"),
            // The message comes again.
            Answer::Later { .. } => return Err(StoreError::from(PortError::new("mail service", PortErrorKind::Unavailable)).into()),
        }
    }
    Ok(())
}

fn compose(app: &App, asking: &Asking, to: &Person, key: &str) -> Mail {
    let (who, directory) = if let_in::is_own_directory(app, asking.identity) {
        (asking.name.clone(), "your own".into())
    } else {
        ("Somebody of another organization".into(), asking.identity.tid.to_string())
    };
    let said = |at: OffsetDateTime, format| at.format(format).unwrap_or_default();
    let domain = domain(app);
    Mail {
        from: sender(app),
        to: Mailbox { name: to.name.clone(), address: to.email.clone() },
        subject: format!("Assay: {who} asks to be let in, answer by {}", said(asking.expires_at, DAY)),
        at: app.now(),
        message_id: format!("{}.{}@{domain}", key.replace('-', "."), to.id),
        blocks: vec![
            Block::Heading(format!("{who} asks to be let in to Assay.")),
            Block::Fact { label: "Directory", value: directory },
            Block::Fact { label: "Asked", value: said(asking.asked_at, EXACT) },
            Block::Fact { label: "Answer by", value: said(asking.expires_at, EXACT) },
            Block::Link { label: "Sign in, look and answer", url: app.config.link("portal/people") },
            Block::Paragraph(
                "The link only shows the way: nobody comes in before an owner says so there. If nobody answers, the request goes away and they can ask again.".into(),
            ),
        ],
    }
}
