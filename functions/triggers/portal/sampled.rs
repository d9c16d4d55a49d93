//! Sampled for review: what ran without anybody's approval and was drawn, one item at a time, with the answer of a person who
//! may approve for the client and looked at it.

use super::Reader;
use crate::{
    analytics::sampled::{self, COLLECTED, LISTED, NotTaken, Ran, Sampled},
    evidence::{Evidence, card::Cards},
    gate::{
        Proposal,
        learning::{Because, Look},
        policy::KINDS,
    },
    tenancy::{
        Actor, ClientPlace, Held, Store, StoreError, TenantId,
        directory::{Grant, Role, Tenant},
    },
    web::{
        Problem, Reply,
        pages::{
            Choice, Field, FieldError, FieldKind, LevelMark, Link, RuleForm, SampledItemPage, SampledPage, SampledRow, Section, paths,
        },
        reply,
    },
};

/// The name of the list, to which its continuation is bound.
const LIST: &str = "sampled";
const BECAUSE: &str = "because";

pub(super) async fn list(reader: &Reader<'_>, tenant: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    let store = reader.scope(grant).store(reader.app).await?;
    let after = match reader.request.query_value("after") {
        Some(token) => Some(store.onward(LIST, &token).await?.ok_or_else(Problem::not_found)?),
        None => None,
    };
    let (items, next) = sampled::listed(&store, after).await?;
    let next = next.map(|next| store.sealed_onward(LIST, &next)).transpose()?;
    let page = SampledPage {
        frame: reader.frame(Section::Analytics).await?,
        client: tenant.name.clone(),
        analytics_href: paths::client_analytics(tenant.id),
        items: items.iter().map(|item| row(tenant.id, item)).collect(),
        next: next.map(|token| format!("{}?after={token}", paths::sampled(tenant.id))),
        days: LISTED.whole_days(),
        answers: grant.has(Role::Approver),
        notice: match reader.done("done").as_deref() {
            Some("agree") => Some("Recorded: it holds."),
            Some("noticed") => Some("That was a test item: another record stood under its name. You noticed."),
            Some("missed") => Some("That was a test item: another record stood under its name. Compare the record with what ran."),
            Some("disagree") => Some("Recorded: it does not hold. Nothing was undone by that."),
            Some(_) => Some("Somebody else has answered that one, or it left the list."),
            None => None,
        },
    };
    Ok(reply::page(200, &page))
}

pub(super) async fn show(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    page(reader, &tenant, grant, id, None).await
}

/// Records the answer.
pub(super) async fn answer(reader: &Reader<'_>, tenant: &str, id: &str) -> Result<Reply, Problem> {
    let (tenant, grant) = reader.client(tenant)?;
    if !grant.has(Role::Approver) {
        return Err(Problem::forbidden("Only who may approve for this client answers here. Nothing was recorded."));
    }
    let shown_at = reader.must_be_own_timed_form(&[LIST, &tenant.id.to_string(), id])?;
    let answer = reader.field("answer");
    if !["agree", "disagree"].contains(&answer.as_str()) {
        return Err(Problem::bad_request("The form says neither that it holds nor that it does not. Nothing was recorded."));
    }
    let store = reader.scope(grant).store(reader.app).await?;
    let list = paths::sampled(tenant.id);
    let Some(held) = sampled::one(&store, id).await? else { return Ok(reader.back_to(&list, "done", "gone")) };
    if is_of_their_doing(reader, &store, &held.value.ran).await? {
        return Err(Problem::forbidden("It is of your own doing, so another approver says whether it holds. Nothing was recorded."));
    }
    let look = Look { shown_at: Some(shown_at), because: Because::of_key(&reader.field(BECAUSE)) };
    match sampled::answer(&store, &held, (answer == "agree", look, &reader.person.name)).await? {
        Ok(()) if held.value.shown_as.is_some() => {
            Ok(reader.back_to(&list, "done", if answer == "disagree" { "noticed" } else { "missed" }))
        }
        Ok(()) => Ok(reader.back_to(&list, "done", &answer)),
        Err(NotTaken::Gone) => Ok(reader.back_to(&list, "done", "gone")),
        Err(NotTaken::TooFast) => {
            let message = "Look at it for at least five seconds, then answer.".into();
            page(reader, &tenant, grant, id, Some(FieldError { field: "answer", message })).await
        }
        Err(NotTaken::NoReason) => {
            let message = "Say why it does not hold.".into();
            page(reader, &tenant, grant, id, Some(FieldError { field: BECAUSE, message })).await
        }
    }
}

/// Whether this human, by whatever account, asked for it or filed it.
async fn is_of_their_doing(reader: &Reader<'_>, store: &Store<'_, ClientPlace>, ran: &Ran) -> Result<bool, StoreError> {
    let by = match ran {
        Ran::Evidence { source_key, .. } => {
            let record = store.read::<Evidence>(Evidence::place(source_key), source_key).await?;
            record.and_then(|held| held.value.reference().filed_by)
        }
        Ran::Proposal(id) => match store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await? {
            Some(Held { value: Proposal { requester: Actor::Person(person), .. }, .. }) => Some(person),
            _ => None,
        },
    };
    Ok(by.is_some_and(|by| reader.roster.human(by) == reader.roster.human(reader.person.id)))
}

async fn page(reader: &Reader<'_>, tenant: &Tenant, grant: &Grant, id: &str, error: Option<FieldError>) -> Result<Reply, Problem> {
    let store = reader.scope(grant).store(reader.app).await?;
    let Held { value: item, .. } = sampled::one(&store, id).await?.ok_or_else(Problem::not_found)?;
    let (mut card, mut proposal) = (None, None);
    match &item.ran {
        Ran::Evidence { source_key, hash } => {
            let source_key = item.shown_as.as_ref().unwrap_or(source_key);
            let record = store.read::<Evidence>(Evidence::place(source_key), source_key).await?;
            if let Some(record) = record {
                // Of the state that was taken in then: the card says if it is another one now.
                let reference = crate::evidence::EvidenceRef { hash: hash.clone(), ..record.value.reference() };
                card = Cards::of(&store, &reader.roster).cards(&[reference]).await?.into_iter().next().map(|(card, _)| card);
            }
        }
        Ran::Proposal(id) => {
            let held = store.read::<Proposal>(ClientPlace::Assessment, &id.to_string()).await?;
            proposal = held.map(|held| Link::new(paths::proposal(tenant.id, *id), held.value.draft.question));
        }
    }
    let errors: Vec<FieldError> = error.into_iter().collect();
    // A form that comes back was looked at all the time.
    let shown_at = reader.shown_at(&[LIST, &tenant.id.to_string(), id]).unwrap_or_else(|| reader.app.now());
    let form = grant.has(Role::Approver).then(|| RuleForm {
        action: paths::sampled_item(tenant.id, id),
        token: reader.timed_token(&[LIST, &tenant.id.to_string(), id], shown_at),
        kind: None,
        groups: vec![],
        fields: vec![because(reader).with_errors(&errors)],
    });
    let page = SampledItemPage {
        frame: reader.frame(Section::Analytics).await?,
        client: tenant.name.clone(),
        list_href: paths::sampled(tenant.id),
        what: what(&item),
        level: mark(&item),
        at: item.at,
        card,
        proposal,
        form,
        error: errors.first().map(|error| (error.field, error.message.clone())),
    };
    Ok(reply::page(if errors.is_empty() { 200 } else { 422 }, &page))
}

fn because(reader: &Reader<'_>) -> Field {
    let choices = Because::ALL.map(|because| Choice { value: because.key().into(), label: because.words().into() });
    let hint = "Only where it does not hold";
    Field::new(BECAUSE, "Why it does not hold", hint, FieldKind::OneOf(choices.into()), reader.field(BECAUSE))
}

fn row(tenant: TenantId, item: &Sampled) -> SampledRow {
    SampledRow { what: Link::new(paths::sampled_item(tenant, &item.id), what(item)), level: mark(item), at: item.at }
}

fn mark(item: &Sampled) -> LevelMark {
    LevelMark { word: item.level.word().into(), meaning: item.level.meaning().into() }
}

/// `Evidence taken in: configuration 4711`; `Assign training: AT-1`.
fn what(item: &Sampled) -> String {
    let words = |kind: &str| KINDS.iter().find(|(known, ..)| *known == kind).map_or("An action", |(.., words)| *words);
    match &item.ran {
        Ran::Evidence { source_key, .. } => {
            let number = source_key.splitn(3, ':').nth(2).unwrap_or_default();
            debug_assert_eq!(item.rule.kind(), COLLECTED);
            format!("Evidence taken in: {} {number}", item.rule.subject())
        }
        Ran::Proposal(_) => format!("{}: {}", words(item.rule.kind()), item.rule.subject()),
    }
}
