//! A link of a mail or card: a neutral page for whoever is not signed in, and for everybody else the way to the proposal.
//!
//! Scanners open links, run scripts and send forms. They are not signed in, so they see a page that is the same for every
//! link, good or bad, and that has no form; nothing is looked up and nothing is written for it.

use super::Reader;
use crate::{
    app::App,
    gate::link::{self, Followed, follow::Notice},
    web::{
        Problem, Reply, Request,
        pages::{Frame, Link, MessagePage, Section, Tag, Tone, paths},
        reply,
        session::Next,
    },
};

/// Names nobody and nothing: previews are kept by others.
pub(super) fn neutral(app: &App, request: &Request, address: &str) -> Reply {
    let next = Next::parse(address).filter(|_| request.query_value("token").is_some());
    let sign_in = next.map_or_else(paths::sign_in, |next| paths::sign_in_then(next.as_str()));
    let page = MessagePage {
        frame: Frame::anonymous(&app.config, app.now()),
        heading: "Sign in to go on".into(),
        tag: None,
        sentence:
            "This link leads to something that waits for an answer. Nothing is shown, and nothing can be decided, without signing in."
                .into(),
        to_copy: None,
        links: vec![Link::new(sign_in, "Sign in")],
    };
    reply::page(200, &page)
}

pub(super) async fn follow(reader: &Reader<'_>) -> Result<Reply, Problem> {
    let token = reader.request.query_value("token").unwrap_or_default();
    match Box::pin(link::follow(reader.app, reader.eyes(), &token)).await? {
        Followed::Expired => Ok(reply::redirect(&reader.saying(&paths::inbox(), LINK, EXPIRED))),
        Followed::Proposal { tenant, id, first: None } => Ok(reply::redirect(&paths::proposal(tenant, id))),
        Followed::Proposal { tenant, id, first: Some(notice) } => {
            let (heading, tag, sentence) = match &notice {
                Notice::Changed { version } => (
                    "This changed since the mail was written",
                    Tag::new(Tone::Wait, "Changed"),
                    format!("What you were asked about is version {version} now. The page shows it as it is."),
                ),
                Notice::Superseded { why, .. } => ("This no longer stands", Tag::new(Tone::Unknown, "Superseded"), (*why).to_owned()),
                Notice::Theirs => (
                    "This link was sent to somebody else",
                    Tag::new(Tone::Wait, "Not yours"),
                    "It adds no right: you see and do there what your own role for this client allows.".into(),
                ),
            };
            let mut links = vec![Link::new(paths::proposal(tenant, id), "Go to the proposal"), Link::new(paths::inbox(), "All approvals")];
            if let Notice::Superseded { by: Some(by), .. } = notice {
                links.insert(0, Link::new(paths::proposal(tenant, by), "The proposal that stands now"));
            }
            page(reader, 200, heading, Some(tag), sentence, links).await
        }
        Followed::Nowhere => {
            // It leads there again once the client is switched on.
            if let Some((tenant, _)) = link::follow::leads_to(reader.app, &token).await?
                && reader.resting.iter().any(|grant| grant.tenant() == tenant)
            {
                return Err(Problem::switched_off());
            }
            let sentence = "It was changed on its way, is of another installation, or leads to nothing that you may see. What waits for you is under Approvals.";
            page(reader, 404, "This link cannot be used", None, sentence.into(), vec![Link::new(paths::inbox(), "All approvals")]).await
        }
    }
}

const LINK: &str = "link";
const EXPIRED: &str = "expired";

/// What the inbox says to whom a link led there.
pub(super) fn led_here(reader: &Reader<'_>) -> Option<String> {
    let expired = reader.done(LINK)? == EXPIRED;
    expired.then(|| {
        "The time of that link is over. If its proposal is still open, it is below: nothing was decided meanwhile by itself.".into()
    })
}

async fn page(
    reader: &Reader<'_>,
    status: u16,
    heading: &str,
    tag: Option<Tag>,
    sentence: String,
    links: Vec<Link>,
) -> Result<Reply, Problem> {
    let frame = reader.frame(Section::Approvals).await?;
    Ok(reply::page(status, &MessagePage { frame, heading: heading.into(), tag, sentence, to_copy: None, links }))
}
