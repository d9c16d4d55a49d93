//! Health for people: what Assay depends on, as the last look of this process found it, in the doctor's words.
//!
//! Opening the page looks at nothing. Whoever runs the tools can have it looked at now, every client's key with it.

use std::time::Duration;

use super::Reader;
use crate::{
    platform::ports::PortErrorKind,
    tenancy::TenantId,
    triggers::health::doctor::{self, Finding},
    web::{
        Problem, Reply,
        pages::{HealthPage, Link, PartView, PostForm, Section, Tag, Tone, paths},
        reply,
    },
};

const AGAIN: &str = "look again";
/// Between two looks that people ask for: each asks every store, and the vault for each client's key.
const PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn show(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    page(reader, None).await
}

/// Answered with the page itself: another process, which answers the next request, has looked at another time.
pub(super) async fn look_again(reader: &Reader<'_>) -> Result<Reply, Problem> {
    reader.must_operate()?;
    reader.must_be_own_form(&[AGAIN])?;
    let app = reader.app;
    if !app.cache.allow(AGAIN, 1, app.now(), PAUSE) {
        return page(reader, Some("It was looked at a moment ago, and this is what was found. Look again in half a minute.")).await;
    }
    doctor::look(app, true).await;
    page(reader, Some("Looked at now.")).await
}

async fn page(reader: &Reader<'_>, notice: Option<&'static str>) -> Result<Reply, Problem> {
    let look = doctor::last_look(reader.app);
    let mut parts: Vec<PartView> = look.iter().flat_map(|look| &look.findings).map(|finding| part(reader, finding)).collect();
    parts.sort_by_key(|part| part.waits.is_none());
    let owns = reader.person.is_owner;
    let page = HealthPage {
        frame: reader.frame(if owns { Section::Setup } else { Section::Connections }).await?,
        from: if owns { Link::new(paths::setup(), "Setup") } else { Link::new(paths::connections(), "Connections") },
        looked_at: look.as_ref().map(|look| look.at),
        with_clients: look.as_ref().is_some_and(|look| look.with_clients),
        bad: parts.iter().filter(|part| part.waits.is_some()).count(),
        parts,
        again: PostForm { action: paths::health(), token: reader.token(&[AGAIN]), fields: vec![], label: "Look at all of it now".into() },
        notice,
    };
    Ok(reply::page(200, &page))
}

fn part(reader: &Reader<'_>, finding: &Finding) -> PartView {
    let Finding { what, setting, outcome, untried, took } = finding;
    // Whose key it is tells who has a role there, and owners.
    let may_know = |client: TenantId| reader.person.is_owner || reader.grants.iter().any(|grant| grant.tenant() == client);
    let of_client = reader.roster.tenants.iter().find(|tenant| what.contains(&tenant.id.to_string()));
    let client = of_client.filter(|tenant| may_know(tenant.id)).map(|tenant| tenant.name.clone());
    let (tag, words, waits) = match outcome {
        Ok(()) => (Tag::new(Tone::Met, "Good"), untried.clone().unwrap_or_default(), None),
        Err(error) => {
            // What may pass by itself is not called wrong at once.
            let passes = matches!(error.kind, PortErrorKind::Unavailable | PortErrorKind::Throttled { .. });
            let tag = Tag::new(if passes { Tone::Wait } else { Tone::Not }, error.kind.to_string());
            (tag, error.advice().to_owned(), Some(waits(what)))
        }
    };
    PartView { name: what.clone(), client, tag, setting: *setting, words, waits, milliseconds: took.as_millis() }
}

/// What waits while this is not good, by the words in which the doctor names it.
pub(super) fn waits(what: &str) -> &'static str {
    match what {
        "identity" => "nothing else can be looked at, and every function waits.",
        "container deployment" => {
            "nobody can sign in, no page opens, and webhooks are answered that they be sent again; everything else waits."
        }
        "container clients" => {
            "pages of whoever has a role for a client do not open, and nothing is taken in, analyzed or decided; messages wait."
        }
        "container audit" | "container heads" => {
            "the log does not go on: what happens is kept where it happened and takes its place later."
        }
        "queue intake" => "webhooks are answered that they be sent again, and what came before is not processed.",
        "queue analyze" => "evidence comes in, and no new suggestions or questions come of it.",
        "queue notify" => "nobody is told; what waits for people stands under Approvals all the same.",
        "queue execute" => "decisions are taken, and what was approved is not carried out yet.",
        "queue publish" => "the logs are brought up to date by the sweep alone, some minutes later.",
        "blob container raw" => "webhooks are answered that they be sent again, and large records cannot be read.",
        "blob container mailbox" => "no mail is put into the mailbox; what waits for people stands under Approvals.",
        "blob container log" => "what happens is recorded, and not published for verification.",
        "blob container anchors" => "no copies of checkpoints are made; the logs go on.",
        "the installation's own key" => {
            "within five minutes no page opens and nothing is processed; webhooks are answered that they be sent again."
        }
        "signing key links" => "mails and cards that point to something do not go out.",
        "signing key receipts" => "nothing can be decided, and nothing approved is carried out.",
        "signing key checkpoints" => "what happens is recorded, and no new checkpoint is signed.",
        "sign-in at Entra ID" | "the app registration's credential" => "nobody can sign in anew; who is signed in works on.",
        "the mail server" => {
            "mails wait, and are sent later or by their deadline not at all; what waits for people stands under Approvals."
        }
        doctor::FIPS_MODULE => "nothing; but for SC.L2-3.13.11 nothing may be said of this program.",
        "cryptography" => "nothing is done with a module that is not as it was built to be.",
        what if what.starts_with("the witness") => "nothing.",
        what if what.starts_with("metered billing is off") => "no client is counted or reported for it; nothing else waits.",
        what if what.starts_with("metered billing of") => "nothing; these clients are not billed for that month.",
        what if what.starts_with("metered billing") => "what was counted waits for the Marketplace, at most 24 hours; nothing else does.",
        what if what.starts_with("the key of client") => {
            "this client's pages do not open, and its messages wait; other clients are not touched."
        }
        what if what.starts_with("the directory") => "whom this record names has no access; everybody else works on.",
        _ => "what is not known here; look at the log of the function app.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        platform::ports::{BlobContainer, Container},
        tenancy::signing::SigningUse,
        triggers::{Kind, TABLE},
    };

    #[test]
    fn of_everything_that_is_looked_at_it_is_known_what_waits() {
        let queues = TABLE.iter().filter_map(|trigger| match trigger.kind {
            Kind::Queue { queue, .. } => Some(format!("queue {queue}")),
            _ => None,
        });
        let all = Container::ALL.map(|one| format!("container {}", one.name())).into_iter().chain(queues);
        let all = all.chain(BlobContainer::ALL.map(|one| format!("blob container {}", one.name())));
        let metering =
            ["metered billing is off: a plan", "metered billing, since today: no answer", "metered billing of 2026-03, 2 never reported"]
                .map(str::to_owned);
        let cryptography = ["cryptography", doctor::FIPS_MODULE].map(str::to_owned);
        let all = all.chain(cryptography);
        for what in all.chain(SigningUse::ALL.map(|usage| format!("signing key {}", usage.key()))).chain(metering) {
            assert_ne!(waits(&what), waits("what nobody knows"), "{what}");
        }
    }
}
